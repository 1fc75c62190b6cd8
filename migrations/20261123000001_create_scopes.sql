-- Who may see what. The application logs in as one role that owns nothing and has no right of its
-- own; each transaction takes one of these roles (SET LOCAL ROLE) and, as a tenant, names itself by
-- settings that end with the transaction. Row-level security does the rest.
--   lumadb_tenant    a person or a token acting in one organization  (lumadb.organization_id)
--   lumadb_identity  log-in and sign-up: rows are reached by user or by the hash of a secret
--                    (lumadb.user_id, lumadb.lookup)
--   lumadb_region    the loop and the edges of a region: databases of every tenant
-- Roles belong to the whole PostgreSQL cluster, so they may exist already.
do $$
declare
    scope text;
begin
    foreach scope in array array['lumadb_tenant', 'lumadb_identity', 'lumadb_region'] loop
        if not exists (select from pg_roles where rolname = scope) then
            execute format('create role %I nologin nosuperuser nobypassrls', scope);
        end if;
    end loop;
    if not exists (select from pg_roles where rolname = 'lumadb_app') then
        create role lumadb_app login noinherit nosuperuser nobypassrls;
    end if;
    grant lumadb_tenant, lumadb_identity, lumadb_region to lumadb_app with inherit false, set true;
end
$$;

revoke all on schema public from public;
grant usage on schema public to lumadb_tenant, lumadb_identity, lumadb_region;

-- The organization that this transaction acts for; null matches no row.
create function scope_organization() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('lumadb.organization_id', true), '')::uuid;

-- The user that this transaction acts for.
create function scope_user() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('lumadb.user_id', true), '')::uuid;

-- The e-mail address, or the hex hash of the secret, by which identity rows are looked up.
create function scope_lookup() returns text
    language sql stable parallel safe
    return nullif(current_setting('lumadb.lookup', true), '');
