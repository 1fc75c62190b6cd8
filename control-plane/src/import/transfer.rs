//! `pg_dump` into `pg_restore`, with the bytes passing through our hands.

use super::Failure;
use super::programs::Room;
use super::progress::Progress;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

const BUFFER_BYTES: usize = 256 * 1024;

/// Longest line of a program that is kept, bytes.
const LINE_BYTES_MAX: u64 = 16 * 1024;

/// Lines of a program's complaints that are kept.
const COMPLAINTS_MAX: usize = 20;

/// Copies everything, as it is in `snapshot` if one is given. Dropping it ends both programs.
pub(super) async fn copy(
    room: &Room,
    snapshot: Option<&str>,
    progress: &Arc<Progress>,
) -> Result<(), Failure> {
    let started = |program: &str, error: io::Error| {
        tracing::error!(program, %error, "a program of an import did not start");
        Failure::new("The import could not be started here. Try again later.")
    };
    let mut dump = room
        .dump(snapshot)
        .spawn()
        .map_err(|error| started("pg_dump", error))?;
    let mut restore = room
        .restore()
        .spawn()
        .map_err(|error| started("pg_restore", error))?;
    let (Some(from), Some(to)) = (dump.stdout.take(), restore.stdin.take()) else {
        return Err(Failure::new("The import could not be started here."));
    };
    let dump_says = listen(dump.stderr.take(), None);
    let restore_says = listen(restore.stderr.take(), Some(Arc::clone(progress)));
    let pumped = pump(from, to, progress).await;
    if pumped == Pumped::RefusedByTarget {
        // It broke off and has said why; what the source says then is only that nobody listens.
        let _ = dump.kill().await;
        let status = restore.wait().await;
        return Err(explain(status, restore_says).await);
    }
    let dumped = dump.wait().await;
    if !succeeded(&dumped) {
        // Without the end of the copy it could not know that anything is missing.
        let _ = restore.kill().await;
        return Err(explain(dumped, dump_says).await);
    }
    let restored = restore.wait().await;
    if succeeded(&restored) {
        return Ok(());
    }
    Err(explain(restored, restore_says).await)
}

fn succeeded(status: &io::Result<ExitStatus>) -> bool {
    status.as_ref().is_ok_and(ExitStatus::success)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pumped {
    /// The source has said all it will.
    All,
    RefusedByTarget,
}

async fn pump(mut from: ChildStdout, mut to: ChildStdin, progress: &Progress) -> Pumped {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return Pumped::All,
            Ok(read) => read,
        };
        if to.write_all(&buffer[..read]).await.is_err() {
            return Pumped::RefusedByTarget;
        }
        progress.copied(read);
    }
}

/// Reads what a program prints to its end; keeps what is no progress.
fn listen(
    from: Option<impl AsyncRead + Unpin + Send + 'static>,
    progress: Option<Arc<Progress>>,
) -> JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut kept = Vec::new();
        let Some(from) = from else { return kept };
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut bounded = (&mut from).take(LINE_BYTES_MAX);
            match bounded.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return kept,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            if let Some(progress) = &progress {
                progress.line(text);
            }
            if is_complaint(text) && kept.len() < COMPLAINTS_MAX {
                kept.push(text.to_owned());
            }
        }
    })
}

/// Whether a line tells of a fault: of the rest, `--verbose` prints one for each step.
fn is_complaint(line: &str) -> bool {
    !line.starts_with("pg_restore: ")
        || line.starts_with("pg_restore: error: ")
        || line.starts_with("pg_restore: from TOC entry ")
}

async fn explain(status: io::Result<ExitStatus>, says: JoinHandle<Vec<String>>) -> Failure {
    let lines = says.await.unwrap_or_default();
    if lines.is_empty() {
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        return Failure::new(format!("The copy ended early ({status})."));
    }
    Failure::new(words(&lines))
}

/// Complaints of the programs as sentences: what failed, and what PostgreSQL said of it.
fn words(lines: &[String]) -> String {
    let mut object = None;
    let mut texts: Vec<&str> = Vec::new();
    for line in lines {
        if let Some(entry) = line.strip_prefix("pg_restore: from TOC entry ") {
            // `215; 1259 16385 TABLE orders owner`
            object = entry.split_once(' ').and_then(|(_, rest)| {
                let mut words = rest.splitn(3, ' ');
                words.nth(2)
            });
            continue;
        }
        let text = ["pg_dump: error: ", "pg_restore: error: "]
            .iter()
            .find_map(|program| line.strip_prefix(program))
            .unwrap_or(line);
        texts.push(text.trim());
    }
    let text = texts.join(" ");
    match object {
        Some(object) => format!("Not restored: {}. {text}", without_owner(object)),
        None => text,
    }
}

/// The last word of an entry is the role that owned it at the source.
fn without_owner(entry: &str) -> &str {
    entry.rsplit_once(' ').map_or(entry, |(object, _)| object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_with_the_object_that_they_are_about() {
        let lines = [
            "pg_restore: from TOC entry 215; 1259 16385 TABLE orders ada",
            "pg_restore: error: could not execute query: ERROR:  permission denied",
            "Command was: CREATE TABLE public.orders ();",
        ]
        .map(str::to_owned);
        let text = words(&lines);
        assert!(text.starts_with("Not restored: TABLE orders. "), "{text}");
        assert!(text.contains("permission denied"), "{text}");
        assert!(!text.contains("pg_restore"), "{text}");
        let lines = ["pg_dump: error: connection to server failed: refused".to_owned()];
        assert_eq!(words(&lines), "connection to server failed: refused");
    }

    #[test]
    fn steps_are_no_complaints() {
        assert!(!is_complaint("pg_restore: creating TABLE \"public.a\""));
        assert!(is_complaint("pg_restore: error: could not execute query"));
        assert!(is_complaint("pg_dump: error: no"));
    }
}
