//! A node that is killed at each of its requests to the store, once before the request is served and
//! once after; and an engine that crashes there.

use super::backup::{CLAIM, catalogue, making, request, verify};
use super::engine::{Engine, folder};
use super::store::World;
use super::wal::{Oracle, SOME_ROWS, Writing, compactor, key, reader};
use bytes::Bytes;
use lumadb_contract::archive::{BackupKind, Lsn};
use lumadb_contract::id::{ArchiveId, BackupId};
use lumadb_data_plane::archive::backup::{
    BackupEntry, BackupPart, EngineFacts, WalRange, backup_run, catalogue_read, orphans_remove,
};
use lumadb_data_plane::archive::expire::{expire, expired};
use lumadb_data_plane::archive::layout::Layout;
use lumadb_data_plane::archive::sealed;
use lumadb_data_plane::archive::store::ObjectStore;
use lumadb_data_plane::archive::wal::Pace;
use nix::sys::signal::Signal;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Requests of a writer at which it is killed: taking over, and some chunks.
const WRITER_REQUESTS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_killed_at_any_request_leaves_no_hole() {
    let world = World::begin().await;
    let mut engine = Engine::start();
    let oracle = Oracle::begin(&engine);
    for nth in 1..=WRITER_REQUESTS {
        for served in [false, true] {
            world.proxy.hold_from(nth, served);
            let writing = Writing::start(&world, &engine, Pace::Now).await;
            for _ in 0..3 {
                engine.sql(SOME_ROWS);
            }
            world.proxy.held().await;
            if served && nth % 3 == 0 {
                engine.end(Signal::SIGKILL);
                engine.start_again();
            }
            writing.kill().await;
            world.proxy.cut();
        }
    }
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    let end = writing.caught_up(&engine).await;
    let reader = reader(&world).await;
    assert!(oracle.agrees(&engine, &reader, end).await >= 1);
    assert_eq!(reader.faults(), []);
    assert_eq!(reader.covered(1).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_killed_at_any_request_lose_nothing() {
    let world = World::begin().await;
    let engine = Engine::start_with(&["--wal-segsize=1"]);
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    writing.wait(|progress| progress.timeline == 1).await;
    let mut finished = 0;
    for nth in 1.. {
        for served in [false, true] {
            engine.sql(SOME_ROWS);
            engine.sql("select pg_switch_wal()");
            engine.sql(SOME_ROWS);
            let end = writing.caught_up(&engine).await;
            let before = reader(&world).await;
            let range = before.covered(1)[0].start..end;
            let held = before.wal(1, range.clone()).await.expect("answers");
            let following = compactor(&world).await;
            let compactor = compactor(&world).await;
            world.proxy.hold_from(nth, served);
            let mut running = tokio::spawn(async move { compactor.compact(1).await });
            tokio::select! {
                () = world.proxy.held() => running.abort(),
                made = &mut running => drop(made.expect("runs").expect("is made")),
            }
            finished += u32::from(!world.proxy.cut());
            let after = reader(&world).await;
            assert_eq!(after.faults(), []);
            assert_eq!(after.covered(1).len(), 1);
            let kept = after.wal(1, range).await.expect("answers");
            assert!(kept == held, "killed at request {nth}");
            // The next one ends it, so that each has as much to do.
            following.compact(1).await.expect("is made");
        }
        if finished == 2 {
            assert!(nth > 6, "only {nth} requests");
            return;
        }
        finished = 0;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_killed_at_any_request_is_none_and_harms_none() {
    let world = World::begin().await;
    let engine = Engine::start();
    // More than one part of an upload.
    engine.sql(
        "create table t as select n, md5(n::text) || md5((-n)::text) as text \
         from generate_series(1, 200000) as n",
    );
    let mut number = 1;
    let first = making(&world, &engine, request(number, BackupKind::Full)).await;
    let store = first.job.store.clone();
    let first = backup_run(first.job).await.expect("is made");
    let mut complete = vec![first.backup_id];
    for nth in 1.. {
        let mut finished = 0;
        for served in [false, true] {
            number += 1;
            // One that reads no catalogue asks for as much each time.
            let wanted = request(number, BackupKind::Full);
            let id = wanted.backup_id;
            let job = making(&world, &engine, wanted).await.job;
            world.proxy.hold_from(nth, served);
            let mut running = tokio::spawn(backup_run(job));
            tokio::select! {
                () = world.proxy.held() => running.abort(),
                made = &mut running => drop(made.expect("runs").expect("is made")),
            }
            finished += u32::from(!world.proxy.cut());
            let listed = catalogue(&world, &store).await;
            assert!(listed.damaged.is_empty());
            // Its entry is the last that it writes.
            if listed.entry(id).is_some() {
                complete.push(id);
            }
            let ids: Vec<_> = listed.entries.iter().map(|entry| entry.backup_id).collect();
            assert_eq!(ids, complete, "killed at request {nth}");
            assert_whole(&store, &world.layout, &listed.entries).await;
        }
        if finished == 2 {
            assert!(nth > 6, "only {nth} requests");
            break;
        }
    }
    let listed = catalogue(&world, &store).await;
    let removed = orphans_remove(&store, &world.layout, &listed, CLAIM).await;
    assert!(removed.expect("answers") > 0);
    assert_whole(&store, &world.layout, &listed.entries).await;
    let work = folder();
    verify(&world, &first, &work.path().join("first")).await;
    let last = listed.entries.last().expect("one");
    verify(&world, last, &work.path().join("last")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_crashes_at_any_request_of_a_backup_leaves_nothing_of_it() {
    let world = World::begin().await;
    let mut engine = Engine::start();
    for nth in 1.. {
        let wanted = request(nth, BackupKind::Full);
        let folder = world.layout.backup(wanted.backup_id, "");
        let id = wanted.backup_id;
        let job = making(&world, &engine, wanted).await.job;
        let store = job.store.clone();
        let request = usize::try_from(nth).expect("fits");
        world.proxy.hold_from(request, true);
        let mut running = tokio::spawn(backup_run(job));
        let finished = tokio::select! {
            () = world.proxy.held() => false,
            made = &mut running => made.expect("runs").is_ok(),
        };
        if finished {
            assert!(nth > 2, "only {nth} requests");
            return;
        }
        engine.end(Signal::SIGKILL);
        world.proxy.go_on();
        let made = running.await.expect("runs");
        let listed = catalogue(&world, &store).await;
        assert_eq!(listed.entry(id).is_some(), made.is_ok());
        let parts = store.list(&folder, None).await.expect("listed");
        assert_eq!(parts.is_empty(), made.is_err(), "{made:?}: {parts:?}");
        engine.start_again();
    }
}

/// Every object that an entry names is there, and so is what it builds on.
async fn assert_whole(store: &ObjectStore, layout: &Layout, entries: &[BackupEntry]) {
    let objects = store.list(&layout.backups(), None).await.expect("listed");
    for entry in entries {
        for part in entry.parts.iter().chain([&entry.manifest]) {
            let name = layout.backup(entry.backup_id, &part.name);
            assert!(objects.iter().any(|object| object.name == name), "{name}");
        }
        let parent = entry.parent;
        let there = |id| entries.iter().any(|entry| entry.backup_id == id);
        assert!(parent.is_none_or(there), "{:?}", entry.backup_id);
    }
}

/// An entry of one part, as if a backup had been made there.
fn entry(layout: &Layout, number: u32, parent: Option<u32>) -> BackupEntry {
    let id = |number: u32| BackupId::from_uuid(Uuid::from_u128(number.into()));
    let part = |name: &str| BackupPart {
        name: name.to_owned(),
        bytes_read: 1,
        bytes_stored: 1,
        sha256: String::new(),
    };
    let (start_lsn, end_lsn) = (
        Lsn(u64::from(number) << 24),
        Lsn((u64::from(number) << 24) + 9),
    );
    let at = OffsetDateTime::UNIX_EPOCH + Duration::hours(number.into());
    BackupEntry {
        version: 1,
        archive_id: layout.archive_id(),
        backup_id: id(number),
        kind: parent.map_or(BackupKind::Full, |_| BackupKind::Incremental),
        parent: parent.map(id),
        timeline: 1,
        start_lsn,
        end_lsn,
        started_at: at,
        ended_at: at,
        transaction_next: 700,
        system_identifier: 1,
        engine: EngineFacts {
            version: "18.6".to_owned(),
            version_number: 180_006,
            build: String::new(),
            block_bytes: 8192,
            collations: Vec::new(),
        },
        wal_segment_bytes: 16 << 20,
        wal_ranges: vec![WalRange {
            timeline: 1,
            start_lsn,
            end_lsn,
        }],
        bytes_read: 1,
        bytes_stored: 1,
        parts: vec![part("part")],
        manifest: part("manifest"),
    }
}

/// Five backups, the third of which builds on the second and the fourth on the third, and a run of
/// WAL for each.
async fn filled(store: &ObjectStore, layout: &Layout) {
    let byte = || Bytes::from_static(b"x");
    let put = async |name: String, body| store.put(&name, body).await.expect("written");
    for (number, parent) in [(1, None), (2, None), (3, Some(2)), (4, Some(3)), (5, None)] {
        let entry = entry(layout, number, parent);
        for part in entry.parts.iter().chain([&entry.manifest]) {
            put(layout.backup(entry.backup_id, &part.name), byte()).await;
        }
        let name = layout.catalogue_entry(entry.backup_id);
        let plain = serde_json::to_vec(&entry).expect("writes");
        let sealed = sealed::seal(&key(), &name, &plain).expect("seals");
        put(name, sealed.into()).await;
        let run = Lsn(u64::from(number) << 24)..Lsn(u64::from(number + 1) << 24);
        put(layout.segment(1, run.start, run.end), byte()).await;
    }
    put(layout.chunk(1, 1), byte()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_killed_at_any_request_leaves_every_backup_whole() {
    let world = World::begin().await;
    let root = world.root_store().await;
    for nth in 1.. {
        let mut finished = 0;
        for served in [false, true] {
            // An archive of its own, and a way that the kill cuts.
            let id = u128::try_from(nth).expect("fits") * 2 + u128::from(served);
            let layout = Layout::new(ArchiveId::from_uuid(Uuid::from_u128(1000 + id)));
            filled(&root, &layout).await;
            let way = world.other_way().await;
            let store = world.root_store_by(&way).await;
            let before = OffsetDateTime::UNIX_EPOCH + Duration::hours(4) + Duration::minutes(1);
            let read = async || catalogue_read(&root, &layout, &key()).await.expect("read");
            let gone = expired(&read().await, Some(before), &[]);
            assert_eq!(gone.backups.len(), 1);
            way.hold_from(nth, served);
            let mut running = tokio::spawn(async move { expire(&store, &layout, &gone).await });
            tokio::select! {
                () = way.held() => running.abort(),
                ended = &mut running => drop(ended.expect("runs").expect("ends")),
            }
            finished += u32::from(!way.cut());
            let left = read().await;
            assert_whole(&root, &layout, &left.entries).await;
            // What is kept can still be replayed from.
            let runs = root.list(&layout.segments(1), None).await.expect("listed");
            assert!(runs.len() >= 2, "{runs:?}");
            // The next one ends it.
            let again = expired(&left, Some(before), &[]);
            expire(&root, &layout, &again).await.expect("answers");
            orphans_remove(&root, &layout, &left, CLAIM)
                .await
                .expect("answers");
            let left = read().await;
            assert_eq!(left.entries.len(), 4);
            assert_whole(&root, &layout, &left.entries).await;
            let parts = root.list(&layout.backups(), None).await.expect("listed");
            assert_eq!(parts.len(), 8, "{parts:?}");
            let runs = root.list(&layout.segments(1), None).await.expect("listed");
            assert_eq!(runs.len(), 2, "{runs:?}");
        }
        if finished == 2 {
            assert!(nth > 6, "only {nth} requests");
            return;
        }
    }
}
