//! What the objects of an archive are called. Pure.
//!
//! ```text
//! {archive}/archive.json                                    what this archive is of
//! {archive}/wal/{timeline:08X}/{sequence:016}               chunks and seals, in writing order
//! {archive}/segments/{timeline:08X}/{start:016X}-{end:016X} runs of WAL put together from chunks
//! {archive}/history/{timeline:08X}                          timeline history files
//! {archive}/backup/{backup}/…                               parts of a base backup
//! {archive}/catalogue/{backup}.json                         says that a backup is complete
//! {archive}/probe/…                                         see `store::probe`
//! ```
//!
//! A store's own prefix goes in front of these; objects are bound to the names as they are here, so
//! that a bucket can be copied under another prefix and read.

use lumadb_contract::archive::Lsn;
use lumadb_contract::id::{ArchiveId, BackupId};

/// Number of a timeline, as PostgreSQL counts them: from 1.
pub type Timeline = u32;

/// Place of a chunk or a seal in its timeline, from 1, without a hole.
pub type Sequence = u64;

/// Names of one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    archive_id: ArchiveId,
}

impl Layout {
    pub fn new(archive_id: ArchiveId) -> Self {
        Self { archive_id }
    }

    pub fn archive_id(&self) -> ArchiveId {
        self.archive_id
    }

    /// Everything of the archive lies below this.
    pub fn root(&self) -> String {
        format!("{}/", self.archive_id)
    }

    pub fn identity(&self) -> String {
        format!("{}/archive.json", self.archive_id)
    }

    /// Holds one folder for each timeline.
    pub fn wal(&self) -> String {
        format!("{}/wal/", self.archive_id)
    }

    pub fn chunks(&self, timeline: Timeline) -> String {
        format!("{}/wal/{timeline:08X}/", self.archive_id)
    }

    pub fn chunk(&self, timeline: Timeline, sequence: Sequence) -> String {
        format!("{}{sequence:016}", self.chunks(timeline))
    }

    /// Holds one folder for each timeline, with runs in it.
    pub fn runs(&self) -> String {
        format!("{}/segments/", self.archive_id)
    }

    pub fn segments(&self, timeline: Timeline) -> String {
        format!("{}/segments/{timeline:08X}/", self.archive_id)
    }

    /// A run of WAL from `start` up to, not including, `end`.
    pub fn segment(&self, timeline: Timeline, start: Lsn, end: Lsn) -> String {
        format!("{}{:016X}-{:016X}", self.segments(timeline), start.0, end.0)
    }

    pub fn histories(&self) -> String {
        format!("{}/history/", self.archive_id)
    }

    pub fn history(&self, timeline: Timeline) -> String {
        format!("{}/history/{timeline:08X}", self.archive_id)
    }

    /// Holds one folder for each backup, complete or not.
    pub fn backups(&self) -> String {
        format!("{}/backup/", self.archive_id)
    }

    /// `part` is the backup's own affair.
    pub fn backup(&self, backup_id: BackupId, part: &str) -> String {
        format!("{}/backup/{backup_id}/{part}", self.archive_id)
    }

    pub fn catalogue(&self) -> String {
        format!("{}/catalogue/", self.archive_id)
    }

    pub fn catalogue_entry(&self, backup_id: BackupId) -> String {
        format!("{}/catalogue/{backup_id}.json", self.archive_id)
    }

    pub fn probe(&self, token: u64) -> String {
        format!("{}/probe/{token:016x}", self.archive_id)
    }
}

/// The last part of a name.
fn leaf(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The sequence number that the name of a chunk ends in.
pub fn chunk_sequence(name: &str) -> Option<Sequence> {
    let digits = leaf(name);
    let plain = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The range that the name of a run ends in.
pub fn segment_range(name: &str) -> Option<(Lsn, Lsn)> {
    let (start, end) = leaf(name).split_once('-')?;
    let (start, end) = (hexadecimal(start, 16)?, hexadecimal(end, 16)?);
    (start < end).then_some((Lsn(start), Lsn(end)))
}

/// The timeline that the name of a history file, or of a timeline's folder, ends in.
pub fn timeline_of(name: &str) -> Option<Timeline> {
    let number = hexadecimal(leaf(name.trim_end_matches('/')), 8)?;
    Timeline::try_from(number).ok()
}

fn hexadecimal(digits: &str, length: usize) -> Option<u64> {
    let plain = digits.len() == length && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    plain
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn layout() -> Layout {
        Layout::new(ArchiveId::from_uuid(Uuid::from_u128(7)))
    }

    #[test]
    fn names_read_back() {
        let layout = layout();
        let chunk = layout.chunk(0x1F, 42);
        assert!(chunk.ends_with("/wal/0000001F/0000000000000042"), "{chunk}");
        assert_eq!(chunk_sequence(&chunk), Some(42));
        let (start, end) = (Lsn(0x16_0000_0000), Lsn(0x16_0100_0000));
        let segment = layout.segment(1, start, end);
        assert_eq!(segment_range(&segment), Some((start, end)));
        assert_eq!(timeline_of(&layout.history(3)), Some(3));
        assert_eq!(timeline_of(&layout.chunks(9)), Some(9));
    }

    #[test]
    fn names_sort_as_what_they_name() {
        let layout = layout();
        assert!(layout.chunk(1, 9) < layout.chunk(1, 10));
        let at = |lsn| layout.segment(1, Lsn(lsn), Lsn(lsn + 1));
        assert!(at(0xFF_FFFF_FFFF) < at(0x100_0000_0000));
    }

    #[test]
    fn what_is_none_of_ours_is_no_name() {
        for other in ["a/b", "a/+000000000000001", "a/000000000000000x", "a/1", ""] {
            assert_eq!(chunk_sequence(other), None, "{other}");
            assert_eq!(segment_range(other), None, "{other}");
        }
        assert_eq!(segment_range("x/0000000000000002-0000000000000001"), None);
    }
}
