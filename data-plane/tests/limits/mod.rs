//! The engine's module under a real PostgreSQL: what a limit refuses, and what it leaves.

use crate::archive::engine::{Engine, ROLE};
use lumadb_data_plane::engine::{ConfigFiles, Machine, Settings, WriteLimit, WriteStage};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const DETAIL: &str = "The organization's databases hold 1.02 GB of 1 GB.";
const HINT: &str = "Upgrade at \"https://example.com/plan\".";

/// Tables, functions and triggers of a tenant.
const SETUP: &str = "
    create table parent(id int primary key);
    create table child(id int primary key, parent int references parent on delete set null);
    create table watched(id int primary key, parent int references parent on delete set null);
    create table log(n int);
    insert into parent select generate_series(1, 20);
    insert into child select n, n from generate_series(1, 9) n;
    insert into watched values (1, 11), (2, 12);
    insert into log values (0);
    create table big as select n from generate_series(1, 1000) n;
    create materialized view seen as select * from big;
    create function insert_plpgsql() returns void language plpgsql
        as $$ begin insert into big values (1); end $$;
    create function insert_sql() returns void language sql as 'insert into big values (1)';
    create procedure insert_proc() language plpgsql
        as $$ begin insert into big values (1); end $$;
    create function on_watched() returns trigger language plpgsql as $$ begin
        if old.id = 1 then update log set n = n + 1; else insert into log values (1); end if;
        return new; end $$;
    create trigger sly before update on watched for each row execute function on_watched();
    create function on_big() returns trigger language plpgsql
        as $$ begin insert into log values (1); return old; end $$;
    create table audited as select 1 as n;
    create trigger audit after delete on audited for each row execute function on_big();
    create rule also as on delete to log do also insert into big values (2);
    create table parted(id int not null) partition by range (id);
    create unique index on parted(id);
    create table part(id int not null);
    insert into part values (1);
    create sequence numbers;
    select lo_from_bytea(4242, 'abc');
";

/// Each of them fails at the storage limit and in the read-only stage.
const GROWING: &[&str] = &[
    "insert into big values (1)",
    "insert into big select * from big",
    "insert into big values (1) on conflict do nothing",
    "update big set n = 1",
    "merge into big using (select 1 as a) s on s.a = n when matched then update set n = 2",
    "copy big from stdin",
    "copy (insert into big values (1) returning n) to stdout",
    "create table new as select 1 as n",
    "select 1 as n into new",
    "create table new as execute reading",
    "create materialized view new as select 1 as n",
    "refresh materialized view seen",
    "create index on big(n)",
    "create index concurrently on big(n)",
    "alter table big add primary key (n)",
    "alter table big add column id serial primary key",
    "alter table child alter column id type bigint",
    "alter table big add column r float default random()",
    "alter table parted attach partition part default",
    "select lo_create(0)",
    "select lo_creat(-1)",
    "select lo_put(4242, 0, 'x')",
    "select lo_from_bytea(0, 'x')",
    "select lowrite(0, 'x')",
    "select insert_plpgsql()",
    "select insert_sql()",
    "call insert_proc()",
    "do $$ begin insert into big values (1); end $$",
    "do $$ begin execute 'update big set n = 1'; end $$",
    "do $$ begin create table new as select 1 as n; end $$",
    "with a as (insert into big values (1) returning n) select * from a",
    "with a as (update big set n = 1 returning n) select * from a",
    "with a as (insert into big values (1)) delete from big",
    "execute writing",
    "explain analyze insert into big values (1)",
    "explain analyze create table new as select 1 as n",
    "create database another",
    "create temp table new as select 1 as n",
];

