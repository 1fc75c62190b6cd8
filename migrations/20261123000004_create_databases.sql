-- A database: its desired state (changed by the API, numbered by generation) and what was last
-- observed of it (changed by its region's loop alone).
create sequence route_numbers as integer minvalue 1 cycle;
create table databases (
    id uuid primary key,
    organization_id uuid not null references organizations,
    project_id uuid not null,
    name text not null check (length(name) between 1 and 63),
    region text not null references regions,
    engine_version smallint not null default 18 check (engine_version = 18),
    route_number integer not null unique default nextval('route_numbers'),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- Counts the changes that callers made; the ETag.
    revision bigint not null default 1,
    -- Counts every change that an edge may care for.
    route_revision bigint not null default 1,
    deletion_protection boolean not null default false,

    -- Desired.
    generation bigint not null default 1,
    desired text not null default 'running'
        check (desired in ('running', 'asleep', 'suspended', 'deleted')),
    -- Generation at which `desired` changed last: what was observed below it says nothing of it.
    run_generation bigint not null default 1,
    milli_vcpu integer not null references compute_sizes,
    idle_timeout_seconds integer check (idle_timeout_seconds > 0),

    -- Observed.
    observed_generation bigint not null default 0,
    observed text not null default 'pending'
        check (observed in ('pending', 'running', 'asleep', 'suspended', 'deleted', 'failed')),
    observed_at timestamptz,
    error text,
    incarnation_id uuid,
    node_address jsonb,
    system_identifier numeric(20),
    engine_minor text,
    connections integer not null default 0,
    storage_bytes bigint not null default 0,
    idle_since timestamptz,

    -- The loop's own: who works on it until when, and when to look again.
    lease_owner uuid,
    lease_until timestamptz,
    attempt integer not null default 0,
    look_at timestamptz not null default now(),
    deleted_at timestamptz,

    -- Transaction that changed it last: readers of the change feed resume below the oldest one
    -- that is still open, so that none is skipped whatever the order of commits.
    changed_xid xid8 not null default pg_current_xact_id(),

    foreign key (organization_id, project_id) references projects (organization_id, id),
    unique (organization_id, id)
);
create unique index databases_name on databases (project_id, name) where deleted_at is null;
create index databases_project on databases (organization_id, project_id, id) where deleted_at is null;
create index databases_due on databases (region, look_at) where deleted_at is null;
create index databases_changed on databases (region, changed_xid);

create table database_roles (
    id uuid primary key,
    organization_id uuid not null,
    database_id uuid not null,
    name text not null check (name ~ '^[a-z_][a-z0-9_-]{0,62}$'),
    -- SCRAM-SHA-256 verifier (RFC 5803); the password itself is kept encrypted beside it.
    verifier text not null check (verifier like 'SCRAM-SHA-256$%'),
    -- AES-256-GCM under the control plane's key: nonce, ciphertext, tag; the row's id as data.
    password_sealed bytea not null,
    is_owner boolean not null,
    created_at timestamptz not null,
    password_changed_at timestamptz not null,
    foreign key (organization_id, database_id) references databases (organization_id, id) on delete cascade,
    unique (database_id, name)
);

create table logical_databases (
    id uuid primary key,
    organization_id uuid not null,
    database_id uuid not null,
    name text not null check (name ~ '^[a-z_][a-z0-9_-]{0,62}$'),
    owner_role_id uuid not null references database_roles,
    created_at timestamptz not null,
    foreign key (organization_id, database_id) references databases (organization_id, id) on delete cascade,
    unique (database_id, name)
);

create table operations (
    id uuid primary key,
    organization_id uuid not null references organizations,
    database_id uuid not null,
    kind text not null check (kind in (
        'database_create', 'database_update', 'database_resize', 'database_suspend',
        'database_resume', 'database_delete', 'role_create', 'role_rotate_password', 'role_delete',
        'logical_database_create', 'logical_database_delete')),
    state text not null default 'pending'
        check (state in ('pending', 'running', 'succeeded', 'failed', 'cancelled')),
    -- The operation ends when the database has observed this generation and is as desired.
    generation bigint not null,
    -- [{"name": …, "state": "pending|running|succeeded|failed", "started_at": …, "ended_at": …}]
    steps jsonb not null default '[]',
    error text,
    -- How the desired state was before; cancelling brings it back. Null: cannot be cancelled.
    undo jsonb,
    created_by uuid,
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    deadline_at timestamptz not null,
    foreign key (organization_id, database_id) references databases (organization_id, id),
    check ((state in ('succeeded', 'failed', 'cancelled')) = (ended_at is not null))
);
create index operations_database on operations (organization_id, database_id, id);
create index operations_open on operations (database_id, generation) where ended_at is null;

create table idempotency_keys (
    organization_id uuid not null references organizations on delete cascade,
    -- `usr_…` or `tok_…`: a key belongs to who sent it.
    caller text not null,
    key text not null check (length(key) between 1 and 255),
    -- Hex SHA-256 of method, path and body.
    request_hash text not null,
    status smallint not null,
    body jsonb not null,
    created_at timestamptz not null,
    primary key (organization_id, caller, key)
);

create table audit_events (
    id uuid primary key,
    organization_id uuid not null references organizations on delete cascade,
    -- `usr_…`, `tok_…` or `system`.
    actor text not null,
    action text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
    resource text not null,
    details jsonb not null default '{}',
    client_address inet,
    created_at timestamptz not null
);
create index audit_events_organization on audit_events (organization_id, id desc);

do $$
declare
    owned text;
begin
    foreach owned in array array['databases', 'database_roles', 'logical_databases', 'operations',
                                 'idempotency_keys', 'audit_events'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy tenant on %I to lumadb_tenant
                        using (organization_id = scope_organization())', owned);
    end loop;
    foreach owned in array array['databases', 'database_roles', 'logical_databases', 'operations', 'idempotency_keys'] loop
        execute format('create policy region on %I to lumadb_region using (true)', owned);
    end loop;
end
$$;
create policy identity on audit_events for insert to lumadb_identity
    with check (exists (select from memberships m
                        where m.organization_id = audit_events.organization_id and m.user_id = scope_user()));
create policy region on audit_events for insert to lumadb_region with check (true);

grant usage on sequence route_numbers to lumadb_tenant;
grant select, insert, update on databases, operations, idempotency_keys to lumadb_tenant;
grant select, insert, update, delete on database_roles, logical_databases to lumadb_tenant;
grant select, insert on audit_events to lumadb_tenant;
grant insert on audit_events to lumadb_identity, lumadb_region;
grant select, update on databases, operations to lumadb_region;
grant select, delete on database_roles, logical_databases to lumadb_region;
grant select, delete on idempotency_keys to lumadb_region;

-- Says "look" to whoever listens; what happened is read from the tables.
create function notify_database_changed() returns trigger language plpgsql as $$
begin
    new.changed_xid := pg_current_xact_id();
    if tg_op = 'UPDATE' then
        new.route_revision := old.route_revision + 1;
    end if;
    perform pg_notify('database_changed', new.id::text);
    return new;
end
$$;
create trigger databases_created before insert on databases
    for each row execute function notify_database_changed();
-- Leases, the next look and measured sizes are the loop's own and change all the time.
create trigger databases_changed before update on databases for each row when (
    (old.revision, old.generation, old.run_generation, old.desired, old.observed_generation,
     old.observed, old.incarnation_id, old.node_address, old.deleted_at)
    is distinct from
    (new.revision, new.generation, new.run_generation, new.desired, new.observed_generation,
     new.observed, new.incarnation_id, new.node_address, new.deleted_at)
) execute function notify_database_changed();

create function notify_operation_changed() returns trigger language plpgsql as $$
begin
    perform pg_notify('operation_changed', new.id::text);
    return new;
end
$$;
create trigger operations_changed after insert or update on operations
    for each row execute function notify_operation_changed();

-- Paths name a database, a project or an operation alone: a caller finds the organization that owns
-- one among those it belongs to, and nothing else of it.
do $$
declare
    located text;
begin
    foreach located in array array['projects', 'databases', 'operations'] loop
        execute format('create policy locate on %I for select to lumadb_identity
                        using (exists (select from memberships m
                                       where m.organization_id = %I.organization_id
                                         and m.user_id = scope_user()))', located, located);
        execute format('grant select (id, organization_id) on %I to lumadb_identity', located);
    end loop;
end
$$;
