create table users (
    id uuid primary key,
    -- Lower case; compared as it stands.
    email text not null unique check (email = lower(email) and length(email) between 3 and 254),
    display_name text not null check (length(display_name) between 1 and 100),
    -- argon2id in PHC format.
    password_hash text not null,
    email_verified_at timestamptz,
    created_at timestamptz not null
);

create table sessions (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    -- Hex SHA-256 of the cookie's value.
    token_hash text not null unique,
    user_agent text not null default '',
    client_address inet,
    created_at timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at timestamptz not null
);
create index sessions_user on sessions (user_id);

-- Links sent by mail: used once.
create table email_links (
    token_hash text primary key,
    user_id uuid not null references users on delete cascade,
    purpose text not null check (purpose in ('verify_email', 'reset_password')),
    -- What the sign-up that sent this link asked for; in force once the link is used, so that two
    -- sign-ups with one address cannot set each other's password.
    password_hash text,
    display_name text check (length(display_name) between 1 and 100),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index email_links_user on email_links (user_id);

create table organizations (
    id uuid primary key,
    name text not null check (length(name) between 1 and 100),
    plan_id text not null references plans,
    -- Counts every change; the ETag.
    revision bigint not null default 1,
    created_at timestamptz not null
);

create table memberships (
    organization_id uuid not null references organizations on delete cascade,
    user_id uuid not null references users on delete cascade,
    role text not null check (role in ('owner', 'admin', 'billing', 'member', 'viewer')),
    created_at timestamptz not null,
    primary key (organization_id, user_id)
);
create index memberships_user on memberships (user_id);

create table projects (
    id uuid primary key,
    organization_id uuid not null references organizations on delete cascade,
    name text not null check (length(name) between 1 and 100),
    revision bigint not null default 1,
    created_at timestamptz not null,
    unique (organization_id, id)
);

create table api_tokens (
    id uuid primary key,
    organization_id uuid not null references organizations on delete cascade,
    user_id uuid not null references users on delete cascade,
    name text not null check (length(name) between 1 and 100),
    -- Hex SHA-256 of the token.
    token_hash text not null unique,
    -- First characters, to recognize it by.
    hint text not null,
    read_only boolean not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    last_used_at timestamptz
);
create index api_tokens_organization on api_tokens (organization_id);

-- Counts attempts per key (an address, an e-mail) in fixed windows; shared by every process.
create table throttles (
    key text not null,
    window_start timestamptz not null,
    attempts integer not null,
    primary key (key, window_start)
);

alter table users enable row level security;
alter table users force row level security;
create policy identity on users to lumadb_identity
    using (id = scope_user() or email = scope_lookup()
           or exists (select from sessions s where s.user_id = users.id and s.token_hash = scope_lookup())
           or exists (select from email_links l where l.user_id = users.id and l.token_hash = scope_lookup())
           or exists (select from api_tokens t where t.user_id = users.id and t.token_hash = scope_lookup()));
create policy members on users for select to lumadb_tenant
    using (exists (select from memberships m
                   where m.user_id = users.id and m.organization_id = scope_organization()));

alter table sessions enable row level security;
alter table sessions force row level security;
create policy identity on sessions to lumadb_identity
    using (user_id = scope_user() or token_hash = scope_lookup());

alter table email_links enable row level security;
alter table email_links force row level security;
create policy identity on email_links to lumadb_identity
    using (user_id = scope_user() or token_hash = scope_lookup());

alter table organizations enable row level security;
alter table organizations force row level security;
create policy tenant on organizations to lumadb_tenant using (id = scope_organization());
create policy identity on organizations to lumadb_identity
    using (exists (select from memberships m
                   where m.organization_id = organizations.id and m.user_id = scope_user()))
    with check (true);
create policy region on organizations for select to lumadb_region using (true);

alter table memberships enable row level security;
alter table memberships force row level security;
create policy tenant on memberships to lumadb_tenant using (organization_id = scope_organization());
create policy identity on memberships to lumadb_identity using (user_id = scope_user());

alter table projects enable row level security;
alter table projects force row level security;
create policy tenant on projects to lumadb_tenant using (organization_id = scope_organization());
create policy identity on projects for insert to lumadb_identity
    with check (exists (select from memberships m
                        where m.organization_id = projects.organization_id and m.user_id = scope_user()));

alter table api_tokens enable row level security;
alter table api_tokens force row level security;
create policy tenant on api_tokens to lumadb_tenant using (organization_id = scope_organization());
create policy identity on api_tokens to lumadb_identity using (token_hash = scope_lookup());

alter table throttles enable row level security;
alter table throttles force row level security;
create policy identity on throttles to lumadb_identity using (true);
create policy region on throttles to lumadb_region using (true);

grant select, insert, update, delete on users, sessions, email_links, throttles to lumadb_identity;
grant select, insert on organizations, memberships to lumadb_identity;
grant insert on projects to lumadb_identity;
grant select, update (last_used_at) on api_tokens to lumadb_identity;
grant select on users to lumadb_tenant;
grant select, update on organizations to lumadb_tenant;
grant select, insert, update, delete on memberships, projects, api_tokens to lumadb_tenant;
grant select on organizations to lumadb_region;
grant select, delete on throttles to lumadb_region;
