//! What `up` tells its user, line by line.

use std::io::Write;

/// Standard output; a reader that went away is no reason to end.
pub(crate) fn line(text: &str) {
    tracing::info!("{text}");
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A process that is up.
pub(crate) fn service(name: &str, adopted: bool, pid: Option<i32>) {
    let how = if adopted { "runs already" } else { "started" };
    let pid = pid
        .map(|pid| format!(" (process {pid})"))
        .unwrap_or_default();
    line(&format!("The {name} {how}{pid}"));
}
