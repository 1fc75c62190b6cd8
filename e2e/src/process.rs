//! The processes of one data folder, read from `/proc`.

use crate::Outcome;
use crate::wait::until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// A process that names the data folder in its arguments or environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    /// Its arguments, joined by spaces.
    pub command: String,
}

/// Every process that belongs to a data folder, and what descends from one.
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
        let (Ok(arguments), Ok(status)) = (
            std::fs::read(entry.path().join("cmdline")),
            std::fs::read_to_string(entry.path().join("stat")),
        ) else {
            continue;
        };
        let Some((state, parent)) = state_and_parent(&status) else {
            continue;
        };
        if state == 'Z' {
            continue;
        }
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if contains(&arguments, folder) || contains(&environment, folder) {
            found.insert(pid);
        }
        let command = String::from_utf8_lossy(&arguments).replace('\0', " ");
        all.insert(
            pid,
            Process {
                pid,
                parent,
                command,
            },
        );
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
    // A tool that a test runs on the folder is not of the cloud.
    let own = i32::try_from(std::process::id())?;
    Ok(all
        .into_values()
        .filter(|process| found.contains(&process.pid) && process.pid != own)
        .filter(|process| !process.command.starts_with("psql "))
        .collect())
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
