//! The files that PostgreSQL asks for while it replays.
//!
//! PostgreSQL runs a command for each file, which asks over a unix socket: only this side has keys
//! and credentials, and what was listed once need not be listed for each file. PostgreSQL must be
//! able to tell *not there*, which ends what is replayed, from *no answer*, which must not.
//!
//! A question is the file's name and a line's end. The answer is a byte, [`FOUND`] or another, then
//! the length (8 bytes, big endian) and the content: of the file, or of what went wrong.

use super::plan::{ArchivedWal, Plan, history_parse};
use crate::archive::layout::Timeline;
use crate::archive::wal::{WalError, WalReader};
use lumadb_contract::archive::Lsn;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// What the command exits with when there is no such file in the archive.
const WAL_FILE_MISSING: u8 = 1;

/// What it exits with when that is not known: PostgreSQL gives up above 125.
const WAL_FILE_UNAVAILABLE: u8 = 200;

const FOUND: u8 = 0;
const MISSING: u8 = 1;
const FAILED: u8 = 2;

/// Longest name of a file, bytes.
const NAME_BYTES_MAX: u64 = 64;

/// Largest file, bytes: PostgreSQL's largest segment.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Tries to read what the store did not give, each of which has tries of its own, at most.
const TRIES_MAX: u32 = 3;

/// What an archive holds of WAL, for planning.
pub async fn archived_wal(reader: &WalReader) -> Result<ArchivedWal, WalError> {
    let mut wal = ArchivedWal::default();
    for timeline in reader.timelines() {
        let covered = reader.covered(timeline).into_iter();
        let ranges = covered.map(|range| (range.start, range.end)).collect();
        wal.ranges.insert(timeline, ranges);
        if let Some(history) = reader.history(timeline).await? {
            let text = String::from_utf8_lossy(&history);
            if let Some(ancestors) = history_parse(&text) {
                wal.ancestors.insert(timeline, ancestors);
            }
        }
    }
    Ok(wal)
}

#[derive(Debug, thiserror::Error)]
pub enum WalFileError {
    #[error(transparent)]
    Wal(#[from] WalError),
    /// What is not there would end what is replayed, too early.
    #[error("WAL was there when the restore was planned, and is not any more")]
    Lost,
}

impl WalFileError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Wal(error) if error.is_transient())
    }

    /// Whether an object is not what was written: it never will be.
    fn is_damage(&self) -> bool {
        matches!(self, Self::Wal(error) if error.is_damage())
    }
}

/// WAL of one timeline that a plan counts on.
#[derive(Debug)]
struct Promise {
    timeline: Timeline,
    from: Lsn,
    until: Lsn,
}

/// Gives out the files of one archive for one plan.
#[derive(Debug)]
pub struct WalFiles {
    reader: WalReader,
    promises: Vec<Promise>,
    segment_bytes: u64,
    /// Where the last segment that was given out begins.
    given: AtomicU64,
    /// The first object that was damaged, in words.
    damaged: OnceLock<String>,
}

impl WalFiles {
    pub fn new(reader: WalReader, wal: &ArchivedWal, plan: &Plan) -> Self {
        let ancestors = wal.ancestors.get(&plan.timeline);
        let ancestors = ancestors.map(Vec::as_slice).unwrap_or_default();
        let left = ancestors.iter().map(|step| (step.timeline, step.until));
        let mut from = plan.start_lsn;
        let mut promises = Vec::new();
        for (timeline, until) in left.chain([(plan.timeline, plan.wal_until)]) {
            let until = until.min(plan.wal_until);
            promises.push(Promise {
                timeline,
                from,
                until,
            });
            from = from.max(until);
        }
        Self {
            reader,
            promises,
            segment_bytes: plan.wal_segment_bytes,
            given: AtomicU64::new(0),
            damaged: OnceLock::new(),
        }
    }

    /// PostgreSQL has asked for WAL from here on.
    pub fn given(&self) -> Lsn {
        Lsn(self.given.load(Ordering::Relaxed))
    }

    /// What was damaged of what PostgreSQL asked for.
    pub fn damaged(&self) -> Option<&str> {
        self.damaged.get().map(String::as_str)
    }

    /// A file by the name that PostgreSQL gives it; `None`: there is none.
    pub async fn file(&self, name: &str) -> Result<Option<Vec<u8>>, WalFileError> {
        match FileName::parse(name, self.segment_bytes) {
            None => Ok(None),
            Some(FileName::History(timeline)) => Ok(self.reader.history(timeline).await?),
            Some(FileName::Segment { timeline, number }) => {
                let bytes = self.segment_bytes;
                let file = self.reader.segment(timeline, number, bytes).await?;
                let start = number.saturating_mul(bytes);
                if file.is_some() {
                    self.given.fetch_max(start, Ordering::Relaxed);
                } else if self.is_promised(timeline, start) {
                    return Err(WalFileError::Lost);
                }
                Ok(file)
            }
        }
    }

