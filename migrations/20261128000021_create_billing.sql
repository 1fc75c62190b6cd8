-- Billing: what each organization is on and since when, what it owes, and what was booked. Amounts
-- are whole cents; a period is named by its first day (UTC).

-- What `plans` says is derived from the price book: the worker writes it when another version comes
-- into force.
alter table plans
    -- The version that this row was derived from.
    add column book text not null default '';
grant insert, update on plans to lumadb_region;

-- How far billing's time is ahead of the clock. Nothing, unless a developer moved it.
create table billing_clock (
    is_only boolean primary key default true check (is_only),
    ahead_us bigint not null default 0 check (ahead_us >= 0)
);
insert into billing_clock default values;

-- Spans are kept in billing's time; what names one is its start as the runtime said it.
alter table compute_spans add column reported_at timestamptz;
update compute_spans set reported_at = started_at;
alter table compute_spans
    alter column reported_at set not null,
    drop constraint compute_spans_pkey,
    add primary key (incarnation_id, reported_at);

-- An organization as one who pays. Its row is what changes of its billing wait for each other at.
create table billing_customers (
    organization_id uuid primary key references organizations on delete cascade,
    -- How its invoices are paid.
    collection text not null default 'manual' check (collection in ('manual', 'stripe')),
    -- As invoices name it; null: as the organization is called.
    name text check (length(name) between 1 and 200),
    -- Where invoices are sent; null: to its owners.
    email text check (length(email) between 3 and 254),
    address jsonb not null default '{}',
    tax_id text check (length(tax_id) between 1 and 50),
    tax jsonb not null default '{"kind": "none"}',
    -- Fees and usage of a period are not billed beyond it.
    spend_cap_cents bigint check (spend_cap_cents >= 0),
    -- Amounts of a period at which its owner is told.
    budgets_cents bigint[] not null default '{}' check (cardinality(budgets_cents) <= 10),
    -- overdue: an invoice was not paid when due; suspended: not within the grace after that either.
    standing text not null default 'good' check (standing in ('good', 'overdue', 'suspended')),
    standing_since timestamptz not null,
    -- The first period that is not closed.
    open_period date not null check (extract(day from open_period) = 1),
    -- Counts every change that a caller made; the ETag.
    revision bigint not null default 1
);
create index billing_customers_open on billing_customers (open_period);

-- Under which plan and agreement an organization is, from when on.
create table subscriptions (
    id uuid primary key,
    organization_id uuid not null references organizations on delete cascade,
    plan_id text not null references plans,
    -- What was agreed beyond the plan: a fee, prices, included amounts, a discount, a minimum.
    agreement jsonb not null default '{}',
    starts_at timestamptz not null,
    -- Not included; null while it holds.
    ends_at timestamptz,
    -- `usr_…`, `tok_…` or `system`.
    created_by text not null,
    check (ends_at >= starts_at)
);
create unique index subscriptions_now on subscriptions (organization_id) where ends_at is null;
create index subscriptions_organization on subscriptions (organization_id, starts_at);

-- A change of plan that was asked for.
create table plan_changes (
    id uuid primary key,
    organization_id uuid not null references organizations on delete cascade,
    from_plan_id text not null references plans,
    plan_id text not null references plans,
    -- waiting: for a way to pay; scheduled: for the end of the period.
    state text not null check (state in ('waiting', 'scheduled', 'done', 'cancelled')),
    -- When a scheduled one is due, or when it came into force.
    effective_at timestamptz,
    requested_by text not null,
    created_at timestamptz not null,
    ended_at timestamptz,
    check ((state in ('done', 'cancelled')) = (ended_at is not null))
);
create unique index plan_changes_open on plan_changes (organization_id) where ended_at is null;
create index plan_changes_due on plan_changes (effective_at) where state = 'scheduled';

