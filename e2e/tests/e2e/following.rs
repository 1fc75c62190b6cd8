//! A source is followed while it is written to, until its clients move here: nothing is lost on the
//! way and nothing arrives twice, whoever dies; and nothing is left at the source.

use crate::importing::{cloud_with_shop, ends, import_that, is_in_the_middle, nothing_is_left};
use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::process::Process;
use lumadb_e2e::source::{PASSWORD_ENCODED, Source, TlsRelay};
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LOGICAL: &[&str] = &["wal_level=logical"];

/// What happens to one row is more than once somebody's business: of keys, triggers, rules, defaults.
const SHOP: &str = "
    create table customers (
        id bigint generated always as identity primary key, name text not null unique,
        shout text generated always as (upper(name)) stored);
    insert into customers (name) select 'customer ' || n from generate_series(1, 200) n;
    create table orders (
        id serial primary key, customer_id bigint not null references customers on delete cascade,
        before int references orders on delete set null deferrable, details jsonb, big text);
    alter table orders alter big set storage external;
    create table log (at timestamptz default now(), what json, amount float8, label char(9));
    alter table log replica identity full;
    create function note() returns trigger language plpgsql as $$
        begin insert into log (what, amount, label) values (to_json(new.id), random(), 'order');
        return new; end $$;
    create trigger note after insert on orders for each row execute function note();
    create table events (at date not null, n int, primary key (at, n)) partition by range (at);
    create table events_1 partition of events for values from ('2026-01-01') to ('2026-07-01');
    create table events_2 partition of events for values from ('2026-07-01') to ('2027-01-01');
    create table parts (id int primary key, serial int unique deferrable,
        about regclass default 'orders');
    insert into parts select n, n from generate_series(1, 50) n;
    create table scratch (id int primary key);
    create sequence tickets start 1000 increment 5;
    create materialized view totals as select count(*) n from orders;
    insert into orders (customer_id, details, big)
        select 1 + n % 200, '{}', repeat(md5(n::text), 200) from generate_series(1, 400) n;
    create table bulk as select n id, md5(n::text) text from generate_series(1, 200000) n;
    alter table bulk add primary key (id);";

/// One round of what a shop does.
const ROUND: &str = "
    insert into customers (name) select 'new ' || nextval('tickets') from generate_series(1, 3);
    begin;
    with made as (insert into orders (customer_id, details, big)
        select max(id), '{\"a\": \"it''s \\\\\"}', repeat(md5(random()::text), 100) from customers
        returning id)
    insert into orders (customer_id, before) select 1, id from made;
    update orders set details = jsonb_build_object('seen', random()) where id % 7 = 0;
    update parts set serial = 51 - serial;
    commit;
    delete from customers where id = (select min(id) from customers where id > 1);
    delete from orders where id = (select min(id) from orders);
    update log set amount = amount / 3 where ctid in (select ctid from log limit 5);
    delete from log where ctid = (select ctid from log limit 1);
    insert into events select date '2026-06-29' + (n % 5)::int, n from (select nextval('tickets') n) x;
    update events set at = at + 2 where at < '2026-12-01';
    update customers set name = name || '.' where id % 5 = 0;
    update parts set id = id + 1000, about = 'events' where id = (select min(id) from parts);
    insert into scratch values (1); truncate scratch;
    begin; insert into scratch values (2); rollback;";

const PICTURE: &str = "
    select 'customers', count(*), md5(string_agg(t::text, ',' order by id)) from customers t
    union all select 'orders', count(*), md5(string_agg(t::text, ',' order by id)) from orders t
    union all select 'log', count(*), md5(string_agg(t::text, ',' order by t::text)) from log t
    union all select 'events', count(*), md5(string_agg(t::text, ',' order by n)) from events t
    union all select 'events_2', count(*), '' from events_2
    union all select 'parts', count(*), md5(string_agg(t::text, ',' order by id)) from parts t
    union all select 'scratch', count(*), '' from scratch
    union all select 'bulk', count(*), md5(string_agg(t::text, ',' order by id)) from bulk t
    union all select 'sequence ' || sequencename, last_value, '' from pg_sequences
    union all select 'constraint ' || conname, convalidated::int, pg_get_constraintdef(oid)
        from pg_constraint where connamespace = 'public'::regnamespace
    union all select 'trigger ' || tgname, 0, tgenabled::text from pg_trigger where not tgisinternal
    union all select 'identity', 0, attidentity::text from pg_attribute
        where attrelid = 'customers'::regclass and attname = 'id'
    union all select 'schemas', count(*), '' from pg_namespace where nspname like 'lumadb%'
    order by 1, 2, 3";

