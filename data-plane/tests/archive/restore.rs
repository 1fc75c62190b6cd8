//! What PostgreSQL's command for files of WAL exits with. PostgreSQL takes 1 for *not there*, and
//! gives up above 125.

use super::store::World;
use http::Method;
use lumadb_contract::archive::{Lsn, RestoreTarget};
use lumadb_contract::key_chain::Key;
use lumadb_contract::scope::Access;
use lumadb_data_plane::archive::restore::{
    ArchivedWal, Plan, WalFiles, wal_file_fetch, wal_files_serve,
};
use lumadb_data_plane::archive::sealed::ArchiveKey;
use lumadb_data_plane::archive::wal::WalReader;
use lumadb_s3_server::faults::{Fault, Rule};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::UnixListener;

#[tokio::test]
async fn what_is_not_there_is_told_from_what_cannot_be_read() {
    let world = World::begin().await;
    let secret = Key::new([7; 32]).to_base64();
    let key = Arc::new(ArchiveKey::parse(&secret).expect("a key"));
    let store = world.store(Access::ReadOnly).await;
    let reader = WalReader::open(store, world.layout, key).await;
    let plan = Plan {
        chain: Vec::new(),
        target: RestoreTarget::Latest,
        timeline: 1,
        start_lsn: Lsn(0x0200_0000),
        wal_until: Lsn(0x0280_0000),
        reaches_end: true,
        wal_segment_bytes: 16 << 20,
        bytes: 0,
    };
    let files = WalFiles::new(reader.expect("opens"), &ArchivedWal::default(), &plan);
    let folder = TempDir::new().expect("a folder");
    let socket = folder.path().join("wal.sock");
    let listener = UnixListener::bind(&socket).expect("listens");
    let serving = tokio::spawn(wal_files_serve(Arc::new(files), listener));
    let path = folder.path().join("file");
    assert_eq!(wal_file_fetch(&socket, "00000002.history", &path).await, 1);
    let behind = "000000010000000000000003";
    assert_eq!(wal_file_fetch(&socket, behind, &path).await, 1);
    // The plan counts on this one: to end here would lose what was acknowledged.
    let promised = "000000010000000000000002";
    assert!(wal_file_fetch(&socket, promised, &path).await > 125);
    world.proxy.play([Rule::on(
        Method::GET,
        "history",
        usize::MAX,
        Fault::Refuse(403, "AccessDenied"),
    )]);
    assert!(wal_file_fetch(&socket, "00000002.history", &path).await > 125);
    serving.abort();
    let _ = serving.await;
    std::fs::remove_file(&socket).expect("removed");
    assert!(wal_file_fetch(&socket, "00000002.history", &path).await > 125);
    assert!(!path.exists());
}
