//! WAL against an S3 server that is not ours: moto, from the tests' Python environment.

use super::engine::Engine;
use super::store::{World, spec};
use super::wal::{Oracle, SOME_ROWS, Writing, key};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use http::Method;
use lumadb_contract::archive::ObjectStoreSpec;
use lumadb_contract::secret::Secret;
use lumadb_data_plane::archive::store::{ObjectStore, StoreError};
use lumadb_data_plane::archive::wal::{Pace, WalReader};
use lumadb_s3_server::faults::{Fault, Proxy, Rule};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

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
