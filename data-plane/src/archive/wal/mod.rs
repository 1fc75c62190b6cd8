//! The WAL of a database in its archive: written as it comes, read back as the engine wants it.
//!
//! Each timeline is a chain of items numbered by sequence: *chunks* hold what arrived, *seals* say
//! that a new writer has taken over. Each is written under a number that must not exist, so of two
//! writers one gets the number, and the other learns that it is over. Old chunks are put together
//! into *runs*, one for each segment; seals stay for ever: were one gone, the writer that it fenced
//! could go on.
//!
//! - `format`: the bytes of an item; `chain`: which may follow which; `scan`: what there is of a
//!   timeline; [`WalReader`]: reads it; [`WalWriter`]: writes it; [`Compactor`]: makes runs, `run` each
//!   of them as a stream; [`chunks_remove`]: leaves nothing but seals.
//!
//! Invariants:
//! - only what is archived without a hole counts, and only that is confirmed to the engine;
//! - a writer first finds that its engine's WAL is what the archive's end holds, and fences others
//!   only then: a cloned or rolled-back disk harms nobody;
//! - a writer that was fenced writes no more, nor does the engine of a timeline that another has left
//!   behind;
//! - *not there*, *damaged* and *no answer* are three answers.

mod chain;
mod compact;
mod format;
mod item;
mod reader;
mod remove;
mod run;
mod scan;
mod writer;

pub use compact::Compactor;
pub use format::{CHUNK_BYTES_MAX, Origin};
pub use reader::WalReader;
pub use remove::chunks_remove;
pub use scan::Fault;
pub use writer::{Pace, Progress, WalSource, WalWriter, WriterError, fence};

use super::sealed::SealedError;
use super::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum WalError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("`{name}` does not open")]
    Sealed {
        name: String,
        #[source]
        source: SealedError,
    },
    #[error("`{name}` is damaged: {what}")]
    Damaged { name: String, what: &'static str },
    #[error("`{name}` belongs to something else: {what}")]
    Foreign { name: String, what: &'static str },
    #[error("`{name}` was there and is gone")]
    Gone { name: String },
}

impl WalError {
    fn unreadable(name: &str, what: &'static str) -> Self {
        Self::Damaged {
            name: name.to_owned(),
            what,
        }
    }

    /// Whether the store did not answer: the same may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Gone { .. } => true,
            Self::Sealed { .. } | Self::Damaged { .. } | Self::Foreign { .. } => false,
        }
    }

    /// Whether an object was read and is not what it should be.
    pub(in crate::archive) fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Sealed { .. } | Self::Damaged { .. } | Self::Foreign { .. }
        )
    }
}