-- The last number of each series, given in the transaction that makes a document final.
create table document_numbers (
    series text primary key check (series in ('invoice', 'credit_note')),
    last text
);
insert into document_numbers (series) values ('invoice'), ('credit_note');

-- Final invoices; drafts are calculated when somebody looks. From `final` on only their state and
-- what belongs to it changes.
create table invoices (
    id uuid primary key,
    organization_id uuid not null references organizations,
    number text not null unique,
    -- period: closes one; change: fees of a change of plan within one.
    kind text not null check (kind in ('period', 'change')),
    period date not null check (extract(day from period) = 1),
    state text not null check (state in ('final', 'paid', 'overdue', 'void')),
    currency text not null check (currency = 'USD'),
    collection text not null check (collection in ('manual', 'stripe')),
    -- Name, address and tax ID as they were.
    customer jsonb not null,
    tax jsonb not null,
    lines_cents bigint not null,
    credits_cents bigint not null,
    net_cents bigint not null,
    tax_cents bigint not null,
    total_cents bigint not null,
    issued_at timestamptz not null,
    due_at timestamptz not null,
    -- When its state changed last.
    state_since timestamptz not null,
    -- Reminders sent, and when the next step is due.
    reminders smallint not null default 0,
    remind_at timestamptz,
    unique (organization_id, id),
    check (net_cents = lines_cents - credits_cents and total_cents = net_cents + tax_cents)
);
create unique index invoices_period on invoices (organization_id, period) where kind = 'period';
create index invoices_organization on invoices (organization_id, id desc);
create index invoices_remind on invoices (remind_at) where remind_at is not null;

create table invoice_lines (
    organization_id uuid not null,
    invoice_id uuid not null,
    -- From 0 on.
    position integer not null check (position >= 0),
    amount_cents bigint not null,
    -- The closed period that it corrects.
    corrects date,
    -- All of it: for what, from when to when, by which book, quantities, shares of databases.
    line jsonb not null,
    primary key (invoice_id, position),
    foreign key (organization_id, invoice_id) references invoices (organization_id, id),
    check (amount_cents = (line ->> 'amount')::bigint)
);
create index invoice_lines_corrects on invoice_lines (organization_id, corrects)
    where corrects is not null;

-- Money that was granted for invoices.
create table credits (
    id uuid primary key,
    organization_id uuid not null references organizations,
    amount_cents bigint not null check (amount_cents > 0),
    reason text not null check (length(reason) between 1 and 200),
    granted_at timestamptz not null,
    granted_by text not null,
    -- Not used from then on.
    expires_at timestamptz,
    unique (organization_id, id)
);

-- What invoices took of it; one that became void took nothing.
create table credit_uses (
    organization_id uuid not null,
    invoice_id uuid not null,
    credit_id uuid not null,
    amount_cents bigint not null check (amount_cents > 0),
    primary key (invoice_id, credit_id),
    foreign key (organization_id, invoice_id) references invoices (organization_id, id),
    foreign key (organization_id, credit_id) references credits (organization_id, id)
);
create index credit_uses_credit on credit_uses (credit_id);

create table credit_notes (
    id uuid primary key,
    organization_id uuid not null,
    invoice_id uuid not null,
    number text not null unique,
    -- [{"line": position, "amount": cents}]
    lines jsonb not null,
    net_cents bigint not null,
    tax_cents bigint not null,
    total_cents bigint not null,
    reason text not null check (length(reason) between 1 and 200),
    issued_at timestamptz not null,
    issued_by text not null,
    foreign key (organization_id, invoice_id) references invoices (organization_id, id),
    check (total_cents = net_cents + tax_cents)
);
create index credit_notes_invoice on credit_notes (invoice_id);

