-- Effects that cannot be described as a state (a mail): written with the change that causes them,
-- sent after commit, each with a key by which the receiver knows it again.
create table outbox (
    id uuid primary key,
    kind text not null check (kind in ('mail')),
    payload jsonb not null,
    created_at timestamptz not null,
    send_at timestamptz not null,
    attempts integer not null default 0,
    lease_until timestamptz,
    sent_at timestamptz,
    -- Gave up: the last error, for an operator.
    failed_at timestamptz,
    error text
);
create index outbox_due on outbox (send_at) where sent_at is null and failed_at is null;

alter table outbox enable row level security;
alter table outbox force row level security;
create policy write on outbox for insert to lumadb_tenant, lumadb_identity with check (true);
create policy region on outbox to lumadb_region using (true);
grant insert on outbox to lumadb_tenant, lumadb_identity;
grant select, insert, update, delete on outbox to lumadb_region;
