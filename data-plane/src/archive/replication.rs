//! A client of PostgreSQL's walsender over the engine's unix socket: WAL as it is written, base
//! backups, and what belongs to both.
//!
//! No crate speaks physical replication, `BASE_BACKUP` and `UPLOAD_MANIFEST` together; the protocol
//! is some hundred lines (PostgreSQL's documentation, "Streaming Replication Protocol"). The socket's
//! folder lets in nobody but the engine's user and ours, so there is no password.
//!
//! Buffers are bounded by the largest message that a walsender sends. Everything that waits may be
//! dropped while it waits and called again, but a command: that leaves the connection unusable.

mod base_backup;
mod wal_stream;
mod wire;

pub use base_backup::{BackupEvent, BackupOptions, BackupStart, BaseBackup, ManifestUpload};
pub use wal_stream::{WalEvent, WalStream};

use bytes::Bytes;
use lumadb_contract::archive::Lsn;
use std::io;
use std::path::Path;
use wire::{Row, Wire};

#[derive(Debug, thiserror::Error)]
pub enum ReplicationError {
    #[error("the engine's socket went away")]
    Io(#[from] io::Error),
    #[error("{doing}: the engine answered {code}: {message}")]
    Engine {
        doing: &'static str,
        /// SQLSTATE.
        code: String,
        message: String,
    },
    #[error("{doing}: the engine answered what is not understood ({what})")]
    Protocol {
        doing: &'static str,
        what: &'static str,
    },
    #[error("the engine ended the stream")]
    Ended,
    #[error("`{0}` is not a name for a replication slot")]
    SlotName(String),
    #[error(
        "a database with tablespaces of its own cannot be backed up: {0} lies outside the data folder"
    )]
    Tablespace(String),
}

impl ReplicationError {
    /// Whether the engine said no with this SQLSTATE.
    pub fn is_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Engine { code, .. } if code == wanted)
    }
}

/// SQLSTATE of a slot that is not there.
pub const UNDEFINED_OBJECT: &str = "42704";
/// SQLSTATE of a slot that is already there.
pub const DUPLICATE_OBJECT: &str = "42710";
/// SQLSTATE of a slot that another walsender uses.
pub const OBJECT_IN_USE: &str = "55006";
/// SQLSTATE of WAL that is gone, among others.
pub const UNDEFINED_FILE: &str = "58P01";

/// What `IDENTIFY_SYSTEM` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemIdentity {
    pub system_identifier: u64,
    pub timeline: u32,
    /// Flushed up to here.
    pub flushed: Lsn,
}

/// A physical replication slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotPosition {
    /// WAL from here on is kept; `None`: nothing is reserved, or the slot lost its WAL.
    pub restart: Option<Lsn>,
    pub restart_timeline: Option<u32>,
}

/// A timeline history file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineHistory {
    /// Such as `00000002.history`.
    pub file_name: String,
    pub content: Bytes,
}

/// A connection to a walsender that takes commands.
#[derive(Debug)]
pub struct ReplicationClient {
    wire: Wire,
}

impl ReplicationClient {
    /// Connects to the engine's own socket, such as `…/run/.s.PGSQL.5432`.
    pub async fn connect(socket: &Path, role: &str) -> Result<Self, ReplicationError> {
        let wire = Wire::connect(socket, role).await?;
        Ok(Self { wire })
    }

    pub async fn identify_system(&mut self) -> Result<SystemIdentity, ReplicationError> {
        let doing = "asking who the engine is";
        let rows = self.wire.command(doing, "IDENTIFY_SYSTEM").await?;
        let row = first(doing, rows)?;
        Ok(SystemIdentity {
            system_identifier: row.parse(doing, 0)?,
            timeline: row.parse(doing, 1)?,
            flushed: row.parse(doing, 2)?,
        })
    }

    /// `None`: there is no such slot.
    pub async fn slot_read(
        &mut self,
        slot: &str,
    ) -> Result<Option<SlotPosition>, ReplicationError> {
        let doing = "reading the replication slot";
        let command = format!("READ_REPLICATION_SLOT {}", slot_name(slot)?);
        let row = first(doing, self.wire.command(doing, &command).await?)?;
        if row.text(0).is_none() {
            return Ok(None);
        }
        Ok(Some(SlotPosition {
            restart: row.parse_optional(doing, 1)?,
            restart_timeline: row.parse_optional(doing, 2)?,
        }))
    }

