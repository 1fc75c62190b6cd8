//! Child processes that outlive their parent and are found again by the next one.

use super::files::{self, Durability};
use super::layout::DataFolder;
use super::proc;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

/// Largest size of a log, bytes. A process of ours keeps its log within it by itself, whether its
/// parent lives or not. What any other program left is set aside at the next start if it is larger.
pub const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Tells a child the bound of its log.
const LOG_BYTES_MAX_VARIABLE: &str = "LUMADB_LOG_BYTES_MAX";

/// Time between two looks at a process that is not our own child.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("could not start {name} ({}): {source}", program.display())]
    Start {
        name: String,
        program: PathBuf,
        source: io::Error,
    },
    #[error("could not write {}: {source}", path.display())]
    Record { path: PathBuf, source: io::Error },
}

/// What to start, and under which name it is found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// `kind` or `kind.id`, such as `api` or `node.db_…`: names the record and the log.
    pub name: String,
    pub path: PathBuf,
    pub arguments: Vec<OsString>,
    /// Added to a cleared environment, or to our own.
    pub environment: Vec<(OsString, OsString)>,
    pub inherit_environment: bool,
    /// User and group to become; we must be root for it.
    pub user: Option<(u32, u32)>,
    /// A running process is taken over only if it was started with the same one; empty: always.
    pub fingerprint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    name: String,
    pid: i32,
    /// Clock ticks since boot.
    start_time: u64,
    boot_id: String,
    fingerprint: String,
    arguments: Vec<String>,
}

/// The processes of one data folder.
#[derive(Debug, Clone)]
pub struct Processes {
    folder: DataFolder,
    boot_id: String,
}

impl Processes {
    pub fn new(folder: DataFolder) -> Self {
        Self {
            folder,
            boot_id: proc::boot_id(),
        }
    }

    fn marker(&self, name: &str) -> String {
        format!("{}:{name}", self.folder.root().display())
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.folder.processes().join(format!("{name}.json"))
    }

