//! What `up` tells its user, line by line.

use std::io::Write;

/// Standard output; a reader that went away is no reason to end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Say;

impl Say {
    pub(crate) fn line(self, text: &str) {
        tracing::info!("{text}");
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// A process that is up.
    pub(crate) fn service(self, name: &str, adopted: bool, pid: Option<i32>) {
        let how = if adopted { "runs already" } else { "started" };
        let pid = pid
            .map(|pid| format!(" (process {pid})"))
            .unwrap_or_default();
        self.line(&format!("The {name} {how}{pid}"));
    }
}
