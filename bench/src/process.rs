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

/// Memory of several processes, KiB; a page that several share counts in parts.
pub(crate) fn proportional_kib_of(pids: &[i32]) -> Outcome<u64> {
    let mut total = 0;
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let kib: Option<u64> = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse().ok());
        total += kib.ok_or_else(|| format!("process {pid} tells no Pss"))?;
    }
    Ok(total)
}

/// Most memory that a process has had at once, KiB; pages of files that it has read count too.
pub(crate) fn peak_kib(pid: i32) -> Outcome<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok());
    Ok(kib.ok_or_else(|| format!("process {pid} tells no VmHWM"))?)
}
