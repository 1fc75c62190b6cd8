-- Restores in place: a database gets the content of another instance, and its own goes to the branch
-- that is kept. What an instance is (its folder, its archive, what it has counted) stays together;
-- which database it belongs to changes.

-- The instance whose content the database has: called after the database that it was made for.
alter table databases add column instance_id uuid;
update databases set instance_id = id;
alter table databases
    alter column instance_id set not null,
    -- Two change places in one statement.
    add constraint databases_instance unique (instance_id) deferrable;

create or replace function notify_database_changed() returns trigger language plpgsql as $$
begin
    new.changed_xid := pg_current_xact_id();
    if tg_op = 'INSERT' then
        new.instance_id := coalesce(new.instance_id, new.id);
    else
        new.route_revision := old.route_revision + 1;
    end if;
    perform pg_notify('database_changed', new.id::text);
    return new;
end
$$;

alter table archives
    drop constraint archives_database_id_key,
    add constraint archives_database_id_key unique (database_id) deferrable;
alter table restores
    drop constraint restores_pkey,
    add constraint restores_pkey primary key (database_id) deferrable;
alter table logical_databases
    drop constraint logical_databases_database_id_name_key,
    add constraint logical_databases_database_id_name_key unique (database_id, name) deferrable;

-- The instance that counted; null: the one called after the database. The database is whose the
-- instance was then, and stays that.
alter table usage_incarnations add column instance_id uuid;
comment on column usage_fronts.database_id is 'The instance: it is whose it is by now.';

create table in_place_restores (
    operation_id uuid primary key references operations,
    organization_id uuid not null,
    database_id uuid not null,
    -- Gets what the database had until then.
    kept_database_id uuid not null,
    -- The kept one was made for this, and has what shall be restored; else it was kept before.
    is_made boolean not null,
    phase text not null default 'preparing'
        check (phase in ('preparing', 'stopping', 'done', 'abandoned')),
    created_at timestamptz not null,
    stopping_since timestamptz,
    ended_at timestamptz,
    foreign key (organization_id, database_id) references databases (organization_id, id),
    foreign key (organization_id, kept_database_id) references databases (organization_id, id),
    check (database_id <> kept_database_id),
    check ((phase in ('done', 'abandoned')) = (ended_at is not null))
);
create unique index in_place_restores_open on in_place_restores (database_id) where ended_at is null;
create unique index in_place_restores_open_kept on in_place_restores (kept_database_id)
    where ended_at is null;
create index in_place_restores_database on in_place_restores (database_id, created_at);
create index in_place_restores_kept on in_place_restores (kept_database_id, created_at);

alter table in_place_restores enable row level security;
alter table in_place_restores force row level security;
create policy tenant on in_place_restores to lumadb_tenant
    using (organization_id = scope_organization());
create policy region on in_place_restores to lumadb_region using (true);
grant select, insert, update on in_place_restores to lumadb_tenant;
grant select, update on in_place_restores to lumadb_region;

-- Roles belong to a database and not to its instance: the kept one gets those of the moment.
grant insert, update on database_roles to lumadb_region;
grant update on logical_databases to lumadb_region;

alter table operations drop constraint operations_kind_check;
alter table operations add constraint operations_kind_check check (kind in (
    'database_create', 'database_update', 'database_resize', 'database_suspend',
    'database_resume', 'database_delete', 'database_restore', 'database_restore_in_place',
    'database_go_back', 'role_create', 'role_rotate_password', 'role_delete',
    'logical_database_create', 'logical_database_delete'));
