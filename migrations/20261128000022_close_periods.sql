-- Closing periods: what is closed stays, and usage that comes later is noticed.
create table period_closings (
    organization_id uuid not null,
    period date not null check (extract(day from period) = 1),
    invoice_id uuid not null,
    -- The cap that it was rated with, should late usage be rated.
    spend_cap_cents bigint,
    closed_at timestamptz not null,
    primary key (organization_id, period),
    foreign key (organization_id, invoice_id) references invoices (organization_id, id)
);

-- Closed periods for which usage came after: the next invoice corrects them.
create table late_usage (
    organization_id uuid not null references organizations on delete cascade,
    period date not null check (extract(day from period) = 1),
    primary key (organization_id, period)
);

do $$
declare
    owned text;
begin
    foreach owned in array array['period_closings', 'late_usage'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy tenant on %I for select to lumadb_tenant
                        using (organization_id = scope_organization())', owned);
        execute format('create policy region on %I to lumadb_region using (true)', owned);
        execute format('grant select on %I to lumadb_tenant', owned);
        execute format('grant select, insert on %I to lumadb_region', owned);
    end loop;
end
$$;
grant delete on late_usage to lumadb_region;

-- A database that is held stands still, whatever its owner asks, until the reason is gone; then it
-- is what it was asked to be before.
alter table databases
    add column hold text check (hold in ('payment')),
    add column hold_desired text check (hold_desired in ('running', 'asleep', 'suspended')),
    add constraint databases_hold check ((hold is null) = (hold_desired is null));
create index databases_held on databases (organization_id) where hold is not null;