    fn is_promised(&self, timeline: Timeline, start: u64) -> bool {
        let end = start.saturating_add(self.segment_bytes);
        self.promises.iter().any(|promise| {
            promise.timeline == timeline && start < promise.until.0 && promise.from.0 < end
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum FileName {
    History(Timeline),
    Segment { timeline: Timeline, number: u64 },
}

impl FileName {
    fn parse(name: &str, segment_bytes: u64) -> Option<Self> {
        let number = |digits: &str| {
            let plain = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            plain
                .then(|| u32::from_str_radix(digits, 16).ok())
                .flatten()
        };
        if let Some(timeline) = name.strip_suffix(".history") {
            return Some(Self::History(number(timeline)?));
        }
        let (timeline, rest) = name.split_at_checked(8)?;
        let (high, low) = rest.split_at_checked(8)?;
        let in_each = (1_u64 << 32).checked_div(segment_bytes)?;
        Some(Self::Segment {
            timeline: number(timeline)?,
            number: u64::from(number(high)?) * in_each + u64::from(number(low)?),
        })
    }
}

/// Answers questions for as long as it is polled.
pub async fn wal_files_serve(files: Arc<WalFiles>, listener: UnixListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let files = files.clone();
        tokio::spawn(async move {
            if let Err(error) = answer(&files, stream).await {
                tracing::warn!(%error, "a file of WAL was not handed over");
            }
        });
    }
}

async fn answer(files: &WalFiles, stream: UnixStream) -> io::Result<()> {
    let (from, mut to) = stream.into_split();
    let mut name = String::new();
    let mut from = BufReader::new(from).take(NAME_BYTES_MAX);
    from.read_line(&mut name).await?;
    let name = name.trim_end();
    let mut tries = 0;
    let read = loop {
        tries += 1;
        match files.file(name).await {
            Err(error) if error.is_transient() && tries < TRIES_MAX => {
                tracing::warn!(error = %crate::errors::chain(&error), name, "trying again");
            }
            read => break read,
        }
    };
    let (found, content) = match read {
        Ok(Some(content)) => (FOUND, content),
        Ok(None) => (MISSING, Vec::new()),
        Err(error) => {
            let text = crate::errors::chain(&error);
            tracing::error!(error = text, name, "a file of WAL cannot be read");
            if error.is_damage() {
                files.damaged.get_or_init(|| text.clone());
            }
            (FAILED, text.into_bytes())
        }
    };
    to.write_u8(found).await?;
    to.write_u64(content.len() as u64).await?;
    to.write_all(&content).await?;
    to.shutdown().await
}

/// The other end: puts the file `name` to `path`; answers what the command exits with.
pub async fn wal_file_fetch(socket: &Path, name: &str, path: &Path) -> u8 {
    match ask(socket, name).await {
        Ok(Ok(Some(content))) => match std::fs::write(path, content) {
            Ok(()) => 0,
            Err(error) => {
                tracing::error!(%error, name, "a file of WAL was not written");
                WAL_FILE_UNAVAILABLE
            }
        },
        Ok(Ok(None)) => WAL_FILE_MISSING,
        Ok(Err(error)) => {
            tracing::error!(error, name, "a file of WAL cannot be read");
            WAL_FILE_UNAVAILABLE
        }
        Err(error) => {
            tracing::error!(%error, name, "nobody hands out files of WAL");
            WAL_FILE_UNAVAILABLE
        }
    }
}

/// The file, or what went wrong on the other side.
async fn ask(socket: &Path, name: &str) -> io::Result<Result<Option<Vec<u8>>, String>> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(format!("{name}\n").as_bytes()).await?;
    let found = stream.read_u8().await?;
    let length = stream.read_u64().await?;
    if length > FILE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = vec![0; usize::try_from(length).unwrap_or_default()];
    stream.read_exact(&mut content).await?;
    match found {
        FOUND => Ok(Ok(Some(content))),
        MISSING => Ok(Ok(None)),
        _ => Ok(Err(String::from_utf8_lossy(&content).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_those_of_postgresql() {
        let segment = |timeline, number| Some(FileName::Segment { timeline, number });
        let sixteen = 16 << 20;
        for (name, expected) in [
            ("000000010000000000000003", segment(1, 3)),
            ("0000000200000001000000FF", segment(2, 511)),
            ("00000003.history", Some(FileName::History(3))),
            ("000000010000000000000003.partial", None),
            ("000000010000000000000003.00000028.backup", None),
            ("../../etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(FileName::parse(name, sixteen), expected, "{name}");
        }
        let large = FileName::parse("000000010000000100000003", 1 << 30);
        assert_eq!(large, segment(1, 7));
    }
}
