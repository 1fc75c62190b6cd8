//! A bucket, an archive in it, and servers on what was restored from it.

use crate::world::engine_dir;
use lumadb_contract::archive::{
    ArchiveAccess, ArchiveSpec, BackupKind, BackupRequest, Durability, Lsn, ObjectStoreCredentials,
    ObjectStoreSpec, RestoreSpec, RestoreTarget,
};
use lumadb_contract::id::{ArchiveId, BackupId, DatabaseId, OrganizationId};
use lumadb_contract::key_chain::{
    KEY_CHAIN_VERSION, Key, KeyChain, archive_key_wrap, organization_key_wrap,
};
use lumadb_contract::secret::Secret;
use lumadb_data_plane::archive::backup::{BackupEntry, BackupJob, Claim, backup_run};
use lumadb_data_plane::archive::identity::{ArchiveIdentity, IDENTITY_VERSION, identity_keep};
use lumadb_data_plane::archive::layout::Layout;
use lumadb_data_plane::archive::sealed::ArchiveKey;
use lumadb_data_plane::archive::store::ObjectStore;
use lumadb_data_plane::archive::wal::{Pace, Progress, WalSource, WalWriter, WriterError};
use lumadb_s3_server::faults::Proxy;
use lumadb_s3_server::{Config, serve};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown, geteuid};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

pub(crate) const ADMIN: &str = "lumadb_admin";
const SOON: Duration = Duration::from_mins(2);

