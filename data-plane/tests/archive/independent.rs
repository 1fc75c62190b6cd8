//! The main path against an S3 server that is not ours: moto, from the tests' Python environment.

use super::backup::{CLAIM, making_in, request, verify_in};
use super::engine::{Engine, command, folder, succeeds};
use super::store::{World, spec};
use super::wal::{Oracle, SOME_ROWS, Writing, key};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use http::Method;
use lumadb_contract::archive::{ArchiveAccess, BackupKind, ObjectStoreSpec, RestoreTarget};
use lumadb_contract::key_chain::Key;
use lumadb_contract::secret::Secret;
use lumadb_data_plane::archive::backup::{
    BackupEntry, Catalogue, backup_run, catalogue_read, orphans_remove,
};
use lumadb_data_plane::archive::expire::{expire, expired};
use lumadb_data_plane::archive::layout::Layout;
use lumadb_data_plane::archive::remove::archive_remove;
use lumadb_data_plane::archive::restore::{
    RecoveryTarget, WalFiles, Wish, archived_wal, recovery_settings, restore_plan,
};
use lumadb_data_plane::archive::store::{ObjectStore, StoreError};
use lumadb_data_plane::archive::wal::{Compactor, Pace, WalReader};
use lumadb_s3_server::faults::{Fault, Proxy, Rule};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use time::OffsetDateTime;

/// Where it says on which port it listens.
const SAYS: &str = "Running on http://";

struct Moto {
    process: Child,
    address: SocketAddr,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Moto {
    /// `None`: it is not installed, which is said.
    fn start() -> Option<Self> {
        let told = std::env::var_os("LUMADB_TEST_VENV").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        let venv = told.unwrap_or_else(|| home().join(".cache/lumadb/venv"));
        let program = venv.join("bin/moto_server");
        if !program.exists() {
            eprintln!("skipped: there is no {}", program.display());
            return None;
        }
        let mut process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let said = process.stderr.take().expect("piped");
        let (found, address) = std::sync::mpsc::channel();
        // Read to the end: a server that cannot print stops.
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once(SAYS) {
                    let _ = found.send(address.trim().parse().expect("an address"));
                }
            }
        });
        let address = address.recv().expect("it listens");
        Some(Self { process, address })
    }

    /// Credentials are not looked at by it.
    fn spec(address: SocketAddr) -> ObjectStoreSpec {
        ObjectStoreSpec {
            region: "us-east-1".to_owned(),
            ..spec(address, "any".to_owned(), Secret::new("any"))
        }
    }

    async fn bucket_make(&self) {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(format!("http://{}", self.address))
            .force_path_style(true)
            .credentials_provider(Credentials::new("any", "any", None, None, "test"));
        let client = aws_sdk_s3::Client::from_conf(config.build());
        let made = client.create_bucket().bucket("bucket").send().await;
        made.expect("a bucket");
    }
}

/// An archive on a server, as whoever restores from it and keeps house in it sees it.
struct Site {
    store: ObjectStore,
    layout: Layout,
}

impl Site {
    async fn backup(&self, engine: &Engine, number: u128, kind: BackupKind) -> BackupEntry {
        let making = making_in(
            self.store.clone(),
            self.layout,
            engine,
            request(number, kind),
        );
        backup_run(making.job).await.expect("is made")
    }

    async fn catalogue(&self) -> Catalogue {
        let read = catalogue_read(&self.store, &self.layout, &key()).await;
        read.expect("answers")
    }

    async fn reader(&self) -> WalReader {
        let reader = WalReader::open(self.store.clone(), self.layout, key()).await;
        let reader = reader.expect("opens");
        assert_eq!(reader.faults(), []);
        assert_eq!(reader.covered(1).len(), 1, "{:?}", reader.covered(1));
        reader
    }

    /// Brings an engine up from what the archive holds.
    async fn restored(&self, target: RestoreTarget) -> Engine {
        let catalogue = self.catalogue().await;
        let reader = self.reader().await;
        let wal = archived_wal(&reader).await.expect("answers");
        let wish = Wish {
            target,
            timeline: None,
            damaged: Vec::new(),
        };
        let plan = restore_plan(&catalogue, &wal, &wish).expect("can be done");
        let place = folder();
        let mut combine = command("pg_combinebackup");
        for backup_id in &plan.chain {
            let mut entries = catalogue.entries.iter();
            let entry = entries.find(|entry| entry.backup_id == *backup_id);
            let into = place.path().join(backup_id.to_string());
            verify_in(&self.store, &self.layout, entry.expect("listed"), &into).await;
            combine.arg(into);
        }
        let data = place.path().join("data");
        succeeds(combine.arg("-o").arg(&data));
        let bytes = plan.wal_segment_bytes;
        let segments = plan.start_lsn.0 / bytes..=(plan.wal_until.0 - 1) / bytes;
        let files = WalFiles::new(reader, &wal, &plan);
        for number in segments {
            let in_each = (1 << 32) / bytes;
            let name = format!("00000001{:08X}{:08X}", number / in_each, number % in_each);
            let file = files.file(&name).await.expect("answers").expect("there");
            std::fs::write(place.path().join(name), file).expect("written");
        }
        let from = place.path().display();
        let settings = recovery_settings(&plan, RecoveryTarget::AsPlanned);
        let settings = format!("{settings}restore_command = 'cp {from}/%f %p'\n");
        std::fs::write(data.join("postgresql.auto.conf"), settings).expect("written");
        std::fs::write(data.join("recovery.signal"), "").expect("written");
        Engine::start_in(place)
    }
}