/// Nothing of the tenant's sets, unsets or shadows a limit.
const EVASIONS: &[&str] = &[
    "set lumadb.writes = 'allowed'",
    "set local lumadb.writes = 'allowed'",
    "reset lumadb.writes; set lumadb.writes to default",
    "select set_config('lumadb.writes', 'allowed', false)",
    "update pg_settings set setting = 'allowed' where name = 'lumadb.writes'",
    "alter role owner set lumadb.writes = 'allowed'",
    "alter database main set lumadb.writes = 'allowed'",
    "alter system set lumadb.writes = 'allowed'",
    "create function f() returns int language sql set lumadb.writes = 'allowed' as 'select 1'",
    "load 'lumadb_limits2'",
    "set session_replication_role = replica",
    "set role lumadb_admin",
];

struct World {
    engine: Engine,
    tenant: Client,
}

impl World {
    async fn start() -> Self {
        let mut engine = Engine::start();
        engine.end(nix::sys::signal::Signal::SIGINT);
        write(&engine, WriteStage::Allowed);
        engine.start_again();
        engine.sql("create role owner login createdb");
        engine.sql("create database main owner owner");
        let tenant = connect(&engine, "owner", "main").await;
        tenant.batch_execute(SETUP).await.expect("is set up");
        tenant
            .batch_execute(
                "prepare writing as insert into big values (1); prepare reading as select 1 as n",
            )
            .await
            .expect("prepares");
        Self { engine, tenant }
    }

    /// Puts a stage in force and waits until the tenant's open session has it.
    async fn limit(&self, stage: WriteStage) {
        write(&self.engine, stage);
        assert_eq!(self.engine.sql("select pg_reload_conf()"), "t");
        let name = match stage {
            WriteStage::Allowed => "allowed",
            WriteStage::NoGrowth => "no_growth",
            WriteStage::ReadOnly => "read_only",
        };
        while self.text("show lumadb.writes").await != name {
            tokio::task::yield_now().await;
        }
    }

    async fn text(&self, sql: &str) -> String {
        let messages = self.tenant.simple_query(sql).await.expect(sql);
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        row.unwrap_or_default().to_owned()
    }

    /// SQLSTATE, message, detail and hint.
    async fn refused(&self, sql: &str) -> [String; 4] {
        let error = self.tenant.simple_query(sql).await.expect_err(sql);
        let error = error.as_db_error().expect(sql);
        [
            error.code().code().to_owned(),
            error.message().to_owned(),
            error.detail().unwrap_or_default().to_owned(),
            error.hint().unwrap_or_default().to_owned(),
        ]
    }

    async fn works(&self, sql: &str) {
        self.tenant.batch_execute(sql).await.expect(sql);
    }
}

async fn connect(engine: &Engine, role: &str, database: &str) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(engine.folder.path());
    config.user(role).dbname(database);
    let (client, connection) = config.connect(NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
}

/// As the node writes it; the command line of the engine overrides what places it.
fn write(engine: &Engine, stage: WriteStage) {
    let settings = Settings {
        connections_max: 10,
        milli_vcpu: 250,
        memory_mib: 64,
    };
    let limit = WriteLimit {
        stage,
        detail: DETAIL.to_owned(),
        hint: HINT.to_owned(),
    };
    let files = ConfigFiles::new(settings, Machine { memory_mib: 64 }, &limit);
    let path = engine.data().join("postgresql.conf");
    std::fs::write(path, files.postgresql).expect("writes");
}

