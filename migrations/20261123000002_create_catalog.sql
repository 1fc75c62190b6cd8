-- What is sold and where: data, the same for every tenant.
create table regions (
    name text primary key check (name ~ '^[a-z][a-z0-9-]{0,31}$'),
    display_name text not null,
    -- Host and port that clients connect to.
    host text not null,
    port integer not null check (port between 1 and 65535),
    -- Whether `{database-id}.{host}` resolves, so that clients may be routed by name.
    wildcard_dns boolean not null default false,
    created_at timestamptz not null default now()
);

create table plans (
    id text primary key check (id ~ '^[a-z][a-z0-9-]{0,31}$'),
    display_name text not null,
    position integer not null,
    databases_max integer check (databases_max > 0),
    compute_milli_vcpu_max integer not null check (compute_milli_vcpu_max > 0),
    compute_milli_vcpu_default integer not null check (compute_milli_vcpu_default > 0),
    -- Seconds without a client after which a database falls asleep; null: never.
    idle_timeout_seconds integer check (idle_timeout_seconds > 0),
    members_max integer check (members_max > 0)
);

-- Compute sizes on offer: a quarter vCPU comes with 1 GiB, each whole one with 4.
create table compute_sizes (
    milli_vcpu integer primary key check (milli_vcpu > 0),
    memory_mib integer not null check (memory_mib > 0),
    connections_max integer not null check (connections_max between 1 and 10000)
);

insert into plans (id, display_name, position, databases_max, compute_milli_vcpu_max,
                   compute_milli_vcpu_default, idle_timeout_seconds, members_max) values
    ('free',             'Free',               0, 3,    250,   250,  300,  1),
    ('pro-payg',         'Pro: pay as you go', 1, 100,  16000, 1000, null, null),
    ('pro-starter',      'Pro: Starter',       2, 100,  2000,  1000, null, null),
    ('pro-growth',       'Pro: Growth',        3, 100,  8000,  1000, null, null),
    ('pro-scale',        'Pro: Scale',         4, 100,  32000, 1000, null, null),
    ('enterprise',       'Enterprise',         5, null, 64000, 1000, null, null);

insert into compute_sizes (milli_vcpu, memory_mib, connections_max) values
    (250, 1024, 100), (500, 2048, 200), (1000, 4096, 400), (2000, 8192, 800), (4000, 16384, 1600),
    (8000, 32768, 3200), (16000, 65536, 4000), (32000, 131072, 4000), (64000, 262144, 4000);

grant select on regions, plans, compute_sizes to lumadb_tenant, lumadb_identity, lumadb_region;