    fn record(&self, name: &str) -> Option<Record> {
        let text = fs::read(self.record_path(name)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The live process recorded under this name, if there is one.
    pub fn find(&self, name: &str) -> Option<(Process, String)> {
        let record = self.record(name)?;
        let alive = record.boot_id == self.boot_id
            && proc::start_time(record.pid) == Some(record.start_time);
        alive.then(|| {
            let process = Process {
                pid: record.pid,
                start_time: record.start_time,
                child: None,
            };
            (process, record.fingerprint)
        })
    }

    /// Names of all records, of live and of dead processes.
    pub fn recorded(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.processes()) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let name = name.strip_suffix(".json")?;
                (!name.starts_with('.')).then(|| name.to_owned())
            })
            .collect();
        names.sort();
        names
    }

    /// Gives every process of this folder that `owns` claims a record: one that was started but
    /// never recorded gets it now, and a second one of the same name is ended.
    pub async fn recover(&self, owns: impl Fn(&str) -> bool) -> Result<(), ProcessError> {
        let mut found: HashMap<String, Vec<proc::Marked>> = HashMap::new();
        for marked in proc::marked(&self.marker("")) {
            if owns(&marked.name) {
                found.entry(marked.name.clone()).or_default().push(marked);
            }
        }
        for (name, marked) in found {
            let keep = self.find(&name).map_or(marked[0].pid, |(kept, _)| kept.pid);
            for other in marked {
                let mut process = Process {
                    pid: other.pid,
                    start_time: other.start_time,
                    child: None,
                };
                if other.pid != keep {
                    tracing::warn!(name, pid = other.pid, "ended a process without an owner");
                    process.stop(Duration::from_secs(10)).await;
                } else if self.find(&name).is_none() {
                    tracing::warn!(name, pid = other.pid, "adopted a process without a record");
                    self.write(&name, &process, String::new(), Vec::new())?;
                }
            }
        }
        Ok(())
    }

    /// Starts a program in a process group of its own, so that a Ctrl-C meant for us does not
    /// reach it, with its output appended to its log.
    pub fn start(&self, program: &Program) -> Result<Process, ProcessError> {
        let failed = |source| ProcessError::Start {
            name: program.name.clone(),
            program: program.path.clone(),
            source,
        };
        let log = self.log(&program.name).map_err(failed)?;
        let mut command = std::process::Command::new(&program.path);
        if !program.inherit_environment {
            command.env_clear();
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        }
        command
            .args(&program.arguments)
            .envs(program.environment.iter().map(|(key, value)| (key, value)))
            .env(proc::MARKER, self.marker(&program.name))
            .env(LOG_BYTES_MAX_VARIABLE, LOG_BYTES_MAX.to_string())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone().map_err(failed)?))
            .stderr(Stdio::from(log));
        {
            use std::os::unix::process::CommandExt;
            command.process_group(0);
            if let Some((uid, gid)) = program.user {
                command.uid(uid).gid(gid);
            }
        }
        let child = tokio::process::Command::from(command)
            .spawn()
            .map_err(failed)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or_else(|| failed(io::Error::other("it ended at once")))?;
        let process = Process {
            pid,
            // A child of ours keeps its entry until it is waited for.
            start_time: proc::start_time(pid).unwrap_or_default(),
            child: Some(child),
        };
        let arguments = program.arguments.iter();
        let arguments = arguments.map(|word| word.to_string_lossy().into_owned());
        let fingerprint = program.fingerprint.clone();
        self.write(&program.name, &process, fingerprint, arguments.collect())?;
        Ok(process)
    }

    fn write(
        &self,
        name: &str,
        process: &Process,
        fingerprint: String,
        arguments: Vec<String>,
    ) -> Result<(), ProcessError> {
        let path = self.record_path(name);
        let record = Record {
            name: name.to_owned(),
            pid: process.pid,
            start_time: process.start_time,
            boot_id: self.boot_id.clone(),
            fingerprint,
            arguments,
        };
        serde_json::to_vec_pretty(&record)
            .map_err(io::Error::from)
            // After a power cut no process is left that the record could name.
            .and_then(|text| files::replace(&path, &text, 0o600, Durability::Process))
            .map_err(|source| ProcessError::Record { path, source })
    }

    /// Forgets the process of this name; it has ended.
    pub fn forget(&self, name: &str) {
        let path = self.record_path(name);
        if let Err(error) = files::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "could not remove a record");
        }
    }

    fn log(&self, name: &str) -> io::Result<File> {
        let path = self.folder.logs().join(format!("{name}.log"));
        if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
            fs::rename(&path, path.with_extension("log.1"))?;
        }
        OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(path)
    }

    /// The last bytes of a process's log.
    pub fn log_tail(&self, name: &str, bytes_max: usize) -> String {
        let path = self.folder.logs().join(format!("{name}.log"));
        let text = fs::read(path).unwrap_or_default();
        let start = text.len().saturating_sub(bytes_max);
        String::from_utf8_lossy(&text[start..]).trim().to_owned()
    }

    /// Removes the logs of all processes whose names begin so.
    pub fn forget_logs(&self, prefix: &str) {
        let logs = fs::read_dir(self.folder.logs());
        for log in logs.into_iter().flatten().flatten() {
            if log.file_name().to_string_lossy().starts_with(prefix) {
                let _ = files::remove_file(&log.path());
            }
        }
    }

    /// Removes the log of a process that will not come back.
    pub fn forget_log(&self, name: &str) {
        for suffix in ["log", "log.1"] {
            let path = self.folder.logs().join(format!("{name}.{suffix}"));
            let _ = files::remove_file(&path);
        }
    }
}

/// A running process: our own child, or one that we took over.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    start_time: u64,
    child: Option<tokio::process::Child>,
}

impl Process {
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits until it has ended, and says how, if that can be known. May be called again and
    /// dropped at any point.
    pub async fn wait(&mut self) -> Option<std::process::ExitStatus> {
        if let Some(child) = &mut self.child {
            return child.wait().await.ok();
        }
        while self.is_alive() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        None
    }

    fn is_alive(&self) -> bool {
        proc::start_time(self.pid) == Some(self.start_time)
    }

    /// Sends a signal; a process that has ended is fine.
    pub fn signal(&self, signal: Signal) {
        // Between the look and the signal the ID of a process that is not our child could pass on
        // to another one only if four million processes started in between.
        if self.child.is_some() || self.is_alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Asks it to end, and ends it when it has not after `grace`.
    pub async fn stop(&mut self, grace: Duration) {
        self.stop_with(Signal::SIGTERM, grace).await;
    }

    /// As [`Process::stop`], asking with another signal.
    pub async fn stop_with(&mut self, signal: Signal, grace: Duration) {
        self.signal(signal);
        if tokio::time::timeout(grace, self.wait()).await.is_err() {
            tracing::warn!(pid = self.pid, "a process did not end in time; killed");
            self.signal(Signal::SIGKILL);
            self.wait().await;
        }
    }

    /// Ends it and whatever it started that is still in its group.
    pub async fn stop_group(&mut self, grace: Duration) {
        let group = Pid::from_raw(self.pid);
        let _ = killpg(group, Signal::SIGTERM);
        let _ = tokio::time::timeout(grace, self.wait()).await;
        let _ = killpg(group, Signal::SIGKILL);
        self.wait().await;
    }
}