#[tokio::test]
async fn at_the_storage_limit_nothing_grows_and_everything_else_works() {
    let world = World::start().await;
    world.limit(WriteStage::NoGrowth).await;
    for sql in GROWING {
        let [code, message, detail, hint] = world.refused(sql).await;
        assert_eq!(code, "53100", "{sql}: {message}");
        assert!(
            message.starts_with("storage limit reached"),
            "{sql}: {message}"
        );
        assert_eq!((detail.as_str(), hint.as_str()), (DETAIL, HINT), "{sql}");
    }
    for sql in EVASIONS {
        world.refused(sql).await;
    }
    assert_eq!(
        world.refused("insert into big values (1)").await[0],
        "53100"
    );
    // What is left: reading, planning, and everything that frees space.
    for sql in [
        "explain insert into big values (1)",
        "create table empty (id int primary key); create index on empty(id)",
        "create table copy as select * from big with no data",
        "alter table big add column plain int, add column fixed int default 5",
        "select * from big for update",
        "begin; declare c cursor for select * from big; fetch 5 from c; \
         delete from big where current of c; commit",
        "with a as (delete from big where n < 10 returning n) select count(*) from a",
        "vacuum big",
        "vacuum full big",
        "analyze big",
        "reindex table child",
        "cluster child using child_pkey",
        "reindex table concurrently child",
        "refresh materialized view seen with no data",
        "select nextval('numbers')",
        "select lo_unlink(4242)",
        "truncate big",
        "drop table parted, part",
    ] {
        world.works(sql).await;
    }
    world.limit(WriteStage::Allowed).await;
    world
        .works("insert into big values (1); create index on big(n)")
        .await;
}

#[tokio::test]
async fn a_foreign_key_updates_and_what_a_trigger_adds_to_it_does_not() {
    let world = World::start().await;
    world.limit(WriteStage::NoGrowth).await;
    world.works("delete from parent where id < 4").await;
    let orphans = world
        .text("select count(*) from child where parent is null")
        .await;
    assert_eq!(orphans, "3");
    // The trigger of the referencing table writes on its own account.
    for (id, command) in [(11, "UPDATE"), (12, "INSERT")] {
        let sql = format!("delete from parent where id = {id}");
        let [code, message, ..] = world.refused(&sql).await;
        assert_eq!(code, "53100");
        assert!(message.ends_with(command), "{message}");
    }
    for sql in ["delete from audited", "delete from log"] {
        assert_eq!(world.refused(sql).await[0], "53100", "{sql}");
    }
    let forged = "update only child set parent = null where parent = 5";
    assert_eq!(world.refused(forged).await[0], "53100");
}

#[tokio::test]
async fn the_read_only_stage_refuses_every_write_and_says_why() {
    let world = World::start().await;
    world.limit(WriteStage::ReadOnly).await;
    let more = [
        "delete from big",
        "truncate big",
        "drop table big",
        "create table new (n int)",
        "create temp table new (n int)",
        "select nextval('numbers')",
        "select lo_unlink(4242)",
        "select * from big for update",
        "comment on table big is 'x'",
        "delete from parent where id = 1",
        "do $$ begin delete from big; end $$",
        "begin read write; delete from big",
        "begin; set transaction read write; delete from big",
        "set transaction_read_only = off; delete from big",
    ];
    for sql in GROWING.iter().chain(&more) {
        let [code, message, detail, hint] = world.refused(sql).await;
        world.works("rollback").await;
        assert_eq!(code, "25006", "{sql}: {message}");
        assert_eq!((detail.as_str(), hint.as_str()), (DETAIL, HINT), "{sql}");
    }
    assert_eq!(world.text("select count(*) from big").await, "1000");
    assert_eq!(world.text("show transaction_read_only").await, "on");
    // The platform works on.
    let platform = connect(&world.engine, ROLE, "main").await;
    let sql = "create table lumadb_own (n int); insert into lumadb_own values (1)";
    platform.batch_execute(sql).await.expect("is exempt");
    world.limit(WriteStage::Allowed).await;
    world
        .works("insert into big values (1); delete from big")
        .await;
}

#[tokio::test]
async fn a_limit_survives_a_restart_of_the_engine() {
    let mut world = World::start().await;
    world.limit(WriteStage::NoGrowth).await;
    world.engine.end(nix::sys::signal::Signal::SIGQUIT);
    world.engine.start_again();
    let tenant = connect(&world.engine, "owner", "main").await;
    let error = tenant.batch_execute("insert into big values (1)").await;
    let error = error.expect_err("is refused");
    assert_eq!(error.code().map(SqlState::code), Some("53100"));
}
