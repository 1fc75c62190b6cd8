//! Sealed samples on disk, kept until they are acknowledged.
//!
//! One file per incarnation, `<incarnation>.<number>.spool`, appended to and fsynced; when most of
//! it is no longer needed, what is goes into the next number and the old file is removed. A file
//! of another incarnation is only read, and removed when its last sample is acknowledged.
//!
//! While the parent is away the newest sample is replaced by a later one of the same minute, so the
//! spool grows by one sample (about 300 bytes) a minute; after [`PENDING_SAMPLES_FINE_MAX`] of
//! them, a week, by one an hour.

use super::outbox::Outbox;
use super::record;
use crate::files;
use lumadb_contract::id::IncarnationId;
use lumadb_contract::usage::{UsageCounters, UsageGauges, UsageSample};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use time::OffsetDateTime;

/// Unacknowledged samples up to which one a minute is kept; beyond it one an hour.
const PENDING_SAMPLES_FINE_MAX: usize = 10_000;

/// Size of a file, bytes, at which it is looked at for what can go.
const FILE_BYTES_COMFORTABLE: u64 = 256 * 1024;

/// Seconds between samples when nothing changes.
const HEARTBEAT_SECONDS: i64 = 60;

#[derive(Debug, thiserror::Error)]
#[error("{doing} the usage spool at {path}")]
pub struct SpoolError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// What is to be sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    pub counters: UsageCounters,
    pub gauges: UsageGauges,
}

/// Writes samples of one incarnation and answers for those of earlier ones. Its calls block on the
/// disk: keep them off a thread that serves clients.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    incarnation_id: IncarnationId,
    outbox: Arc<Outbox>,
    file: File,
    file_number: u64,
    file_bytes: u64,
    sequence: u64,
    sealed: Option<(Reading, OffsetDateTime)>,
    /// Files of earlier incarnations and the last sequence in each.
    earlier: BTreeMap<IncarnationId, (u64, Vec<PathBuf>)>,
}

impl Spool {
    /// Opens the spool in `folder`, which it makes, for a new incarnation. Samples of earlier ones
    /// are in the outbox when it returns.
    pub fn open(folder: &Path, incarnation_id: IncarnationId) -> Result<Self, SpoolError> {
        let fault = |doing| fault(doing, folder);
        std::fs::create_dir_all(folder).map_err(fault("making"))?;
        let outbox = Arc::new(Outbox::default());
        let earlier = read_earlier(folder, &outbox).map_err(fault("reading"))?;
        let file = create_file(folder, incarnation_id, 1).map_err(fault("creating a file in"))?;
        Ok(Self {
            folder: folder.to_owned(),
            incarnation_id,
            outbox,
            file,
            file_number: 1,
            file_bytes: 0,
            sequence: 0,
            sealed: None,
            earlier,
        })
    }

    /// What the stream to the parent sends from.
    pub fn outbox(&self) -> Arc<Outbox> {
        self.outbox.clone()
    }

    /// Seals `reading` if it differs from the last one or that one is a minute old. Durable when it
    /// returns. `last` says that the node goes to sleep after it and seals in any case.
    pub fn seal(
        &mut self,
        reading: Reading,
        last: bool,
        now: OffsetDateTime,
    ) -> Result<(), SpoolError> {
        // The clock of a machine may step back; a sample's time never does.
        let taken_at = self.sealed.map_or(now, |(_, before)| before.max(now));
        if let Some((before, at)) = self.sealed {
            let due = (taken_at - at).whole_seconds() >= HEARTBEAT_SECONDS;
            if before == reading && !due && !last {
                return Ok(());
            }
        }
        let replaced = self.outbox.take_newest(|newest, pending| {
            newest.incarnation_id == self.incarnation_id
                && same_span(newest.taken_at, taken_at, pending)
        });
        let sequence = replaced
            .as_ref()
            .map_or(self.sequence + 1, |newest| newest.sequence);
        let sample = UsageSample {
            incarnation_id: self.incarnation_id,
            sequence,
            taken_at,
            counters: reading.counters,
            gauges: reading.gauges,
            last,
        };
        if let Err(source) = self.append(&sample) {
            if let Some(newest) = replaced {
                self.outbox.push(newest);
            }
            return Err(fault("writing", &self.folder)(source));
        }
        self.sequence = sequence;
        self.sealed = Some((reading, taken_at));
        self.outbox.push(sample);
        self.tidy()
    }

