-- Drills: backups that are restored into a scratch instance to see whether they can be.
alter table plans
    add column drill_interval_hours integer not null default 168 check (drill_interval_hours > 0);
update plans set drill_interval_hours = 720 where id = 'free';

create table drills (
    id uuid primary key,
    organization_id uuid not null,
    archive_id uuid not null,
    database_id uuid not null,
    region text not null references regions,
    -- Of the scratch instance: no database has it.
    instance_id uuid not null unique,
    -- Abandoned: the database was deleted meanwhile.
    state text not null default 'running'
        check (state in ('running', 'succeeded', 'failed', 'abandoned')),
    started_at timestamptz not null,
    -- How old what was not archived yet was when it began: what a lost machine had lost.
    rpo_ms bigint not null check (rpo_ms >= 0),
    -- When the restored engine took connections.
    ready_at timestamptz,
    -- The last transaction that was replayed ended at this moment.
    reached timestamptz,
    restored_bytes bigint not null default 0,
    tables_checked bigint not null default 0,
    indexes_checked bigint not null default 0,
    ended_at timestamptz,
    -- What is wrong, for the owner.
    fault text,
    -- For an operator.
    error text,
    -- When nothing of the scratch instance was left.
    removed_at timestamptz,
    foreign key (organization_id, archive_id) references archives (organization_id, id),
    check ((state = 'running') = (ended_at is null)),
    check (removed_at is null or ended_at is not null)
);
-- One at a time.
create unique index drills_open on drills (region) where removed_at is null;
create index drills_database on drills (organization_id, database_id, id desc);
create index drills_archive on drills (archive_id) where removed_at is null;

alter table drills enable row level security;
alter table drills force row level security;
create policy tenant on drills to lumadb_tenant using (organization_id = scope_organization());
create policy region on drills to lumadb_region using (true);
grant select on drills to lumadb_tenant;
grant select, insert, update, delete on drills to lumadb_region;
