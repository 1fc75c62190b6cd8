//! What stands in an object of the WAL, inside its encryption: a header, then a zstd frame.
//!
//! ```text
//! magic "LWAL"  version u8 = 1  kind u8  major version u16
//! database 16 | archive 16 | system identifier u64 | segment bytes u32 | timeline u32
//! sequence u64 | next u64 | first u64 | epoch u64 | start u64 | end u64
//! previous 32 | continues 32 | SHA-256 of the content 32 | content, zstd
//! ```
//!
//! Numbers are big-endian. The hash of an item is SHA-256 of its header, which holds that of its
//! content: a chain is checked by headers alone.

use super::WalError;
use crate::archive::layout::{Sequence, Timeline};
use crate::archive::sealed::{self, ArchiveKey};
use aws_lc_rs::digest;
use bytes::Bytes;
use lumadb_contract::archive::Lsn;
use lumadb_contract::id::{ArchiveId, DatabaseId};
use uuid::Uuid;

/// Most WAL in one chunk, bytes.
pub const CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// Most WAL in one run, bytes. No chunk crosses a multiple of it, or of a segment if that is
/// smaller.
const RUN_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Largest history file, bytes.
const HISTORY_BYTES_MAX: usize = 1024 * 1024;

/// Sequence numbers that a writer may have on the way at a time, at most, in any version. Behind a
/// seal so many belong to nobody: whoever was fenced may still be writing them.
pub(super) const WINDOW: u64 = 16;

/// zstd's level: faster than a disk writes, and most of what can be had from WAL.
pub(super) const LEVEL: i32 = 1;

const MAGIC: &[u8; 4] = b"LWAL";
const VERSION: u8 = 1;
pub(super) const HEADER_BYTES: usize = 200;

pub(super) type Hash = [u8; 32];

pub(super) fn sha256(data: &[u8]) -> Hash {
    let digest = digest::digest(&digest::SHA256, data);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// WAL as it was written.
    Chunk,
    /// Whoever wrote before is fenced; a higher epoch begins, perhaps at a later position.
    Seal,
    /// A timeline history file.
    History,
    /// The content of many chunks.
    Run,
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Chunk => 1,
            Self::Seal => 2,
            Self::History => 3,
            Self::Run => 4,
        }
    }

    fn of(number: u8) -> Option<Self> {
        let kinds = [Self::Chunk, Self::Seal, Self::History, Self::Run];
        kinds.into_iter().find(|kind| kind.number() == number)
    }
}

/// Whose WAL it is; the same in every item of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub database_id: DatabaseId,
    pub archive_id: ArchiveId,
    pub system_identifier: u64,
    /// Major version of PostgreSQL.
    pub engine_version: u16,
    pub segment_bytes: u32,
}

impl Origin {
    /// Length of a run, bytes: a divisor of a segment's.
    pub(super) fn run_bytes(&self) -> u64 {
        u64::from(self.segment_bytes).clamp(1, RUN_BYTES_MAX)
    }

    /// Where the segment begins that `at` lies in.
    pub(super) fn segment_start(&self, at: Lsn) -> Lsn {
        Lsn(at.0 - at.0 % u64::from(self.segment_bytes).max(1))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) origin: Origin,
    pub(super) timeline: Timeline,
    /// Of a run: that of the last chunk in it.
    pub(super) sequence: Sequence,
    /// Where the chain goes on.
    pub(super) next: Sequence,
    /// Of a run: that of the first chunk in it. Of a chunk: what has a lower one had arrived when
    /// this one was cut.
    pub(super) first: Sequence,
    pub(super) epoch: u64,
    pub(super) start: Lsn,
    pub(super) end: Lsn,
    /// Hash of the item before.
    pub(super) previous: Hash,
    /// Of a run: hash of the last chunk in it.
    pub(super) continues: Hash,
    pub(super) content: Hash,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, self.kind.number()]);
        out.extend_from_slice(&self.origin.engine_version.to_be_bytes());
        out.extend_from_slice(self.origin.database_id.uuid().as_bytes());
        out.extend_from_slice(self.origin.archive_id.uuid().as_bytes());
        out.extend_from_slice(&self.origin.system_identifier.to_be_bytes());
        out.extend_from_slice(&self.origin.segment_bytes.to_be_bytes());
        out.extend_from_slice(&self.timeline.to_be_bytes());
        for number in [
            self.sequence,
            self.next,
            self.first,
            self.epoch,
            self.start.0,
            self.end.0,
        ] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for hash in [&self.previous, &self.continues, &self.content] {
            out.extend_from_slice(hash);
        }
        out
    }

    pub(super) fn decode(plain: &[u8]) -> Option<Self> {
        let mut fields = Fields(plain);
        if fields.take::<4>()? != *MAGIC || fields.take::<1>()? != [VERSION] {
            return None;
        }
        let [kind] = fields.take()?;
        let engine_version = u16::from_be_bytes(fields.take()?);
        let origin = Origin {
            engine_version,
            database_id: DatabaseId::from_uuid(Uuid::from_bytes(fields.take()?)),
            archive_id: ArchiveId::from_uuid(Uuid::from_bytes(fields.take()?)),
            system_identifier: fields.number()?,
            segment_bytes: u32::from_be_bytes(fields.take()?),
        };
        Some(Self {
            kind: Kind::of(kind)?,
            origin,
            timeline: u32::from_be_bytes(fields.take()?),
            sequence: fields.number()?,
            next: fields.number()?,
            first: fields.number()?,
            epoch: fields.number()?,
            start: Lsn(fields.number()?),
            end: Lsn(fields.number()?),
            previous: fields.take()?,
            continues: fields.take()?,
            content: fields.take()?,
        })
    }

    /// Hash of the item, or of the last in it.
    pub(super) fn hash(&self) -> Hash {
        match self.kind {
            Kind::Run => self.continues,
            _ => sha256(&self.encode()),
        }
    }

    /// Length that its content has; an error if it cannot be.
    fn content_bytes(&self) -> Option<usize> {
        let length = self.end.0.checked_sub(self.start.0)?;
        let most = match self.kind {
            Kind::Chunk => CHUNK_BYTES_MAX as u64,
            Kind::Seal => 0,
            Kind::Run => RUN_BYTES_MAX,
            Kind::History => return Some(HISTORY_BYTES_MAX),
        };
        (length <= most).then(|| usize::try_from(length).ok())?
    }
}

