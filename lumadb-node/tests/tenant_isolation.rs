//! The tenant's owner role stays inside its database: each way out, tried.

use crate::world::{World, role, spec};
use lumadb_data_plane::engine::extensions;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// Statements that must fail, run as `owner` in `main`.
const REFUSED: &[&str] = &[
    // Programs and files of the server.
    "copy (select 1) to program 'true'",
    "create table a (t text); copy a from program 'id'",
    "copy (select 1) to '/tmp/x'",
    "create table b (t text); copy b from '/etc/passwd'",
    "copy (select 1) to 'postgresql.conf'",
    "select pg_read_file('/etc/passwd')",
    "select pg_read_file('postgresql.conf')",
    "select pg_read_binary_file('/etc/passwd')",
    "select pg_ls_dir('/')",
    "select * from pg_stat_file('/etc/passwd')",
    "select * from pg_ls_logdir()",
    "select * from pg_ls_waldir()",
    "select lo_import('/etc/passwd')",
    "select lo_export(lo_create(0), '/tmp/x')",
    "select * from pg_hba_file_rules",
    "select * from pg_file_settings",
    "create tablespace t location '/tmp'",
    "set dynamic_library_path = '/tmp'",
    "load '/tmp/evil.so'",
    "load 'dblink'",
    "load '$libdir/basic_archive'",
    // Settings of the server.
    "alter system set work_mem = '1GB'",
    "alter database main set log_statement = 'none'",
    "set session_preload_libraries = 'x'",
    "alter role owner set session_preload_libraries = 'x'",
    "set log_min_messages = 'debug5'",
    "set allow_system_table_mods = on",
    "select pg_reload_conf()",
    "select pg_rotate_logfile()",
    "select pg_switch_wal()",
    "select pg_backup_start('x')",
    "select pg_promote()",
    // More rights.
    "create role evil",
    "create role evil superuser",
    "create user evil in role pg_read_server_files",
    "alter role owner superuser",
    "alter role owner createrole",
    "alter role owner replication",
    "alter role owner bypassrls",
    "alter role lumadb_admin password 'x'",
    "alter role lumadb_admin rename to x",
    "alter role other password 'x'",
    "drop role other",
    "drop role lumadb_admin",
    "set role lumadb_admin",
    "set session authorization lumadb_admin",
    "grant lumadb_admin to owner",
    "grant other to owner",
    "grant pg_execute_server_program to owner",
    "grant pg_read_server_files to owner",
    "grant pg_write_server_files to owner",
    "grant pg_read_all_data to owner",
    "grant pg_signal_backend to owner",
    "grant pg_create_subscription to owner",
    "grant pg_maintain to owner",
    "grant pg_database_owner to owner",
    "reassign owned by lumadb_admin to owner",
    "alter table pg_catalog.pg_class owner to owner",
    "update pg_catalog.pg_authid set rolsuper = true",
    "select * from pg_authid",
    "select * from pg_shadow",
    "create database stolen owner lumadb_admin",
    "alter database main owner to lumadb_admin",
    "alter database postgres owner to owner",
    "drop database postgres",
    "drop database template1",
    "create schema x authorization lumadb_admin",
    "create table pg_catalog.x (n int)",
    // Code.
    "create function f() returns int language c as '$libdir/vector', 'vector_in'",
    "create function f() returns int language internal as 'pg_read_file'",
    "create language plpythonu",
    "create trusted language evil handler plpgsql_call_handler",
    "create event trigger e on ddl_command_start execute function pg_catalog.pg_reload_conf()",
    "create function security_hole() returns void language sql security definer as
        'alter role owner superuser'; select security_hole()",
    "create function f() returns int language sql as 'select 1'; alter function f() owner to lumadb_admin",
    "do $$ begin execute 'alter role owner superuser'; end $$",
    "create operator class c default for type int4 using btree as operator 1 <",
    "create access method m type index handler bthandler",
    "create type t; create type t (input = int4in, output = int4out)",
    "create cast (text as int) without function",
    // Replication and connections from inside.
    "select pg_create_physical_replication_slot('x')",
    "select pg_create_logical_replication_slot('x', 'pgoutput')",
    "create subscription s connection 'host=/tmp' publication p with (connect = false)",
    "create publication p for all tables",
    "select pg_replication_origin_create('x')",
    "create foreign data wrapper w",
    // Others' sessions and statistics.
    "select pg_stat_reset()",
    "select pg_stat_reset_shared('wal')",
    "select pg_log_backend_memory_contexts(1)",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'lumadb_admin'",
    "select pg_cancel_backend(pid) from pg_stat_activity where usename = 'lumadb_admin'",
];

/// Statements that must fail in `postgres`, where the owner may connect.
const REFUSED_IN_POSTGRES: &[&str] = &[
    "select * from lumadb.logical_databases",
    "select * from lumadb.pg_stat_statements",
    "select lumadb.pg_stat_statements_reset()",
    "create table t (n int)",
    "create temporary table t (n int)",
    "create function f() returns int language sql as 'select 1'",
    "create schema s",
    "create extension vector",
    "create publication p",
    "alter database postgres set search_path = trap",
    "do $$ begin lock table pg_authid in access exclusive mode; end $$",
];

/// What a refusal may say. A statement that fails for another reason proves nothing.
fn is_refusal(state: &SqlState) -> bool {
    [
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::INVALID_GRANT_OPERATION,
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::CANT_CHANGE_RUNTIME_PARAM,
        SqlState::WRONG_OBJECT_TYPE,
    ]
    .contains(state)
}

