//! Base backups of a real engine in a real object store.

use super::engine::{Engine, command, folder, succeeds, unpack};
use super::store::World;
use bytes::Bytes;
use http::Method;
use lumadb_contract::archive::{BackupKind, BackupRequest, BackupState, BackupStatus, Lsn};
use lumadb_contract::id::BackupId;
use lumadb_contract::key_chain::Key;
use lumadb_contract::scope::Access;
use lumadb_data_plane::archive::backup::{
    BackupEntry, BackupJob, Catalogue, Claim, backup_run, catalogue_read, orphans_remove,
};
use lumadb_data_plane::archive::layout::Layout;
use lumadb_data_plane::archive::sealed::{self, ArchiveKey};
use lumadb_data_plane::archive::store::ObjectStore;
use lumadb_s3_server::faults::{Fault, Rule};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::sync::watch;
use uuid::Uuid;

/// Random text that does not compress away: more than one part of an upload.
const ROWS: &str = "create table t as select n, md5(n::text) || md5((-n)::text) as text \
    from generate_series(1, 500000) as n";

/// Of the writer beside which backups are made here.
pub(super) const CLAIM: Claim = Claim {
    timeline: 1,
    epoch: 1,
};

pub(super) struct Making {
    pub(super) job: BackupJob,
    pub(super) archived: watch::Sender<Lsn>,
    pub(super) status: watch::Receiver<BackupStatus>,
}

pub(super) fn key() -> Arc<ArchiveKey> {
    let secret = Key::new([7; 32]).to_base64();
    Arc::new(ArchiveKey::parse(&secret).expect("a key"))
}

pub(super) fn request(number: u128, kind: BackupKind) -> BackupRequest {
    BackupRequest {
        backup_id: BackupId::from_uuid(Uuid::from_u128(number)),
        kind,
    }
}

pub(super) async fn making(world: &World, engine: &Engine, request: BackupRequest) -> Making {
    let store = world.store(Access::ReadWrite).await;
    making_in(store, world.layout, engine, request)
}

pub(super) fn making_in(
    store: ObjectStore,
    layout: Layout,
    engine: &Engine,
    request: BackupRequest,
) -> Making {
    let (archived, archived_end) = watch::channel(Lsn(u64::MAX));
    let began = OffsetDateTime::UNIX_EPOCH;
    let (status_end, status) = watch::channel(BackupJob::status_begin(&request, began));
    Making {
        job: BackupJob {
            store,
            layout,
            key: key(),
            engine_socket: engine.socket(),
            claim: CLAIM,
            request,
            rate_kib: None,
            archived: archived_end,
            status: status_end,
        },
        archived,
        status,
    }
}

pub(super) async fn catalogue(world: &World, store: &ObjectStore) -> Catalogue {
    let read = catalogue_read(store, &world.layout, &key()).await;
    read.expect("answers")
}

/// The content of a part, after everything that was done to it.
async fn part(store: &ObjectStore, layout: &Layout, entry: &BackupEntry, name: &str) -> Vec<u8> {
    let object = layout.backup(entry.backup_id, name);
    let stored = store.get(&object).await.expect("answers").expect("there");
    let plain = sealed::open(&key(), &object, &stored).expect("opens");
    zstd::decode_all(&plain[..]).expect("decompresses")
}

/// Fetches a backup and lets PostgreSQL verify it.
pub(super) async fn verify(world: &World, entry: &BackupEntry, into: &Path) {
    let store = world.store(Access::ReadOnly).await;
    verify_in(&store, &world.layout, entry, into).await;
}

