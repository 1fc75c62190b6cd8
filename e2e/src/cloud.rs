//! One cloud on this machine, in a folder of its own.

use crate::api::Api;
use crate::process::{self, Process};
use crate::wait::until;
use crate::{Outcome, tools};
use nix::sys::signal::Signal;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard};

/// The first start makes the control plane's database and the pool; a busy machine needs its time.
const START_LIMIT: Duration = Duration::from_mins(2);
/// A graceful stop ends every engine in order.
const STOP_LIMIT: Duration = Duration::from_mins(1);

static TURN: AsyncMutex<()> = AsyncMutex::const_new(());

/// A running cloud. Dropping it ends every process of its folder and removes the folder.
#[derive(Debug)]
pub struct Cloud {
    folder: TempDir,
    settings: Vec<(String, String)>,
    up: Child,
    lines: Arc<Mutex<Vec<String>>>,
    api: Api,
    _turn: Option<AsyncMutexGuard<'static, ()>>,
}

impl Cloud {
    /// Brings a cloud up on free ports.
    pub async fn start() -> Outcome<Self> {
        Self::start_with(&[]).await
    }

    /// Brings a cloud up with some settings of its own, as `LUMADB_…` variables.
    pub async fn start_with(settings: &[(&str, &str)]) -> Outcome<Self> {
        Self::start_in_turn(settings, Some(TURN.lock().await)).await
    }

    /// Brings another cloud up on the same machine, while this one runs.
    pub async fn start_beside(&self) -> Outcome<Self> {
        Self::start_in_turn(&[], None).await
    }

    async fn start_in_turn(
        settings: &[(&str, &str)],
        turn: Option<AsyncMutexGuard<'static, ()>>,
    ) -> Outcome<Self> {
        let folder = new_folder()?;
        let settings: Vec<_> = settings_of_tests()
            .into_iter()
            .chain(settings.iter().copied())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let lines = Arc::default();
        let up = spawn_up(&data_dir_of(&folder), &settings, &lines)?;
        let mut cloud = Self {
            folder,
            settings,
            up,
            lines,
            api: Api::new("http://127.0.0.1:1"),
            _turn: turn,
        };
        cloud.wait_until_up().await?;
        Ok(cloud)
    }

    /// A caller whom nobody knows.
    pub fn api(&self) -> &Api {
        &self.api
    }

    pub fn data_dir(&self) -> PathBuf {
        data_dir_of(&self.folder)
    }

