//! Why a writer pauses or stops.

use super::super::WalError;
use crate::archive::layout::Timeline;
use crate::archive::replication::ReplicationError;
use lumadb_contract::archive::Lsn;

#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    #[error(transparent)]
    Replication(#[from] ReplicationError),
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error("another writer took over this archive (epoch {epoch}): this one has stopped for good")]
    Fenced { epoch: u64 },
    #[error(
        "`{name}` holds something else although nobody took over: another process writes to this archive, so this one has stopped"
    )]
    Taken { name: String },
    #[error("the archive is of another database, another cluster or another segment size")]
    Foreign,
    #[error(
        "the archive holds WAL up to {archived} and the engine only up to {flushed}: its disk was rolled back or cloned"
    )]
    RolledBack { archived: Lsn, flushed: Lsn },
    #[error(
        "the engine's WAL before {end} is not what the archive holds: its disk was cloned or replaced"
    )]
    Diverged { end: Lsn },
    #[error("the archive holds another history of timeline {timeline}")]
    OtherHistory { timeline: Timeline },
    #[error(
        "the archive goes on with timeline {newer} and this engine is of timeline {timeline}: what it has was restored elsewhere meanwhile"
    )]
    LeftBehind { timeline: Timeline, newer: Timeline },
    #[error("another writer claims this archive at the same time")]
    Raced,
    #[error("the object store does not take WAL; the engine keeps it")]
    StoreAway,
    #[error("the engine does not keep WAL for the archive")]
    NoSlot,
    #[error("the engine's timeline ended")]
    TimelineEnd,
    #[error("the engine left WAL out")]
    LeftOut,
    #[error("a chunk could not be prepared, and what follows it would be worth nothing")]
    Broken,
}

impl WriterError {
    /// Whether this writer must never write again.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Fenced { .. }
            | Self::Taken { .. }
            | Self::Foreign
            | Self::RolledBack { .. }
            | Self::Diverged { .. }
            | Self::OtherHistory { .. }
            | Self::LeftBehind { .. }
            | Self::Broken => true,
            Self::Replication(_)
            | Self::Wal(_)
            | Self::Raced
            | Self::StoreAway
            | Self::NoSlot
            | Self::TimelineEnd
            | Self::LeftOut => false,
        }
    }
}
