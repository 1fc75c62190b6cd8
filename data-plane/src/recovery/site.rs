//! The place where a restored data folder comes to be.

use crate::archive::restore::{PartKind, PartSink};
use lumadb_contract::archive::Lsn;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("{} cannot be used", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{program} failed: {said}")]
    Program { program: String, said: String },
    #[error("the restored engine cannot be ended")]
    Engine(#[from] crate::engine::PostmasterError),
    #[error("the engine's helper does not answer")]
    Helper(#[source] crate::engine::FrameError),
    #[error("the engine's helper says: {0}")]
    Refused(String),
    #[error("asking the restored engine how far it is")]
    Admin(#[from] crate::engine::AdminError),
}

/// How far PostgreSQL replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    pub lsn: Lsn,
    /// When the last transaction ended, microseconds since 1970; `None`: none was replayed.
    pub last_transaction_us: Option<i64>,
    /// Collations in use of which PostgreSQL here has another version than the one that indexes
    /// were sorted by, in words.
    #[serde(default)]
    pub collations_changed: Vec<String>,
}

/// How an engine that was to replay ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Replay {
    /// It replayed up to the target, and ended in order.
    Reached(Reached),
    /// It did not, and said this.
    Failed(String),
}

/// Each step may be done again after any other.
pub(crate) trait Site: Sync {
    /// Empties the place and makes room for so many backups.
    async fn begin(&self, backups: usize) -> Result<(), SiteError>;

    /// Opens the place for an object of backup `number`.
    fn part(&self, number: usize, kind: PartKind) -> io::Result<Box<dyn PartSink>>;

    /// Compares so many backups with their manifests; answers what is wrong with one.
    async fn verify(&self, backups: usize) -> Result<Option<String>, SiteError>;

    /// Makes a data folder of so many backups, each of which builds on the one before.
    async fn combine(&self, backups: usize) -> Result<(), SiteError>;

    /// Runs the engine with `settings` until it has replayed, and ends it.
    async fn replay(&self, settings: &str) -> Result<Replay, SiteError>;

    /// The folder is a database.
    async fn finish(&self) -> Result<(), SiteError>;
}
