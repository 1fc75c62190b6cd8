//! Keeps the archive that the spec names: for as long as the engine runs its WAL leaves for it.
//!
//! The archive never stands in the way: a store that is away, refuses or belongs to somebody else
//! is told in the status, while the engine serves on and keeps its WAL.

use super::archive_status::{Moment, Reporter};
use super::backups::Backups;
use super::spec::KnownSpec;
use super::state::NodeState;
use super::status::StatusBoard;
use crate::archive::identity::{ArchiveIdentity, IDENTITY_VERSION, IdentityError, identity_keep};
use crate::archive::layout::Layout;
use crate::archive::sealed::{ArchiveKey, SealedError};
use crate::archive::store::{ObjectStore, StoreError};
use crate::archive::wal::{Compactor, Pace, Progress, WalSource, WalWriter, WriterError};
use crate::engine::InstanceDir;
use crate::errors::chain;
use lumadb_contract::archive::{ArchiveAccess, Durability, Lsn};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::InstanceSpec;
use lumadb_contract::name::PLATFORM_ROLE;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::sleep;

/// The replication slot that keeps WAL until it is archived.
const SLOT: &str = "lumadb_archive";

/// Pauses after a failure, milliseconds: the first, and the longest.
const PAUSE_MS: (u64, u64) = (200, 30_000);

#[derive(Debug, thiserror::Error)]
enum ArchiverError {
    #[error(transparent)]
    Key(#[from] SealedError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Writer(#[from] WriterError),
}

impl ArchiverError {
    /// Whether it is of no use to begin again before the spec has changed.
    fn is_final(&self) -> bool {
        match self {
            // A writer comes back only when it must not write again.
            Self::Key(_)
            | Self::Store(StoreError::NotExclusive)
            | Self::Identity(IdentityError::Malformed { .. } | IdentityError::Other { .. })
            | Self::Writer(_) => true,
            // Credentials may be given their rights later.
            Self::Store(_) | Self::Identity(IdentityError::Store(_)) => false,
        }
    }
}

/// What of a spec decides where WAL goes. Another one begins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    access: ArchiveAccess,
    wrapped_key: serde_json::Value,
    engine_version: u16,
}

impl Wanted {
    fn of(spec: &InstanceSpec) -> Option<Self> {
        let archive = spec.archive.as_ref()?;
        Some(Self {
            access: archive.access.clone(),
            wrapped_key: archive.wrapped_key.clone(),
            engine_version: spec.engine_version,
        })
    }
}

fn pace_of(durability: Durability) -> Pace {
    match durability {
        Durability::S3 => Pace::Now,
        Durability::Lag { lag_ms } => Pace::Within(Duration::from_millis(lag_ms.into())),
    }
}

#[derive(Debug)]
pub(crate) struct Archiver {
    pub(crate) instance: InstanceDir,
    pub(crate) database_id: DatabaseId,
    pub(crate) specs: watch::Receiver<Option<KnownSpec>>,
    pub(crate) state: Arc<NodeState>,
    pub(crate) status: StatusBoard,
    pub(crate) now: fn() -> OffsetDateTime,
}

impl Archiver {
    /// Works for as long as it is polled.
    pub(crate) async fn run(self) {
        let mut specs = self.specs.clone();
        let moment = Moment::new(self.instance.clone(), self.state.clone(), self.now);
        let mut reporter = Reporter::new(self.status.clone(), moment);
        loop {
            let known = specs.borrow_and_update().clone();
            let Some(wanted) = known.and_then(|known| Wanted::of(&known.spec)) else {
                reporter.nothing();
                if specs.changed().await.is_err() {
                    return;
                }
                continue;
            };
            reporter.begin(wanted.access.archive_id);
            tokio::select! {
                () = self.keep(&wanted, &mut reporter) => {}
                ended = self.other_than(&wanted) => if ended { return },
            }
            self.state.gate().archive_covers(Lsn(0));
            reporter.end();
        }
    }

    /// Waits for a spec that wants another archive, or for the end of specs.
    async fn other_than(&self, wanted: &Wanted) -> bool {
        let mut specs = self.specs.clone();
        let other = specs.wait_for(|known| {
            let now = known.as_ref().and_then(|known| Wanted::of(&known.spec));
            now.as_ref() != Some(wanted)
        });
        other.await.is_err()
    }

