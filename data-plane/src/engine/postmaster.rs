//! One PostgreSQL server process: started or found running, watched, ended.

use super::directory::EngineDir;
use super::instance_dir::InstanceDir;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout_at};

/// How often a starting engine is asked whether it is ready, milliseconds: reading one small file.
const READY_POLL_MS: u64 = 2;

/// How often an engine that is not our child is looked for, milliseconds.
const ADOPTED_POLL_MS: u64 = 100;

/// How a running engine is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    /// Ends sessions, writes a checkpoint.
    Fast,
    /// Ends at once; the next start replays WAL.
    Immediate,
}

#[derive(Debug, thiserror::Error)]
pub enum PostmasterError {
    #[error("{} could not be started", program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the engine's files in {} could not be read", path.display())]
    Files {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the engine (process {pid}) could not be signaled")]
    Signal {
        pid: i32,
        #[source]
        source: Errno,
    },
    #[error("the engine (process {pid}) did not end")]
    Stuck { pid: i32 },
}

/// What happened to an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EngineEvent {
    Ready,
    /// It is gone; says how.
    Ended(String),
}

/// A running engine.
#[derive(Debug)]
pub(crate) struct Postmaster {
    data: PathBuf,
    pid: Pid,
    /// `None`: it was started by an earlier helper and is not our child.
    child: Option<Child>,
    ready: bool,
}

impl Postmaster {
    /// Finds the engine that an earlier helper left running in this data folder.
    pub(crate) fn adopt(instance: &InstanceDir) -> Option<Self> {
        let data = instance.data();
        let written = PidFile::read(&data)?;
        runs_in(written.pid, &data).then(|| Self {
            data,
            pid: written.pid,
            child: None,
            ready: false,
        })
    }

    /// Starts the engine, which prints where this process does. It is not ready when this returns.
    pub(crate) fn start(
        engine: &EngineDir,
        instance: &InstanceDir,
    ) -> Result<Self, PostmasterError> {
        Self::start_printing(engine, instance, [Stdio::inherit(), Stdio::inherit()])
    }

