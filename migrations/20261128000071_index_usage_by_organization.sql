-- Drafts, closings and reports read usage of one organization: they must not pass over everybody's.
create index usage_hours_organization on usage_hours (organization_id, starts_at);
create index compute_spans_organization on compute_spans (organization_id, started_at);
create index usage_fronts_organization on usage_fronts (organization_id);
