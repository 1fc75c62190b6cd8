//! The file of an object, or of a part of an upload.
//!
//! ```text
//! 8 bytes   magic, its last byte the version of the format
//! 4 bytes   size of the head, little-endian: the body begins there
//! 4 bytes   size of the description, little-endian
//! 4 bytes   CRC32C of the description, big-endian
//! …         description: JSON of `Header`; then zeros up to the size of the head
//! …         body
//! ```
//!
//! The head's size is fixed before the body is written, its content after; so it is made with room
//! for what is not known yet.

use super::error::{StorageError, io_error};
use crate::checksum::Checksum;
use s3s::crypto::{Checksum as _, Crc32c};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MAGIC: [u8; 8] = *b"LumaS3\0\x01";
const FIXED_BYTES: usize = 20;

/// Room for size, etag, checksum and time, which a description gets last.
const ROOM_BYTES: usize = 512;

/// Largest head that is believed: the description of an object of 10,000 parts takes 200 KB.
const HEAD_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// Read at first: holds nearly every head whole.
const FIRST_READ_BYTES: usize = 4096;

/// What a client says of an object, and gets back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_field_names,
    reason = "they are called as the headers are"
)]
pub(crate) struct Content {
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// The body of an object that was uploaded in parts: it stays in their files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segments {
    /// The folder of the upload.
    pub(crate) upload: String,
    /// Number and bytes of each part, in order.
    pub(crate) parts: Vec<(u16, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Checksum>,
    pub(crate) content: Content,
    /// Milliseconds since 1970.
    pub(crate) modified_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) segments: Option<Segments>,
}

impl Header {
    /// What is known before the body is.
    pub(crate) fn new(key: &str, content: Content) -> Self {
        Self {
            key: key.to_owned(),
            size: 0,
            etag: String::new(),
            checksum: None,
            content,
            modified_ms: 0,
            segments: None,
        }
    }

    fn describe(&self) -> Vec<u8> {
        // Strings, numbers and lists: there is nothing in them that JSON does not have.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Size of the head that takes this description when it is complete, bytes.
    pub(crate) fn head_bytes(&self) -> u32 {
        let bytes = FIXED_BYTES + self.describe().len() + ROOM_BYTES;
        u32::try_from(bytes.next_multiple_of(512)).unwrap_or(u32::MAX)
    }

    /// The head; `None`: the description has outgrown it.
    pub(crate) fn encode(&self, head_bytes: u32) -> Option<Vec<u8>> {
        let description = self.describe();
        let size = usize::try_from(head_bytes).ok()?;
        if FIXED_BYTES + description.len() > size || head_bytes > HEAD_BYTES_MAX {
            return None;
        }
        let mut head = Vec::with_capacity(size);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&head_bytes.to_le_bytes());
        head.extend_from_slice(&u32::try_from(description.len()).ok()?.to_le_bytes());
        head.extend_from_slice(&Crc32c::checksum(&description));
        head.extend_from_slice(&description);
        head.resize(size, 0);
        Some(head)
    }

    /// Reads the head of a file, and the size of it.
    pub(crate) fn read(file: &File, path: &Path) -> Result<(Self, u32), StorageError> {
        let damaged = |why| StorageError::Damaged {
            path: path.to_owned(),
            why,
        };
        let mut start = vec![0; FIRST_READ_BYTES];
        let mut got = 0;
        while got < start.len() {
            let more = file.read_at(&mut start[got..], got as u64);
            match more.map_err(io_error("reading", path))? {
                0 => break,
                more => got += more,
            }
        }
        start.truncate(got);
        let number = |at: usize| {
            let bytes = start
                .get(at..at + 4)
                .and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_le_bytes)
        };
        if start.get(..8) != Some(&MAGIC[..]) {
            return Err(damaged("it does not begin as a file of this version does"));
        }
        let (Some(head_bytes), Some(length)) = (number(8), number(12)) else {
            return Err(damaged("its head is cut"));
        };
        let length = length as usize;
        if head_bytes > HEAD_BYTES_MAX || FIXED_BYTES + length > head_bytes as usize {
            return Err(damaged("its head has impossible sizes"));
        }
        let Some(sum) = start.get(16..FIXED_BYTES).map(<[u8]>::to_vec) else {
            return Err(damaged("its head is cut"));
        };
        let mut description = start;
        description.drain(..FIXED_BYTES);
        if description.len() < length {
            description.resize(length, 0);
            file.read_exact_at(&mut description, FIXED_BYTES as u64)
                .map_err(|_| damaged("its head is cut"))?;
        }
        description.truncate(length);
        if Crc32c::checksum(&description)[..] != sum[..] {
            return Err(damaged("its head differs from its checksum"));
        }
        let header = serde_json::from_slice(&description)
            .map_err(|_| damaged("its description is not understood"))?;
        Ok((header, head_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn header(key: &str) -> Header {
        let mut header = Header::new(key, Content::default());
        header.size = u64::MAX;
        header.etag = format!("{}-10000", "f".repeat(32));
        header.modified_ms = i64::MIN;
        header
    }

    #[test]
    fn a_head_reads_back() {
        let mut long = header(&"\u{1}".repeat(1024));
        long.segments = Some(Segments {
            upload: "u".to_owned(),
            parts: (1..=10_000).map(|number| (number, u64::MAX)).collect(),
        });
        for whole in [header("a/b"), long] {
            let mut before = whole.clone();
            before.etag.clear();
            let size = before.head_bytes();
            let head = whole.encode(size).unwrap();
            assert_eq!(head.len(), size as usize);
            let read = Header::read(&file(&head), Path::new("x")).unwrap();
            assert_eq!(read, (whole, size));
        }
    }

    #[test]
    fn a_damaged_head_is_found() {
        let whole = header("a/b");
        let head = whole.encode(whole.head_bytes()).unwrap();
        let end = FIXED_BYTES + whole.describe().len();
        for at in 0..end {
            let mut flipped = head.clone();
            flipped[at] ^= 0x10;
            let read = Header::read(&file(&flipped), Path::new("x"));
            // A head whose size is other than it was is found by the size of the file.
            assert!(read.is_err() || (8..12).contains(&at), "byte {at}");
            assert!(Header::read(&file(&head[..at]), Path::new("x")).is_err());
        }
    }
}
