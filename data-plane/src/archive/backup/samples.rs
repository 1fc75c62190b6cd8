//! Catalogue entries for tests of what is decided by them.

use super::{BackupEntry, BackupPart, EngineFacts, WalRange};
use lumadb_contract::archive::{BackupKind, Lsn};
use lumadb_contract::id::{ArchiveId, BackupId};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub(in crate::archive) fn id(number: u32) -> BackupId {
    BackupId::from_uuid(Uuid::from_u128(u128::from(number)))
}

pub(in crate::archive) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
}

/// A full backup that starts at `start` and ends 10 bytes and as many seconds later.
pub(in crate::archive) fn backup(number: u32, timeline: u32, start: u32) -> BackupEntry {
    let part = BackupPart {
        name: "manifest".to_owned(),
        bytes_read: 1,
        bytes_stored: 1,
        sha256: String::new(),
    };
    let end_lsn = Lsn(u64::from(start) + 10);
    BackupEntry {
        version: 1,
        archive_id: ArchiveId::from_uuid(Uuid::nil()),
        backup_id: id(number),
        kind: BackupKind::Full,
        parent: None,
        timeline,
        start_lsn: Lsn(u64::from(start)),
        end_lsn,
        started_at: at(i64::from(start)),
        ended_at: at(i64::from(start) + 10),
        transaction_next: u64::from(start),
        system_identifier: 1,
        engine: EngineFacts {
            version: "18.6".to_owned(),
            version_number: 180_006,
            build: String::new(),
            block_bytes: 8192,
            collations: Vec::new(),
        },
        wal_segment_bytes: 16 << 20,
        wal_ranges: vec![WalRange {
            timeline,
            start_lsn: Lsn(u64::from(start)),
            end_lsn,
        }],
        bytes_read: 5,
        bytes_stored: 3,
        parts: Vec::new(),
        manifest: part,
    }
}