/// What is left to read.
struct Fields<'plain>(&'plain [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

/// Compresses and encrypts an item under its name. Takes milliseconds a megabyte.
pub(super) fn write(
    key: &ArchiveKey,
    name: &str,
    header: &Header,
    content: &[u8],
) -> Result<Bytes, WalError> {
    let damaged = || WalError::unreadable(name, "it cannot be compressed");
    let mut plain = header.encode();
    plain.extend(zstd::bulk::compress(content, LEVEL).map_err(|_| damaged())?);
    let sealed = sealed::seal(key, name, &plain).map_err(|source| WalError::Sealed {
        name: name.to_owned(),
        source,
    })?;
    Ok(sealed.into())
}

/// An item that was read: genuine, whole, and what its name says.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) header: Header,
    compressed: Vec<u8>,
}

impl Item {
    pub(super) fn read(key: &ArchiveKey, name: &str, object: &[u8]) -> Result<Self, WalError> {
        let sealed = |source| WalError::Sealed {
            name: name.to_owned(),
            source,
        };
        let mut plain = sealed::open(key, name, object).map_err(sealed)?;
        let header = Header::decode(&plain)
            .ok_or_else(|| WalError::unreadable(name, "its header is not understood"))?;
        plain.drain(..HEADER_BYTES);
        Ok(Self {
            header,
            compressed: plain,
        })
    }

    /// Length of what it holds, as it lies in the store.
    pub(super) fn compressed_bytes(&self) -> usize {
        self.compressed.len()
    }

    /// What it holds, checked against its hash.
    pub(super) fn content(&self, name: &str) -> Result<Vec<u8>, WalError> {
        let header = &self.header;
        let length = header.content_bytes();
        let length = length.ok_or_else(|| WalError::unreadable(name, "its length cannot be"))?;
        let content = zstd::bulk::decompress(&self.compressed, length)
            .map_err(|_| WalError::unreadable(name, "it does not decompress"))?;
        let whole = header.kind == Kind::History || content.len() == length;
        if !whole || sha256(&content) != header.content {
            return Err(WalError::unreadable(name, "its content has another hash"));
        }
        Ok(content)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use lumadb_contract::secret::Secret;

    pub(in crate::archive::wal) fn origin() -> Origin {
        Origin {
            database_id: DatabaseId::from_uuid(Uuid::from_u128(1)),
            archive_id: ArchiveId::from_uuid(Uuid::from_u128(2)),
            system_identifier: 7_000_000_000_000_000_003,
            engine_version: 18,
            segment_bytes: 16 << 20,
        }
    }

    pub(in crate::archive::wal) fn header(kind: Kind, content: &[u8]) -> Header {
        Header {
            kind,
            origin: origin(),
            timeline: 1,
            sequence: 5,
            next: 6,
            first: 5,
            epoch: 1,
            start: Lsn(0x100_0000),
            end: Lsn(0x100_0000 + content.len() as u64),
            previous: [1; 32],
            continues: [0; 32],
            content: sha256(content),
        }
    }

    pub(in crate::archive::wal) fn key() -> ArchiveKey {
        ArchiveKey::parse(&Secret::new(STANDARD.encode([7; 32]))).expect("a key")
    }

    #[test]
    fn an_item_reads_back_under_its_name_alone() {
        let content = [3; 10_000];
        let header = header(Kind::Chunk, &content);
        assert_eq!(header.encode().len(), HEADER_BYTES);
        let object = write(&key(), "a/1", &header, &content).expect("writes");
        assert!(object.len() < 1000, "{} bytes", object.len());
        let item = Item::read(&key(), "a/1", &object).expect("reads");
        assert_eq!(item.header, header);
        assert_eq!(item.content("a/1").expect("whole"), content);
        assert!(Item::read(&key(), "a/2", &object).is_err());
    }

    #[test]
    fn content_that_is_not_what_the_header_says_is_refused() {
        let content = [3; 100];
        let mut longer = header(Kind::Chunk, &content);
        longer.end.0 += 1;
        let mut shorter = header(Kind::Chunk, &content);
        shorter.end.0 -= 1;
        let mut backwards = header(Kind::Chunk, &content);
        backwards.end.0 = 0;
        let mut huge = header(Kind::Chunk, &content);
        huge.end.0 = u64::MAX;
        let other = header(Kind::Chunk, &[4; 100]);
        for header in [longer, shorter, backwards, huge, other] {
            let object = write(&key(), "a", &header, &content).expect("writes");
            let item = Item::read(&key(), "a", &object).expect("reads");
            assert!(item.content("a").is_err(), "{header:?}");
        }
    }

    #[test]
    fn what_is_no_item_is_refused() {
        for plain in [&b""[..], b"LWAL", &[0; 500]] {
            let object = sealed::seal(&key(), "a", plain).expect("seals");
            assert!(Item::read(&key(), "a", &object).is_err());
        }
    }
}