/// Several statements at once run in one implicit transaction: all or nothing.
async fn refusal(client: &Client, sql: &str) -> Option<SqlState> {
    let ran = client.batch_execute(sql).await;
    ran.err().and_then(|error| error.code().cloned())
}

/// Those of `statements` that were not refused, or failed for another reason.
async fn not_refused<'a>(client: &Client, statements: &[&'a str]) -> Vec<(&'a str, String)> {
    let mut open = Vec::new();
    for sql in statements {
        match client.batch_execute(sql).await {
            Ok(()) => open.push((*sql, "allowed".to_owned())),
            Err(error) if error.code().is_some_and(is_refusal) => {}
            Err(error) => {
                let said = error
                    .as_db_error()
                    .map(|e| format!("{} {}", e.code().code(), e));
                open.push((*sql, said.unwrap_or_else(|| error.to_string())));
            }
        }
    }
    open
}

async fn tenant() -> World {
    let mut wanted = spec(1);
    wanted.roles.push(role("other", false));
    World::running(&wanted).await
}

#[tokio::test]
async fn the_owner_has_no_way_out_of_its_database() {
    let world = tenant().await;
    // Somebody of the platform's to be attacked.
    let admin = world.direct("lumadb_admin", "main").await;
    let owner = world.client().await.expect("logs in");
    let open = not_refused(&owner, REFUSED).await;
    assert!(open.is_empty(), "{open:#?}");
    admin.batch_execute("select 1").await.expect("still there");
    let rights = "select rolsuper or rolcreaterole or rolreplication or rolbypassrls
                  from pg_roles where rolname = 'owner'";
    let row = owner.query_one(rights, &[]).await.expect("answers");
    assert!(!row.get::<_, bool>(0));
}

#[tokio::test]
async fn the_owner_finds_nothing_in_the_platforms_databases_and_no_right_in_a_start_up_packet() {
    let world = tenant().await;
    for database in ["template1", "template0"] {
        assert!(
            world.try_direct("owner", database).await.is_err(),
            "{database}"
        );
    }
    let owner = world.direct("owner", "postgres").await;
    let open = not_refused(&owner, REFUSED_IN_POSTGRES).await;
    assert!(open.is_empty(), "{open:#?}");
    let psql = |options: &str| {
        let mut config = tokio_postgres::Config::new();
        config
            .user("owner")
            .dbname("main")
            .host_path(world.instance().join("run"))
            .options(options);
        config
    };
    for options in [
        "-c role=lumadb_admin",
        "-c session_preload_libraries=x",
        "-c log_statement=none",
        "-c allow_system_table_mods=on",
        "-c event_triggers=off",
    ] {
        let connected = psql(options).connect(tokio_postgres::NoTls).await;
        assert!(connected.is_err(), "{options}");
    }
}

#[tokio::test]
async fn every_extension_does_what_the_list_says() {
    let world = tenant().await;
    let owner = world.client().await.expect("logs in");
    for extension in extensions() {
        let name = extension.name;
        let create = format!("create extension if not exists \"{name}\" cascade");
        let created = refusal(&owner, &create).await.is_none();
        assert_eq!(created, extension.trusted, "{name}");
    }
    let rows = owner
        .query("select name::text from pg_available_extensions", &[])
        .await
        .expect("answers");
    for row in rows {
        let name: String = row.get(0);
        let listed = extensions().any(|extension| extension.name == name && extension.trusted);
        assert!(listed, "{name} is offered");
    }
}

#[tokio::test]
async fn vectors_are_searched_by_an_index() {
    let world = tenant().await;
    let owner = world.client().await.expect("logs in");
    owner
        .batch_execute(
            "create extension vector;
             create table items (id int primary key, embedding vector(3));
             insert into items select n, array[n, n % 7, n % 3]::vector from generate_series(1, 500) n;
             create index on items using hnsw (embedding vector_l2_ops);
             set enable_seqscan = off",
        )
        .await
        .expect("allowed");
    let search = "select id from items order by embedding <-> '[42,0,0]' limit 1";
    let row = owner.query_one(search, &[]).await.expect("answers");
    assert_eq!(row.get::<_, i32>(0), 42);
    let plan = owner
        .query(&format!("explain {search}"), &[])
        .await
        .expect("answers");
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    assert!(
        plan.iter().any(|line| line.contains("items_embedding_idx")),
        "{plan:?}"
    );
}

#[tokio::test]
async fn the_owner_can_do_what_a_migration_tool_needs() {
    let world = tenant().await;
    let owner = world.client().await.expect("logs in");
    for sql in [
        "create database test_main",
        "drop database test_main",
        "create schema app",
        "create table app.t (id bigserial primary key, at timestamptz default now())",
        "alter table app.t enable row level security",
        "create policy p on app.t using (true)",
        "grant usage on schema app to other",
        "create function app.f() returns trigger language plpgsql as $$ begin return new; end $$",
        "create trigger g before insert on app.t for each row execute function app.f()",
        "create publication p for table app.t",
        "alter database main set timezone = 'Europe/Berlin'",
        "alter role owner set statement_timeout = '1min'",
        "listen channel",
        "vacuum analyze app.t",
        "create extension pg_trgm",
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'owner' and pid <> pg_backend_pid()",
    ] {
        owner.batch_execute(sql).await.expect(sql);
    }
}
