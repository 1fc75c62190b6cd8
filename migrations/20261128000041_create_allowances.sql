-- What each database may still use of its organization's limits, and what was told about them.

-- Room that was granted: up to which total its node may count on a meter.
create table allowances (
    database_id uuid not null references databases,
    organization_id uuid not null references organizations,
    meter text not null check (meter in ('requests', 'transfer_out', 'vector_operations')),
    incarnation_id uuid not null,
    -- Total of that incarnation.
    ceiling bigint not null check (ceiling >= 0),
    -- The day or the month (UTC) of the limit.
    window_starts_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (database_id, meter)
);
create index allowances_organization on allowances (organization_id);

-- What an organization was told of its limits, once each in a period.
create table limit_notices (
    id uuid primary key,
    organization_id uuid not null references organizations,
    meter text not null
        check (meter in ('storage', 'requests', 'transfer_out', 'vector_operations')),
    percent smallint not null check (percent in (80, 100)),
    -- The first day of the month (UTC).
    period date not null check (extract(day from period) = 1),
    used bigint not null check (used >= 0),
    limit_amount bigint not null check (limit_amount >= 0),
    created_at timestamptz not null,
    unique (organization_id, period, meter, percent)
);

do $$
declare
    owned text;
begin
    foreach owned in array array['allowances', 'limit_notices'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy tenant on %I for select to lumadb_tenant
                        using (organization_id = scope_organization())', owned);
        execute format('create policy region on %I to lumadb_region using (true)', owned);
        execute format('grant select on %I to lumadb_tenant', owned);
        execute format('grant select, insert, update on %I to lumadb_region', owned);
    end loop;
end
$$;