    /// The same, with other standard streams for what it prints.
    pub(crate) fn start_printing(
        engine: &EngineDir,
        instance: &InstanceDir,
        [stdout, stderr]: [Stdio; 2],
    ) -> Result<Self, PostmasterError> {
        let data = instance.data();
        clear_foreign_pid_file(&data).map_err(|source| PostmasterError::Files {
            path: data.clone(),
            source,
        })?;
        let program = engine.program("postgres");
        let child = Command::new(&program)
            .arg("-D")
            .arg(&data)
            .env_clear()
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir(&data)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            // Signals of a terminal are not meant for it.
            .process_group(0)
            .kill_on_drop(false)
            .spawn()
            .map_err(|source| PostmasterError::Spawn {
                program: program.clone(),
                source,
            })?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        let pid = pid.ok_or_else(|| PostmasterError::Spawn {
            program,
            source: io::Error::other("it ended at once"),
        })?;
        Ok(Self {
            data,
            pid: Pid::from_raw(pid),
            child: Some(child),
            ready: false,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// The next thing that happens: it becomes ready, then it ends. May be dropped at any time.
    pub(crate) async fn event(&mut self) -> EngineEvent {
        if !self.ready {
            loop {
                let written = PidFile::read(&self.data);
                if written.is_some_and(|file| file.pid == self.pid && file.ready) {
                    self.ready = true;
                    return EngineEvent::Ready;
                }
                let pause = sleep(Duration::from_millis(READY_POLL_MS));
                tokio::select! {
                    () = pause => {}
                    how = self.ended() => return EngineEvent::Ended(how),
                }
            }
        }
        EngineEvent::Ended(self.ended().await)
    }

    /// Makes it read its configuration files again.
    pub(crate) fn reload(&self) -> Result<(), PostmasterError> {
        self.signal(Signal::SIGHUP)
    }

    /// Ends it, by ever harder means, each given `patience`; answers when it is gone.
    pub(crate) async fn stop(
        mut self,
        mode: StopMode,
        patience: Duration,
    ) -> Result<(), PostmasterError> {
        let steps = match mode {
            StopMode::Fast => &[Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL][..],
            StopMode::Immediate => &[Signal::SIGQUIT, Signal::SIGKILL][..],
        };
        for step in steps {
            self.signal(*step)?;
            let deadline = Instant::now() + patience;
            if timeout_at(deadline, self.ended()).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(pid = self.pid(), signal = %step, "the engine does not end");
        }
        Err(PostmasterError::Stuck {
            pid: self.pid.as_raw(),
        })
    }

    async fn ended(&mut self) -> String {
        if let Some(child) = &mut self.child {
            return match child.wait().await {
                Ok(status) => format!("the engine ended: {status}"),
                Err(error) => format!("the engine ended: {error}"),
            };
        }
        while runs_in(self.pid, &self.data) {
            sleep(Duration::from_millis(ADOPTED_POLL_MS)).await;
        }
        "the engine ended".to_owned()
    }

    fn signal(&self, signal: Signal) -> Result<(), PostmasterError> {
        match kill(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(source) => Err(PostmasterError::Signal {
                pid: self.pid.as_raw(),
                source,
            }),
        }
    }
}

/// What `postmaster.pid` says: the process ID in its first line, the state in its eighth.
#[derive(Debug)]
struct PidFile {
    pid: Pid,
    ready: bool,
}

impl PidFile {
    fn read(data: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let pid: i32 = text.lines().next()?.trim().parse().ok()?;
        Some(Self {
            pid: (pid > 1).then_some(Pid::from_raw(pid))?,
            ready: text
                .lines()
                .nth(7)
                .is_some_and(|line| line.trim() == "ready"),
        })
    }
}

/// Whether process `pid` lives and works in this data folder, as the engine does from its first
/// moments: a process that got the number of one that died does not.
fn runs_in(pid: Pid, data: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let lives = std::fs::read_to_string(process.join("stat"))
        .ok()
        .and_then(|stat| Some(!stat.rsplit_once(") ")?.1.starts_with('Z')))
        .unwrap_or(false);
    lives && std::fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == data)
}

/// Removes a `postmaster.pid` whose process ID now belongs to a stranger of the same user, which
/// PostgreSQL would take for a running engine. It stays while any process works in the folder: it
/// is PostgreSQL's own guard against a second postmaster.
fn clear_foreign_pid_file(data: &Path) -> io::Result<()> {
    let Some(written) = PidFile::read(data) else {
        return Ok(());
    };
    let taken = kill(written.pid, None).is_ok() && !runs_in(written.pid, data);
    if !taken || anyone_runs_in(data)? {
        return Ok(());
    }
    std::fs::remove_file(data.join("postmaster.pid"))?;
    let lock = data.join("../run/.s.PGSQL.5432.lock");
    match std::fs::remove_file(lock) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn anyone_runs_in(data: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        if pid.is_some_and(|pid| runs_in(Pid::from_raw(pid), data)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_the_engine_is_read_from_its_pid_file() {
        let text = "4711\n/data\n1764000000\n5432\n../run\n\n 123 456\nready   \n";
        let file = PidFile::parse(text).expect("reads");
        assert_eq!((file.pid.as_raw(), file.ready), (4711, true));
        let starting = text.replace("ready   ", "starting");
        assert!(!PidFile::parse(&starting).expect("reads").ready);
        assert!(PidFile::parse("").is_none());
        assert!(PidFile::parse("-1\n").is_none());
    }

    #[test]
    fn a_process_id_that_a_stranger_got_is_not_taken_for_the_engine() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("makes");
        let ours = std::process::id();
        std::fs::write(data.join("postmaster.pid"), format!("{ours}\n")).expect("writes");
        let instance = InstanceDir::open(folder.path()).expect("opens");
        assert!(Postmaster::adopt(&instance).is_none());
        clear_foreign_pid_file(&instance.data()).expect("clears");
        assert!(!data.join("postmaster.pid").exists());
    }
}
