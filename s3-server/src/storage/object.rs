//! An object that is being read.

use super::bucket::Entry;
use super::error::{StorageError, io_error};
use super::header::Header;
use super::upload::part_name;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) header: Header,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Whole(Segment),
    Parts {
        entry: Arc<Entry>,
        /// The part that was read last.
        current: Option<Segment>,
    },
}

/// A file, and which bytes of the object it holds.
#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    head_bytes: u64,
    start: u64,
    end: u64,
}

impl Segment {
    fn open(path: &Path, start: u64) -> Result<(Self, Header), StorageError> {
        let file = File::open(path).map_err(io_error("opening", path))?;
        let (header, head_bytes) = Header::read(&file, path)?;
        let segment = Self {
            file,
            path: path.to_owned(),
            head_bytes: head_bytes.into(),
            start,
            end: start,
        };
        Ok((segment, header))
    }

    fn read(&self, at: u64, buffer: &mut Vec<u8>) -> Result<(), StorageError> {
        let left = usize::try_from(self.end - at).unwrap_or(usize::MAX);
        buffer.truncate(left);
        let done = self
            .file
            .read_exact_at(buffer, self.head_bytes + at - self.start);
        done.map_err(io_error("reading", &self.path))
    }
}

fn damaged(path: &Path, why: &'static str) -> StorageError {
    StorageError::Damaged {
        path: path.to_owned(),
        why,
    }
}

impl Opened {
    pub(super) fn open(key: &str, path: &Path, entry: Arc<Entry>) -> Result<Self, StorageError> {
        let (mut segment, header) = Segment::open(path, 0)?;
        if header.key != key || header.etag != entry.etag || header.size != entry.size {
            return Err(damaged(path, "it is not the object that it was"));
        }
        let body = if entry.segments.is_some() {
            Body::Parts {
                entry,
                current: None,
            }
        } else {
            segment.end = header.size;
            Body::Whole(segment)
        };
        Ok(Self { header, body })
    }

    /// Bytes from `at` on, which is before the end: as many as `bytes`, or fewer.
    pub(crate) fn read(&mut self, at: u64, bytes: usize) -> Result<Vec<u8>, StorageError> {
        let mut buffer = vec![0; bytes];
        let segment = match &mut self.body {
            Body::Whole(segment) => segment,
            Body::Parts { entry, current } => {
                let here = |segment: &Segment| (segment.start..segment.end).contains(&at);
                match current.take_if(|segment| here(segment)) {
                    Some(segment) => current.insert(segment),
                    None => current.insert(part(&self.header, entry, at)?),
                }
            }
        };
        segment.read(at, &mut buffer)?;
        Ok(buffer)
    }
}

/// Opens the part that holds the byte `at`.
fn part(header: &Header, entry: &Entry, at: u64) -> Result<Segment, StorageError> {
    let parts = header.segments.as_ref().map(|segments| &segments.parts);
    let mut start = 0;
    for (number, bytes) in parts.into_iter().flatten() {
        let end = start + bytes;
        if at < end
            && let Some(folder) = &entry.segments
        {
            let path = folder.path.join(part_name(*number));
            let (mut segment, part) = Segment::open(&path, start)?;
            if part.size != *bytes {
                return Err(damaged(&path, "it is not the part that it was"));
            }
            segment.end = end;
            return Ok(segment);
        }
        start = end;
    }
    Err(StorageError::NoSuchKey)
}