    /// Makes a slot that keeps WAL from now on; an error of [`DUPLICATE_OBJECT`] if it is there.
    pub async fn slot_create(&mut self, slot: &str) -> Result<(), ReplicationError> {
        let slot = slot_name(slot)?;
        let command = format!("CREATE_REPLICATION_SLOT {slot} PHYSICAL (RESERVE_WAL true)");
        let doing = "making the replication slot";
        self.wire.command(doing, &command).await.map(drop)
    }

    /// Removes a slot, waiting until nobody uses it; an error of [`UNDEFINED_OBJECT`] if there is
    /// none.
    pub async fn slot_drop(&mut self, slot: &str) -> Result<(), ReplicationError> {
        let command = format!("DROP_REPLICATION_SLOT {} WAIT", slot_name(slot)?);
        let doing = "removing the replication slot";
        self.wire.command(doing, &command).await.map(drop)
    }

    /// Size of a WAL segment, bytes.
    pub async fn wal_segment_bytes(&mut self) -> Result<u64, ReplicationError> {
        let doing = "asking for the size of a WAL segment";
        let rows = self.wire.command(doing, "SHOW wal_segment_size").await?;
        let row = first(doing, rows)?;
        let text = row.text(0).unwrap_or_default();
        parse_size(text).ok_or(ReplicationError::Protocol {
            doing,
            what: "a size",
        })
    }

    pub async fn timeline_history(
        &mut self,
        timeline: u32,
    ) -> Result<TimelineHistory, ReplicationError> {
        let doing = "reading a timeline's history";
        let command = format!("TIMELINE_HISTORY {timeline}");
        let row = first(doing, self.wire.command(doing, &command).await?)?;
        let missing = ReplicationError::Protocol {
            doing,
            what: "no file",
        };
        Ok(TimelineHistory {
            file_name: row.text(0).unwrap_or_default().to_owned(),
            content: row.bytes(1).ok_or(missing)?,
        })
    }

    /// Begins to stream WAL of `timeline` from `from` on.
    pub async fn start_streaming(
        self,
        slot: &str,
        from: Lsn,
        timeline: u32,
    ) -> Result<WalStream, ReplicationError> {
        let slot = slot_name(slot)?;
        let command = format!("START_REPLICATION SLOT {slot} PHYSICAL {from} TIMELINE {timeline}");
        WalStream::start(self.wire, &command).await
    }

    /// Begins a base backup.
    pub async fn base_backup(
        self,
        options: &BackupOptions,
    ) -> Result<(BackupStart, BaseBackup), ReplicationError> {
        BaseBackup::start(self.wire, options).await
    }

    /// Begins to tell the engine the manifest that an incremental backup builds on.
    pub async fn manifest_upload(self) -> Result<ManifestUpload, ReplicationError> {
        ManifestUpload::start(self.wire).await
    }
}

fn first(doing: &'static str, rows: Vec<Row>) -> Result<Row, ReplicationError> {
    let missing = ReplicationError::Protocol {
        doing,
        what: "no row",
    };
    rows.into_iter().next().ok_or(missing)
}

/// Commands take no parameters; the rule for slots' names leaves nothing to quote.
fn slot_name(slot: &str) -> Result<&str, ReplicationError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let good = (1..=63).contains(&slot.len()) && slot.bytes().all(plain);
    good.then_some(slot)
        .ok_or_else(|| ReplicationError::SlotName(slot.chars().take(80).collect()))
}

/// `16MB` as PostgreSQL shows it.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_names_are_read_as_postgresql_writes_them() {
        assert_eq!(parse_size("16MB"), Some(16 << 20));
        assert_eq!(parse_size("1GB"), Some(1 << 30));
        assert_eq!(parse_size("16"), None);
        assert!(slot_name("lumadb_archive").is_ok());
        for bad in ["", "Archive", "a b", "a;drop"] {
            assert!(slot_name(bad).is_err(), "{bad}");
        }
    }
}
