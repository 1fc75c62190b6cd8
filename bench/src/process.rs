//! What a process has used, read from `/proc`.

use lumadb_e2e::{Outcome, process};
use std::time::Duration;

/// Time on a CPU of all threads of a process, user and system together.
///
/// From `schedstat`, which counts nanoseconds: `stat` counts hundredths of a second, too coarse for
/// a short round. No process measured here ends threads while it is measured.
pub(crate) fn cpu_time(pid: i32) -> Outcome<Duration> {
    let mut total = Duration::ZERO;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let nanoseconds = text.split(' ').next().and_then(|field| field.parse().ok());
        total += Duration::from_nanos(nanoseconds.ok_or("schedstat holds no number")?);
    }
    Ok(total)
}

/// Time on a CPU of several processes together.
pub(crate) fn cpu_time_of(pids: &[i32]) -> Outcome<Duration> {
    pids.iter()
        .try_fold(Duration::ZERO, |sum, pid| Ok(sum + cpu_time(*pid)?))
}

/// Memory of several processes that no file backs, KiB.
pub(crate) fn anonymous_kib_of(pids: &[i32]) -> Outcome<u64> {
    pids.iter()
        .try_fold(0, |sum, pid| Ok(sum + process::anonymous_kib(*pid)?))
}

/// A process and all that descends from it.
pub(crate) fn family(pid: i32) -> Outcome<Vec<i32>> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        next += 1;
        for task in std::fs::read_dir(format!("/proc/{parent}/task"))? {
            let children = std::fs::read_to_string(task?.path().join("children"))?;
            family.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<i32>().ok()),
            );
        }
    }
    Ok(family)
}
