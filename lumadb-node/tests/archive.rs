//! The archive of an instance: what leaves, what is told, and what a kill, a clone and an outage do.

use crate::world::{World, engine_dir, spec};
use lumadb_contract::archive::{
    ArchiveAccess, ArchiveSpec, ArchiveStatus, Durability, Lsn, ObjectStoreCredentials,
    ObjectStoreSpec,
};
use lumadb_contract::id::ArchiveId;
use lumadb_contract::instance::{InstancePhase, InstanceSpec, RunState};
use lumadb_contract::key_chain::Key;
use lumadb_contract::scope::{Access, scoped_credentials};
use lumadb_contract::secret::Secret;
use lumadb_data_plane::archive::identity::identity_read;
use lumadb_data_plane::archive::layout::Layout;
use lumadb_data_plane::archive::sealed::ArchiveKey;
use lumadb_data_plane::archive::store::ObjectStore;
use lumadb_data_plane::archive::wal::WalReader;
use lumadb_s3_server::faults::{Fault, Proxy, Rule};
use lumadb_s3_server::{Config, serve};
use nix::sys::signal::{Signal, kill};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

const ROOT_SECRET: &str = "of the root";
const SEGMENT: u64 = 16 << 20;

/// An object store behind a proxy that can fail.
pub(crate) struct Store {
    _folder: TempDir,
    serving: AbortHandle,
    pub(crate) proxy: Proxy,
    access: ArchiveAccess,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Store {
    pub(crate) async fn begin() -> Self {
        let folder = TempDir::new().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let root = Secret::new(ROOT_SECRET);
        let mut config = Config::new(folder.path(), "root", root.clone());
        config.buckets.push("bucket".to_owned());
        let serving = tokio::spawn(serve(config, listener, std::future::pending()));
        let proxy = Proxy::start(address).await.expect("a port");
        let archive_id: ArchiveId = "arc_01jd8k2m9n0000000000000001".parse().expect("an id");
        let scope = archive_id.to_string();
        let (access_key_id, secret_access_key) =
            scoped_credentials(&root, &scope, Access::ReadWrite).expect("a scope");
        let store = ObjectStoreSpec {
            endpoint: Some(format!("http://{}", proxy.address())),
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
        };
        Self {
            _folder: folder,
            serving: serving.abort_handle(),
            proxy,
            access: ArchiveAccess {
                archive_id,
                store,
                key: Key::new([7; 32]).to_base64(),
            },
        }
    }

    /// A small instance that is archived here.
    pub(crate) fn spec(&self, generation: u64) -> InstanceSpec {
        InstanceSpec {
            archive: Some(ArchiveSpec {
                access: self.access.clone(),
                wrapped_key: serde_json::json!({"version": 1}),
                durability: Durability::Lag { lag_ms: 1000 },
                backups: Vec::new(),
                expire_before: None,
                pinned: Vec::new(),
                restore_points: Vec::new(),
            }),
            ..spec(generation)
        }
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.access.archive_id)
    }

    pub(crate) async fn client(&self) -> ObjectStore {
        ObjectStore::open(&self.access.store).await
    }

    pub(crate) async fn reader(&self) -> WalReader {
        let key = Arc::new(ArchiveKey::parse(&self.access.key).expect("a key"));
        let reader = WalReader::open(self.client().await, self.layout(), key).await;
        reader.expect("opens")
    }

    /// That the archive holds everything up to `end`, without a hole.
    pub(crate) async fn is_whole(&self, end: Lsn) {
        let reader = self.reader().await;
        assert_eq!(reader.faults(), []);
        let covered = reader.covered(1);
        assert_eq!(covered.len(), 1, "{covered:?}");
        assert!(covered[0].end >= end, "{covered:?} and not to {end}");
    }

