//! An archive whose time is over goes as a whole, and in an order that harms nobody on the way.

use super::engine::Engine;
use super::store::World;
use super::wal::Writing;
use bytes::Bytes;
use http::Method;
use lumadb_contract::archive::ArchiveAccess;
use lumadb_contract::id::BackupId;
use lumadb_contract::key_chain::Key;
use lumadb_contract::scope::Access;
use lumadb_data_plane::archive::remove::{RemoveError, archive_remove};
use lumadb_data_plane::archive::store::{MULTIPART_PART_BYTES, ObjectStore};
use lumadb_data_plane::archive::wal::Pace;
use lumadb_s3_server::faults::{Fault, Rule};
use uuid::Uuid;

async fn names(store: &ObjectStore, below: &str) -> Vec<String> {
    let listed = store.list(below, None).await.expect("lists");
    listed.into_iter().map(|object| object.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_removed_to_its_last_object_with_its_seals_at_the_end() {
    let world = World::begin().await;
    let engine = Engine::start();
    // The second writer fences the first by a seal in the middle of its chunks.
    for _ in 0..2 {
        let mut writing = Writing::start(&world, &engine, Pace::Now).await;
        engine.sql("create table if not exists t (n int); insert into t values (1)");
        writing.caught_up(&engine).await;
        writing.kill().await;
    }
    let layout = world.layout;
    let store = world.store(Access::ReadWrite).await;
    let backup = BackupId::from_uuid(Uuid::from_u128(1));
    for name in [
        layout.identity(),
        layout.catalogue_entry(backup),
        layout.backup(backup, "1-00000.tar.zst"),
        layout.history(2),
    ] {
        let written = store.put(&name, Bytes::from_static(b"something")).await;
        written.expect("written");
    }
    let begun = layout.backup(backup, "2-00000.tar.zst");
    let mut upload = store.multipart(&begun, MULTIPART_PART_BYTES, 1);
    upload
        .write(&vec![7; MULTIPART_PART_BYTES + 1])
        .await
        .expect("sent");
    let wal = names(&store, &layout.wal()).await;
    assert!(wal.len() > 3, "{wal:?}");

    let access = ArchiveAccess {
        archive_id: layout.archive_id(),
        store: world.spec(Access::ReadWrite),
        key: Key::new([7; 32]).to_base64(),
    };
    let all = names(&store, &layout.root()).await.len();
    // Every request to delete from the WAL is refused: whoever removes gives up and comes back.
    let refuse = Fault::Refuse(403, "AccessDenied");
    world
        .proxy
        .play([Rule::on(Method::DELETE, "/wal/", 10_000, refuse)]);
    let stopped = archive_remove(&access).await.expect_err("refused");
    assert!(matches!(stopped, RemoveError::Wal(_)), "{stopped}");
    world.proxy.calm();
    assert_eq!(names(&store, &layout.wal()).await, wal);
    for gone in [layout.catalogue(), layout.backups()] {
        assert!(names(&store, &gone).await.is_empty(), "{gone}");
    }
    // The seals outlast every chunk: one that cannot be deleted is all that is left.
    let last = wal.last().expect("some").clone();
    let seal = wal.iter().find(|name| name.ends_with("0000000000000001"));
    let seal = seal.expect("the first writer's seal").clone();
    let refuse = Fault::Refuse(403, "AccessDenied");
    world
        .proxy
        .play([Rule::on(Method::DELETE, &seal, 10_000, refuse)]);
    archive_remove(&access).await.expect_err("refused");
    world.proxy.calm();
    let left = names(&store, &layout.wal()).await;
    assert!(left.contains(&seal) && !left.contains(&last), "{left:?}");

    let removed = archive_remove(&access).await.expect("removed");
    assert!(removed > 0 && removed < u64::try_from(all).expect("fits"));
    assert!(names(&store, &layout.root()).await.is_empty());
    assert_eq!(
        store
            .uploads_abort(&layout.root(), |_| true)
            .await
            .expect("asked"),
        0
    );
    assert_eq!(archive_remove(&access).await.expect("again"), 0);
}
