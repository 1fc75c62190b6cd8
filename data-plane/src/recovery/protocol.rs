//! What a node asks of the helper that owns the data folder, on `run/restore.sock`: one call a
//! connection, as a document, and its answer. A call to write an object is followed by the object's
//! content, up to the end of what the node sends.

use super::site::Replay;
use crate::archive::restore::PartKind;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Call {
    /// What the data folder is.
    Look,
    Begin {
        backups: usize,
    },
    Part {
        number: usize,
        kind: PartKind,
    },
    Verify {
        backups: usize,
    },
    Combine {
        backups: usize,
    },
    Replay {
        settings: String,
    },
    Finish,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Done,
    Looked(DataState),
    Replayed(Replay),
    /// What is wrong with a backup, if something is.
    Verified(Option<String>),
    /// Why it was not done.
    Failed(String),
}

/// What a data folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataState {
    /// Empty, or something that a restore may replace: nobody made it by one.
    Other,
    /// A restore began and did not end.
    Restoring,
    /// A database that a restore made.
    Restored,
}
