//! The archive of a database: where its WAL and backups lie, what a node is told of it, and what it
//! answers.
//!
//! A node gets one archive's prefix, credentials and key, never a key above it; while it restores,
//! also those of the source, to read.

use crate::id::{ArchiveId, BackupId, RestorePointId};
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use time::OffsetDateTime;

/// A position in the WAL, as PostgreSQL writes it: `16/B374D848`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a WAL position of the form `16/B374D848`")]
pub struct InvalidLsn(String);

impl fmt::Display for Lsn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for Lsn {
    type Err = InvalidLsn;

    fn from_str(text: &str) -> Result<Self, InvalidLsn> {
        let half = |digits: &str| {
            let plain = (1..=8).contains(&digits.len())
                && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            plain
                .then(|| u64::from_str_radix(digits, 16).ok())
                .flatten()
        };
        text.split_once('/')
            .and_then(|(high, low)| Some(Self(half(high)? << 32 | half(low)?)))
            .ok_or_else(|| InvalidLsn(text.chars().take(64).collect()))
    }
}

impl Serialize for Lsn {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A bucket of an S3 server and how to log in to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectStoreSpec {
    /// Base address, such as `https://s3.example.com`; `None`: the region's of the provider.
    #[serde(default)]
    pub endpoint: Option<String>,
    pub region: String,
    pub bucket: String,
    /// In front of every key of the archive, without a slash at its end; may be empty.
    pub prefix: String,
    /// Bucket in the path instead of in the host name.
    #[serde(default)]
    pub path_style: bool,
    /// `None`: what the machine's environment gives (variables, web identity, instance role).
    #[serde(default)]
    pub credentials: Option<ObjectStoreCredentials>,
    /// Such as `STANDARD_IA`; `None`: the bucket's default.
    #[serde(default)]
    pub storage_class: Option<String>,
    /// Encryption by the server on top of ours: `AES256` or `aws:kms`.
    #[serde(default)]
    pub server_side_encryption: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectStoreCredentials {
    pub access_key_id: String,
    pub secret_access_key: Secret,
    #[serde(default)]
    pub session_token: Option<Secret>,
}

/// What it takes to read an archive, or to write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveAccess {
    pub archive_id: ArchiveId,
    pub store: ObjectStoreSpec,
    /// 32 bytes, base64: the key under which each object's own key is wrapped.
    pub key: Secret,
}

/// The archive that a node writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveSpec {
    #[serde(flatten)]
    pub access: ArchiveAccess,
    /// A [`crate::key_chain::KeyChain`]: lies in the archive too, so that bucket and master key
    /// alone are enough. Opaque to the node.
    pub wrapped_key: serde_json::Value,
    pub durability: Durability,
    /// Backups that were asked for, oldest first. A node makes those that its catalogue lacks; one
    /// that is no longer listed was noticed as ended.
    #[serde(default)]
    pub backups: Vec<BackupRequest>,
    /// What lies wholly before this moment and is needed by nothing later expires.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub expire_before: Option<OffsetDateTime>,
    /// Backups that stay whatever `expire_before` says: something is being restored from them.
    #[serde(default)]
    pub pinned: Vec<BackupId>,
    /// Moments to name, oldest first: the node makes each once in an incarnation
    /// (`pg_create_restore_point`) and reports it until it is no longer listed.
    #[serde(default)]
    pub restore_points: Vec<RestorePointRequest>,
}

/// When a client hears that its transaction is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// When it is on the engine's disk; WAL leaves for the archive within so many milliseconds.
    Lag { lag_ms: u32 },
    /// When its WAL is in the archive.
    S3,
}

/// A moment that shall have a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePointRequest {
    pub restore_point_id: RestorePointId,
    /// As PostgreSQL takes it: at most 63 bytes.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRequest {
    pub backup_id: BackupId,
    pub kind: BackupKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    Full,
    /// Against the newest complete backup of the archive; full where there is none to build on.
    Incremental,
}

/// Where a new database's first content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreSpec {
    /// Its credentials read and do not write.
    pub source: ArchiveAccess,
    pub target: RestoreTarget,
    /// A drill: the backup is compared with its manifest before anything is replayed, and every
    /// table and index is checked once the engine runs.
    #[serde(default)]
    pub verify: bool,
}

