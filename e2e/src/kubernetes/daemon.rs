//! One program of a cluster, with a log file, that ends with its value.

use crate::Outcome;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Lines of a log that a failed test shows.
const TAIL_LINES: usize = 25;

/// A running program. It belongs to no runtime: a cluster that tests share outlives theirs.
#[derive(Debug)]
pub(super) struct Daemon {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts `programs/name` with these variables beside ours; what it prints goes to a file in `folder`.
    pub(super) fn start<I, S>(
        programs: &Path,
        name: &'static str,
        folder: &Path,
        variables: &[(&str, &str)],
        arguments: I,
    ) -> Outcome<Self>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = Command::new(programs.join(name))
            .args(arguments)
            .envs(variables.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| format!("{name} does not start: {error}"))?;
        Ok(Self { name, log, child })
    }

    /// Fails if it has ended.
    pub(super) fn check(&mut self) -> Outcome<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended with {status}", self.name).into()),
        }
    }

    /// The last lines that it printed.
    pub(super) fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        format!("== {}\n{}\n", self.name, tail.join("\n"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Nothing of it is needed again: it need not end in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