-- The books: what happened, once, in double entry. A debit is above zero. Added to, never changed.
create table ledger_entries (
    -- What happened: `invoice/inv_…/final`.
    key text primary key,
    sequence bigint generated always as identity,
    organization_id uuid not null,
    invoice_id uuid not null,
    at timestamptz not null,
    receivable_cents bigint not null default 0,
    revenue_cents bigint not null default 0,
    tax_cents bigint not null default 0,
    cash_cents bigint not null default 0,
    credits_cents bigint not null default 0,
    foreign key (organization_id, invoice_id) references invoices (organization_id, id),
    check (receivable_cents + revenue_cents + tax_cents + cash_cents + credits_cents = 0)
);
create index ledger_entries_organization on ledger_entries (organization_id, sequence);
create index ledger_entries_invoice on ledger_entries (invoice_id);

do $$
declare
    owned text;
begin
    foreach owned in array array['billing_customers', 'subscriptions', 'plan_changes', 'invoices',
                                 'invoice_lines', 'credits', 'credit_uses', 'credit_notes',
                                 'ledger_entries'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy tenant on %I to lumadb_tenant
                        using (organization_id = scope_organization())', owned);
        execute format('create policy region on %I to lumadb_region using (true)', owned);
        execute format('grant select on %I to lumadb_tenant', owned);
        execute format('grant select, insert on %I to lumadb_region', owned);
    end loop;
end
$$;
grant update on billing_customers, subscriptions, plan_changes, invoices to lumadb_tenant;
grant update on billing_customers, subscriptions, plan_changes, invoices to lumadb_region;
grant insert on subscriptions, plan_changes, invoices, invoice_lines, credit_uses, ledger_entries
    to lumadb_tenant;

-- With an organization come the plan that it begins with and what it pays as.
do $$
declare
    owned text;
begin
    foreach owned in array array['billing_customers', 'subscriptions'] loop
        execute format('create policy identity on %I for insert to lumadb_identity
                        with check (exists (select from memberships m
                                            where m.organization_id = %I.organization_id
                                              and m.user_id = scope_user()))', owned, owned);
        execute format('grant insert on %I to lumadb_identity', owned);
    end loop;
end
$$;

-- What belongs to nobody: a transaction with any scope may use it.
alter table billing_clock enable row level security;
alter table billing_clock force row level security;
create policy tenant on billing_clock for select to lumadb_tenant using (scope_organization() is not null);
-- What time it is is no secret: the price list depends on it.
create policy identity on billing_clock for select to lumadb_identity using (true);
create policy region on billing_clock to lumadb_region using (true);
grant select on billing_clock to lumadb_tenant, lumadb_identity;
grant select, update on billing_clock to lumadb_region;

alter table document_numbers enable row level security;
alter table document_numbers force row level security;
create policy tenant on document_numbers to lumadb_tenant using (scope_organization() is not null);
create policy region on document_numbers to lumadb_region using (true);
grant select, update on document_numbers to lumadb_tenant, lumadb_region;

-- A path names an invoice alone: see the policies of the same name on databases.
create policy locate on invoices for select to lumadb_identity
    using (exists (select from memberships m
                   where m.organization_id = invoices.organization_id and m.user_id = scope_user()));
grant select (id, organization_id) on invoices to lumadb_identity;

-- A change of plan that was scheduled comes into force without a request.
create policy region_plan on organizations for update to lumadb_region using (true);
grant update (plan_id, revision) on organizations to lumadb_region;

-- Invoices of an organization without an address of its own go to its owners.
create policy region on memberships for select to lumadb_region using (true);
create policy region on users for select to lumadb_region using (true);
grant select on memberships to lumadb_region;
grant select (id, email, display_name) on users to lumadb_region;

insert into billing_customers (organization_id, standing_since, open_period)
    select id, created_at,
           date_trunc('month', greatest(created_at, timestamptz '2026-11-01 00:00Z') at time zone 'UTC')::date
    from organizations;
insert into subscriptions (id, organization_id, plan_id, starts_at, created_by)
    select gen_random_uuid(), id, plan_id, created_at, 'system' from organizations;
