//! pgBackRest on Debian's PostgreSQL, with the same data: zstd level 1, AES, two processes, WAL into
//! its archive, a repository on the same disk.

use crate::programs::run;
use crate::rig::child::{Child, Owner, maker, own};
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, cloud, tools};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const STANZA: &str = "bench";

/// Only used in names of sockets: it listens on none.
const PORT: &str = "5433";
const RESTORED_PORT: &str = "5434";

pub(crate) struct PgBackRest {
    _engine: Child,
    owner: Option<Owner>,
    folder: TempDir,
}

/// How a backup went.
pub(crate) struct Made {
    /// Of the database, before compression.
    pub(crate) bytes: f64,
    /// Read and stored because they changed.
    pub(crate) bytes_changed: f64,
    pub(crate) seconds: f64,
}

impl PgBackRest {
    /// Makes a cluster and a repository, and fills it with `pgbench` at `scale`.
    pub(crate) async fn start(scale: u32) -> Outcome<Self> {
        let folder = cloud::new_folder()?;
        let owner = maker()?;
        for name in ["data", "repo", "log", "lock", "spool", "run", "restored"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path)?;
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            if let Some((user, group)) = owner {
                chown(&path, Some(user), Some(group))?;
            }
        }
        let config = folder.path().join("pgbackrest.conf");
        std::fs::write(&config, configuration(folder.path()))?;
        let data = folder.path().join("data");
        let mut initdb = debian("initdb", owner)?;
        initdb.args(["--locale=C", "-A", "trust", "-U", "bench", "-k", "-D"]);
        run(initdb.arg(&data))?;
        let mut server = debian("postgres", owner)?;
        let push = format!(
            "archive_command=pgbackrest --config={} --stanza={STANZA} archive-push %p",
            config.display()
        );
        server
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses="]);
        server.args(["-p", PORT, "-c", "archive_mode=on", "-c", &push, "-c"]);
        server.arg(format!(
            "unix_socket_directories={}",
            folder.path().join("run").display()
        ));
        let engine = Child::start(server, owner, &folder.path().join("log.txt"))?;
        let this = Self {
            _engine: engine,
            owner,
            folder,
        };
        let ready = || async { Ok(this.sql("select 1").await.ok()) };
        until("Debian's PostgreSQL", Duration::from_secs(30), ready).await?;
        run(&mut this.command("stanza-create"))?;
        let mut fill = debian("pgbench", owner)?;
        fill.args(["-i", "-q", "-s", &scale.to_string(), "-U", "bench"]);
        run(fill
            .arg("-h")
            .arg(this.socket())
            .args(["-p", PORT, "postgres"]))?;
        Ok(this)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    pub(crate) async fn sql(&self, sql: &str) -> Outcome<String> {
        self.ask(PORT, sql).await
    }

    async fn ask(&self, port: &str, sql: &str) -> Outcome<String> {
        let socket = self.socket();
        let connection = format!(
            "host={} port={port} user=bench dbname=postgres",
            socket.display()
        );
        tools::psql(&connection, sql).await
    }

    fn command(&self, action: &str) -> Command {
        let mut command = Command::new("pgbackrest");
        own(&mut command, self.owner);
        command
            .arg(format!(
                "--config={}",
                self.folder.path().join("pgbackrest.conf").display()
            ))
            .arg(format!("--stanza={STANZA}"))
            .arg(action)
            .current_dir("/tmp");
        command
    }

    /// `full` or `incr`.
    pub(crate) fn backup(&self, kind: &str) -> Outcome<Made> {
        let mut command = self.command("backup");
        command.arg(format!("--type={kind}"));
        let start = Instant::now();
        run(&mut command)?;
        let seconds = start.elapsed().as_secs_f64();
        let info = self.command("info").arg("--output=json").output()?;
        let info: serde_json::Value = serde_json::from_slice(&info.stdout)?;
        let last = info[0]["backup"].as_array().and_then(|all| all.last());
        let last = last.ok_or("pgBackRest lists no backup")?;
        let bytes = |name: &str| last["info"][name].as_f64().ok_or("no size");
        Ok(Made {
            bytes: bytes("size")?,
            bytes_changed: bytes("delta")?,
            seconds,
        })
    }

    /// Restores the newest state into a server that answers; time that it took.
    pub(crate) async fn restore(&self) -> Outcome<Duration> {
        let to = self.folder.path().join("restored");
        let socket = self.socket();
        let mut command = self.command("restore");
        command.arg(format!("--pg1-path={}", to.display()));
        let start = Instant::now();
        run(&mut command)?;
        let mut server = debian("postgres", self.owner)?;
        server.arg("-D").arg(&to).args(["-c", "listen_addresses="]);
        server.args(["-p", RESTORED_PORT, "-c", "archive_mode=off", "-c"]);
        server.arg(format!("unix_socket_directories={}", socket.display()));
        let log = self.folder.path().join("restored.txt");
        let server = Child::start(server, self.owner, &log)?;
        until("a restored server", Duration::from_mins(20), || async {
            let asked = self.ask(RESTORED_PORT, "select pg_is_in_recovery()").await;
            Ok((asked.is_ok_and(|answer| answer.trim() == "f")).then_some(()))
        })
        .await?;
        let span = start.elapsed();
        drop(server);
        for entry in std::fs::read_dir(&to)? {
            let path = entry?.path();
            if path.is_dir() {
                std::fs::remove_dir_all(path)?;
            } else {
                std::fs::remove_file(path)?;
            }
        }
        Ok(span)
    }
}

fn configuration(folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    format!(
        "[global]\nrepo1-path={}\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=bench-only\n\
         repo1-retention-full=2\ncompress-type=zst\ncompress-level=1\nprocess-max=2\n\
         start-fast=y\nlog-level-console=warn\nlog-path={}\nlock-path={}\nspool-path={}\n\
         [{STANZA}]\npg1-path={}\npg1-socket-path={}\npg1-port={PORT}\npg1-user=bench\n",
        path("repo"),
        path("log"),
        path("lock"),
        path("spool"),
        path("data"),
        path("run"),
    )
}

/// A program of Debian's PostgreSQL.
fn debian(name: &str, owner: Option<Owner>) -> Outcome<Command> {
    let pgbench = tools::pgbench()?;
    let mut command = Command::new(pgbench.with_file_name(name));
    own(&mut command, owner);
    command.env("LC_ALL", "C").current_dir("/tmp");
    Ok(command)
}