    /// That the archive holds what the engine's folder does, up to `end`, without a hole.
    async fn holds(&self, world: &World, end: Lsn) {
        let reader = self.reader().await;
        assert_eq!(reader.faults(), []);
        let covered = reader.covered(1);
        assert_eq!(covered.len(), 1, "{covered:?}");
        assert!(covered[0].end >= end, "{covered:?} and not to {end}");
        let folder = world.instance().join("data/pg_wal");
        let mut compared = 0;
        for number in covered[0].start.0 / SEGMENT..=(end.0 - 1) / SEGMENT {
            let Ok(file) = std::fs::read(folder.join(format!("00000001{number:016X}"))) else {
                continue;
            };
            let segment = reader.segment(1, number, SEGMENT).await;
            let segment = segment.expect("answers").expect("there");
            let until = usize::try_from((end.0 - number * SEGMENT).min(SEGMENT)).expect("fits");
            assert!(segment[..until] == file[..until], "segment {number}");
            compared += 1;
        }
        assert!(compared > 0);
    }
}

pub(crate) async fn archive_told(
    world: &World,
    what: &str,
    mut told: impl FnMut(&ArchiveStatus) -> bool,
) -> ArchiveStatus {
    let heard = world.hears(what, |heard| {
        let status = heard.status.as_ref();
        let archive = status.and_then(|status| status.archive.as_ref());
        archive.is_some_and(&mut told)
    });
    let status = heard.await.status.expect("told");
    status.archive.expect("told")
}

async fn flushed(world: &World) -> Lsn {
    let admin = world.direct("lumadb_admin", "postgres").await;
    let row = admin.query_one("select pg_current_wal_flush_lsn()::text", &[]);
    let text: String = row.await.expect("answers").get(0);
    text.parse().expect("a position")
}

pub(crate) async fn caught_up(world: &World) -> Lsn {
    let end = flushed(world).await;
    archive_told(world, "all WAL archived", |it| it.archived_lsn >= end).await;
    end
}

async fn rows_add(world: &World) {
    let client = world.client_soon().await;
    client
        .batch_execute(
            "create table if not exists t (n int); insert into t select generate_series(1, 9000)",
        )
        .await
        .expect("writes");
}

async fn rests(world: &mut World, spec: &InstanceSpec) -> ArchiveStatus {
    world.parent().say(&InstanceSpec {
        run: RunState::Asleep,
        generation: spec.generation + 1,
        ..spec.clone()
    });
    let heard = world.hears("the engine at rest", |heard| {
        let status = heard.status.as_ref();
        status.is_some_and(|status| status.phase == InstancePhase::Stopped)
    });
    let status = heard.await.status.expect("told");
    world.ended().await;
    status.archive.expect("told")
}

#[tokio::test]
async fn wal_leaves_for_the_archive_and_the_last_of_it_before_the_engine_rests() {
    let store = Store::begin().await;
    let spec = store.spec(1);
    let mut world = World::running(&spec).await;
    rows_add(&world).await;
    let end = caught_up(&world).await;
    let told = archive_told(&world, "a moment", |it| it.archived_until.is_some()).await;
    assert_eq!(told.archive_id, Some(store.access.archive_id));
    assert_eq!(told.error, None);
    assert!(told.puts > 0 && told.put_bytes > 0 && told.put_failures == 0);
    store.holds(&world, end).await;
    let identity = identity_read(&store.client().await, &store.layout()).await;
    let identity = identity.expect("answers").expect("there");
    assert_eq!(identity.database_id, spec.database_id);
    assert_eq!(identity.wrapped_key, serde_json::json!({"version": 1}));

    rows_add(&world).await;
    rests(&mut world, &spec).await;
    let (_, archived) = store.reader().await.latest().expect("some");
    // The record of an orderly shutdown is the last.
    assert!(archived > end);
    store.holds(&world, archived).await;
    let mut control = std::process::Command::new(engine_dir().join("bin/pg_controldata"));
    let control = control.arg(world.instance().join("data")).output();
    let control = String::from_utf8(control.expect("runs").stdout).expect("text");
    let last = control.lines().find_map(|line| {
        let value = line.strip_prefix("Latest checkpoint location:")?;
        value.trim().parse::<Lsn>().ok()
    });
    assert!(last.expect("there") < archived, "{control}");
}

