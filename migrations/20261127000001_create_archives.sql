-- Archives: where the WAL and the backups of each database lie, under which keys, and what the nodes
-- say is in them.
alter table plans
    -- How far back a database can be restored.
    add column restore_window_days integer not null default 1 check (restore_window_days > 0),
    -- Within how long WAL leaves for the archive.
    add column archive_lag_ms integer not null default 10000 check (archive_lag_ms > 0),
    add column backup_interval_hours integer not null default 24 check (backup_interval_hours > 0);

update plans set archive_lag_ms = 1000 where id <> 'free';
update plans set restore_window_days = 7 where id in ('pro-payg', 'pro-starter');
update plans set restore_window_days = 14 where id = 'pro-growth';
update plans set restore_window_days = 30 where id = 'pro-scale';
update plans set restore_window_days = 365 where id = 'enterprise';

-- Made with an organization's first archive.
create table organization_keys (
    organization_id uuid primary key references organizations on delete cascade,
    -- Fingerprint of the master key that wraps it.
    master_key text not null,
    -- Base64 of nonce, ciphertext and tag (AES-256-GCM).
    wrapped_key text not null,
    created_at timestamptz not null
);

create table archives (
    id uuid primary key,
    organization_id uuid not null references organizations,
    database_id uuid not null unique,
    -- By the organization's key.
    wrapped_key text not null,
    created_at timestamptz not null,
    -- When the next backup is asked for by the schedule.
    backup_due_at timestamptz not null,

    -- Observed.
    archived_lsn pg_lsn,
    flushed_lsn pg_lsn,
    archived_until timestamptz,
    -- [{"from": …, "until": …, "from_lsn": …, "timeline": …}]
    windows jsonb not null default '[]',
    error text,
    observed_at timestamptz,

    foreign key (organization_id, database_id) references databases (organization_id, id),
    unique (organization_id, id)
);

create table backups (
    id uuid primary key,
    organization_id uuid not null,
    archive_id uuid not null,
    database_id uuid not null,
    name text check (length(name) between 1 and 100),
    origin text not null check (origin in ('scheduled', 'manual')),
    kind text not null check (kind in ('full', 'incremental')),
    state text not null default 'pending'
        check (state in ('pending', 'running', 'complete', 'failed', 'expired')),
    requested_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    timeline integer,
    start_lsn pg_lsn,
    end_lsn pg_lsn,
    bytes_read bigint not null default 0,
    bytes_expected bigint not null default 0,
    bytes_stored bigint not null default 0,
    parent_id uuid,
    -- For an operator.
    error text,
    foreign key (organization_id, archive_id) references archives (organization_id, id)
);
create index backups_database on backups (organization_id, database_id, id desc);
create index backups_archive on backups (archive_id, state);

create table restore_points (
    id uuid primary key,
    organization_id uuid not null,
    archive_id uuid not null,
    database_id uuid not null,
    name text not null check (octet_length(name) between 1 and 63),
    created_at timestamptz not null,
    -- Null until the node has made it.
    lsn pg_lsn,
    made_at timestamptz,
    foreign key (organization_id, archive_id) references archives (organization_id, id),
    unique (archive_id, name)
);
create index restore_points_database on restore_points (organization_id, database_id, id desc);

-- How a database came to be that was made from another's archive.
create table restores (
    -- The new one.
    database_id uuid primary key,
    organization_id uuid not null,
    source_database_id uuid not null,
    source_archive_id uuid not null,
    -- As the node is told it.
    target jsonb not null,
    phase text not null default 'pending'
        check (phase in ('pending', 'fetching', 'replaying', 'done', 'refused')),
    bytes_done bigint not null default 0,
    bytes_total bigint not null default 0,
    replayed_lsn pg_lsn,
    -- The last transaction that was replayed ended at this moment.
    reached timestamptz,
    -- Why it cannot be done as asked.
    refusal text,
    created_at timestamptz not null,
    ended_at timestamptz,
    foreign key (organization_id, database_id) references databases (organization_id, id),
    foreign key (organization_id, source_archive_id) references archives (organization_id, id),
    check ((phase in ('done', 'refused')) = (ended_at is not null))
);
create index restores_open on restores (source_archive_id) where ended_at is null;

alter table operations drop constraint operations_kind_check;
alter table operations add constraint operations_kind_check check (kind in (
    'database_create', 'database_update', 'database_resize', 'database_suspend',
    'database_resume', 'database_delete', 'database_restore', 'role_create', 'role_rotate_password',
    'role_delete', 'logical_database_create', 'logical_database_delete'));

do $$
declare
    owned text;
begin
    foreach owned in array array['organization_keys', 'archives', 'backups', 'restore_points', 'restores'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy tenant on %I to lumadb_tenant
                        using (organization_id = scope_organization())', owned);
        execute format('create policy region on %I to lumadb_region using (true)', owned);
        execute format('grant select, insert on %I to lumadb_tenant', owned);
        execute format('grant select, insert, update on %I to lumadb_region', owned);
    end loop;
end
$$;
grant delete on restore_points to lumadb_region;

-- A path names a backup alone: see the policies of the same name on databases.
create policy locate on backups for select to lumadb_identity
    using (exists (select from memberships m
                   where m.organization_id = backups.organization_id and m.user_id = scope_user()));
grant select (id, organization_id) on backups to lumadb_identity;
