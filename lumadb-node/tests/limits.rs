//! The limits of an organization at one of its nodes, as clients meet them.

use crate::parent::Limits;
use crate::world::{World, spec};
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::{DbError, SqlState};

/// A running instance under these limits.
async fn limited(limits: Limits) -> World {
    let mut world = World::new();
    world.parent().limit(limits.clone());
    world.parent().say(&spec(1));
    world.helper_start();
    world.node_start();
    world.in_force(&spec(1)).await;
    answered(&world, &limits).await;
    world
}

async fn answered(world: &World, limits: &Limits) {
    let told = |heard: &crate::parent::Heard| heard.limits.as_ref() == Some(limits);
    world.hears("a question under these limits", told).await;
}

async fn refused(client: &Client, sql: &str) -> DbError {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.as_db_error().expect(sql).clone()
}

/// Tries until it works: a limit was lifted.
async fn works_soon(client: &Client, sql: &str) {
    let mut works = false;
    for _ in 0..1000 {
        match client.batch_execute(sql).await {
            Ok(()) => {
                works = true;
                break;
            }
            Err(error) => assert!(error.as_db_error().is_some(), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(works, "{sql} was not allowed again");
}

#[tokio::test]
async fn commands_beyond_the_limit_fail_between_transactions_and_the_connection_stays() {
    let requests = |limit| Limits {
        requests: Some(limit),
        ..Limits::default()
    };
    let world = limited(requests(10)).await;
    let client = world.client().await.expect("logs in");
    for _ in 0..10 {
        client.batch_execute("select 1").await.expect("is within");
    }
    let error = refused(&client, "select 1").await;
    assert_eq!(error.code().code(), "53400");
    assert_eq!(error.message(), "quota exceeded: requests, 10 a day");
    assert!(error.detail().expect("says").contains("begins anew at"));
    assert!(
        error
            .hint()
            .expect("says")
            .contains("https://console.example.com/billing")
    );
    let prepared = client.query("select 1", &[]).await.expect_err("is refused");
    assert_eq!(prepared.code().map(SqlState::code), Some("53400"));
    // Another connection is let in and meets the same.
    let other = world.client().await.expect("logs in");
    assert_eq!(refused(&other, "select 1").await.code().code(), "53400");

    world.parent().limit(requests(12));
    works_soon(&client, "begin").await;
    for _ in 0..5 {
        client.batch_execute("select 1").await.expect("goes on");
    }
    client
        .batch_execute("commit")
        .await
        .expect("comes to its end");
    assert_eq!(refused(&client, "select 1").await.code().code(), "53400");
    let counted = world
        .hears("all that was answered", |heard| {
            heard
                .samples
                .iter()
                .any(|sample| sample.counters.requests >= 17)
        })
        .await;
    let most = counted
        .samples
        .iter()
        .map(|sample| sample.counters.requests)
        .max();
    assert_eq!(most, Some(17), "what was refused is not counted");
}

#[tokio::test]
async fn a_node_whose_parent_knows_no_limits_has_none() {
    let world = World::running(&spec(1)).await;
    let client = world.client().await.expect("logs in");
    for _ in 0..50 {
        client.batch_execute("select 1").await.expect("answers");
    }
}

#[tokio::test]
async fn rows_stop_growing_at_the_storage_limit_and_grow_again_once_there_is_space() {
    let world = limited(Limits::default()).await;
    let client = world.client().await.expect("logs in");
    client
        .batch_execute("create table big (t text)")
        .await
        .expect("creates");
    let heard = world
        .hears("the storage", |heard| {
            heard
                .status
                .as_ref()
                .is_some_and(|status| status.storage_bytes > 0)
        })
        .await;
    let stored = heard.status.expect("told").storage_bytes;
    let limits = Limits {
        storage_bytes: Some(stored + 4_000_000),
        ..Limits::default()
    };
    world.parent().limit(limits.clone());
    answered(&world, &limits).await;
    let insert = "insert into big select repeat(md5(n::text), 4) from generate_series(1, 4000) n";
    let mut error = None;
    for _ in 0..2000 {
        if let Err(refused) = client.batch_execute(insert).await {
            error = Some(refused);
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = error.expect("the limit is reached");
    let error = error.as_db_error().expect("of the engine");
    assert_eq!(error.code().code(), "53100");
    assert_eq!(
        error.message(),
        "storage limit reached: cannot execute INSERT"
    );
    assert!(error.detail().expect("says").contains("storage limit of"));
    assert!(
        error
            .hint()
            .expect("says")
            .contains("https://console.example.com/billing")
    );
    client
        .batch_execute("delete from big where t is null")
        .await
        .expect("deletes");
    client
        .batch_execute("truncate big")
        .await
        .expect("truncates");
    works_soon(&client, insert).await;
}

#[tokio::test]
async fn a_spend_cap_that_is_used_makes_a_database_read_only_until_it_is_raised() {
    let world = limited(Limits::default()).await;
    let client = world.client().await.expect("logs in");
    client
        .batch_execute("create table t (n int)")
        .await
        .expect("creates");
    let capped = Limits {
        read_only: Some("The spend cap of $50.00 is used.".into()),
        ..Limits::default()
    };
    world.parent().limit(capped);
    let error = loop {
        match client.batch_execute("insert into t values (1)").await {
            Ok(()) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => break error,
        }
    };
    let error = error.as_db_error().expect("of the engine");
    assert_eq!(error.code().code(), "25006");
    assert_eq!(error.detail(), Some("The spend cap of $50.00 is used."));
    client
        .batch_execute("select * from t")
        .await
        .expect("reads");
    assert_eq!(
        refused(&client, "drop table t").await.code().code(),
        "25006"
    );
    world.parent().limit(Limits::default());
    works_soon(&client, "drop table t").await;
}

#[tokio::test]
async fn vectors_written_and_searched_for_are_counted() {
    let world = World::running(&spec(1)).await;
    let book = world.instance().join("node/vectors.json");
    while !book.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let client = world.client().await.expect("logs in");
    client
        .batch_execute(
            "create extension vector;
             create domain embedding as vector(3);
             create table plain (n int);
             create table items (id int, v vector(3));
             create table more (v embedding);
             insert into plain select generate_series(1, 1000);
             insert into items select n, array[n, n, n] from generate_series(1, 40) n;
             insert into more values ('[1,2,3]');
             update items set v = '[0,0,0]' where id <= 10;
             create index on items using hnsw (v vector_l2_ops);
             set enable_seqscan = off",
        )
        .await
        .expect("writes");
    for _ in 0..7 {
        let sql = "select id from items order by v <-> '[3,1,2]' limit 5";
        client.batch_execute(sql).await.expect("searches");
    }
    // Statistics of a session that stays open are otherwise written a while later.
    let written = client.batch_execute("select pg_stat_force_next_flush()");
    written.await.expect("writes statistics");
    let heard = world
        .hears("vector operations", |heard| {
            heard
                .samples
                .iter()
                .any(|sample| sample.counters.vector_operations >= 58)
        })
        .await;
    let last = heard.samples.last().expect("a sample");
    assert_eq!(last.counters.vector_operations, 40 + 1 + 10 + 7);
}