    /// Archives until it is dropped; begins again after a failure.
    async fn keep(&self, wanted: &Wanted, reporter: &mut Reporter) {
        let mut pause_ms = PAUSE_MS.0;
        loop {
            let error = match self.archive(wanted, reporter).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            self.state.gate().archive_covers(Lsn(0));
            let text = chain(&error);
            tracing::error!(error = text, "the archive");
            reporter.fails(text);
            if error.is_final() {
                return std::future::pending().await;
            }
            sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAUSE_MS.1);
        }
    }

    async fn archive(
        &self,
        wanted: &Wanted,
        reporter: &mut Reporter,
    ) -> Result<Infallible, ArchiverError> {
        let access = &wanted.access;
        let key = Arc::new(ArchiveKey::parse(&access.key)?);
        let layout = Layout::new(access.archive_id);
        let store = ObjectStore::open(&access.store).await;
        reporter.counts(&store);
        store.probe(&layout).await?;
        let identity = ArchiveIdentity {
            version: IDENTITY_VERSION,
            archive_id: access.archive_id,
            database_id: self.database_id,
            system_identifier: self.system_identifier().await,
            engine_version: wanted.engine_version,
            wrapped_key: wanted.wrapped_key.clone(),
        };
        identity_keep(&store, &layout, &identity).await?;
        let (pace_end, pace) = watch::channel(Pace::Now);
        let paces = pace.clone();
        let (progress_end, progress) = watch::channel(Progress::default());
        let source = WalSource {
            database_id: self.database_id,
            engine_version: wanted.engine_version,
            socket: self.instance.engine_socket(),
            role: PLATFORM_ROLE.to_owned(),
            slot: SLOT.to_owned(),
        };
        let writer = WalWriter::new(
            store.clone(),
            layout,
            key.clone(),
            source,
            pace,
            progress_end,
        );
        let backups = Backups {
            store: store.clone(),
            layout,
            key: key.clone(),
            instance: self.instance.clone(),
            specs: self.specs.clone(),
            status: self.status.clone(),
            now: self.now,
        };
        let compactor = Compactor::new(store, layout, key);
        let beside = async {
            tokio::join!(
                compactor.follow(progress.clone()),
                self.pace_follow(pace_end),
                reporter.follow(progress.clone(), paces),
                self.gate_follow(progress.clone()),
                backups.run(progress.clone()),
            )
        };
        tokio::select! {
            error = writer.run() => Err(error.into()),
            _ = beside => std::future::pending().await,
        }
    }

    /// Of the engine, once it has told.
    async fn system_identifier(&self) -> u64 {
        let mut status = self.status.subscribe();
        loop {
            if let Some(identifier) = status.borrow_and_update().system_identifier {
                return identifier;
            }
            if status.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Tells the gate how far the archive is. What nothing can be restored from covers nothing: that
    /// is before the first backup, and behind a hole.
    async fn gate_follow(&self, mut progress: watch::Receiver<Progress>) {
        let mut status = self.status.subscribe();
        loop {
            let restorable = status
                .borrow_and_update()
                .archive
                .as_ref()
                .is_some_and(|told| {
                    let last = told.windows.last();
                    last.is_some_and(|window| window.until.is_none())
                });
            let archived = progress.borrow_and_update().archived;
            let covered = if restorable { archived } else { Lsn(0) };
            self.state.gate().archive_covers(covered);
            tokio::select! {
                changed = progress.changed() => if changed.is_err() { return },
                changed = status.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Keeps the pace that the spec asks for.
    async fn pace_follow(&self, pace: watch::Sender<Pace>) {
        let mut specs = self.specs.clone();
        loop {
            let durability = specs
                .borrow_and_update()
                .as_ref()
                .and_then(|known| Some(known.spec.archive.as_ref()?.durability));
            if let Some(durability) = durability {
                pace.send_replace(pace_of(durability));
            }
            if specs.changed().await.is_err() {
                return;
            }
        }
    }
}
