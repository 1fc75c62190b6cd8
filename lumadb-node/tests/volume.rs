//! A volume that fills: by WAL, because the object store is away, or all at once.

use crate::archive::{Store, caught_up};
use crate::world::{World, spec};
use lumadb_contract::instance::VolumeStage;
use lumadb_s3_server::faults::{Fault, Rule};
use nix::sys::statvfs::statvfs;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// Of the volume, bytes: a file of WAL is three hundredths of it, less than lies between two stages.
const BYTES: u64 = 512 << 20;

async fn stage(world: &World, stage: VolumeStage) {
    let told = world.hears("a stage of the volume", |heard| {
        let status = heard.status.as_ref();
        status.is_some_and(|status| status.volume == stage)
    });
    told.await;
}

/// How much of the volume is used, hundredths.
fn used(world: &World) -> u64 {
    let found = statvfs(&world.instance()).expect("answers");
    100 - found.blocks_available() * 100 / found.blocks()
}

/// Some 1 MB of WAL, and a table that does not grow.
async fn writes(client: &Client) -> Result<(), tokio_postgres::Error> {
    let sql = "begin; truncate t; \
        insert into t select repeat(md5(n::text), 30) from generate_series(1, 1000) as n; commit";
    client.batch_execute(sql).await
}

fn is_read_only(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

#[tokio::test]
async fn a_store_that_is_away_fills_the_volume_up_to_read_only_and_loses_no_wal() {
    let store = Store::begin().await;
    let spec = store.spec(1);
    let Some(world) = World::running_on_volume(&spec, BYTES).await else {
        eprintln!("skipped: only root may mount a small volume");
        return;
    };
    let mut client = world.client_soon().await;
    client
        .batch_execute("create table t (text text)")
        .await
        .expect("made");
    caught_up(&world).await;
    store.proxy.play([Rule {
        method: None,
        contains: "/wal/".to_owned(),
        passing: 0,
        times: usize::MAX,
        fault: Fault::Refuse(503, "SlowDown"),
    }]);
    // PostgreSQL keeps as many files for new WAL as it needed between two checkpoints.
    let admin = world.direct("lumadb_admin", "postgres").await;
    let checkpoint = async || admin.batch_execute("checkpoint").await.expect("done");
    while used(&world) < 71 {
        writes(&client).await.expect("goes on");
        checkpoint().await;
    }
    stage(&world, VolumeStage::Alarm).await;
    // Commits go on until nothing new may be written.
    let refused = loop {
        if used(&world) > 90 {
            stage(&world, VolumeStage::ReadOnly).await;
        }
        match writes(&client).await {
            Ok(()) => {}
            // It was writing when that began.
            Err(error) if error.code() == Some(&SqlState::ADMIN_SHUTDOWN) => {
                client = world.client_soon().await;
            }
            Err(error) => break error,
        }
        checkpoint().await;
    };
    assert!(is_read_only(&refused), "{refused}");
    stage(&world, VolumeStage::ReadOnly).await;
    client.batch_execute("rollback").await.expect("ends");
    let rows = client.query_one("select count(*) from t", &[]).await;
    assert_eq!(rows.expect("can be read").get::<_, i64>(0), 1000);
    // Whoever writes all the same is ended.
    let stubborn = world.client_soon().await;
    let begun = stubborn
        .batch_execute("begin read write; insert into t values ('x')")
        .await;
    begun.expect("takes it for now");
    while !stubborn.is_closed() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The store is back: the engine may forget, and it is lifted.
    store.proxy.calm();
    let end = caught_up(&world).await;
    // WAL is removed by the second checkpoint after it is needed no more.
    for _ in 0..2 {
        checkpoint().await;
    }
    stage(&world, VolumeStage::Ample).await;
    while let Err(error) = writes(&client).await {
        assert!(is_read_only(&error), "{error}");
        client.batch_execute("rollback").await.expect("ends");
    }
    store.is_whole(end).await;
}

/// A file of whatever the volume has left; it is full to the last byte.
fn fill(world: &World) -> PathBuf {
    let filler = world.instance().join("filler");
    let mut file = File::create(&filler).expect("made");
    let piece = vec![7; 1 << 16];
    while file.write_all(&piece).is_ok() {}
    while file.write_all(&[7]).is_ok() {}
    filler
}

/// A database with rows that were acknowledged, whose volume is full from one moment to the next.
async fn filled() -> Option<(World, PathBuf)> {
    let spec = spec(1);
    let Some(world) = World::running_on_volume(&spec, BYTES).await else {
        eprintln!("skipped: only root may mount a small volume");
        return None;
    };
    let client = world.client_soon().await;
    let sql = "create table t (id int); insert into t select generate_series(1, 1000)";
    client.batch_execute(sql).await.expect("acknowledged");
    let filler = fill(&world);
    Some((world, filler))
}

/// There is room again, as when the volume has grown: whoever connects is served, and all is there.
async fn serves_again(world: &World, filler: PathBuf) {
    std::fs::remove_file(filler).expect("removed");
    stage(world, VolumeStage::Ample).await;
    let client = world.client_soon().await;
    let rows = client.query_one("select count(*) from t", &[]).await;
    assert_eq!(rows.expect("answers").get::<_, i64>(0), 1000);
    let written = async || client.execute("insert into t values (1001)", &[]).await;
    while let Err(error) = written().await {
        assert!(is_read_only(&error), "{error}");
    }
}

#[tokio::test]
async fn an_engine_whose_configuration_found_no_room_runs_on_and_serves_once_there_is_some() {
    let Some((world, filler)) = filled().await else {
        return;
    };
    let engine = world.engine_pid();
    stage(&world, VolumeStage::Full).await;
    // That nothing may be written cannot be written either.
    while world.client().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    serves_again(&world, filler).await;
    assert_eq!(world.engine_pid(), engine, "it ran on");
}

#[tokio::test]
async fn an_engine_whose_log_found_no_room_loses_nothing_and_serves_once_there_is_some() {
    let Some((world, filler)) = filled().await else {
        return;
    };
    let admin = world.direct("lumadb_admin", "postgres").await;
    // More WAL than there are files for.
    let sql = "select pg_logical_emit_message(false, 'filler', repeat('a', 64000000)) \
        from generate_series(1, 10)";
    admin.batch_execute(sql).await.expect_err("no room for WAL");
    stage(&world, VolumeStage::Full).await;
    serves_again(&world, filler).await;
}
