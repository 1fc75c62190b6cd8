//! An instance whose WAL and backups go to an S3 server of this program, and what it is set beside:
//! PostgreSQL's own tools on the same engine, and pgBackRest on Debian's PostgreSQL with the same
//! data.

mod latency;
pub(crate) mod pgbackrest;

use crate::pgbench::Address;
use crate::rig::Common;
use crate::rig::child::{maker, own};
use crate::rig::instance::{self, Instance};
use crate::rig::keys::Keys;
use crate::rig::parent::Parent;
use latency::Latency;
use lumadb_contract::archive::{
    ArchiveAccess, ArchiveSpec, ArchiveStatus, BackupKind, BackupRequest, BackupState,
    BackupStatus, Durability, ObjectStoreCredentials, ObjectStoreSpec,
};
use lumadb_contract::id::{ArchiveId, BackupId, DatabaseId, OrganizationId};
use lumadb_contract::instance::InstanceSpec;
use lumadb_contract::key_chain::{
    KEY_CHAIN_VERSION, Key, KeyChain, archive_key_wrap, organization_key_wrap,
};
use lumadb_contract::secret::Secret;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, cloud, process, tools};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

const SECRET: &str = "bench-only-root";
const PASSWORD: &str = "bench-only-password";

/// Longest that one backup may take.
const BACKUP_LIMIT: Duration = Duration::from_mins(20);

/// Between two looks at the node's memory.
const MEMORY_EVERY: Duration = Duration::from_millis(10);

/// Everything runs while it lives.
pub(crate) struct Archived {
    parent: Parent,
    spec: InstanceSpec,
    instance: Instance,
    endpoint: SocketAddr,
    /// Of the store, from the node and from a restore alike.
    pub(crate) latency: Latency,
    archive_id: ArchiveId,
    backups: u128,
    pub(crate) folder: TempDir,
}

/// A backup that the node made.
pub(crate) struct Made {
    /// Of the engine's archive, before compression.
    pub(crate) bytes_read: f64,
    pub(crate) seconds: f64,
    /// The most that no file backed of the node's memory meanwhile, MiB.
    pub(crate) node_mib: f64,
}

impl Archived {
    pub(crate) async fn start() -> Outcome<Self> {
        let folder = cloud::new_folder()?;
        let latency = Latency::default();
        let endpoint = latency::stand_before(serve_objects(folder.path())?, latency.clone())?;
        let password = PASSWORD.to_owned();
        let common = Common {
            database_id: DatabaseId::from_uuid(Uuid::from_u128(1)),
            verifier: postgres_protocol::password::scram_sha_256(password.as_bytes()),
            password,
            keys: Keys::make(folder.path())?,
        };
        let archive_id = ArchiveId::from_uuid(Uuid::from_u128(2));
        let mut spec = instance::spec(&common)?;
        spec.archive = Some(archive(folder.path(), endpoint, archive_id)?);
        let parent = Parent::start(&instance::parent_socket(folder.path()))?;
        parent.say(&spec);
        let instance = Instance::start(folder.path(), &common).await?;
        let archived = Self {
            parent,
            spec,
            instance,
            endpoint,
            latency,
            archive_id,
            backups: 0,
            folder,
        };
        archived
            .status_is("the archive to follow", |it| it.archived_lsn.0 > 0)
            .await?;
        Ok(archived)
    }

    /// As the platform's superuser.
    pub(crate) fn connection(&self, database: &str) -> String {
        let socket = self.instance.socket_folder();
        format!("host={socket} user=lumadb_admin dbname={database}")
    }

    pub(crate) async fn sql(&self, sql: &str) -> Outcome<String> {
        tools::psql(&self.connection("main"), sql).await
    }

    pub(crate) fn puts(&self) -> u64 {
        self.parent.archive().puts
    }

    async fn status_is(
        &self,
        what: &str,
        is: impl Fn(&ArchiveStatus) -> bool,
    ) -> Outcome<ArchiveStatus> {
        until(what, BACKUP_LIMIT, || async {
            let status = self.parent.archive();
            Ok(is(&status).then_some(status))
        })
        .await
    }

    /// Has commits wait for the archive, or not.
    pub(crate) async fn durability(&mut self, durability: Durability) -> Outcome<()> {
        self.spec.generation += 1;
        if let Some(archive) = &mut self.spec.archive {
            archive.durability = durability;
        }
        self.parent.say(&self.spec);
        let generation = self.spec.generation;
        until("another durability", BACKUP_LIMIT, || async {
            Ok((self.parent.generation() >= generation).then_some(()))
        })
        .await
    }

    /// As its owner, through the node.
    pub(crate) fn through_node(&self) -> Address {
        Address {
            connection: format!(
                "host=127.0.0.1 port={} user=owner dbname=main sslmode=disable",
                self.instance.node_port
            ),
            password: PASSWORD.to_owned(),
            relays: Vec::new(),
        }
    }

    /// Waits until everything is in the archive.
    pub(crate) async fn caught_up(&self) -> Outcome<()> {
        let flushed = self.sql("select pg_current_wal_flush_lsn()").await?;
        let flushed = flushed.parse()?;
        self.status_is("all WAL in the archive", |it| it.archived_lsn >= flushed)
            .await?;
        Ok(())
    }