/// Up to where WAL is replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreTarget {
    /// Everything that is in the archive.
    Latest,
    /// The last transaction that ended at or before this moment.
    Time(#[serde(with = "time::serde::rfc3339")] OffsetDateTime),
    /// Up to and including the record at this position.
    Lsn(Lsn),
    /// Up to and including this transaction: its 64-bit ID without the epoch.
    Transaction(u32),
    /// A restore point, made by `pg_create_restore_point`.
    Name(String),
}

/// How far an archive is, as its node sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArchiveStatus {
    /// Whose this is. `None` until the node has read its archive: then the rest says nothing.
    pub archive_id: Option<ArchiveId>,
    /// WAL before this position is in the archive without a hole.
    pub archived_lsn: Lsn,
    /// WAL before this position is on the engine's disk.
    pub flushed_lsn: Lsn,
    /// Taken when `archived_lsn` was last all there was: what was committed before it is archived.
    #[serde(with = "time::serde::rfc3339::option")]
    pub archived_until: Option<OffsetDateTime>,
    /// Moments that can be restored to: from the end of the oldest complete backup, in ranges
    /// between holes. The last one is open at its end.
    pub windows: Vec<RestoreWindow>,
    /// Every backup of the catalogue, and the one that is being made.
    pub backups: Vec<BackupStatus>,
    /// Those of the listed restore points that are made.
    pub restore_points: Vec<RestorePointStatus>,
    /// Since this incarnation began.
    pub puts: u64,
    pub put_bytes: u64,
    pub put_failures: u64,
    /// What stops the archive now, for an operator.
    pub error: Option<String>,
}

/// A moment that has its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePointStatus {
    pub restore_point_id: RestorePointId,
    pub lsn: Lsn,
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreWindow {
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// `None`: goes on.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    pub from_lsn: Lsn,
    pub timeline: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupStatus {
    pub backup_id: BackupId,
    pub kind: BackupKind,
    pub state: BackupState,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When the database was as this backup restores it at the earliest.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    pub timeline: u32,
    pub start_lsn: Lsn,
    #[serde(default)]
    pub end_lsn: Option<Lsn>,
    /// Read from the engine so far.
    pub bytes_read: u64,
    /// What the engine expects to send in all; 0: not known.
    pub bytes_expected: u64,
    /// In the archive: compressed and encrypted.
    pub bytes_stored: u64,
    /// What an incremental one builds on.
    #[serde(default)]
    pub parent: Option<BackupId>,
    /// Why it failed, for an operator.
    #[serde(default)]
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupState {
    Running,
    Complete,
    Failed,
}

/// Faults that a verification tells, at most.
pub const VERIFICATION_FAULTS_MAX: usize = 20;

/// What a drill found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verification {
    /// Everything is checked, or cannot be.
    pub has_ended: bool,
    /// Checked so far.
    pub tables: u64,
    pub indexes: u64,
    /// What is damaged: shown to the database's owner.
    pub faults: Vec<String>,
    /// Why it could not be checked, for an operator.
    pub error: Option<String>,
}

/// How far a restore is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreStatus {
    pub phase: RestorePhase,
    /// Bytes of the base backup fetched and written.
    pub bytes_done: u64,
    pub bytes_total: u64,
    /// WAL replayed up to here.
    #[serde(default)]
    pub replayed_lsn: Option<Lsn>,
    /// The last transaction that was replayed ended at this moment.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub reached: Option<OffsetDateTime>,
    /// Why it cannot be done as asked: shown to whoever asked for it.
    #[serde(default)]
    pub refusal: Option<String>,
    /// Of a drill.
    #[serde(default)]
    pub verification: Option<Verification>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestorePhase {
    /// Fetching the base backup.
    #[default]
    Fetching,
    /// Replaying WAL.
    Replaying,
    /// The engine is the restored database and takes connections.
    Done,
    /// It cannot be done as asked.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wal_position_reads_back_as_postgresql_writes_it() {
        for (text, value) in [
            ("0/0", 0),
            ("16/B374D848", 0x16_B374_D848),
            ("FFFFFFFF/FFFFFFFF", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Lsn(value)));
            assert_eq!(Lsn(value).to_string(), text);
        }
        for bad in ["", "/", "0", "0/", "1/123456789", "x/0", "+1/0", " 1/0"] {
            assert!(bad.parse::<Lsn>().is_err(), "{bad}");
        }
    }
}
