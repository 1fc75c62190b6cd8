//! The processes of one data folder, read from `/proc`.

use crate::Outcome;
use crate::cloud::Cloud;
use crate::wait::until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A process that names the data folder in its arguments or environment, or descends from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub arguments: Vec<String>,
}

impl Process {
    fn program(&self) -> &str {
        let path = self.arguments.first().map_or("", String::as_str);
        path.rsplit('/').next().unwrap_or(path)
    }

    /// The user that it runs as; none if it has ended.
    pub fn user(&self) -> Option<u32> {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(format!("/proc/{}", self.pid)).ok()?;
        Some(found.uid())
    }

    /// The value behind an option.
    fn option(&self, name: &str) -> Option<&str> {
        let mut arguments = self.arguments.iter();
        arguments.find(|argument| *argument == name)?;
        arguments.next().map(String::as_str)
    }

    /// Whether this is one of the cloud's services: `up`, `api`, `worker`, `edge`, `s3`.
    pub fn is_service(&self, name: &str) -> bool {
        self.program() == "lumadb-cloud" && self.arguments.get(1).is_some_and(|word| word == name)
    }

    /// Whether this is a node.
    pub fn is_node(&self) -> bool {
        self.program() == "lumadb-node" && self.arguments.get(1).is_some_and(|word| word == "run")
    }

    /// Whether this is the helper that owns an engine.
    pub fn is_engine_helper(&self) -> bool {
        self.program() == "lumadb-node"
            && self.arguments.get(1).is_some_and(|word| word == "engine")
    }

    /// Whether this is PostgreSQL's first process, not one of its backends.
    pub fn is_postmaster(&self) -> bool {
        self.program() == "postgres" && self.option("-D").is_some()
    }

    /// The instance's folder, of a node, an engine's helper or PostgreSQL.
    pub fn instance_dir(&self) -> Option<PathBuf> {
        if let Some(folder) = self.option("--instance-dir") {
            return Some(PathBuf::from(folder));
        }
        let data = self.option("-D")?;
        Path::new(data).parent().map(Path::to_path_buf)
    }
}

/// Processes that stand still while this lives.
#[derive(Debug)]
pub struct Paused(Vec<Process>);

impl Paused {
    /// Those of one of the cloud's services.
    pub fn service(cloud: &Cloud, name: &str) -> Outcome<Self> {
        let mut found = cloud.processes()?;
        found.retain(|process| process.is_service(name));
        if found.is_empty() {
            return Err(format!("no {name} runs").into());
        }
        for process in &found {
            signal(process.pid, Signal::SIGSTOP)?;
        }
        Ok(Self(found))
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        for process in &self.0 {
            let _ = signal(process.pid, Signal::SIGCONT);
        }
    }
}

/// Every process that belongs to a data folder.
pub fn of_folder(data_dir: &Path) -> Outcome<Vec<Process>> {
    let folder = data_dir.as_os_str().as_encoded_bytes();
    let mut all = BTreeMap::new();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process may end at any moment between two of these looks.
        let Some((process, environment)) = read(pid, &entry.path()) else {
            continue;
        };
        let named = process
            .arguments
            .iter()
            .any(|argument| contains(argument.as_bytes(), folder));
        if named || contains(&environment, folder) {
            found.insert(pid);
        }
        all.insert(pid, process);
    }
    loop {
        let heirs: Vec<i32> = all
            .values()
            .filter(|process| found.contains(&process.parent) && !found.contains(&process.pid))
            .map(|process| process.pid)
            .collect();
        if heirs.is_empty() {
            break;
        }
        found.extend(heirs);
    }
    // The clients that a test runs on the folder's sockets are not of the cloud.
    let own = i32::try_from(std::process::id())?;
    let client = |process: &Process| {
        process.pid == own || matches!(process.program(), "psql" | "pgbench" | "python" | "node")
    };
    Ok(all
        .into_values()
        .filter(|process| found.contains(&process.pid) && !client(process))
        .collect())
}

fn read(pid: i32, folder: &Path) -> Option<(Process, Vec<u8>)> {
    let arguments = std::fs::read(folder.join("cmdline")).ok()?;
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    let (state, parent) = state_and_parent(&stat)?;
    if state == 'Z' {
        return None;
    }
    let arguments = arguments
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    let environment = std::fs::read(folder.join("environ")).unwrap_or_default();
    let process = Process {
        pid,
        parent,
        arguments,
    };
    Some((process, environment))
}

/// Sends a signal to one process; that it is gone already is no error.
pub fn signal(pid: i32, signal: Signal) -> Outcome<()> {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(error) => Err(format!("cannot signal process {pid}: {error}").into()),
    }
}

/// Waits until a process is gone.
pub async fn gone(pid: i32, limit: Duration) -> Outcome<()> {
    until(&format!("process {pid} to end"), limit, || async {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .ok()
            .and_then(|text| state_and_parent(&text));
        Ok(state.is_none_or(|(state, _)| state == 'Z').then_some(()))
    })
    .await
}

/// Memory of a process that no file backs, in KiB.
pub fn anonymous_kib(pid: i32) -> Outcome<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("process {pid} tells no RssAnon").into())
}

/// State letter and parent of `/proc/<pid>/stat`: what follows the command's closing parenthesis.
fn state_and_parent(stat: &str) -> Option<(char, i32)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
