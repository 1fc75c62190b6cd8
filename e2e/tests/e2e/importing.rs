//! Databases come in from other servers and go out again, with nothing lost on either way; an import
//! that breaks off leaves nothing behind.

use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::Process;
use lumadb_e2e::source::{PASSWORD_ENCODED, Source, TlsRelay, client, scratch_file};
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::{Value, json};
use std::time::Duration;

/// A worker that was killed holds its claim for seconds; machines of tests are crowded.
const IMPORT_LIMIT: Duration = Duration::from_mins(3);

/// Sources of tests are on this machine, and the engine's own clients know no TLS.
const SETTINGS: [(&str, &str); 2] = [
    ("LUMADB_IMPORT_NETWORKS", "any"),
    ("LUMADB_EDGE_PLAINTEXT", "loopback"),
];

/// One of everything that has to arrive.
const SHOP: &str = "
    create extension vector;
    create schema \"Odd name\";
    create type mood as enum ('good', 'bad');
    create table customers (
        id bigint generated always as identity primary key,
        name text not null unique, mood mood default 'good',
        joined timestamptz not null);
    insert into customers (name, joined)
        select 'customer ' || n, timestamptz '2026-01-01 00:00+00' + n * interval '1 hour'
        from generate_series(1, 1000) n;
    create table orders (
        id serial primary key, customer_id bigint not null references customers,
        cents numeric(12, 2) check (cents >= 0), details jsonb) ;
    insert into orders (customer_id, cents, details)
        select 1 + n % 1000, n / 100.0, jsonb_build_object('n', n, 'text', repeat('x', n % 50))
        from generate_series(1, 5000) n;
    create index orders_details on orders using gin (details);
    create table items (id int primary key, embedding vector(3));
    insert into items select n, array[n, n % 7, 1]::vector(3) from generate_series(1, 300) n;
    create index items_nearest on items using hnsw (embedding vector_l2_ops);
    create table \"Odd name\".events (at date not null, n int) partition by range (at);
    create table \"Odd name\".events_1 partition of \"Odd name\".events
        for values from ('2026-01-01') to ('2026-07-01');
    create table \"Odd name\".events_2 partition of \"Odd name\".events
        for values from ('2026-07-01') to ('2027-01-01');
    insert into \"Odd name\".events select date '2026-01-01' + n, n from generate_series(0, 363) n;
    create view big_orders as select * from orders where cents > 40;
    create materialized view totals as
        select customer_id, sum(cents) total from orders group by 1;
    create function spent(customer bigint) returns numeric language sql stable
        as 'select sum(cents) from orders where customer_id = customer';
    create function stamp() returns trigger language plpgsql
        as 'begin new.joined := coalesce(new.joined, now()); return new; end';
    create trigger stamp before insert on customers for each row execute function stamp();
    create sequence tickets start 1000 increment 5;
    select nextval('tickets') from generate_series(1, 3);
    select lo_from_bytea(4242, 'a large object'), lo_from_bytea(4243, decode(repeat('00ff', 5000), 'hex'));
    comment on table orders is 'what was bought';";

/// Everything of it as one text, the same on each server that has the same.
const PICTURE: &str = "
    select 'customers', count(*)::text, md5(string_agg(c::text, ',' order by id)) from customers c
    union all select 'orders', count(*)::text, md5(string_agg(o::text, ',' order by id)) from orders o
    union all select 'items', count(*)::text, md5(string_agg(i::text, ',' order by id)) from items i
    union all select 'events', count(*)::text, md5(string_agg(e::text, ',' order by n))
        from \"Odd name\".events e
    union all select 'big', count(*)::text, sum(cents)::text from big_orders
    union all select 'totals', count(*)::text, sum(total)::text from totals
    union all select 'spent', spent(7)::text, ''
    union all select 'nearest', (array(select id from items order by embedding <-> '[5,5,1]' limit 3))::text, ''
    union all select 'sequence', schemaname || '.' || sequencename, coalesce(last_value, 0)::text
        from pg_sequences
    union all select 'index', indexname, indexdef from pg_indexes where schemaname not like 'pg_%'
    union all select 'constraint', conname, pg_get_constraintdef(oid) from pg_constraint
        where connamespace in ('public'::regnamespace, '\"Odd name\"'::regnamespace)
    union all select 'trigger', tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    union all select 'large', loid::text, md5(string_agg(encode(data, 'hex'), '' order by pageno))
        from (select m.oid loid, 0 pageno, lo_get(m.oid) data from pg_largeobject_metadata m) l
        group by loid
    union all select 'comment', obj_description('orders'::regclass), ''
    order by 1, 2, 3";

