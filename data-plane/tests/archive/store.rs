//! The object store's client against the server that clouds without another store run.

use bytes::Bytes;
use http::Method;
use lumadb_contract::archive::{ObjectStoreCredentials, ObjectStoreSpec};
use lumadb_contract::id::{ArchiveId, BackupId};
use lumadb_contract::scope::{Access, scoped_credentials};
use lumadb_contract::secret::Secret;
use lumadb_data_plane::archive::layout::Layout;
use lumadb_data_plane::archive::store::{MULTIPART_PART_BYTES, ObjectStore, Put};
use lumadb_s3_server::faults::{Fault, Proxy, Rule};
use lumadb_s3_server::{Config, serve};
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use uuid::Uuid;

const SECRET: &str = "of the root";

/// An object store with a proxy in front that can fail.
pub(super) struct World {
    _folder: TempDir,
    serving: AbortHandle,
    /// Of the server itself.
    address: SocketAddr,
    pub(super) proxy: Proxy,
    pub(super) layout: Layout,
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl World {
    pub(super) async fn begin() -> Self {
        let folder = TempDir::new().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut config = Config::new(folder.path(), "root", Secret::new(SECRET));
        config.buckets.push("bucket".to_owned());
        let serving = tokio::spawn(serve(config, listener, std::future::pending()));
        Self {
            _folder: folder,
            serving: serving.abort_handle(),
            address,
            proxy: Proxy::start(address).await.expect("a port"),
            layout: Layout::new(ArchiveId::from_uuid(Uuid::from_u128(7))),
        }
    }

    /// What a node is told of it.
    pub(super) fn spec(&self, access: Access) -> ObjectStoreSpec {
        let scope = self.layout.archive_id().to_string();
        let root = Secret::new(SECRET);
        let (id, secret) = scoped_credentials(&root, &scope, access).expect("a scope");
        spec(self.proxy.address(), id, secret)
    }

    /// As a node gets it.
    pub(super) async fn store(&self, access: Access) -> ObjectStore {
        self.store_by(&self.proxy, access).await
    }

    /// As the node of another database gets it.
    pub(super) async fn store_of(&self, archive_id: ArchiveId, access: Access) -> ObjectStore {
        let root = Secret::new(SECRET);
        let scope = archive_id.to_string();
        let (id, secret) = scoped_credentials(&root, &scope, access).expect("a scope");
        ObjectStore::open(&spec(self.proxy.address(), id, secret)).await
    }

    /// The same, by another way.
    pub(super) async fn store_by(&self, proxy: &Proxy, access: Access) -> ObjectStore {
        let scope = self.layout.archive_id().to_string();
        let root = Secret::new(SECRET);
        let (id, secret) = scoped_credentials(&root, &scope, access).expect("a scope");
        ObjectStore::open(&spec(proxy.address(), id, secret)).await
    }

    /// With all rights, past the proxy.
    pub(super) async fn root_store(&self) -> ObjectStore {
        let secret = Secret::new(SECRET);
        ObjectStore::open(&spec(self.address, "root".to_owned(), secret)).await
    }

    /// The same, by another way.
    pub(super) async fn root_store_by(&self, proxy: &Proxy) -> ObjectStore {
        let secret = Secret::new(SECRET);
        ObjectStore::open(&spec(proxy.address(), "root".to_owned(), secret)).await
    }

    /// Another way to the same server.
    pub(super) async fn other_way(&self) -> Proxy {
        Proxy::start(self.address).await.expect("a port")
    }
}

pub(super) fn spec(
    address: SocketAddr,
    access_key_id: String,
    secret_access_key: Secret,
) -> ObjectStoreSpec {
    ObjectStoreSpec {
        endpoint: Some(format!("http://{address}")),
        region: "local".to_owned(),
        bucket: "bucket".to_owned(),
        prefix: String::new(),
        path_style: true,
        credentials: Some(ObjectStoreCredentials {
            access_key_id,
            secret_access_key,
            session_token: None,
        }),
        storage_class: None,
        server_side_encryption: None,
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

#[tokio::test]
async fn the_store_passes_the_probe_and_keeps_what_it_is_given() {
    let world = World::begin().await;
    let store = world.store(Access::ReadWrite).await;
    let layout = &world.layout;
    store.probe(layout).await.expect("it honours If-None-Match");
    let body = Bytes::from(content(100_000));
    for sequence in 1..=3 {
        let put = store
            .put_new(&layout.chunk(1, sequence), body.clone())
            .await;
        assert_eq!(put.expect("written"), Put::Created);
    }
    store
        .put_new(&layout.chunk(2, 1), body.clone())
        .await
        .expect("written");
    let other = store
        .put_new(&layout.chunk(1, 1), Bytes::from_static(b"other"))
        .await;
    assert_eq!(other.expect("an answer"), Put::AlreadyThere);
    let reader = world.store(Access::ReadOnly).await;
    let folders = reader.list_folders(&layout.wal()).await.expect("listed");
    assert_eq!(folders, [layout.chunks(1), layout.chunks(2)]);
    let after = layout.chunk(1, 1);
    let behind = reader
        .list(&layout.chunks(1), Some(&after))
        .await
        .expect("listed");
    let names: Vec<_> = behind.iter().map(|object| object.name.clone()).collect();
    assert_eq!(names, [layout.chunk(1, 2), layout.chunk(1, 3)]);
    assert!(behind.iter().all(|object| object.bytes == 100_000));
    assert_eq!(reader.get(&after).await.expect("an answer"), Some(body));
    assert_eq!(
        reader.get(&layout.chunk(1, 4)).await.expect("an answer"),
        None
    );
    let refused = reader.put_new(&layout.chunk(1, 4), Bytes::new()).await;
    assert!(!refused.expect_err("it may only read").is_transient());
    store.delete(vec![after.clone()]).await.expect("deleted");
    assert_eq!(reader.get(&after).await.expect("an answer"), None);
}

#[tokio::test]
async fn another_archive_is_refused_and_not_absent() {
    let world = World::begin().await;
    let store = world.store(Access::ReadWrite).await;
    let other = Layout::new(ArchiveId::from_uuid(Uuid::from_u128(8)));
    let got = store.get(&other.identity()).await;
    assert!(!got.expect_err("refused").is_transient());
    let listed = store.list(&other.root(), None).await;
    assert!(!listed.expect_err("refused").is_transient());
}

#[tokio::test]
async fn a_large_object_is_written_once_whatever_happens_to_its_answers() {
    let world = World::begin().await;
    let store = world.store(Access::ReadWrite).await;
    let name = world
        .layout
        .backup(BackupId::from_uuid(Uuid::nil()), "base");
    let body = content(2 * MULTIPART_PART_BYTES + 1000);
    world.proxy.play([
        Rule::on(
            Method::POST,
            "?uploads",
            1,
            Fault::LoseAnswer(500, "InternalError"),
        ),
        Rule::on(Method::PUT, "partNumber=1", 1, Fault::CutRequest(1_000_000)),
        Rule::on(
            Method::PUT,
            "partNumber=2",
            1,
            Fault::LoseAnswer(503, "SlowDown"),
        ),
        Rule::on(Method::POST, "uploadId", 1, Fault::CutAfter),
        Rule::on(Method::GET, "base", 3, Fault::CutAnswer(3_000_000)),
    ]);
    let mut writer = store.multipart(&name, MULTIPART_PART_BYTES, 2);
    writer.write(&body).await.expect("written");
    assert_eq!(writer.finish().await.expect("complete"), Put::Created);
    let got = store.get(&name).await.expect("an answer").expect("there");
    assert!(got == body);
    assert_eq!(world.proxy.calm(), 0);
    // The first beginning, whose answer was lost, left an upload.
    let aborted = store.uploads_abort(&world.layout.root(), |_| true).await;
    assert_eq!(aborted.expect("aborted"), 1);
    let mut again = store.multipart(&name, MULTIPART_PART_BYTES, 2);
    again
        .write(&vec![1; MULTIPART_PART_BYTES + 1])
        .await
        .expect("written");
    let taken = again.finish().await;
    assert_eq!(taken.expect("an answer"), Put::AlreadyThere);
}

#[tokio::test]
async fn a_small_object_is_written_once_whatever_happens_to_its_answers() {
    let world = World::begin().await;
    let store = world.store(Access::ReadWrite).await;
    for (sequence, fault) in (1..).zip([
        Fault::Refuse(503, "SlowDown"),
        Fault::LoseAnswer(500, "InternalError"),
        Fault::CutAfter,
        Fault::CutRequest(10),
        Fault::CutAnswer(0),
    ]) {
        let name = world.layout.chunk(1, sequence);
        world.proxy.play([Rule::on(Method::PUT, &name, 2, fault)]);
        let body = Bytes::from(content(5_000));
        let put = store.put_new(&name, body.clone()).await;
        assert_eq!(put.expect("written"), Put::Created, "{fault:?}");
        world.proxy.calm();
        assert_eq!(store.get(&name).await.expect("an answer"), Some(body));
    }
}
