//! The catalogue: one immutable, sealed JSON document for each complete backup.

use super::facts::EngineFacts;
use crate::archive::layout::Layout;
use crate::archive::sealed::{self, ArchiveKey, SealedError};
use crate::archive::store::{ObjectStore, StoreError};
use lumadb_contract::archive::{BackupKind, BackupState, BackupStatus, Lsn};
use lumadb_contract::id::{ArchiveId, BackupId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Version of the form of [`BackupEntry`].
pub(super) const ENTRY_VERSION: u16 = 1;

/// Backups that one is built on at most, itself among them.
const CHAIN_MAX: usize = 64;

/// A complete backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupEntry {
    pub version: u16,
    pub archive_id: ArchiveId,
    pub backup_id: BackupId,
    pub kind: BackupKind,
    /// What an incremental one builds on.
    #[serde(default)]
    pub parent: Option<BackupId>,
    pub timeline: u32,
    pub start_lsn: Lsn,
    pub end_lsn: Lsn,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// By the engine's clock, after the end: what commits later is in WAL behind `end_lsn`.
    #[serde(with = "time::serde::rfc3339")]
    pub ended_at: OffsetDateTime,
    /// Transactions from this one on began after the end.
    pub transaction_next: u64,
    pub system_identifier: u64,
    pub engine: EngineFacts,
    pub wal_segment_bytes: u64,
    /// WAL without which the backup is of no use, as the manifest says.
    pub wal_ranges: Vec<WalRange>,
    /// Of the engine's archive, before compression.
    pub bytes_read: u64,
    pub bytes_stored: u64,
    pub parts: Vec<BackupPart>,
    pub manifest: BackupPart,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalRange {
    pub timeline: u32,
    pub start_lsn: Lsn,
    pub end_lsn: Lsn,
}

/// One object of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupPart {
    /// Below the backup's folder.
    pub name: String,
    /// Before compression.
    pub bytes_read: u64,
    /// As it lies in the store.
    pub bytes_stored: u64,
    /// Of what lies in the store, hexadecimal.
    pub sha256: String,
}

impl BackupEntry {
    pub fn status(&self) -> BackupStatus {
        BackupStatus {
            backup_id: self.backup_id,
            kind: self.kind,
            state: BackupState::Complete,
            started_at: self.started_at,
            ended_at: Some(self.ended_at),
            timeline: self.timeline,
            start_lsn: self.start_lsn,
            end_lsn: Some(self.end_lsn),
            bytes_read: self.bytes_read,
            bytes_expected: self.bytes_read,
            bytes_stored: self.bytes_stored,
            parent: self.parent,
            error: None,
        }
    }
}

/// An entry that is there and cannot be read.
#[derive(Debug)]
pub struct DamagedEntry {
    pub object: String,
    pub error: EntryError,
}

#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    #[error(transparent)]
    Sealed(#[from] SealedError),
    #[error("the catalogue entry is not understood")]
    Malformed(#[from] serde_json::Error),
    #[error("the catalogue entry is of format {0}, which this version does not read")]
    Version(u16),
    #[error("the catalogue entry is of another backup or archive")]
    Foreign,
}

/// All complete backups of an archive.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By the position of their end.
    pub entries: Vec<BackupEntry>,
    pub damaged: Vec<DamagedEntry>,
}

impl Catalogue {
    pub fn entry(&self, backup_id: BackupId) -> Option<&BackupEntry> {
        self.entries
            .iter()
            .find(|entry| entry.backup_id == backup_id)
    }

    /// The backup and all that it builds on, the full one first; `None`: something is missing.
    pub fn chain(&self, backup_id: BackupId) -> Option<Vec<&BackupEntry>> {
        let mut chain = vec![self.entry(backup_id)?];
        while let Some(parent) = chain.last().and_then(|entry| entry.parent) {
            if chain.len() == CHAIN_MAX {
                return None;
            }
            chain.push(self.entry(parent)?);
        }
        chain.reverse();
        Some(chain)
    }

    /// What an incremental backup of the engine `system_identifier` builds on.
    pub fn newest_base(&self, system_identifier: u64) -> Option<&BackupEntry> {
        let newest = self.entries.iter().rev();
        let mut own = newest.filter(|entry| entry.system_identifier == system_identifier);
        own.find(|entry| {
            let chain = self.chain(entry.backup_id);
            chain.is_some_and(|chain| chain.len() < CHAIN_MAX)
        })
    }
}

/// Reads every entry.
pub async fn catalogue_read(
    store: &ObjectStore,
    layout: &Layout,
    key: &ArchiveKey,
) -> Result<Catalogue, StoreError> {
    let mut catalogue = Catalogue::default();
    for object in store.list(&layout.catalogue(), None).await? {
        let object = object.name;
        // Deleted between the two: expired.
        let Some(sealed) = store.get(&object).await? else {
            continue;
        };
        match entry_open(layout, key, &object, &sealed) {
            Ok(entry) => catalogue.entries.push(entry),
            Err(error) => catalogue.damaged.push(DamagedEntry { object, error }),
        }
    }
    catalogue
        .entries
        .sort_by_key(|entry| (entry.end_lsn, entry.timeline));
    Ok(catalogue)
}

/// Reads one entry; `None`: there is no such backup, or it is not complete.
pub async fn catalogue_entry_read(
    store: &ObjectStore,
    layout: &Layout,
    key: &ArchiveKey,
    backup_id: BackupId,
) -> Result<Option<Result<BackupEntry, EntryError>>, StoreError> {
    let object = layout.catalogue_entry(backup_id);
    let sealed = store.get(&object).await?;
    Ok(sealed.map(|sealed| entry_open(layout, key, &object, &sealed)))
}

fn entry_open(
    layout: &Layout,
    key: &ArchiveKey,
    object: &str,
    sealed: &[u8],
) -> Result<BackupEntry, EntryError> {
    #[derive(Deserialize)]
    struct Form {
        version: u16,
    }
    let plain = sealed::open(key, object, sealed)?;
    let form: Form = serde_json::from_slice(&plain)?;
    if form.version != ENTRY_VERSION {
        return Err(EntryError::Version(form.version));
    }
    let entry: BackupEntry = serde_json::from_slice(&plain)?;
    let own = entry.archive_id == layout.archive_id()
        && layout.catalogue_entry(entry.backup_id) == object;
    own.then_some(entry).ok_or(EntryError::Foreign)
}