/// A bucket, and an archive in it that this process writes.
pub(crate) struct Archive {
    pub(crate) folder: TempDir,
    serving: AbortHandle,
    /// In front of the server; everything goes through it.
    pub(crate) proxy: Proxy,
    pub(crate) store: ObjectStore,
    pub(crate) layout: Layout,
    pub(crate) key: Arc<ArchiveKey>,
    backups: u128,
    spec: ObjectStoreSpec,
    wrapped_key: serde_json::Value,
    secret: Secret,
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Archive {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("r").tempdir_in("/tmp");
        let folder = folder.expect("a folder");
        let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), everyone).expect("opened");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = listener.local_addr().expect("bound");
        let proxy = Proxy::start(server).await.expect("a port");
        let address = proxy.address();
        let objects = folder.path().join("objects");
        let mut config = Config::new(&objects, "root", Secret::new("of the root"));
        config.buckets.push("bucket".to_owned());
        let serving = tokio::spawn(serve(config, listener, std::future::pending()));
        let spec = ObjectStoreSpec {
            endpoint: Some(format!("http://{address}")),
            region: "us-east-1".to_owned(),
            bucket: "bucket".to_owned(),
            prefix: "some/where".to_owned(),
            path_style: true,
            credentials: Some(ObjectStoreCredentials {
                access_key_id: "root".to_owned(),
                secret_access_key: Secret::new("of the root"),
                session_token: None,
            }),
            storage_class: None,
            server_side_encryption: None,
        };
        let layout = Layout::new(ArchiveId::from_uuid(Uuid::from_u128(2)));
        let key = Key::new([3; 32]);
        let archive = Self {
            wrapped_key: Self::key_chain(folder.path(), layout.archive_id(), &key),
            spec: spec.clone(),
            secret: key.to_base64(),
            serving: serving.abort_handle(),
            proxy,
            store: ObjectStore::open(&spec).await,
            layout,
            key: Arc::new(ArchiveKey::parse(&key.to_base64()).expect("a key")),
            backups: 0,
            folder,
        };
        let restored = archive.folder.path().join("restored");
        std::fs::create_dir(&restored).expect("made");
        if let Some(user) = Archive::user() {
            chown(&restored, Some(user.uid), Some(user.gid)).expect("given away");
        }
        archive
    }

    /// What leads from the master key, which goes into a file, to the archive's.
    fn key_chain(folder: &Path, archive_id: ArchiveId, key: &Key) -> serde_json::Value {
        let master = Key::new([1; 32]);
        let path = folder.join("master.key");
        std::fs::write(&path, master.to_base64().expose()).expect("written");
        let organization_id = OrganizationId::from_uuid(Uuid::from_u128(1));
        let organization = Key::new([2; 32]);
        let outer = organization_key_wrap(&master, organization_id, &organization, [4; 12]);
        let inner = archive_key_wrap(&organization, organization_id, archive_id, key, [5; 12]);
        let chain = KeyChain {
            version: KEY_CHAIN_VERSION,
            organization_id,
            archive_id,
            master_key: master.fingerprint(),
            organization_key: outer.expect("wraps"),
            archive_key: inner.expect("wraps"),
        };
        serde_json::to_value(chain).expect("writes")
    }

    /// As a parent says where a node's archive is.
    pub(crate) fn archive_spec(&self) -> ArchiveSpec {
        ArchiveSpec {
            access: self.access(),
            wrapped_key: self.wrapped_key.clone(),
            durability: Durability::Lag { lag_ms: 50 },
            backups: Vec::new(),
            expire_before: None,
            pinned: Vec::new(),
            restore_points: Vec::new(),
        }
    }

    fn access(&self) -> ArchiveAccess {
        ArchiveAccess {
            archive_id: self.layout.archive_id(),
            store: self.spec.clone(),
            key: self.secret.clone(),
        }
    }

    async fn identify(&self) {
        let identity = ArchiveIdentity {
            version: IDENTITY_VERSION,
            archive_id: self.layout.archive_id(),
            database_id: DatabaseId::from_uuid(Uuid::from_u128(3)),
            system_identifier: 1,
            engine_version: 18,
            wrapped_key: self.wrapped_key.clone(),
        };
        let kept = identity_keep(&self.store, &self.layout, &identity).await;
        kept.expect("written");
    }

    /// Whoever runs PostgreSQL, where this runs as root.
    fn user() -> Option<User> {
        let user = User::from_name("nobody").expect("readable");
        geteuid().is_root().then(|| user.expect("a user"))
    }

    pub(crate) async fn backup(
        &mut self,
        socket: &Path,
        kind: BackupKind,
        writing: &Writing,
    ) -> BackupEntry {
        self.backups += 1;
        let request = BackupRequest {
            backup_id: BackupId::from_uuid(Uuid::from_u128(self.backups)),
            kind,
        };
        let (archived, archived_end) = watch::channel(Lsn(0));
        let mut progress = writing.progress.clone();
        tokio::spawn(async move {
            loop {
                archived.send_replace(progress.borrow_and_update().archived);
                if progress.changed().await.is_err() {
                    return;
                }
            }
        });
        let began = OffsetDateTime::UNIX_EPOCH;
        let job = BackupJob {
            store: self.store.clone(),
            layout: self.layout,
            key: self.key.clone(),
            engine_socket: socket.to_owned(),
            status: watch::Sender::new(BackupJob::status_begin(&request, began)),
            claim: Claim::default(),
            request,
            rate_kib: None,
            archived: archived_end,
        };
        let made = timeout(SOON, backup_run(job)).await.expect("in time");
        made.expect("is made")
    }

    /// Runs the tool.
    pub(crate) fn restore(&self, to: &str, target: &[&str]) -> Output {
        self.restore_command(to, target).output().expect("runs")
    }

    /// The tool.
    pub(crate) fn restore_command(&self, to: &str, target: &[&str]) -> Command {
        let program = self.folder.path().join("lumadb-node");
        if !program.exists() {
            crate::world::program_copy(&program);
        }
        let mut command = Command::new(program);
        command
            .arg("restore")
            .args(["--from", "s3://bucket/some/where", "--path-style"])
            .args(["--endpoint", &format!("http://{}", self.proxy.address())])
            .args(["--archive", &self.layout.archive_id().to_string()])
            .arg("--master-key")
            .arg(self.folder.path().join("master.key"))
            .arg("--engine-dir")
            .arg(engine_dir())
            .arg("--to")
            .arg(self.restored(to))
            .args(target)
            .current_dir("/tmp")
            .env_clear()
            .env("AWS_ACCESS_KEY_ID", "root")
            .env("AWS_SECRET_ACCESS_KEY", "of the root");
        if let Some(user) = Self::user() {
            command.args(["--user", &user.name]);
        }
        command
    }

    /// As a parent says it.
    pub(crate) fn restore_spec(&self, target: RestoreTarget) -> RestoreSpec {
        RestoreSpec {
            source: self.access(),
            target,
            verify: false,
        }
    }

    pub(crate) fn restored(&self, to: &str) -> PathBuf {
        self.folder.path().join("restored").join(to)
    }

    /// Restores, starts what came of it and reads its rows.
    pub(crate) async fn rows_after(&self, to: &str, target: &[&str]) -> String {
        let output = self.restore(to, target);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{target:?}: {said}");
        let engine = Plain::start(self, to).await;
        engine.rows().await
    }
}

/// A restored folder with a server of its own.
pub(crate) struct Plain {
    process: Child,
    folder: PathBuf,
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = kill(
            Pid::from_raw(self.process.id().cast_signed()),
            Signal::SIGQUIT,
        );
        let _ = self.process.wait();
    }
}

impl Plain {
    pub(crate) async fn start(archive: &Archive, to: &str) -> Self {
        Self::start_with(archive, to, &[]).await
    }

