//! Two nodes on one archive: one that slept while the other took over, and wakes up.

use super::backup::{CLAIM, catalogue, making, request, verify};
use super::engine::{Engine, folder};
use super::store::World;
use super::wal::{Oracle, SOME_ROWS, Writing, compactor, reader};
use lumadb_contract::archive::{BackupKind, Lsn};
use lumadb_contract::scope::Access;
use lumadb_data_plane::archive::backup::{Claim, backup_run, orphans_remove};
use lumadb_data_plane::archive::expire::{Expired, expire};
use lumadb_data_plane::archive::wal::{Compactor, Pace, WalReader, WriterError};
use lumadb_s3_server::faults::Proxy;

/// What the second node is reached by.
struct Second {
    way: Proxy,
    claim: Claim,
}

impl Second {
    /// Writes, compacts, makes a backup and lets everything before that expire.
    async fn works(&self, world: &World, engine: &Engine, writing: &mut Writing) {
        for _ in 0..3 {
            engine.sql(SOME_ROWS);
            engine.sql("select pg_switch_wal()");
        }
        engine.sql(SOME_ROWS);
        writing.caught_up(engine).await;
        let store = world.store_by(&self.way, Access::ReadWrite).await;
        let compactor = Compactor::new(store.clone(), world.layout, super::wal::key());
        assert!(compactor.compact(1).await.expect("made") >= 3);
        let mut job = making(world, engine, request(20, BackupKind::Full))
            .await
            .job;
        job.store = store.clone();
        job.claim = self.claim;
        let entry = backup_run(job).await.expect("is made");
        writing.caught_up(engine).await;
        let gone = Expired {
            backups: Vec::new(),
            wal_before: entry.start_lsn,
        };
        assert!(expire(&store, &world.layout, &gone).await.expect("answers") > 0);
    }

    async fn reader(&self, world: &World) -> WalReader {
        let store = world.store_by(&self.way, Access::ReadOnly).await;
        let reader = WalReader::open(store, world.layout, super::wal::key()).await;
        reader.expect("opens")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_wakes_after_compaction_and_expiry_changes_nothing() {
    let world = World::begin().await;
    let engine = Engine::start();
    let mut first = Writing::start(&world, &engine, Pace::Now).await;
    engine.sql(SOME_ROWS);
    first.caught_up(&engine).await;
    // The first one falls asleep with WAL and a backup on their way, having just read what there is.
    let listed = catalogue(&world, &first.store).await;
    let sleeping = compactor(&world).await;
    let job = making(&world, &engine, request(10, BackupKind::Full)).await;
    // It is complete when its WAL is archived by the same node.
    job.archived.send_replace(first.progress.borrow().archived);
    world.proxy.hold_from(1, false);
    engine.sql(SOME_ROWS);
    let sleeping_backup = tokio::spawn(backup_run(job.job));
    world.proxy.held().await;

    let second = Second {
        way: world.other_way().await,
        claim: Claim { epoch: 2, ..CLAIM },
    };
    let store = world.store_by(&second.way, Access::ReadWrite).await;
    let mut writing = Writing::start_with(store, &world, &engine, Pace::Now, "second");
    second.works(&world, &engine, &mut writing).await;
    let oracle = Oracle::begin(&engine);
    assert_eq!(writing.progress.borrow().epoch, 2);

    // It wakes up, and does what it was about to do.
    let confirmed = first.progress.clone();
    let archived = confirmed.borrow().archived;
    let store = first.store.clone();
    world.proxy.go_on();
    let ended = first.fails().await;
    assert!(matches!(ended, WriterError::Fenced { .. }), "{ended}");
    assert_eq!(confirmed.borrow().archived, archived);
    sleeping_backup.abort();
    sleeping.compact(1).await.expect("harms nobody");
    orphans_remove(&store, &world.layout, &listed, CLAIM)
        .await
        .expect("harms nobody");

    engine.sql(SOME_ROWS);
    let end = writing.caught_up(&engine).await;
    let reader = second.reader(&world).await;
    assert_eq!(reader.faults(), []);
    assert_eq!(reader.latest(), Some((1, end)));
    let listed = catalogue(&world, &store).await;
    let [kept] = &listed.entries[..] else {
        panic!("one backup: {:?}", listed.entries);
    };
    let range = reader.covered(1).pop().expect("some");
    assert!(
        range.start <= kept.start_lsn && range.end == end,
        "{range:?}"
    );
    let work = folder();
    verify(&world, kept, &work.path().join("kept")).await;
    assert!(oracle.agrees(&engine, &reader, end).await >= 1);
    // What the first one left goes with the next look of the second.
    orphans_remove(&store, &world.layout, &listed, second.claim)
        .await
        .expect("answers");
    let parts = store.list(&world.layout.backups(), None).await;
    let parts = parts.expect("listed").len();
    assert_eq!(parts, kept.parts.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_come_twice_are_written_once() {
    use http::Method;
    use lumadb_s3_server::faults::{Fault, Rule};

    let world = World::begin().await;
    let engine = Engine::start();
    let twice = |method, contains| Rule::on(method, contains, 1_000_000, Fault::Duplicate);
    world.proxy.play([
        twice(Method::PUT, ""),
        twice(Method::POST, ""),
        twice(Method::DELETE, ""),
    ]);
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    engine
        .sql("create table r as select md5(n::text) as text from generate_series(1, 400000) as n");
    for _ in 0..2 {
        engine.sql(SOME_ROWS);
        engine.sql("select pg_switch_wal()");
    }
    let job = making(&world, &engine, request(1, BackupKind::Full)).await;
    let entry = backup_run(job.job).await.expect("is made");
    compactor(&world).await.compact(1).await.expect("made");
    let end = writing.caught_up(&engine).await;
    world.proxy.calm();
    let reader = reader(&world).await;
    assert_eq!(reader.faults(), []);
    assert_eq!(reader.covered(1).len(), 1);
    assert_eq!(reader.latest(), Some((1, end)));
    assert!(end > Lsn(0) && writing.progress.borrow().session_error.is_none());
    let work = folder();
    verify(&world, &entry, &work.path().join("backup")).await;
}
