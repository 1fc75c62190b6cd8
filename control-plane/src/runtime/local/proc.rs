//! What the kernel says of processes (`/proc`).

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Set in the environment of every child: the data folder and the process's name. By it a child is
/// found again whose parent was killed before it could write the record.
pub(crate) const MARKER: &str = "LUMADB_PROCESS";

/// Start time of a live process, in clock ticks since boot; with its ID it names a process for
/// good. `None` when there is none, or nothing but a zombie.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat)
}

/// `pid (comm) state ppid …`: the command may hold spaces and parentheses, so that the fields
/// count from the last one. Start time is field 22 (proc(5)).
fn parse_stat(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Identity of this boot of the machine.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// A process that carries the marker of this data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marked {
    pub pid: i32,
    pub start_time: u64,
    pub name: String,
}

/// Every live process whose marker starts with `prefix`; the rest of the marker is its name.
pub(crate) fn marked(prefix: &str) -> Vec<Marked> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own)
        .filter_map(|pid| {
            let environment = environment(pid)?;
            let name = marker_of(&environment)?.strip_prefix(prefix)?.to_owned();
            Some(Marked {
                pid,
                start_time: start_time(pid)?,
                name,
            })
        })
        .collect()
}

/// Live processes that stand in a folder that had this path and was removed. Its children are among
/// them where it is an engine.
pub(crate) fn standing_in_removed(folder: &Path) -> Vec<i32> {
    // As the kernel shows it (proc(5)).
    let shown = format!("{} (deleted)", folder.display());
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let stands_in = fs::read_link(format!("/proc/{pid}/cwd"));
            stands_in.is_ok_and(|folder| folder.as_os_str() == shown.as_str())
                && start_time(*pid).is_some()
        })
        .collect()
}

/// Environment of a process. One that is being executed shows an empty one for a moment, after
/// its parent was told that it started: it is asked again, for at most 20 ms.
fn environment(pid: i32) -> Option<Vec<u8>> {
    for _ in 0..10 {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let is_kernel_thread = fs::read_link(format!("/proc/{pid}/exe")).is_err();
        if !environment.is_empty() || is_kernel_thread {
            return Some(environment);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

fn marker_of(environment: &[u8]) -> Option<&str> {
    environment
        .split(|byte| *byte == 0)
        .filter_map(|variable| std::str::from_utf8(variable).ok())
        .find_map(|variable| variable.strip_prefix(MARKER)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = |state: &str| {
            let middle = (4..22).map(|field| field.to_string());
            let fields: Vec<String> = middle.chain(["777".into(), "23".into()]).collect();
            format!("42 (a) b (c)) {state} {}", fields.join(" "))
        };
        assert_eq!(parse_stat(&line("S")), Some(777));
        assert_eq!(parse_stat(&line("Z")), None, "a zombie is dead");
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn this_process_is_alive_and_an_impossible_one_is_not() {
        let own = i32::try_from(std::process::id()).expect("fits");
        assert!(start_time(own).is_some());
        assert_eq!(start_time(i32::MAX), None);
    }

    #[test]
    fn the_marker_is_read_from_an_environment() {
        let environment = b"PATH=/bin\0LUMADB_PROCESS=/data:node.db_1\0X=1\0";
        assert_eq!(marker_of(environment), Some("/data:node.db_1"));
        assert_eq!(marker_of(b"OTHER_LUMADB_PROCESS=1\0"), None);
    }
}
