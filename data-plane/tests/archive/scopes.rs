//! What the credentials of one database's node reach.

use super::backup::{CLAIM, catalogue, making, request};
use super::engine::Engine;
use super::store::World;
use super::wal::{SOME_ROWS, Writing, key, reader};
use bytes::Bytes;
use lumadb_contract::archive::BackupKind;
use lumadb_contract::id::{ArchiveId, BackupId};
use lumadb_contract::scope::Access;
use lumadb_data_plane::archive::backup::{Catalogue, backup_run, catalogue_read, orphans_remove};
use lumadb_data_plane::archive::expire::{Expired, expire};
use lumadb_data_plane::archive::layout::Layout;
use lumadb_data_plane::archive::store::{MULTIPART_PART_BYTES, ObjectStore, StoreError};
use lumadb_data_plane::archive::wal::{Compactor, Pace, WalReader};
use uuid::Uuid;

fn refused<T>(what: &str, answer: Result<T, StoreError>) {
    let answer = answer.map(drop);
    let is_refused = matches!(&answer, Err(StoreError::Refused { status: 403, .. }));
    assert!(is_refused, "{what}: {answer:?}");
}

async fn may_not_write(store: &ObjectStore, layout: &Layout) {
    let body = || Bytes::from_static(b"content");
    let backup = BackupId::from_uuid(Uuid::from_u128(1));
    let part = layout.backup(backup, "part");
    refused(
        "write new",
        store.put_new(&layout.chunk(1, 900), body()).await,
    );
    refused("write", store.put(&layout.identity(), body()).await);
    refused("delete", store.delete(vec![layout.chunk(1, 1)]).await);
    refused(
        "uploads",
        store.uploads_abort(&layout.root(), |_| true).await,
    );
    let mut upload = store.multipart(&part, MULTIPART_PART_BYTES, 1);
    let written = upload.write(&vec![1; MULTIPART_PART_BYTES]).await;
    refused("upload", written);
    refused("probe", store.probe(layout).await);
}

async fn may_not_read(store: &ObjectStore, layout: &Layout) {
    refused("read", store.get(&layout.identity()).await);
    refused(
        "read a chunk",
        store.get_stream(&layout.chunk(1, 1), 0).await,
    );
    refused("list", store.list(&layout.root(), None).await);
    refused("list folders", store.list_folders(&layout.wal()).await);
    refused("catalogue", catalogue_read(store, layout, &key()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_reaches_its_own_archive_and_no_other() {
    let world = World::begin().await;
    let engine = Engine::start();
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    engine.sql(SOME_ROWS);
    let job = making(&world, &engine, request(1, BackupKind::Full)).await;
    backup_run(job.job).await.expect("is made");
    let end = writing.caught_up(&engine).await;

    // Another database's node, with the rights to all that is its own.
    let mine = Layout::new(ArchiveId::from_uuid(Uuid::from_u128(8)));
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let other = world.store_of(mine.archive_id(), access).await;
        may_not_write(&other, &world.layout).await;
        may_not_read(&other, &world.layout).await;
    }
    let other = world.store_of(mine.archive_id(), Access::ReadWrite).await;
    let own = mine.chunk(1, 1);
    let written = other.put_new(&own, Bytes::from_static(b"mine")).await;
    written.expect("its own");
    // Nor does a name that only begins like its own.
    let longer = format!("{}0/wal/1", mine.archive_id());
    refused("a longer name", other.get(&longer).await);
    refused("the bucket", other.list("", None).await);

    // While it restores from the other, it may read that, and nothing else.
    let source = world.store(Access::ReadOnly).await;
    may_not_write(&source, &world.layout).await;
    may_not_read(&source, &mine).await;
    assert_eq!(reader(&world).await.latest(), Some((1, end)));
    assert_eq!(catalogue(&world, &source).await.entries.len(), 1);

    // All was tried, and nothing was changed.
    let reader = WalReader::open(writing.store.clone(), world.layout, key()).await;
    let reader = reader.expect("opens");
    assert_eq!((reader.faults(), reader.latest()), (vec![], Some((1, end))));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expired_are_no_missing_objects() {
    use http::Method;
    use lumadb_s3_server::faults::{Fault, Rule};

    let world = World::begin().await;
    let engine = Engine::start();
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    engine.sql(SOME_ROWS);
    engine.sql("select pg_switch_wal()");
    engine.sql(SOME_ROWS);
    let job = making(&world, &engine, request(1, BackupKind::Full)).await;
    let store = job.job.store.clone();
    let entry = backup_run(job.job).await.expect("is made");
    let end = writing.caught_up(&engine).await;
    let all = |code| {
        [Method::GET, Method::PUT, Method::POST, Method::DELETE]
            .map(|method| Rule::on(method, "", 1_000_000, Fault::Refuse(403, code)))
    };
    for code in ["ExpiredToken", "AccessDenied", "InvalidAccessKeyId"] {
        world.proxy.play(all(code));
        let layout = &world.layout;
        refused("catalogue", catalogue_read(&store, layout, &key()).await);
        let gone = Expired {
            backups: vec![entry.backup_id],
            wal_before: end,
        };
        refused("expiry", expire(&store, layout, &gone).await);
        let nothing = Catalogue::default();
        refused(
            "orphans",
            orphans_remove(&store, layout, &nothing, CLAIM).await,
        );
        let compactor = Compactor::new(store.clone(), *layout, key());
        assert!(
            !compactor
                .compact(1)
                .await
                .expect_err("refused")
                .is_transient()
        );
        let open = WalReader::open(store.clone(), *layout, key()).await;
        assert!(!open.expect_err("refused").is_transient());
        let job = making(&world, &engine, request(2, BackupKind::Incremental)).await;
        assert!(backup_run(job.job).await.is_err());
        engine.sql(SOME_ROWS);
        let told = writing
            .wait(|progress| progress.store_error.is_some())
            .await;
        let told = told.store_error.unwrap_or_default();
        assert!(told.contains(code), "{told}");
        world.proxy.calm();
        writing
            .wait(|progress| progress.store_error.is_none())
            .await;
    }
    // With new ones it goes on, and nothing was taken for gone.
    let end = writing.caught_up(&engine).await;
    assert_eq!(catalogue(&world, &store).await.entries, [entry]);
    let reader = reader(&world).await;
    assert_eq!((reader.faults(), reader.latest()), (vec![], Some((1, end))));
    assert_eq!(reader.covered(1).len(), 1);
}
