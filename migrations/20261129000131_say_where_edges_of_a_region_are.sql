-- Whether a region has edges in its own cluster, which the control plane's own sessions go by; else
-- they go by the edge beside it.
alter table regions add column edges_elsewhere boolean not null default false;