fn connection(port: u16) -> String {
    format!("postgres://ada:{PASSWORD_ENCODED}@localhost:{port}/shop")
}

async fn ask(ada: &Account, into: &Database, source: &str) -> Outcome<String> {
    let path = format!("/v1/databases/{}/imports", into.id);
    let body = json!({
        "source": source,
        "logical_database": into.logical_database,
        "continuous": true,
    });
    ada.api
        .post(&path, &body)
        .await?
        .expect(201)?
        .text_at("/id")
}

async fn follows(ada: &Account, id: &str) -> Outcome<()> {
    let is = |import: &serde_json::Value| {
        assert!(import["ended_at"].is_null(), "{import}");
        import["state"] == "following" && import["lag_bytes"].is_u64()
    };
    import_that(ada, id, "the import to follow", is).await?;
    Ok(())
}

/// Neither slot nor publication is left.
async fn source_is_clean(source: &Source) -> Outcome<()> {
    let left = "select (select count(*) from pg_replication_slots) + (select count(*) from pg_publication)";
    assert_eq!(source.sql("shop", left).await?, "0");
    Ok(())
}

/// Writes round after round until it is told to stop; says how many rounds there were.
fn write(source: &Arc<Source>) -> (Arc<AtomicBool>, tokio::task::JoinHandle<usize>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (source, stopped) = (Arc::clone(source), Arc::clone(&stop));
    let writing = tokio::spawn(async move {
        let mut rounds = 0;
        while !stopped.load(Ordering::SeqCst) {
            source
                .sql("shop", ROUND)
                .await
                .expect("the source takes writes");
            rounds += 1;
        }
        rounds
    });
    (stop, writing)
}

