-- Imports: databases that are copied from another PostgreSQL into one of ours.
create table imports (
    id uuid primary key,
    organization_id uuid not null,
    database_id uuid not null,
    logical_database text not null check (octet_length(logical_database) between 1 and 63),
    -- As whom the copy is made: who owns the logical database.
    role text not null,

    -- The source without its password, to be shown.
    source_host text not null,
    source_port integer not null check (source_port between 1 and 65535),
    source_database text not null,
    source_user text not null,
    -- The connection string, and the certificates that it is trusted by: AES-256-GCM under the
    -- control plane's key. Wiped when the import ends.
    source_sealed bytea,

    state text not null default 'pending' check (state in (
        'pending', 'checking', 'copying', 'finishing', 'cleaning',
        'succeeded', 'failed', 'cancelled')),
    -- Times that it was begun: once more after each worker that died over it.
    attempt integer not null default 0,
    tables_done bigint not null default 0,
    tables_total bigint not null default 0,
    bytes_copied bigint not null default 0,
    source_bytes bigint not null default 0,
    -- Why it ends without success; known before the target is emptied.
    error text,
    cancel_requested_at timestamptz,
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,

    -- The worker that does it, until when.
    lease_owner uuid,
    lease_until timestamptz,

    foreign key (organization_id, database_id) references databases (organization_id, id),
    check ((state in ('succeeded', 'failed', 'cancelled')) = (ended_at is not null)),
    check ((ended_at is null) = (source_sealed is not null))
);
create index imports_database on imports (organization_id, database_id, id desc);
-- One at a time.
create unique index imports_open on imports (database_id) where ended_at is null;

alter table imports enable row level security;
alter table imports force row level security;
create policy tenant on imports to lumadb_tenant using (organization_id = scope_organization());
create policy region on imports to lumadb_region using (true);
grant select, insert, update on imports to lumadb_tenant;
grant select, update on imports to lumadb_region;

-- A path names an import alone: see the policies of the same name on databases.
create policy locate on imports for select to lumadb_identity
    using (exists (select from memberships m
                   where m.organization_id = imports.organization_id and m.user_id = scope_user()));
grant select (id, organization_id) on imports to lumadb_identity;