#[tokio::test]
async fn a_killed_node_and_a_killed_engine_leave_nothing_out() {
    let store = Store::begin().await;
    let spec = store.spec(1);
    let mut world = World::running(&spec).await;
    for round in 0..4 {
        rows_add(&world).await;
        if round % 2 == 0 {
            world.node_kill();
            world.node_start();
        } else {
            let engine = world.engine_pid().expect("runs");
            kill(engine, Signal::SIGKILL).expect("kills");
            let again = || world.engine_pid().is_some_and(|pid| pid != engine);
            while !again() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
    rows_add(&world).await;
    let client = world.client_soon().await;
    let row = client.query_one("select count(*) from t", &[]).await;
    assert_eq!(row.expect("answers").get::<_, i64>(0), 5 * 9000);
    let end = caught_up(&world).await;
    store.holds(&world, end).await;
}

#[tokio::test]
async fn a_cloned_folder_is_refused_and_the_first_goes_on() {
    let store = Store::begin().await;
    let spec = store.spec(1);
    let mut world = World::running(&spec).await;
    caught_up(&world).await;
    rests(&mut world, &spec).await;
    let mut clone = world.cloned();
    let awake = store.spec(3);
    world.parent().say(&awake);
    world.helper_start();
    world.node_start();
    world.in_force(&awake).await;
    rows_add(&world).await;
    caught_up(&world).await;

    clone.parent().say(&awake);
    clone.helper_start();
    clone.node_start();
    clone.in_force(&awake).await;
    let told = archive_told(&clone, "a refusal", |it| it.error.is_some()).await;
    let error = told.error.expect("told");
    assert!(error.contains("cloned"), "{error}");
    rows_add(&clone).await;

    rows_add(&world).await;
    let end = caught_up(&world).await;
    store.holds(&world, end).await;
}

#[tokio::test]
async fn a_store_that_is_away_is_told_and_holds_up_neither_commits_nor_rest() {
    let store = Store::begin().await;
    let spec = store.spec(1);
    let mut world = World::running(&spec).await;
    caught_up(&world).await;
    store.proxy.play([Rule {
        method: None,
        contains: "/wal/".to_owned(),
        passing: 0,
        times: usize::MAX,
        fault: Fault::Refuse(503, "SlowDown"),
    }]);
    rows_add(&world).await;
    let told = archive_told(&world, "the outage", |it| it.error.is_some()).await;
    assert!(told.archived_lsn < flushed(&world).await);
    rows_add(&world).await;
    rests(&mut world, &spec).await;
    store.proxy.calm();
    let awake = store.spec(3);
    world.parent().say(&awake);
    world.helper_start();
    world.node_start();
    world.in_force(&awake).await;
    let end = caught_up(&world).await;
    let told = archive_told(&world, "no outage", |it| it.error.is_none()).await;
    assert_eq!(told.archive_id, Some(store.access.archive_id));
    store.holds(&world, end).await;
}

#[tokio::test]
async fn a_store_that_ignores_conditions_is_refused_at_start_and_commits_go_on() {
    let store = Store::begin().await;
    // It says that it wrote, twice.
    let rule = Rule::on(http::Method::PUT, "/probe/", usize::MAX, Fault::Pretend);
    store.proxy.play([rule]);
    let world = World::running(&store.spec(1)).await;
    let told = archive_told(&world, "a refusal", |it| it.error.is_some()).await;
    let error = told.error.expect("told");
    assert!(error.contains("accepts a key twice"), "{error}");
    rows_add(&world).await;
    store.proxy.calm();
    let (client, below) = (store.client().await, store.layout().root());
    assert_eq!(client.list(&below, None).await.expect("listed"), []);
}
