//! A volume that WAL fills because the object store is away.

use crate::archive::{Store, caught_up};
use crate::world::World;
use lumadb_contract::instance::VolumeStage;
use lumadb_s3_server::faults::{Fault, Rule};
use nix::sys::statvfs::statvfs;
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
    let client = world.client_soon().await;
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
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
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