    /// Has the node make a backup.
    pub(crate) async fn backup(&mut self, kind: BackupKind) -> Outcome<Made> {
        self.backups += 1;
        let backup_id = BackupId::from_uuid(Uuid::from_u128(self.backups));
        self.spec.generation += 1;
        if let Some(archive) = &mut self.spec.archive {
            archive.backups = vec![BackupRequest { backup_id, kind }];
        }
        let watching = Arc::new(AtomicBool::new(true));
        let (watched, pid) = (watching.clone(), self.instance.node_pid());
        let most = std::thread::spawn(move || {
            let mut most = 0;
            while watched.load(Ordering::Relaxed) {
                most = most.max(process::anonymous_kib(pid).unwrap_or_default());
                std::thread::sleep(MEMORY_EVERY);
            }
            most
        });
        self.parent.say(&self.spec);
        let ended = |status: &ArchiveStatus| {
            let mut backups = status.backups.iter();
            backups
                .find(|it| it.backup_id == backup_id && it.state != BackupState::Running)
                .cloned()
        };
        let status = self
            .status_is("a backup", |status| ended(status).is_some())
            .await;
        watching.store(false, Ordering::Relaxed);
        let most = most.join().map_err(|_| "the thread that watches failed")?;
        let made = ended(&status?).ok_or("no backup")?;
        of_status(&made, most)
    }

    /// PostgreSQL's own base backup, as a tar archive on standard output.
    pub(crate) fn base_backup(&self) -> Command {
        let mut command = Command::new(tools::engine_dir().join("bin/pg_basebackup"));
        command
            .args(["-h", &self.instance.socket_folder()])
            .args(["-U", "lumadb_admin", "-c", "fast", "-X", "none"])
            .args(["-F", "tar", "--no-sync"]);
        command
    }

    /// Restores the newest state by the tool; time that it took.
    pub(crate) fn restore(&self, to: &str) -> Outcome<Duration> {
        let programs = &self.instance.programs;
        let folder = self.folder.path().join("restored");
        if !folder.exists() {
            std::fs::create_dir(&folder)?;
            if let Some((user, group)) = maker()? {
                std::os::unix::fs::chown(&folder, Some(user), Some(group))?;
            }
        }
        let mut command = Command::new(&programs.node);
        command
            .args(["restore", "--from", "s3://bucket", "--path-style"])
            .args(["--endpoint", &format!("http://{}", self.endpoint)])
            .args(["--archive", &self.archive_id.to_string()])
            .arg("--master-key")
            .arg(self.folder.path().join("master.key"))
            .arg("--engine-dir")
            .arg(&programs.engine)
            .arg("--to")
            .arg(folder.join(to))
            .env("AWS_ACCESS_KEY_ID", "root")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .current_dir("/tmp");
        own(&mut command, maker()?);
        let start = Instant::now();
        crate::programs::run(&mut command)?;
        let span = start.elapsed();
        std::fs::remove_dir_all(folder.join(to))?;
        Ok(span)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes and KiB of one backup are far below 2^52"
)]
fn of_status(made: &BackupStatus, node_kib: u64) -> Outcome<Made> {
    let ended = made.ended_at.ok_or("the backup has no end")?;
    if let Some(error) = &made.error {
        return Err(error.clone().into());
    }
    Ok(Made {
        bytes_read: made.bytes_read as f64,
        seconds: (ended - made.started_at).as_seconds_f64(),
        node_mib: node_kib as f64 / 1024.0,
    })
}

/// On a thread of its own, for as long as this program runs.
fn serve_objects(folder: &Path) -> Outcome<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let objects: PathBuf = folder.join("objects");
    let mut config = lumadb_s3_server::Config::new(objects, "root", Secret::new(SECRET));
    config.buckets.push("bucket".to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let served = lumadb_s3_server::serve(config, listener, std::future::pending());
            served.await.map_err(std::io::Error::other)
        })
    });
    Ok(address)
}

/// A paid plan's, with a master key in a file.
fn archive(folder: &Path, endpoint: SocketAddr, archive_id: ArchiveId) -> Outcome<ArchiveSpec> {
    let (master, organization, key) = (Key::new([1; 32]), Key::new([2; 32]), Key::new([3; 32]));
    let master_file = folder.join("master.key");
    std::fs::write(&master_file, master.to_base64().expose())?;
    if let Some((user, group)) = maker()? {
        std::os::unix::fs::chown(&master_file, Some(user), Some(group))?;
    }
    let organization_id = OrganizationId::from_uuid(Uuid::from_u128(1));
    let chain = KeyChain {
        version: KEY_CHAIN_VERSION,
        organization_id,
        archive_id,
        master_key: master.fingerprint(),
        organization_key: organization_key_wrap(&master, organization_id, &organization, [4; 12])?,
        archive_key: archive_key_wrap(&organization, organization_id, archive_id, &key, [5; 12])?,
    };
    Ok(ArchiveSpec {
        access: ArchiveAccess {
            archive_id,
            store: ObjectStoreSpec {
                endpoint: Some(format!("http://{endpoint}")),
                region: "us-east-1".to_owned(),
                bucket: "bucket".to_owned(),
                prefix: String::new(),
                path_style: true,
                credentials: Some(ObjectStoreCredentials {
                    access_key_id: "root".to_owned(),
                    secret_access_key: Secret::new(SECRET),
                    session_token: None,
                }),
                storage_class: None,
                server_side_encryption: None,
            },
            key: key.to_base64(),
        },
        wrapped_key: serde_json::to_value(chain)?,
        durability: Durability::Lag { lag_ms: 1000 },
        backups: Vec::new(),
        expire_before: None,
        pinned: Vec::new(),
        restore_points: Vec::new(),
    })
}
