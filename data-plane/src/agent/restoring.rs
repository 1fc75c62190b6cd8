//! The first content of an instance that a restore makes.
//!
//! An instance whose spec was in force once has its content. Before that, the data folder itself says
//! how far it is: what a restore made is left alone; anything else, an empty folder, one in which a
//! restore broke off or a database that nobody has used, is restored into from the beginning.
//!
//! Where an instance is restored from the archive that it goes on writing, its disk was lost: whoever
//! wrote there before, and may only sleep, is fenced before anything is read.

use super::status::StatusBoard;
use crate::archive::layout::Layout;
use crate::archive::sealed::{ArchiveKey, SealedError};
use crate::archive::store::ObjectStore;
use crate::archive::wal::{WriterError, fence};
use crate::engine::InstanceDir;
use crate::errors::chain;
use crate::recovery::{Asked, DataState, Here, RecoveryError, RemoteSite, Source, recover};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use lumadb_contract::archive::{ArchiveAccess, RestorePhase, RestoreSpec, RestoreStatus};
use lumadb_contract::instance::InstanceSpec;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

#[derive(Debug, thiserror::Error)]
enum RestoreError {
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    #[error(transparent)]
    Key(#[from] SealedError),
    #[error("whoever wrote to the archive before is not fenced")]
    Fence(#[from] WriterError),
}

/// What became of the first content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FirstContent {
    /// The engine may start.
    There,
    /// It is being fetched or replayed.
    OnItsWay,
    /// It cannot be made as asked: says why.
    Refused(String),
    /// That failed: says why. Try again.
    Failed(String),
}

/// Runs in [`Restoring::changed`].
type Task = LocalBoxFuture<'static, Result<(), RestoreError>>;

pub(super) struct Restoring {
    site: RemoteSite,
    socket: PathBuf,
    status: StatusBoard,
    there: bool,
    refused: Option<(RestoreSpec, String)>,
    running: Option<(RestoreSpec, Task)>,
    ended: Option<(RestoreSpec, Result<(), RestoreError>)>,
}

impl std::fmt::Debug for Restoring {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = out.debug_struct("Restoring");
        out.field("there", &self.there).finish_non_exhaustive()
    }
}

impl Restoring {
    /// `there`: a spec was in force once.
    pub(super) fn new(instance: &InstanceDir, status: StatusBoard, there: bool) -> Self {
        Self {
            site: RemoteSite::new(instance),
            socket: instance.wal_socket(),
            status,
            there,
            refused: None,
            running: None,
            ended: None,
        }
    }

    /// Whether the engine may start, as far as that is known.
    pub(super) fn is_there(&self, spec: &InstanceSpec) -> bool {
        self.there || spec.restore.is_none()
    }

    /// Looks, and does what is to be done next.
    pub(super) async fn look(&mut self, spec: &InstanceSpec) -> FirstContent {
        let Some(wanted) = spec.restore.as_ref().filter(|_| !self.there) else {
            return FirstContent::There;
        };
        if let Some((refused, why)) = &self.refused
            && refused == wanted
        {
            return FirstContent::Refused(why.clone());
        }
        if let Some((asked, ended)) = self.ended.take()
            && asked == *wanted
        {
            return self.took(asked, ended);
        }
        match &self.running {
            Some((asked, _)) if asked == wanted => FirstContent::OnItsWay,
            // Another one was asked for: that ends this one.
            _ => self.begin(wanted, spec).await,
        }
    }

    /// Completes when a restore ended; it goes on only while this is waited for.
    pub(super) async fn changed(&mut self) {
        let Some((asked, task)) = &mut self.running else {
            return std::future::pending().await;
        };
        let ended = task.as_mut().await;
        self.ended = Some((asked.clone(), ended));
        self.running = None;
    }

    /// Ends what is on its way.
    pub(super) fn stop(&mut self) {
        self.running = None;
        self.ended = None;
    }

    async fn begin(&mut self, wanted: &RestoreSpec, spec: &InstanceSpec) -> FirstContent {
        match self.site.look().await {
            Err(error) => FirstContent::Failed(chain(&error)),
            Ok(DataState::Restored) => {
                self.there = true;
                self.say(|status| status.phase = RestorePhase::Done);
                FirstContent::There
            }
            Ok(DataState::Other | DataState::Restoring) => {
                let task = restore(
                    wanted.clone(),
                    own_archive(spec, wanted),
                    spec.engine_version,
                    self.site.clone(),
                    self.socket.clone(),
                    self.status.clone(),
                );
                self.running = Some((wanted.clone(), task.boxed_local()));
                FirstContent::OnItsWay
            }
        }
    }

    fn took(&mut self, asked: RestoreSpec, ended: Result<(), RestoreError>) -> FirstContent {
        match ended {
            Ok(()) => {
                self.there = true;
                FirstContent::There
            }
            Err(RestoreError::Recovery(RecoveryError::Refused(refusal))) => {
                let why = refusal.to_string();
                self.say(|status| {
                    status.phase = RestorePhase::Refused;
                    status.refusal = Some(why.clone());
                });
                self.refused = Some((asked, why.clone()));
                FirstContent::Refused(why)
            }
            Err(error) => FirstContent::Failed(chain(&error)),
        }
    }

    fn say(&self, change: impl FnOnce(&mut RestoreStatus)) {
        self.status.update(|status| {
            change(status.restore.get_or_insert_default());
        });
    }
}

/// The instance's own archive, to write, if that is what it is restored from.
fn own_archive(spec: &InstanceSpec, wanted: &RestoreSpec) -> Option<ArchiveAccess> {
    let own = &spec.archive.as_ref()?.access;
    (own.archive_id == wanted.source.archive_id).then(|| own.clone())
}

async fn restore(
    spec: RestoreSpec,
    own: Option<ArchiveAccess>,
    major: u16,
    site: RemoteSite,
    socket: PathBuf,
    board: StatusBoard,
) -> Result<(), RestoreError> {
    let source = Source {
        store: ObjectStore::open(&spec.source.store).await,
        layout: Layout::new(spec.source.archive_id),
        key: Arc::new(ArchiveKey::parse(&spec.source.key)?),
    };
    if let Some(own) = own {
        let store = ObjectStore::open(&own.store).await;
        fence(store, source.layout, source.key.clone()).await?;
    }
    let (status, mut told) = watch::channel(RestoreStatus::default());
    let telling = async {
        loop {
            let now = told.borrow_and_update().clone();
            board.update(|status| status.restore = Some(now));
            if told.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    // The engine's helper finds out the rest when it runs.
    let here = Here::new(major.to_string(), None);
    let asked = Asked {
        target: spec.target,
        timeline: None,
        other_collations: false,
        verify: spec.verify,
    };
    let recovering = recover(&source, asked, &site, &socket, &here, &status);
    tokio::select! {
        recovered = recovering => drop(recovered?),
        () = telling => {}
    }
    let last = status.borrow().clone();
    board.update(|status| status.restore = Some(last));
    Ok(())
}
