-- High-water mark of each incarnation: samples at or below it are stored, whatever comes again.
create table usage_incarnations (
    incarnation_id uuid primary key,
    organization_id uuid not null references organizations,
    database_id uuid not null,
    first_taken_at timestamptz not null,
    last_taken_at timestamptz not null,
    last_sequence bigint not null,
    -- Sequences that never came, so far.
    gaps bigint not null default 0,
    -- Totals of the last sample; the next one counts from here.
    requests bigint not null default 0,
    errors bigint not null default 0,
    transfer_out_bytes bigint not null default 0,
    vector_operations bigint not null default 0,
    connections_opened bigint not null default 0
);
create index usage_incarnations_database on usage_incarnations (database_id, first_taken_at);

-- Samples as the nodes sealed them: totals since the incarnation began.
create table usage_samples (
    incarnation_id uuid not null,
    sequence bigint not null check (sequence > 0),
    organization_id uuid not null,
    database_id uuid not null,
    taken_at timestamptz not null,
    requests bigint not null check (requests >= 0),
    errors bigint not null check (errors >= 0),
    transfer_out_bytes bigint not null check (transfer_out_bytes >= 0),
    vector_operations bigint not null check (vector_operations >= 0),
    connections_opened bigint not null check (connections_opened >= 0),
    storage_bytes bigint not null check (storage_bytes >= 0),
    connections integer not null check (connections >= 0),
    received_at timestamptz not null default now(),
    primary key (incarnation_id, sequence, taken_at)
) partition by range (taken_at);
create index usage_samples_database on usage_samples (database_id, taken_at);
create table usage_samples_default partition of usage_samples default;

-- How far a database's stored bytes are folded into hours.
create table usage_fronts (
    database_id uuid primary key,
    organization_id uuid not null references organizations,
    at timestamptz not null,
    storage_bytes bigint not null,
    -- The node went to sleep with this: it holds until the next sample. Else the smaller of two
    -- neighbors counts between them.
    held boolean not null
);

-- What the samples of one hour (UTC) add up to; written in the transaction that takes them in.
create table usage_hours (
    database_id uuid not null,
    organization_id uuid not null references organizations,
    starts_at timestamptz not null check (extract(epoch from starts_at)::bigint % 3600 = 0),
    requests bigint not null,
    errors bigint not null,
    transfer_out_bytes bigint not null,
    vector_operations bigint not null,
    connections_opened bigint not null,
    -- Bytes times microseconds.
    storage_byte_us numeric(38) not null,
    primary key (database_id, starts_at)
);

-- Spans of granted compute, as the runtime saw them.
create table compute_spans (
    database_id uuid not null,
    organization_id uuid not null references organizations,
    incarnation_id uuid not null,
    started_at timestamptz not null,
    -- Null while it lasts; seen_at is then the last moment at which it was seen running.
    ended_at timestamptz,
    seen_at timestamptz not null,
    milli_vcpu integer not null check (milli_vcpu > 0),
    primary key (incarnation_id, started_at),
    check (ended_at >= started_at)
);
create index compute_spans_database on compute_spans (database_id, started_at);

do $$
declare
    owned text;
begin
    foreach owned in array array['usage_incarnations', 'usage_samples', 'usage_fronts', 'usage_hours',
                                 'compute_spans'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy tenant on %I for select to lumadb_tenant
                        using (organization_id = scope_organization())', owned);
        execute format('create policy region on %I to lumadb_region using (true)', owned);
    end loop;
end
$$;
grant select on usage_incarnations, usage_samples, usage_fronts, usage_hours, compute_spans to lumadb_tenant;
grant select, insert, update on usage_incarnations, usage_samples, usage_fronts, usage_hours, compute_spans to lumadb_region;
