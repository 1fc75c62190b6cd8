-- Databases whose content was lost come back from their archives by themselves. A row says how far
-- that is, and stays when it has ended: how often it was tried lately bounds how soon it is tried again.
create table recoveries (
    database_id uuid primary key,
    organization_id uuid not null,
    -- Noticed: to be looked at again after a while; clearing: what is left of the instance ends;
    -- waiting: an attempt failed, and another one comes.
    phase text not null check (phase in
        ('noticed', 'clearing', 'restoring', 'waiting', 'done', 'given_up', 'false_alarm')),
    -- When the content was first found gone.
    noticed_at timestamptz not null,
    -- Everything that was committed before it was archived by then.
    archived_until timestamptz,
    -- Of this loss and of those shortly before.
    attempts integer not null default 0 check (attempts >= 0),
    -- An instance was made since: what is there is the platform's own doing.
    is_made boolean not null default false,
    -- Before then nothing more is done.
    due_at timestamptz not null,
    -- The last attempt.
    operation_id uuid references operations,
    ended_at timestamptz,
    foreign key (organization_id, database_id) references databases (organization_id, id),
    check ((phase in ('done', 'given_up', 'false_alarm')) = (ended_at is not null))
);

alter table recoveries enable row level security;
alter table recoveries force row level security;
create policy tenant on recoveries to lumadb_tenant using (organization_id = scope_organization());
create policy region on recoveries to lumadb_region using (true);
grant select on recoveries to lumadb_tenant;
grant select, insert, update on recoveries to lumadb_region;

-- Nobody asks for such an operation.
grant insert on operations to lumadb_region;

alter table operations drop constraint operations_kind_check;
alter table operations add constraint operations_kind_check check (kind in (
    'database_create', 'database_update', 'database_resize', 'database_suspend',
    'database_resume', 'database_delete', 'database_restore', 'database_restore_in_place',
    'database_go_back', 'database_recover', 'role_create', 'role_rotate_password', 'role_delete',
    'logical_database_create', 'logical_database_delete'));