/// The engine's clock.
fn moment(engine: &Engine) -> OffsetDateTime {
    let text = engine.sql("select (extract(epoch from clock_timestamp()) * 1000000)::bigint");
    let micros: i128 = text.parse().expect("a number");
    OffsetDateTime::from_unix_timestamp_nanos(micros * 1000).expect("a moment")
}

const MARKS: &str = "select string_agg(n::text, ' ' order by n) from marks";

#[tokio::test(flavor = "multi_thread")]
async fn another_server_takes_the_whole_path() {
    let Some(moto) = Moto::start() else {
        return;
    };
    moto.bucket_make().await;
    // For its layout's sake; nothing goes there.
    let world = World::begin().await;
    let layout = world.layout;
    let store = ObjectStore::open(&Moto::spec(moto.address)).await;
    store.probe(&layout).await.expect("honours If-None-Match");
    let site = Site {
        store: store.clone(),
        layout,
    };
    let engine = Engine::start();
    let mut writing =
        Writing::start_with(store.clone(), &world, &engine, Pace::Now, "lumadb_archive");
    writing.wait(|progress| progress.timeline == 1).await;
    let oracle = Oracle::begin(&engine);
    // More than one part of an upload.
    engine.sql(
        "create table marks as select 1 as n; \
         create table r as select md5(n::text) as text from generate_series(1, 400000) as n",
    );
    let full = site.backup(&engine, 1, BackupKind::Full).await;
    for _ in 0..2 {
        engine.sql(SOME_ROWS);
        engine.sql("select pg_switch_wal()");
    }
    engine.sql("insert into marks values (2)");
    let next = site.backup(&engine, 2, BackupKind::Incremental).await;
    assert_eq!(next.parent, Some(full.backup_id));
    engine.sql("insert into marks values (3)");
    let between = moment(&engine);
    engine.sql("insert into marks values (4)");
    let end = writing.caught_up(&engine).await;
    let before = site.reader().await;
    let compactor = Compactor::new(store.clone(), layout, key());
    assert!(compactor.compact(1).await.expect("made") >= 4);
    let after = site.reader().await;
    assert_eq!(after.latest().map(|(timeline, _)| timeline), Some(1));
    for reader in [before, after] {
        assert!(oracle.agrees(&engine, &reader, end).await >= 5);
    }
    for (target, marks) in [
        (RestoreTarget::Latest, "1 2 3 4"),
        (RestoreTarget::Time(between), "1 2 3"),
        (RestoreTarget::Lsn(full.end_lsn), "1"),
    ] {
        let restored = site.restored(target).await;
        assert_eq!(restored.sql(MARKS), marks);
        assert_eq!(restored.sql("select count(*) from r"), "400000");
    }

    // A third, and with it the others expire.
    let third = site.backup(&engine, 3, BackupKind::Full).await;
    let later = OffsetDateTime::from_unix_timestamp(4_000_000_000).expect("a moment");
    writing.caught_up(&engine).await;
    let gone = expired(&site.catalogue().await, Some(later), &[]);
    assert_eq!(gone.backups, [next.backup_id, full.backup_id]);
    assert!(expire(&store, &layout, &gone).await.expect("answers") > 8);
    let left = site.catalogue().await;
    assert_eq!(left.entries, std::slice::from_ref(&third));
    let removed = orphans_remove(&store, &layout, &left, CLAIM).await;
    assert_eq!(removed.ok(), Some(0));
    let restored = site.restored(RestoreTarget::Latest).await;
    assert_eq!(restored.sql(MARKS), "1 2 3 4");

    writing.kill().await;
    let access = ArchiveAccess {
        archive_id: layout.archive_id(),
        store: Moto::spec(moto.address),
        key: Key::new([7; 32]).to_base64(),
    };
    assert!(archive_remove(&access).await.expect("removed") > 4);
    let all = store.list(&layout.root(), None).await;
    assert_eq!(all.expect("lists"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_behind_faults_keeps_every_byte() {
    let Some(moto) = Moto::start() else {
        return;
    };
    moto.bucket_make().await;
    let world = World::begin().await;
    let proxy = Proxy::start(moto.address).await.expect("a port");
    let store = ObjectStore::open(&Moto::spec(proxy.address())).await;
    store
        .probe(&world.layout)
        .await
        .expect("honours If-None-Match");
    let engine = Engine::start();
    let mut writing =
        Writing::start_with(store.clone(), &world, &engine, Pace::Now, "lumadb_archive");
    writing.wait(|progress| progress.timeline == 1).await;
    let oracle = Oracle::begin(&engine);
    for fault in [
        Fault::Refuse(503, "SlowDown"),
        Fault::LoseAnswer(500, "InternalError"),
        Fault::CutAfter,
        Fault::Duplicate,
    ] {
        proxy.play([Rule::on(Method::PUT, "/wal/", 3, fault)]);
        for _ in 0..3 {
            engine.sql(SOME_ROWS);
        }
        writing.caught_up(&engine).await;
        assert_eq!(proxy.calm(), 0, "{fault:?}");
    }
    let end = writing.caught_up(&engine).await;
    let reader = WalReader::open(store, world.layout, key()).await;
    let reader = reader.expect("opens");
    assert_eq!((reader.faults(), reader.latest()), (vec![], Some((1, end))));
    assert!(oracle.agrees(&engine, &reader, end).await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_conditions_is_refused() {
    let world = World::begin().await;
    let store = world.root_store_by(&world.proxy).await;
    world
        .proxy
        .play([Rule::on(Method::PUT, "/probe/", usize::MAX, Fault::Pretend)]);
    let refused = store.probe(&world.layout).await.expect_err("refused");
    assert!(matches!(refused, StoreError::NotExclusive), "{refused}");
}