async fn holds(shop: &Database, what: &str, sql: &str, wanted: &str) -> Outcome<()> {
    until(what, Duration::from_mins(2), || async {
        let found = tools::psql(&shop.uri, sql).await?;
        Ok((found == wanted).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_source_is_followed_over_deaths_of_the_worker_until_its_clients_switch_over()
-> Outcome<()> {
    let (cloud, ada, shop) = cloud_with_shop().await?;
    let source = Arc::new(Source::start_with(LOGICAL).await?);
    source.sql("shop", SHOP).await?;
    let relay = TlsRelay::start(source.port()).await?;
    let worker = |process: &Process| process.is_service("worker");

    let (stop, writing) = write(&source);
    relay.hold_after(2_000_000);
    let id = ask(&ada, &shop, &connection(relay.address.port())).await?;
    is_in_the_middle(&ada, &id).await?;
    assert_eq!(cloud.kill(worker).await?, 1);
    relay.let_go();
    follows(&ada, &id).await?;
    for name in ["first", "second", "third"] {
        assert_eq!(cloud.kill(worker).await?, 1);
        let mark = format!("insert into customers (name) values ('{name}')");
        source.sql("shop", &mark).await?;
        let arrived = format!("select count(*) from customers where name like '{name}%'");
        holds(&shop, "a row to arrive", &arrived, "1").await?;
    }
    // More than goes to the target at once.
    let many =
        "update bulk set text = text || 'x' where id <= 30000; delete from bulk where id > 50000";
    source.sql("shop", many).await?;
    stop.store(true, Ordering::SeqCst);
    assert!(writing.await? > 0, "something was written meanwhile");
    source
        .sql(
            "shop",
            "alter database shop set default_transaction_read_only = on",
        )
        .await?;

    let complete = format!("/v1/imports/{id}/complete");
    until(
        "the import to be asked for its end",
        Duration::from_mins(1),
        || async {
            Ok(Some(
                ada.api.post(&complete, &json!({})).await?.expect(200)?,
            ))
        },
    )
    .await?;
    assert_eq!(cloud.kill(worker).await?, 1);
    let import = ends(&ada, &id, "succeeded").await?;
    assert!(import["error"].is_null(), "{import}");
    assert!(import["last_change_at"].is_string(), "{import}");
    let picture = source.sql("shop", PICTURE).await?;
    assert_eq!(tools::psql(&shop.uri, PICTURE).await?, picture);
    source_is_clean(&source).await?;

    // It goes on here as it would there.
    let orders = "select count(*) from orders";
    let count: u64 = tools::psql(&shop.uri, orders).await?.parse()?;
    let view = tools::psql(&shop.uri, "select n from totals").await?;
    assert_eq!(view, count.to_string());
    tools::psql(&shop.uri, ROUND).await?;
    let foreign = "insert into orders (customer_id) values (-1)";
    assert!(
        tools::psql(&shop.uri, foreign).await.is_err(),
        "the key holds"
    );
    let sealed = "select count(*) from imports where source_sealed is not null";
    assert_eq!(cloud.control_sql(sealed).await?, "0");
    Ok(())
}

#[tokio::test]
async fn one_that_is_cancelled_or_cannot_go_on_leaves_nothing_on_either_side() -> Outcome<()> {
    let (cloud, ada, shop) = cloud_with_shop().await?;
    let source = Source::start_with(LOGICAL).await?;
    source
        .sql("shop", "create table items (id int primary key, n int)")
        .await?;
    source
        .sql("shop", "insert into items values (1, 1)")
        .await?;
    let relay = TlsRelay::start(source.port()).await?;
    let connection = connection(relay.address.port());
    let count = "select count(*) from items";

    let id = ask(&ada, &shop, &connection).await?;
    follows(&ada, &id).await?;
    source
        .sql("shop", "insert into items values (2, 2)")
        .await?;
    holds(&shop, "a row to arrive", count, "2").await?;
    cancel(&ada, &id).await?;
    nothing_is_left(&cloud, &shop).await?;
    source_is_clean(&source).await?;

    // Somebody wrote to the target.
    let id = ask(&ada, &shop, &connection).await?;
    follows(&ada, &id).await?;
    tools::psql(&shop.uri, "delete from items where id = 1").await?;
    source
        .sql("shop", "update items set n = 7 where id = 1")
        .await?;
    fails(&ada, &id, "A row of the table public.items").await?;
    nothing_is_left(&cloud, &shop).await?;
    source_is_clean(&source).await?;

    // The schema changes under it.
    let id = ask(&ada, &shop, &connection).await?;
    follows(&ada, &id).await?;
    let changed = "alter table items add column more text; insert into items values (3, 3, 'x')";
    source.sql("shop", changed).await?;
    fails(
        &ada,
        &id,
        "changed while it was followed: table public.items",
    )
    .await?;
    source_is_clean(&source).await?;

    // And the slot is taken away.
    let id = ask(&ada, &shop, &connection).await?;
    follows(&ada, &id).await?;
    let gone = "select pg_terminate_backend(active_pid, 5000) from pg_replication_slots;
        select pg_drop_replication_slot(slot_name) from pg_replication_slots";
    source.sql("shop", gone).await?;
    fails(&ada, &id, "is gone there").await?;
    source_is_clean(&source).await?;

    source.sql("shop", "create table heap (n int)").await?;
    let id = ask(&ada, &shop, &connection).await?;
    fails(&ada, &id, "told apart while they change: public.heap").await?;
    source.sql("shop", "drop table heap").await?;
    source.sql("shop", "create schema lumadb_import").await?;
    let id = ask(&ada, &shop, &connection).await?;
    fails(&ada, &id, "has a schema lumadb_import").await?;
    source.sql("shop", "drop schema lumadb_import").await?;
    source
        .sql("shop", "select lo_from_bytea(7, 'large')")
        .await?;
    let id = ask(&ada, &shop, &connection).await?;
    fails(&ada, &id, "large objects").await?;
    nothing_is_left(&cloud, &shop).await?;
    source_is_clean(&source).await
}

async fn cancel(ada: &Account, id: &str) -> Outcome<()> {
    let path = format!("/v1/imports/{id}/cancel");
    ada.api.post(&path, &json!({})).await?.expect(200)?;
    let import = ends(ada, id, "cancelled").await?;
    assert_eq!(import["error"], "It was cancelled.");
    Ok(())
}

async fn fails(ada: &Account, id: &str, why: &str) -> Outcome<()> {
    let import = ends(ada, id, "failed").await?;
    let error = import["error"].as_str().unwrap_or_default();
    assert!(error.contains(why), "{error}");
    Ok(())
}

#[tokio::test]
async fn one_whose_database_or_slot_goes_away_leaves_nothing_at_the_source() -> Outcome<()> {
    let (cloud, ada, shop) = cloud_with_shop().await?;
    let source = Source::start_with(&["wal_level=logical", "max_slot_wal_keep_size=1MB"]).await?;
    source
        .sql("shop", "create table items (id int primary key)")
        .await?;
    let relay = TlsRelay::start(source.port()).await?;
    let connection = connection(relay.address.port());
    let id = ask(&ada, &shop, &connection).await?;
    follows(&ada, &id).await?;
    relay.hold_after(0);
    // Nothing that is published: what waits is the slot, not the source for us.
    let much = "create table much as select generate_series(1, 500000); drop table much";
    source.sql("shop", much).await?;
    source.sql("shop", "select pg_switch_wal()").await?;
    source.sql("shop", "checkpoint").await?;
    relay.let_go();
    fails(&ada, &id, "max_slot_wal_keep_size").await?;
    nothing_is_left(&cloud, &shop).await?;
    source_is_clean(&source).await?;

    let id = ask(&ada, &shop, &connection).await?;
    follows(&ada, &id).await?;
    let path = format!("/v1/databases/{}", shop.id);
    ada.api.delete(&path).await?.expect(200)?;
    let left = "select count(*) from pg_replication_slots";
    until("the slot to go", Duration::from_mins(2), || async {
        let left = source.sql("shop", left).await?;
        Ok((left == "0").then_some(()))
    })
    .await?;
    let sealed = "select count(*) from imports where source_sealed is not null";
    until("the import to end", Duration::from_mins(2), || async {
        let sealed = cloud.control_sql(sealed).await?;
        Ok((sealed == "0").then_some(()))
    })
    .await?;
    source_is_clean(&source).await
}

#[tokio::test]
async fn a_source_that_cannot_be_followed_says_what_it_lacks() -> Outcome<()> {
    let (_cloud, ada, shop) = cloud_with_shop().await?;
    let source = Source::start().await?;
    source
        .sql("shop", "create table items (id int primary key)")
        .await?;
    let relay = TlsRelay::start(source.port()).await?;
    let id = ask(&ada, &shop, &connection(relay.address.port())).await?;
    fails(&ada, &id, "wal_level = replica").await?;

    let source = Source::start_with(&["wal_level=logical", "max_replication_slots=1"]).await?;
    source
        .sql("shop", "create table items (id int primary key)")
        .await?;
    let role = format!("create role app login password '{PASSWORD_PLAIN}'");
    source.sql("shop", &role).await?;
    let relay = TlsRelay::start(source.port()).await?;
    let port = relay.address.port();
    let app = format!("postgres://app:{PASSWORD_PLAIN}@localhost:{port}/shop");
    for (why, remedy) in [
        (
            "may not make a publication",
            "grant create on database shop to app",
        ),
        (
            "does not own public.items",
            "alter table items owner to app",
        ),
        (
            "open no replication connection",
            "alter role app replication",
        ),
    ] {
        let id = ask(&ada, &shop, &app).await?;
        fails(&ada, &id, why).await?;
        source.sql("shop", remedy).await?;
    }
    let slot = "select pg_create_physical_replication_slot('taken')";
    source.sql("shop", slot).await?;
    let id = ask(&ada, &shop, &app).await?;
    fails(&ada, &id, "no free replication slot").await?;
    source
        .sql("shop", "select pg_drop_replication_slot('taken')")
        .await?;
    let id = ask(&ada, &shop, &app).await?;
    follows(&ada, &id).await?;
    cancel(&ada, &id).await?;
    source_is_clean(&source).await
}

/// Of a role without the rights of a superuser.
const PASSWORD_PLAIN: &str = "plain-password";
