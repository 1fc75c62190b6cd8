-- Collecting through Stripe: who a customer is there, what is to be sent, what was told, and what
-- was compared. Keys are stored before they are used: a request that is sent again has one effect.

-- An organization at Stripe.
create table stripe_customers (
    organization_id uuid primary key references organizations on delete cascade,
    -- `cus_…`; null until Stripe said so.
    customer text unique,
    -- The key of its making.
    idempotency_key text not null,
    key_made_at timestamptz not null,
    -- The card that invoices are paid with: `pm_…`, and what the customer knows it by.
    payment_method text,
    card jsonb,
    changed_at timestamptz not null
);

-- Pages for a card that were asked for.
create table stripe_checkouts (
    id uuid primary key,
    organization_id uuid not null references organizations on delete cascade,
    -- `cs_…`; null until Stripe said so.
    session text unique,
    created_at timestamptz not null,
    -- When the card was saved.
    done_at timestamptz
);
create index stripe_checkouts_organization on stripe_checkouts (organization_id);

-- What is to be sent, and how far it is: one row for each document, until Stripe is where the
-- document is.
create table stripe_tasks (
    id uuid primary key,
    organization_id uuid not null references organizations,
    kind text not null check (kind in ('invoice', 'void', 'credit_note')),
    invoice_id uuid not null,
    credit_note_id uuid,
    -- `in_…` or `cn_…`; null until Stripe said so.
    stripe_id text,
    -- The step under way, its key, and how often it was sent by that key.
    step text,
    idempotency_key text,
    key_made_at timestamptz,
    key_tries integer not null default 0,
    -- Of a credit note: what goes back to the card; booked when the note was issued.
    refund_cents bigint not null default 0 check (refund_cents >= 0),
    -- Charges that the bank refused.
    refusals integer not null default 0,
    -- Where the customer pays by hand, and why the last charge was refused.
    hosted_url text,
    refused_because text,
    send_at timestamptz not null,
    lease_until timestamptz,
    error text,
    created_at timestamptz not null,
    done_at timestamptz,
    -- Somebody must look: it is not sent any more.
    failed_at timestamptz,
    foreign key (organization_id, invoice_id) references invoices (organization_id, id),
    check ((kind = 'credit_note') = (credit_note_id is not null)),
    check ((step is null) = (idempotency_key is null))
);
create unique index stripe_tasks_invoice on stripe_tasks (invoice_id, kind) where kind <> 'credit_note';
create unique index stripe_tasks_credit_note on stripe_tasks (credit_note_id) where credit_note_id is not null;
create index stripe_tasks_stripe_id on stripe_tasks (stripe_id);
create index stripe_tasks_due on stripe_tasks (send_at) where done_at is null and failed_at is null;

-- What Stripe told, as it came; each once.
create table stripe_events (
    id text primary key,
    kind text not null,
    payload jsonb not null,
    -- By a webhook, or found in the list.
    source text not null check (source in ('webhook', 'list')),
    happened_at timestamptz not null,
    received_at timestamptz not null,
    attempts integer not null default 0,
    handle_at timestamptz not null,
    handled_at timestamptz,
    failed_at timestamptz,
    error text
);
create index stripe_events_due on stripe_events (handle_at) where handled_at is null and failed_at is null;
create index stripe_events_happened on stripe_events (happened_at);

-- Each night's comparison.
create table stripe_reports (
    id uuid primary key,
    made_at timestamptz not null,
    invoices_compared integer not null,
    -- [{"kind", "document", "ours_cents", "theirs_cents", …}]
    differences jsonb not null
);
create index stripe_reports_made on stripe_reports (made_at desc);

do $$
declare
    owned text;
begin
    foreach owned in array array['stripe_customers', 'stripe_checkouts', 'stripe_tasks'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy tenant on %I to lumadb_tenant
                        using (organization_id = scope_organization())', owned);
        execute format('create policy region on %I to lumadb_region using (true)', owned);
        execute format('grant select, insert, update on %I to lumadb_tenant, lumadb_region', owned);
    end loop;
    foreach owned in array array['stripe_events', 'stripe_reports'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy region on %I to lumadb_region using (true)', owned);
        execute format('grant select, insert, update, delete on %I to lumadb_region', owned);
    end loop;
end
$$;
