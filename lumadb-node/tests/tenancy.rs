//! Roles and logical databases: what the spec says holds, and what tenants made by SQL stays.

use crate::world::{World, logical, role, spec};
use tokio_postgres::Client;

async fn names(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.expect("answers");
    rows.iter().map(|row| row.get(0)).collect()
}

const DATABASES: &str = "select datname::text from pg_database where not datistemplate
    and datname <> 'postgres' order by 1";
const ROLES: &str =
    "select rolname::text from pg_roles where rolname !~ '^(pg|lumadb)_' order by 1";

#[tokio::test]
async fn roles_and_databases_come_and_go_with_the_spec_and_their_things_go_to_the_owner() {
    let mut wanted = spec(1);
    wanted.roles.push(role("app", false));
    wanted.logical_databases.push(logical("extra", "app"));
    let world = World::running(&wanted).await;
    let admin = world.direct("lumadb_admin", "postgres").await;
    assert_eq!(names(&admin, DATABASES).await, ["extra", "main"]);
    assert_eq!(names(&admin, ROLES).await, ["app", "owner"]);

    // The owner lets the role make things in main; the role owns a database that will be kept.
    let owner = world.direct("owner", "main").await;
    let granted = "grant create on schema public to app; create database \"own \"\"one\"\"\"";
    for sql in granted.split("; ") {
        owner.batch_execute(sql).await.expect("allowed");
    }
    let app = world.direct("app", "main").await;
    app.batch_execute("create table t (n int); grant select on t to public")
        .await
        .expect("allowed");

    wanted.generation = 2;
    wanted.roles.pop();
    wanted.logical_databases.pop();
    world.parent().say(&wanted);
    world.in_force(&wanted).await;
    assert_eq!(names(&admin, DATABASES).await, ["main", "own \"one\""]);
    assert_eq!(names(&admin, ROLES).await, ["owner"]);
    let table = "select tableowner::text from pg_tables where tablename = 't'";
    assert_eq!(names(&owner, table).await, ["owner"]);
    assert!(
        app.batch_execute("select 1").await.is_err(),
        "its session ended"
    );
}

#[tokio::test]
async fn a_database_that_its_owner_closed_made_a_template_or_renamed_is_no_obstacle() {
    let mut wanted = spec(1);
    wanted.roles.push(role("app", false));
    wanted.logical_databases.push(logical("closed", "owner"));
    wanted.logical_databases.push(logical("renamed", "owner"));
    let world = World::running(&wanted).await;
    let owner = world.direct("owner", "main").await;
    for sql in [
        "alter database closed with is_template true",
        "alter database closed with allow_connections false",
        "alter database renamed rename to mine",
        "create database shut",
        "alter database shut with allow_connections false",
    ] {
        owner.batch_execute(sql).await.expect(sql);
    }
    wanted.generation = 2;
    wanted.roles.pop();
    wanted.logical_databases.truncate(1);
    world.parent().say(&wanted);
    world.in_force(&wanted).await;
    let admin = world.direct("lumadb_admin", "postgres").await;
    assert_eq!(names(&admin, DATABASES).await, ["main", "mine", "shut"]);
    assert!(
        world.try_direct("owner", "shut").await.is_err(),
        "still closed"
    );
}

#[tokio::test]
async fn another_owner_and_other_names_than_those_prepared() {
    let mut wanted = spec(1);
    wanted.roles = vec![role("alice", true)];
    wanted.logical_databases = vec![logical("shop", "alice")];
    let world = World::running(&wanted).await;
    let admin = world.direct("lumadb_admin", "postgres").await;
    assert_eq!(names(&admin, DATABASES).await, ["shop"]);
    assert_eq!(names(&admin, ROLES).await, ["alice"]);
}

#[tokio::test]
async fn settings_that_a_tenant_attached_to_its_database_do_not_reach_the_platform() {
    let mut wanted = spec(1);
    wanted.roles.push(role("app", false));
    let world = World::running(&wanted).await;
    let owner = world.direct("owner", "main").await;
    for sql in [
        "alter database main set role = 'owner'",
        "alter database main set search_path = trap",
        "alter database main set default_transaction_read_only = on",
        "alter database main set statement_timeout = 1",
        "alter database main connection limit 0",
    ] {
        owner.batch_execute(sql).await.expect(sql);
    }
    wanted.generation = 2;
    wanted.roles.pop();
    world.parent().say(&wanted);
    world.in_force(&wanted).await;
}

#[tokio::test]
async fn a_changed_password_holds_and_the_old_one_does_not() {
    let mut wanted = spec(1);
    let world = World::running(&wanted).await;
    let session = world.client().await.expect("logs in");
    wanted.generation = 2;
    let other = postgres_protocol::password::scram_sha_256(b"another");
    let other = lumadb_contract::scram::ScramVerifier::parse(&other);
    wanted.roles[0].verifier = other.expect("a verifier");
    world.parent().say(&wanted);
    world.in_force(&wanted).await;
    assert!(world.client().await.is_err());
    assert!(session.batch_execute("select 1").await.is_err(), "cut");
}
