-- Imports that go on following their source until they switch over.
alter table imports
    add column continuous boolean not null default false,
    -- Of one that follows: WAL of the source that is not applied, and the newest commit that is.
    add column lag_bytes bigint check (lag_bytes >= 0),
    add column last_change_at timestamptz,
    add column complete_requested_at timestamptz;

alter table imports drop constraint imports_state_check;
alter table imports add constraint imports_state_check check (state in (
    'pending', 'checking', 'copying', 'finishing', 'following', 'validating', 'cleaning',
    'succeeded', 'failed', 'cancelled'));
