//! Writes the engine's WAL into the archive.
//!
//! A *session* is one connection to the engine. It begins by reading again what the archive ends
//! with and comparing it with what the engine has there; then chunks are cut from what comes, sent
//! some at a time, and confirmed to the engine in their order. What is on its way outlives a
//! session. While the store is away the engine keeps the WAL, and the connection is let go, because
//! an engine that shall stop waits for whoever is connected.

mod claim;
mod cutter;
mod error;
mod fence;
mod sending;
mod session;

pub use cutter::Pace;
pub use error::WriterError;
pub use fence::fence;

use super::WalError;
use super::format::{Hash, Origin};
use super::item::Items;
use crate::archive::layout::{Layout, Sequence, Timeline};
use crate::archive::sealed::ArchiveKey;
use crate::archive::store::ObjectStore;
use crate::errors::chain;
use bytes::Bytes;
use lumadb_contract::archive::Lsn;
use lumadb_contract::id::DatabaseId;
use sending::Sending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Pauses between sessions, milliseconds: the first, and the longest.
const PAUSE_MS: (u64, u64) = (50, 5_000);

/// A session that lasted so long was a good one, seconds.
const GOOD_SECONDS: u64 = 10;

/// Where WAL comes from.
#[derive(Debug, Clone)]
pub struct WalSource {
    pub database_id: DatabaseId,
    /// Major version of PostgreSQL.
    pub engine_version: u16,
    /// The engine's own socket.
    pub socket: PathBuf,
    /// A role that may replicate.
    pub role: String,
    /// A physical replication slot that nobody else uses; made if it is not there.
    pub slot: String,
}

/// How far a writer is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// 0: not known yet.
    pub timeline: Timeline,
    /// Of this writer's seal; of two on one timeline the later one has the higher.
    pub epoch: u64,
    /// WAL before this is in the archive, without a hole.
    pub archived: Lsn,
    /// WAL before this is on the engine's disk, as far as it has told.
    pub flushed: Lsn,
    /// Length of a run of the archive, bytes; 0: not known yet.
    pub run_bytes: u64,
    /// Why the store does not take what is on its way.
    pub store_error: Option<String>,
    /// Why WAL does not come.
    pub session_error: Option<String>,
}

/// WAL that the archive holds last: it ends where the chain does.
#[derive(Debug, Clone)]
struct Tail {
    start: Lsn,
    wal: Bytes,
}

impl Tail {
    fn end(&self) -> Lsn {
        Lsn(self.start.0 + self.wal.len() as u64)
    }
}

/// The chain that this writer writes, as far as it was cut.
#[derive(Debug)]
struct Claimed {
    origin: Origin,
    timeline: Timeline,
    epoch: u64,
    next: Sequence,
    hash: Hash,
    tail: Tail,
}

/// How much of the WAL before the archive's end is asked of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// What the archive holds last, to compare.
    Tail,
    /// The engine no longer has that: from the end on.
    End,
    /// Nor that: from where it still has some, behind a hole.
    Slot,
}

#[derive(Debug)]
pub struct WalWriter {
    items: Items,
    source: WalSource,
    pace: watch::Receiver<Pace>,
    progress: watch::Sender<Progress>,
    sending: Sending,
    claimed: Option<Claimed>,
    reach: Reach,
}

impl WalWriter {
    pub fn new(
        store: ObjectStore,
        layout: Layout,
        key: Arc<ArchiveKey>,
        source: WalSource,
        pace: watch::Receiver<Pace>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let items = Items { store, layout, key };
        Self {
            sending: Sending::new(items.clone(), progress.clone()),
            items,
            source,
            pace,
            progress,
            claimed: None,
            reach: Reach::Tail,
        }
    }

    /// Writes until it must never write again, and says why. Dropped, it stops: what is on its way
    /// may arrive or not.
    pub async fn run(mut self) -> WriterError {
        let mut pause_ms = PAUSE_MS.0;
        loop {
            let began = Instant::now();
            let mut error = self.session().await;
            self.failed(&error);
            if !error.is_final() {
                if began.elapsed() >= Duration::from_secs(GOOD_SECONDS) {
                    pause_ms = PAUSE_MS.0;
                }
                let rested = match error {
                    WriterError::StoreAway => self.oldest_arrived().await,
                    _ => self.rest(Duration::from_millis(pause_ms)).await,
                };
                pause_ms = (pause_ms * 2).min(PAUSE_MS.1);
                match rested {
                    Ok(()) => continue,
                    Err(later) => error = later,
                }
                self.failed(&error);
            }
            if error.is_final() {
                return error;
            }
        }
    }

    fn failed(&self, error: &WriterError) {
        let text = chain(error);
        if error.is_final() {
            tracing::error!(error = text, "WAL is archived no more");
        } else {
            tracing::debug!(error = text, "no WAL comes");
        }
        self.progress
            .send_modify(|progress| progress.session_error = Some(text));
    }

    /// Waits for the oldest chunk on its way, however long.
    async fn oldest_arrived(&mut self) -> Result<(), WriterError> {
        if !self.sending.is_empty() {
            let archived = self.sending.arrived().await?;
            self.archived(archived);
        }
        Ok(())
    }

    async fn rest(&mut self, pause: Duration) -> Result<(), WriterError> {
        let rested = sleep(pause);
        tokio::pin!(rested);
        loop {
            tokio::select! {
                () = &mut rested => return Ok(()),
                arrived = self.sending.arrived() => {
                    let archived = arrived?;
                    self.archived(archived);
                }
            }
        }
    }

    fn archived(&self, archived: Lsn) {
        self.progress.send_modify(|progress| {
            progress.archived = archived;
            progress.flushed = progress.flushed.max(archived);
        });
    }

    fn flushed(&self, flushed: Lsn) {
        self.progress.send_if_modified(|progress| {
            let more = flushed > progress.flushed;
            progress.flushed = progress.flushed.max(flushed);
            more
        });
    }
}