    /// The same, with more in its environment.
    pub(crate) async fn start_with(
        archive: &Archive,
        to: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = archive.restored(to);
        let mut command = Self::command("postgres");
        command.envs(environment.iter().copied());
        let plain = Self {
            process: command.arg("-D").arg(&folder).spawn().expect("starts"),
            folder,
        };
        plain.takes_connections("main").await;
        plain
    }

    /// A new cluster, with more arguments for `initdb`.
    pub(crate) async fn make(archive: &Archive, to: &str, arguments: &[&str]) -> Self {
        let folder = archive.restored(to);
        let mut initdb = Self::command("initdb");
        initdb.args(["-U", ADMIN, "-A", "trust", "--no-sync", "-E", "UTF8"]);
        initdb.args(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
        initdb.args(["--locale=C", "-D"]).arg(&folder);
        let made = initdb.args(arguments).output().expect("runs");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        let settings = "unix_socket_directories = '.'\nlisten_addresses = ''\n\
            wal_level = 'logical'\nsummarize_wal = on\nshared_buffers = '16MB'\nfsync = off\n";
        std::fs::write(folder.join("postgresql.auto.conf"), settings).expect("written");
        let plain = Self {
            process: Self::command("postgres")
                .arg("-D")
                .arg(&folder)
                .spawn()
                .expect("starts"),
            folder,
        };
        plain.takes_connections("postgres").await;
        let client = plain.try_client("postgres").await.expect("connects");
        run(&client, "create database main").await;
        plain
    }

    /// A program of PostgreSQL's, as its user.
    fn command(name: &str) -> Command {
        let mut command = Command::new(engine_dir().join("bin").join(name));
        command.current_dir("/tmp").env_clear().env("LC_ALL", "C");
        if let Some(user) = Archive::user() {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    async fn takes_connections(&self, database: &str) {
        let connecting = async {
            while self.try_client(database).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, connecting).await.expect("takes connections");
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    async fn try_client(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.user(ADMIN).dbname(database).host_path(&self.folder);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub(crate) async fn client(&self) -> Client {
        self.try_client("main").await.expect("connects")
    }

    pub(crate) async fn rows(&self) -> String {
        let sql = "select string_agg(n::text, ' ' order by n) from t";
        text(&self.client().await, sql).await
    }
}

pub(crate) async fn text(client: &Client, sql: &str) -> String {
    let rows = client.simple_query(sql).await.expect(sql);
    let value = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    value.unwrap_or_default()
}

pub(crate) async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.expect(sql);
}

/// The stream of WAL into the archive.
pub(crate) struct Writing {
    progress: watch::Receiver<Progress>,
    _pace: watch::Sender<Pace>,
    task: JoinHandle<WriterError>,
}

impl Writing {
    pub(crate) async fn start(archive: &Archive, socket: &Path) -> Self {
        archive.identify().await;
        let (pace, pace_end) = watch::channel(Pace::Now);
        let (progress_end, progress) = watch::channel(Progress::default());
        let source = WalSource {
            database_id: DatabaseId::from_uuid(Uuid::from_u128(3)),
            engine_version: 18,
            socket: socket.to_owned(),
            role: ADMIN.to_owned(),
            slot: "lumadb_archive".to_owned(),
        };
        let (store, layout) = (archive.store.clone(), archive.layout);
        let key = archive.key.clone();
        let writer = WalWriter::new(store, layout, key, source, pace_end, progress_end);
        let mut writing = Self {
            progress,
            _pace: pace,
            task: tokio::spawn(writer.run()),
        };
        writing.wait(|progress| progress.archived > Lsn(0)).await;
        writing
    }

    async fn wait(&mut self, until: impl FnMut(&Progress) -> bool) {
        let reached = timeout(SOON, self.progress.wait_for(until)).await;
        reached.expect("in time").expect("the writer lives");
    }

    /// Waits until everything that is committed is archived, and ends.
    pub(crate) async fn end(mut self, client: &Client) {
        self.caught_up(client).await;
        self.task.abort();
    }

    /// Waits until everything that is committed is archived.
    pub(crate) async fn caught_up(&mut self, client: &Client) {
        run(
            client,
            "select pg_logical_emit_message(false, 'test', '', true)",
        )
        .await;
        let flushed = text(client, "select pg_current_wal_flush_lsn()").await;
        let flushed: Lsn = flushed.parse().expect("a position");
        self.wait(|progress| progress.archived >= flushed).await;
    }
}

pub(crate) async fn insert(client: &Client, n: u32) {
    run(client, &format!("insert into t values ({n})")).await;
}