pub(crate) async fn cloud_with_shop() -> Outcome<(Cloud, Account, Database)> {
    let cloud = Cloud::start_with(&SETTINGS).await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = ada.create_database("shop").await?;
    Ok((cloud, ada, shop))
}

pub(crate) async fn ask(
    ada: &Account,
    into: &Database,
    source: &str,
    pem: Option<&str>,
) -> Outcome<String> {
    let path = format!("/v1/databases/{}/imports", into.id);
    let body = json!({
        "source": source,
        "ca_certificate_pem": pem,
        "logical_database": into.logical_database,
    });
    let asked = ada.api.post(&path, &body).await?.expect(201)?;
    assert!(!asked.text.contains(PASSWORD_ENCODED), "{}", asked.text);
    asked.text_at("/id")
}

pub(crate) async fn import_that(
    ada: &Account,
    id: &str,
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> Outcome<Value> {
    let path = format!("/v1/imports/{id}");
    until(what, IMPORT_LIMIT, || async {
        let import = ada.api.read(&path).await?;
        if is(&import) {
            return Ok(Some(import));
        }
        Err(import.to_string().into())
    })
    .await
}

pub(crate) async fn ends(ada: &Account, id: &str, state: &str) -> Outcome<Value> {
    let ended = |import: &Value| !import["ended_at"].is_null();
    let import = import_that(ada, id, "the import to end", ended).await?;
    assert_eq!(import["state"], state, "{import}");
    Ok(import)
}

/// Until rows of a source that holds back are on their way.
pub(crate) async fn is_in_the_middle(ada: &Account, id: &str) -> Outcome<()> {
    let copying = |import: &Value| {
        import["state"] == "copying" && import["bytes_copied"].as_u64() > Some(100_000)
    };
    import_that(ada, id, "rows to arrive", copying).await?;
    Ok(())
}

/// Nothing of an import is left: no object in the target, no password in the control plane.
pub(crate) async fn nothing_is_left(cloud: &Cloud, shop: &Database) -> Outcome<()> {
    let tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace";
    assert_eq!(tools::psql(&shop.uri, tables).await?, "0");
    let sealed = "select count(*) from imports where source_sealed is not null";
    assert_eq!(cloud.control_sql(sealed).await?, "0");
    Ok(())
}

#[tokio::test]
async fn a_database_arrives_whole_over_tls_and_goes_out_again() -> Outcome<()> {
    let (cloud, ada, shop) = cloud_with_shop().await?;
    let source = Source::start().await?;
    source.sql("shop", SHOP).await?;
    let relay = TlsRelay::start(source.port()).await?;
    let port = relay.address.port();
    let place = format!("localhost:{port}/shop?sslmode=verify-full");
    let pem = Some(relay.certificate_pem.as_str());

    let wrong = format!("postgres://ada:wrong@{place}");
    let id = ask(&ada, &shop, &wrong, pem).await?;
    let import = ends(&ada, &id, "failed").await?;
    let error = import["error"].as_str().unwrap_or_default();
    assert!(error.contains("password authentication failed"), "{error}");
    let right = format!("postgres://ada:{PASSWORD_ENCODED}@{place}");
    let id = ask(&ada, &shop, &right, None).await?;
    let import = ends(&ada, &id, "failed").await?;
    let error = import["error"].as_str().unwrap_or_default();
    assert!(error.contains("TLS is not accepted"), "{error}");

    // The engine has no extension that we refuse: one of another name stands in for it.
    let rename = |from: &str, to: &str| {
        format!("update pg_extension set extname = '{to}' where extname = '{from}'")
    };
    source.sql("shop", &rename("vector", "postgis")).await?;
    let id = ask(&ada, &shop, &right, pem).await?;
    let import = ends(&ada, &id, "failed").await?;
    let error = import["error"].as_str().unwrap_or_default();
    assert!(error.contains("not to be had here: postgis"), "{error}");
    source.sql("shop", &rename("postgis", "vector")).await?;
    nothing_is_left(&cloud, &shop).await?;

    let id = ask(&ada, &shop, &right, pem).await?;
    let import = ends(&ada, &id, "succeeded").await?;
    assert_eq!(import["tables_done"], import["tables_total"], "{import}");
    assert_eq!(import["tables_total"], 5, "{import}");
    let picture = source.sql("shop", PICTURE).await?;
    assert_eq!(tools::psql(&shop.uri, PICTURE).await?, picture);
    let sealed = "select count(*) from imports where source_sealed is not null";
    assert_eq!(cloud.control_sql(sealed).await?, "0");
    assert!(!cloud.log_tail().contains(PASSWORD_ENCODED));

    let id = ask(&ada, &shop, &right, pem).await?;
    let import = ends(&ada, &id, "failed").await?;
    let error = import["error"].as_str().unwrap_or_default();
    assert!(error.contains("not empty"), "{error}");
    assert_eq!(tools::psql(&shop.uri, PICTURE).await?, picture, "untouched");

    goes_out_and_comes_back(&ada, &source, &shop, &picture).await
}

/// `pg_dump` of our database into a file, and that file into another server and back into ours.
async fn goes_out_and_comes_back(
    ada: &Account,
    source: &Source,
    shop: &Database,
    picture: &str,
) -> Outcome<()> {
    let connection = |database: &Database, name: &str| {
        format!(
            "host={} port={} user={} password={} dbname={name}",
            database.host, database.port, database.user, database.password
        )
    };
    let (_folder, file) = scratch_file("shop.dump")?;
    let mut dump = client("pg_dump");
    dump.args(["--format=custom", "--no-owner", "--no-privileges", "--file"])
        .arg(&file)
        .args(["--dbname", &connection(shop, &shop.logical_database)]);
    tools::run(&mut dump).await?;
    source.sql("postgres", "create database home").await?;
    let path = format!("/v1/databases/{}/logical-databases", shop.id);
    let body = json!({ "name": "again", "owner_role": "owner" });
    let made = ada.api.post(&path, &body).await?.expect(201)?;
    ada.operation_succeeds(&made.text_at("/operation/id")?)
        .await?;
    let again = connection(shop, "again");
    for target in [source.connection("home"), again.clone()] {
        let mut restore = client("pg_restore");
        restore
            .args(["--no-owner", "--no-privileges", "--exit-on-error"])
            .args(["--dbname", &target])
            .arg(&file);
        tools::run(&mut restore).await?;
        assert_eq!(tools::psql(&target, PICTURE).await?, picture);
    }
    Ok(())
}

#[tokio::test]
async fn an_import_that_breaks_off_leaves_nothing_and_one_whose_worker_dies_begins_again()
-> Outcome<()> {
    let (cloud, ada, shop) = cloud_with_shop().await?;
    let mut source = Source::start().await?;
    let rows = "create table rows as select n, md5(n::text) from generate_series(1, 1000000) n";
    source.sql("shop", rows).await?;
    let relay = TlsRelay::start(source.port()).await?;
    let port = relay.address.port();
    let connection = format!("postgres://ada:{PASSWORD_ENCODED}@localhost:{port}/shop");

    relay.hold_after(2_000_000);
    let id = ask(&ada, &shop, &connection, None).await?;
    is_in_the_middle(&ada, &id).await?;
    let again = format!("/v1/databases/{}/imports", shop.id);
    let body = json!({ "source": connection, "logical_database": "main" });
    let second = ada.api.post(&again, &body).await?.expect(409)?;
    assert_eq!(second.problem(), "conflict");
    let cancel = format!("/v1/imports/{id}/cancel");
    ada.api.post(&cancel, &json!({})).await?.expect(200)?;
    ends(&ada, &id, "cancelled").await?;
    nothing_is_left(&cloud, &shop).await?;

    relay.let_go();
    relay.hold_after(2_000_000);
    let id = ask(&ada, &shop, &connection, None).await?;
    is_in_the_middle(&ada, &id).await?;
    let worker = |process: &Process| process.is_service("worker");
    assert_eq!(cloud.kill(worker).await?, 1);
    relay.let_go();
    ends(&ada, &id, "succeeded").await?;
    let count = "select count(*) from rows";
    assert_eq!(tools::psql(&shop.uri, count).await?, "1000000");

    tools::psql(&shop.uri, "drop table rows").await?;
    relay.hold_after(2_000_000);
    let id = ask(&ada, &shop, &connection, None).await?;
    is_in_the_middle(&ada, &id).await?;
    source.kill().await?;
    relay.let_go();
    let import = ends(&ada, &id, "failed").await?;
    assert!(import["error"].is_string(), "{import}");
    nothing_is_left(&cloud, &shop).await
}

#[tokio::test]
async fn a_source_in_our_own_networks_is_refused_unless_the_operator_says_otherwise() -> Outcome<()>
{
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = ada.create_database("shop").await?;
    for host in [
        "127.0.0.1",
        "localhost",
        "169.254.169.254",
        "[::ffff:10.0.0.1]",
    ] {
        let source = format!("postgres://ada:x@{host}/shop");
        let id = ask(&ada, &shop, &source, None).await?;
        let import = ends(&ada, &id, "failed").await?;
        let error = import["error"].as_str().unwrap_or_default();
        assert!(error.contains("import.networks"), "{host}: {error}");
    }
    Ok(())
}