pub(super) async fn verify_in(
    store: &ObjectStore,
    layout: &Layout,
    entry: &BackupEntry,
    into: &Path,
) {
    std::fs::create_dir(into).expect("made");
    for each in &entry.parts {
        let tar = into.with_extension("tar");
        std::fs::write(&tar, part(store, layout, entry, &each.name).await).expect("written");
        unpack(&tar, into);
    }
    let manifest = part(store, layout, entry, &entry.manifest.name).await;
    std::fs::write(into.join("backup_manifest"), manifest).expect("written");
    succeeds(Command::new("chown").args(["-R", "nobody"]).arg(into));
    succeeds(command("pg_verifybackup").arg("-n").arg(into));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_and_an_incremental_backup_come_back_whole() {
    let world = World::begin().await;
    let engine = Engine::start();
    engine.sql(ROWS);
    // Or reading would change every page later.
    engine.sql("vacuum freeze t");
    // Half of what the store answers on the way is trouble.
    world.proxy.play([
        Rule::on(
            Method::PUT,
            "partNumber=1",
            1,
            Fault::Refuse(503, "SlowDown"),
        ),
        Rule::on(Method::PUT, "partNumber=2", 1, Fault::CutRequest(1_000_000)),
        Rule::on(Method::POST, "uploadId", 1, Fault::CutAfter),
        Rule::on(
            Method::PUT,
            "manifest",
            1,
            Fault::LoseAnswer(500, "InternalError"),
        ),
        Rule::on(Method::PUT, "catalogue", 1, Fault::CutAfter),
    ]);
    let full = making(&world, &engine, request(1, BackupKind::Incremental)).await;
    let store = full.job.store.clone();
    let entry = backup_run(full.job).await.expect("is made");
    // There was nothing to build on.
    assert_eq!((entry.kind, entry.parent), (BackupKind::Full, None));
    assert!(entry.parts.len() > 1, "{} parts", entry.parts.len());
    assert!(entry.start_lsn < entry.end_lsn);
    assert!(entry.bytes_stored < entry.bytes_read);
    assert_eq!(full.status.borrow().state, BackupState::Complete);
    assert_eq!(world.proxy.calm(), 0);

    engine.sql("update t set text = upper(text) where n < 5000");
    let changed = making(&world, &engine, request(2, BackupKind::Incremental)).await;
    let changed = backup_run(changed.job).await.expect("is made");
    assert_eq!(changed.kind, BackupKind::Incremental);
    assert_eq!(changed.parent, Some(entry.backup_id));
    assert!(changed.start_lsn > entry.end_lsn);
    assert!(changed.transaction_next > entry.transaction_next);
    assert!(changed.bytes_read < entry.bytes_read / 2);

    let listed = catalogue(&world, &store).await;
    assert_eq!(listed.entries, [entry.clone(), changed.clone()]);
    assert_eq!(
        listed.chain(changed.backup_id).map(|chain| chain.len()),
        Some(2)
    );
    let facts = &entry.engine;
    assert_eq!(facts.version_number / 10_000, 18, "{facts:?}");
    assert!(
        facts.collations.iter().any(|fact| fact.provider == "b"),
        "{facts:?}"
    );

    let work = folder();
    let (first, second) = (work.path().join("full"), work.path().join("changed"));
    verify(&world, &entry, &first).await;
    verify(&world, &changed, &second).await;
    let whole = work.path().join("whole");
    let mut combine = command("pg_combinebackup");
    succeeds(combine.arg(&first).arg(&second).arg("-o").arg(&whole));
    succeeds(command("pg_verifybackup").arg("-n").arg(&whole));
    assert_eq!(
        orphans_remove(&store, &world.layout, &listed, CLAIM)
            .await
            .ok(),
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_complete_when_its_wal_is_in_the_archive() {
    let world = World::begin().await;
    let engine = Engine::start();
    let mut making = making(&world, &engine, request(1, BackupKind::Full)).await;
    making.archived.send_replace(Lsn(0));
    let store = making.job.store.clone();
    let running = tokio::spawn(backup_run(making.job));
    let expected = making
        .status
        .wait_for(|status| status.bytes_expected > 0 && status.bytes_read >= status.bytes_expected);
    expected.await.expect("is told");
    assert!(catalogue(&world, &store).await.entries.is_empty());
    making.archived.send_replace(Lsn(u64::MAX));
    let entry = running.await.expect("runs").expect("is made");
    assert_eq!(catalogue(&world, &store).await.entries, [entry]);
    assert!(making.status.borrow().ended_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_backup_left_is_removed_and_nothing_else() {
    let world = World::begin().await;
    let engine = Engine::start();
    engine.sql(ROWS);
    let mut killed = making(&world, &engine, request(1, BackupKind::Full)).await;
    killed.job.rate_kib = Some(16 * 1024);
    let store = killed.job.store.clone();
    let running = tokio::spawn(backup_run(killed.job));
    // One part of an upload is on its way or there.
    let stored = killed
        .status
        .wait_for(|status| status.bytes_stored > 9 << 20);
    stored.await.expect("is told");
    running.abort();
    assert!(running.await.is_err());
    let again = making(&world, &engine, request(1, BackupKind::Full)).await;
    let entry = backup_run(again.job).await.expect("is made");
    let listed = catalogue(&world, &store).await;
    let removed = orphans_remove(&store, &world.layout, &listed, CLAIM).await;
    assert!(removed.expect("answers") > 0);
    assert_eq!(
        orphans_remove(&store, &world.layout, &listed, CLAIM)
            .await
            .ok(),
        Some(0)
    );
    let work = folder();
    verify(&world, &entry, &work.path().join("full")).await;

    // An entry that cannot be read keeps what it may name.
    let object = world.layout.catalogue_entry(entry.backup_id);
    let sealed = store.get(&object).await.expect("answers").expect("there");
    let mut damaged = sealed.to_vec();
    damaged[200] ^= 1;
    store
        .put(&object, Bytes::from(damaged))
        .await
        .expect("written");
    let listed = catalogue(&world, &store).await;
    assert!(listed.entries.is_empty());
    assert_eq!(listed.damaged.len(), 1);
    assert_eq!(listed.damaged[0].object, object);
    assert_eq!(
        orphans_remove(&store, &world.layout, &listed, CLAIM)
            .await
            .ok(),
        Some(0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_fails_takes_its_parts_with_it() {
    let world = World::begin().await;
    let engine = Engine::start();
    let making = making(&world, &engine, request(1, BackupKind::Full)).await;
    let store = making.job.store.clone();
    world.proxy.play([Rule::on(
        Method::PUT,
        "manifest",
        99,
        Fault::Refuse(403, "AccessDenied"),
    )]);
    assert!(backup_run(making.job).await.is_err());
    world.proxy.calm();
    assert!(
        store
            .list(&world.layout.root(), None)
            .await
            .expect("answers")
            .is_empty()
    );
}
