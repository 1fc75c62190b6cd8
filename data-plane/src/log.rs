//! A log file that does not grow without bound, whoever writes into it how much.
//!
//! The process that writes bounds the file itself: nobody else has to live for it, and nobody else
//! can do it before the disk is full. It needs no more than the open file, since nodes and helpers
//! may neither enter the folder of the logs nor make a file there.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// Set by whoever starts a process with a log as its standard error: how large that file may get,
/// bytes. Without it the file belongs to somebody else and is left alone.
const BYTES_MAX_VARIABLE: &str = "LUMADB_LOG_BYTES_MAX";

/// What stays of a log that has become too large: its newest part, one in so many.
const KEPT_ONE_IN: u64 = 4;

/// A log, opened to append; to keep something of it when it is cut, also to read.
#[derive(Debug)]
pub struct BoundedLog {
    file: Mutex<File>,
    bytes_max: Option<u64>,
}

impl BoundedLog {
    pub const fn new(file: File, bytes_max: u64) -> Self {
        Self {
            file: Mutex::new(file),
            bytes_max: Some(bytes_max),
        }
    }

    /// Standard error, bounded if it is a log of whoever started this process.
    pub fn standard_error() -> io::Result<Self> {
        let file = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let bytes_max = std::env::var(BYTES_MAX_VARIABLE).ok();
        let bytes_max = bytes_max.and_then(|bytes| bytes.parse().ok());
        let is_file = file.metadata().is_ok_and(|found| found.is_file());
        Ok(Self {
            file: Mutex::new(file),
            bytes_max: bytes_max.filter(|_| is_file),
        })
    }
}

impl Write for &BoundedLog {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bytes_max) = self.bytes_max else {
            return file.write(content);
        };
        let kept = bytes_max / KEPT_ONE_IN;
        let room = usize::try_from(bytes_max - kept).unwrap_or(usize::MAX);
        // Of what is too long for any log, the end.
        let taken = &content[content.len().saturating_sub(room)..];
        if file.metadata()?.len() + taken.len() as u64 > bytes_max {
            cut(&mut file, kept)?;
        }
        file.write_all(taken)?;
        Ok(content.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Leaves the newest lines, at most `kept` bytes. A kill on the way loses lines that were old
/// already; the file is small in any case.
fn cut(file: &mut File, kept: u64) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut newest = vec![0; usize::try_from(kept.min(length)).unwrap_or_default()];
    let start = length - newest.len() as u64;
    if file.read_exact_at(&mut newest, start).is_err() {
        newest.clear();
    }
    let line = newest.iter().position(|byte| *byte == b'\n');
    let lines = &newest[line.map_or(newest.len(), |end| end + 1)..];
    file.set_len(0)?;
    file.write_all(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    const BYTES_MAX: u64 = 4000;

    fn open(path: &std::path::Path) -> File {
        let mut options = OpenOptions::new();
        let options = options.create(true).read(true).append(true);
        options.open(path).expect("opens")
    }

    #[test]
    fn a_log_stays_within_its_bound_and_keeps_the_newest_whole_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        let log = BoundedLog::new(open(&path), BYTES_MAX);
        for number in 0..10_000 {
            writeln!(&log, "line {number}").expect("written");
            let length = std::fs::metadata(&path).expect("there").len();
            assert!(length <= BYTES_MAX, "{length}");
        }
        let text = std::fs::read_to_string(&path).expect("read");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() > 50, "{}", lines.len());
        let first = 10_000 - lines.len();
        for (line, number) in lines.iter().zip(first..) {
            assert_eq!(*line, format!("line {number}"));
        }
    }

    #[test]
    fn what_is_longer_than_the_bound_is_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        let log = BoundedLog::new(open(&path), BYTES_MAX);
        for _ in 0..3 {
            (&log).write_all(&[b'x'; 10_000]).expect("written");
            let length = std::fs::metadata(&path).expect("there").len();
            assert!(length <= BYTES_MAX, "{length}");
        }
    }

    #[test]
    fn a_log_that_grew_before_is_cut_at_the_first_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        std::fs::write(&path, "old\n".repeat(100_000)).expect("written");
        // As a process that may only write.
        let file = OpenOptions::new().append(true).open(&path).expect("opens");
        let log = BoundedLog::new(file, BYTES_MAX);
        writeln!(&log, "new").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "new\n");
    }
}