    /// What `up` has printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .map(|lines| lines.clone())
            .unwrap_or_default()
    }

    /// The process of `lumadb-cloud up`.
    pub fn up_pid(&self) -> Outcome<i32> {
        let pid = self.up.id().ok_or("`up` has ended")?;
        Ok(i32::try_from(pid)?)
    }

    pub fn processes(&self) -> Outcome<Vec<Process>> {
        process::of_folder(&self.data_dir())
    }

    /// Kills, without warning, the processes that `which` names; gives how many there were.
    pub async fn kill(&self, which: impl Fn(&Process) -> bool) -> Outcome<usize> {
        let mut victims = self.processes()?;
        victims.retain(which);
        for victim in &victims {
            process::signal(victim.pid, Signal::SIGKILL)?;
        }
        for victim in &victims {
            process::gone(victim.pid, Duration::from_secs(10)).await?;
        }
        Ok(victims.len())
    }

    /// Kills `up` alone, without warning.
    pub async fn kill_up(&mut self) -> Outcome<()> {
        self.up.kill().await?;
        Ok(())
    }

    /// Brings `up` up again on the same folder, after it ended or was killed.
    pub async fn up_again(&mut self) -> Outcome<()> {
        self.lines = Arc::default();
        self.up = spawn_up(&self.data_dir(), &self.settings, &self.lines)?;
        self.wait_until_up().await
    }

    /// Asks `up` to stop as Ctrl-C does and waits for its end.
    pub async fn stop(&mut self) -> Outcome<std::process::ExitStatus> {
        process::signal(self.up_pid()?, Signal::SIGINT)?;
        Ok(tokio::time::timeout(STOP_LIMIT, self.up.wait()).await??)
    }

    /// The folder of the control plane's own database.
    pub fn control_dir(&self) -> PathBuf {
        self.data_dir().join("control")
    }

    /// Runs a script in the control plane's own database, past its row-level security.
    pub async fn control_sql(&self, sql: &str) -> Outcome<String> {
        self.admin_sql(&self.control_dir(), "control", sql).await
    }

    /// The folder of one database.
    pub fn instance_dir(&self, database_id: &str) -> PathBuf {
        self.data_dir().join("instances").join(database_id)
    }

    /// Runs a script in a database as the platform itself, past node and edge.
    pub async fn admin_sql(
        &self,
        instance_dir: &Path,
        logical_database: &str,
        sql: &str,
    ) -> Outcome<String> {
        let connection = format!(
            "host={} user=lumadb_admin dbname={logical_database}",
            instance_dir.join("run").display()
        );
        tools::psql(&connection, sql).await
    }

    /// The last lines of every log: what a failed test wants to be read.
    pub fn log_tail(&self) -> String {
        let mut text = self.lines().join("\n");
        let Ok(entries) = std::fs::read_dir(self.data_dir().join("log")) else {
            return text;
        };
        for entry in entries.filter_map(Result::ok) {
            let log = std::fs::read(entry.path()).unwrap_or_default();
            let log = String::from_utf8_lossy(&log).into_owned();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(15)..];
            let _ = writeln!(text, "\n== {}", entry.path().display());
            text.push_str(&tail.join("\n"));
        }
        text
    }

    /// Why `up` gave up, as far as it has said so.
    fn reason(&self) -> String {
        let lines = self.lines();
        let said = lines.iter().rev().find(|line| line.starts_with("error: "));
        said.cloned().unwrap_or_default()
    }

    async fn wait_until_up(&mut self) -> Outcome<()> {
        let lines = Arc::clone(&self.lines);
        let base = until("`up` to print the console's address", START_LIMIT, || {
            let ended = self.up.try_wait();
            let base = lines
                .lock()
                .map(|lines| lines.iter().find_map(|line| console_address(line)))
                .unwrap_or_default();
            async move {
                match ended {
                    Ok(Some(status)) => Ok(Some(Err(format!("`up` ended with {status}")))),
                    _ => Ok(base.map(Ok)),
                }
            }
        })
        .await
        .and_then(|found| Ok(found?))
        .map_err(|error| format!("{error}: {}\n{}", self.reason(), self.log_tail()))?;
        self.api = Api::new(&base);
        let api = self.api.clone();
        until("the API to be ready", START_LIMIT, || async {
            let answer = api.get("/health/ready").await?;
            Ok((answer.status == 200).then_some(()))
        })
        .await
        .map_err(|error| format!("{error}\n{}", self.log_tail()).into())
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("LUMADB_TEST_LOG").is_some() {
            eprintln!("{}", self.log_tail());
        }
        if let Ok(pid) = self.up_pid() {
            let _ = process::signal(pid, Signal::SIGTERM);
            for _ in 0..200 {
                if matches!(self.up.try_wait(), Ok(Some(_))) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        // Only what was started here can name this folder.
        for _ in 0..20 {
            if matches!(self.processes().as_deref(), Ok([])) {
                break;
            }
            for process in self.processes().unwrap_or_default() {
                let _ = process::signal(process.pid, Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A command `lumadb-cloud up` on a data folder, nothing inherited that would configure it.
pub fn up_command(data_dir: &Path) -> Outcome<Command> {
    let mut command = Command::new(tools::program("lumadb-cloud")?);
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("LUMADB_"))
        {
            command.env_remove(name);
        }
    }
    command
        .arg("up")
        .arg("--data-dir")
        .arg(data_dir)
        .env("LUMADB_ENGINE_DIR", tools::engine_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

/// Ports nobody else has, as many requests as a waiting test asks, and no day's limit for what tests
/// send to databases.
pub fn settings_of_tests() -> [(&'static str, &'static str); 4] {
    [
        ("LUMADB_HTTP_LISTEN", "127.0.0.1:0"),
        ("LUMADB_EDGE_LISTEN", "127.0.0.1:0"),
        ("LUMADB_LIMITS_REQUESTS_PER_MINUTE", "100000"),
        ("LUMADB_QUOTAS_REQUESTS_PER_DAY", "1000000000000"),
    ]
}

/// A folder with a short name, since the path of a unix socket has at most 108 bytes, that the
/// databases' own users may pass through.
pub fn new_folder() -> Outcome<TempDir> {
    let folder = tempfile::Builder::new().prefix("luma").tempdir_in("/tmp")?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

fn data_dir_of(folder: &TempDir) -> PathBuf {
    folder.path().join("d")
}

fn spawn_up(
    data_dir: &Path,
    settings: &[(String, String)],
    lines: &Arc<Mutex<Vec<String>>>,
) -> Outcome<Child> {
    let mut up = up_command(data_dir)?
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .spawn()?;
    if let Some(stdout) = up.stdout.take() {
        collect_lines(stdout, Arc::clone(lines));
    }
    if let Some(stderr) = up.stderr.take() {
        collect_lines(stderr, Arc::clone(lines));
    }
    Ok(up)
}

fn collect_lines(stream: impl AsyncRead + Unpin + Send + 'static, lines: Arc<Mutex<Vec<String>>>) {
    tokio::spawn(async move {
        let mut stream = BufReader::new(stream).lines();
        while let Ok(Some(line)) = stream.next_line().await {
            if let Ok(mut lines) = lines.lock() {
                lines.push(line);
            }
        }
    });
}

/// The address in a line such as `LumaDB Cloud is ready: http://127.0.0.1:8400`.
fn console_address(line: &str) -> Option<String> {
    let start = line.find("http://")?;
    let address: String = line[start..]
        .chars()
        .take_while(|letter| !letter.is_whitespace())
        .collect();
    Some(address.trim_end_matches(['/', '.']).to_owned())
}
