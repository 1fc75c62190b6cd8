-- Master keys that wrap something, or may. Whatever is wrapped refers to its key here, so a key that
-- is still needed cannot go, and nothing is wrapped by one that went.
create table master_keys (
    -- Names the key and tells nothing of it.
    fingerprint text primary key check (fingerprint ~ '^[0-9a-f]{16}$'),
    created_at timestamptz not null
);

insert into master_keys (fingerprint, created_at)
select master_key, min(created_at) from organization_keys group by master_key;

alter table organization_keys
    add foreign key (master_key) references master_keys;

-- What secrets in the tables are sealed with.
create table seal_keys (
    -- There is one.
    is_only boolean primary key default true check (is_only),
    master_key text not null references master_keys,
    -- Base64 of nonce, ciphertext and tag (AES-256-GCM).
    wrapped_key text not null
);

-- The platform's administrator alone names and forgets master keys.
alter table master_keys enable row level security;
alter table master_keys force row level security;

alter table seal_keys enable row level security;
alter table seal_keys force row level security;
create policy region on seal_keys for select to lumadb_region using (true);
grant select on seal_keys to lumadb_region;
