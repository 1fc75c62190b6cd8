-- Databases that are degraded because their organization's spend cap is used.
create table cap_stages (
    database_id uuid primary key references databases,
    organization_id uuid not null references organizations,
    stage text not null check (stage in ('read_only', 'asleep')),
    since timestamptz not null
);
create index cap_stages_organization on cap_stages (organization_id);

-- Those that fell asleep for it are held.
alter table databases
    drop constraint databases_hold_check,
    add constraint databases_hold_check check (hold in ('payment', 'spend_cap'));

-- In which order they fall asleep, as the owner wants it.
create table cap_orders (
    organization_id uuid primary key references organizations,
    database_ids uuid[] not null check (cardinality(database_ids) <= 1000)
);

-- Amounts that were reached and told, once each in a period: a budget, or the spend cap.
create table spend_alerts (
    organization_id uuid not null references organizations,
    -- The first day of the month (UTC).
    period date not null check (extract(day from period) = 1),
    kind text not null check (kind in ('budget', 'spend_cap')),
    amount_cents bigint not null check (amount_cents >= 0),
    created_at timestamptz not null,
    primary key (organization_id, period, kind, amount_cents)
);

do $$
declare
    owned text;
begin
    foreach owned in array array['cap_stages', 'cap_orders', 'spend_alerts'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy tenant on %I to lumadb_tenant
                        using (organization_id = scope_organization())', owned);
        execute format('create policy region on %I to lumadb_region using (true)', owned);
        execute format('grant select on %I to lumadb_tenant', owned);
        execute format('grant select on %I to lumadb_region', owned);
    end loop;
end
$$;
grant insert, update on cap_orders to lumadb_tenant;
grant insert, update, delete on cap_stages to lumadb_region;
grant insert on spend_alerts to lumadb_region;