    /// Samples of `incarnation` up to `sequence` are stored elsewhere and may be forgotten.
    pub fn acknowledge(
        &mut self,
        incarnation: IncarnationId,
        sequence: u64,
    ) -> Result<(), SpoolError> {
        self.outbox.forget(incarnation, sequence);
        if let Some((last, _)) = self.earlier.get(&incarnation)
            && *last <= sequence
            && let Some((_, paths)) = self.earlier.remove(&incarnation)
        {
            for path in paths {
                std::fs::remove_file(&path).map_err(fault("removing a file of", &path))?;
            }
        }
        self.tidy()
    }

    fn append(&mut self, sample: &UsageSample) -> io::Result<()> {
        let record = record::encode(sample)?;
        let written = self
            .file
            .write_all(&record)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a record would hide the ones behind it.
            self.file.set_len(self.file_bytes)?;
            return Err(error);
        }
        self.file_bytes += record.len() as u64;
        Ok(())
    }

    /// Starts the next file with what is still needed once most of the current one is not.
    fn tidy(&mut self) -> Result<(), SpoolError> {
        if self.file_bytes < FILE_BYTES_COMFORTABLE {
            return Ok(());
        }
        let mut needed = Vec::new();
        for sample in self.outbox.samples_of(self.incarnation_id) {
            let record = record::encode(&sample)
                .map_err(io::Error::from)
                .map_err(fault("writing", &self.folder))?;
            needed.extend(record);
        }
        if self.file_bytes < 2 * needed.len() as u64 {
            return Ok(());
        }
        self.begin_next_file(&needed)
            .map_err(fault("starting the next file of", &self.folder))
    }

    fn begin_next_file(&mut self, content: &[u8]) -> io::Result<()> {
        let next = self.file_number + 1;
        let mut file = create_file(&self.folder, self.incarnation_id, next)?;
        file.write_all(content)?;
        file.sync_all()?;
        files::sync_parent(&file_path(&self.folder, self.incarnation_id, next))?;
        let old = file_path(&self.folder, self.incarnation_id, self.file_number);
        self.file = file;
        self.file_number = next;
        self.file_bytes = content.len() as u64;
        std::fs::remove_file(old)
    }
}

fn fault<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> SpoolError + Copy + 'a {
    move |source| SpoolError {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Whether a sample may be replaced by one taken at `now`: both lie in the same minute of the
/// clock, or hour when many are pending, so that no hour's total is changed by it.
fn same_span(newest: OffsetDateTime, now: OffsetDateTime, pending: usize) -> bool {
    let span_seconds = if pending < PENDING_SAMPLES_FINE_MAX {
        60
    } else {
        3600
    };
    let span = |at: OffsetDateTime| at.unix_timestamp().div_euclid(span_seconds);
    span(newest) == span(now)
}

fn file_path(folder: &Path, incarnation: IncarnationId, number: u64) -> PathBuf {
    folder.join(format!("{incarnation}.{number:010}.spool"))
}

fn create_file(folder: &Path, incarnation: IncarnationId, number: u64) -> io::Result<File> {
    let path = file_path(folder, incarnation, number);
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)?;
    // Left by an attempt to start this file that failed halfway.
    file.set_len(0)?;
    files::sync_parent(&path)?;
    Ok(file)
}

type Earlier = BTreeMap<IncarnationId, (u64, Vec<PathBuf>)>;

fn read_earlier(folder: &Path, outbox: &Outbox) -> io::Result<Earlier> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "spool")
        {
            paths.push(path);
        }
    }
    // By incarnation, thus by time, then by number.
    paths.sort();
    let mut samples: BTreeMap<(IncarnationId, u64), UsageSample> = BTreeMap::new();
    let mut earlier = Earlier::new();
    for path in paths {
        let bytes = std::fs::read(&path)?;
        let (read, whole) = record::decode_all(&bytes);
        if whole < bytes.len() {
            tracing::warn!(path = %path.display(), cut_bytes = bytes.len() - whole,
                "the usage spool ends in a record that was not written to its end");
        }
        let Some(newest) = read.last() else {
            std::fs::remove_file(&path)?;
            continue;
        };
        let known = earlier.entry(newest.incarnation_id).or_default();
        known.0 = known.0.max(newest.sequence);
        known.1.push(path);
        // A later record replaces an earlier one of the same sequence.
        samples.extend(
            read.into_iter()
                .map(|sample| ((sample.incarnation_id, sample.sequence), sample)),
        );
    }
    for sample in samples.into_values() {
        outbox.push(sample);
    }
    Ok(earlier)
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
