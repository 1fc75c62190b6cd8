//! Makes the backups and restore points that a spec lists, and tells what can be restored.
//!
//! One backup at a time, the oldest request first. A request is met when the catalogue has its
//! backup; one that failed is told as failed until it is listed no more. What killed backups left is
//! removed before the first is made; what a spec lets expire goes when nothing is left to make.

use super::spec::KnownSpec;
use super::status::StatusBoard;
use crate::archive::backup::{
    BackupEntry, BackupJob, Catalogue, Claim, backup_run, catalogue_read, orphans_remove,
};
use crate::archive::expire::{Expired, expire, expired};
use crate::archive::layout::Layout;
use crate::archive::restore::{archived_wal, restore_windows};
use crate::archive::sealed::ArchiveKey;
use crate::archive::store::{ObjectStore, StoreError};
use crate::archive::wal::{Progress, WalError, WalReader};
use crate::engine::{AdminError, AdminSession, InstanceDir};
use crate::errors::chain;
use lumadb_contract::archive::{
    ArchiveSpec, BackupRequest, BackupState, BackupStatus, Lsn, RestorePointRequest,
    RestorePointStatus, RestoreWindow,
};
use lumadb_contract::id::BackupId;
use lumadb_contract::instance::InstancePhase;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{interval, sleep};

/// Tries of one backup in an incarnation, at most.
const TRIES_MAX: u32 = 3;

/// Between two words on how far a backup is, milliseconds.
const WORD_MS: u64 = 250;

/// Before something is tried again, seconds.
const PAUSE_SECONDS: u64 = 5;

#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Wal(#[from] WalError),
}

/// For one archive and for as long as its keys and credentials stay.
#[derive(Debug)]
pub(super) struct Backups {
    pub(super) store: ObjectStore,
    pub(super) layout: Layout,
    pub(super) key: Arc<ArchiveKey>,
    pub(super) instance: InstanceDir,
    pub(super) specs: watch::Receiver<Option<KnownSpec>>,
    pub(super) status: StatusBoard,
    pub(super) now: fn() -> OffsetDateTime,
}

/// What is known between two looks.
#[derive(Debug, Default)]
struct Known {
    /// This node's.
    claim: Claim,
    catalogue: Catalogue,
    windows: Vec<RestoreWindow>,
    failed: BTreeMap<BackupId, (u32, BackupStatus)>,
    points: Vec<RestorePointStatus>,
}

impl Backups {
    /// Works for as long as it is polled, beside the writer whose progress that is. Dropping it ends
    /// a backup that is being made.
    pub(super) async fn run(self, mut progress: watch::Receiver<Progress>) {
        let (told, archived) = watch::channel(Lsn(0));
        let claims = progress.clone();
        let telling = async {
            loop {
                told.send_replace(progress.borrow_and_update().archived);
                if progress.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = telling => {}
            () = self.work(archived, claims) => {}
        }
    }

    async fn work(
        mut self,
        mut archived: watch::Receiver<Lsn>,
        progress: watch::Receiver<Progress>,
    ) {
        // Then this node has fenced whoever wrote before, and no WAL of a backup is missed.
        let begun = archived.wait_for(|archived| *archived > Lsn(0));
        if begun.await.is_err() {
            return;
        }
        // Made before the writer had to begin again: once in an incarnation is enough.
        let told = self.status.read().archive.unwrap_or_default();
        let mut known = Known {
            claim: claim(&progress),
            points: told.restore_points,
            ..Known::default()
        };
        self.look_until_known(&mut known, true).await;
        loop {
            let Some(spec) = self.spec() else {
                return;
            };
            known.forget(&spec);
            known.claim = claim(&progress);
            self.publish(&known, None);
            self.ready().await;
            let points = self.points_make(&spec, &mut known).await;
            let idle = points && !self.backup_make(&spec, &mut known, &archived).await;
            if !idle {
                continue;
            }
            self.expire(&spec, &mut known).await;
            self.publish(&known, None);
            if self.specs.changed().await.is_err() {
                return;
            }
        }
    }

    /// The newest.
    fn spec(&mut self) -> Option<ArchiveSpec> {
        let known = self.specs.borrow_and_update();
        known.as_ref()?.spec.archive.clone()
    }

    /// Reads what the archive holds, however many tries that takes: a backup is told of together with
    /// what it can restore.
    async fn look_until_known(&self, known: &mut Known, clean: bool) {
        while let Err(error) = self.look(known, clean).await {
            complain(&chain(&error));
            sleep(Duration::from_secs(PAUSE_SECONDS)).await;
        }
    }

    /// Reads what the archive holds.
    async fn look(&self, known: &mut Known, clean: bool) -> Result<(), LookError> {
        let (store, layout, key) = (&self.store, &self.layout, &self.key);
        known.catalogue = catalogue_read(store, layout, key).await?;
        for entry in &known.catalogue.damaged {
            tracing::error!(object = entry.object, error = %entry.error, "a catalogue entry is damaged");
        }
        if clean {
            let removed = orphans_remove(store, layout, &known.catalogue, known.claim).await?;
            if removed > 0 {
                tracing::info!(removed, "removed what killed backups left");
            }
        }
        let reader = WalReader::open(store.clone(), *layout, key.clone()).await?;
        known.windows = restore_windows(&known.catalogue, &archived_wal(&reader).await?);
        Ok(())
    }

    async fn ready(&self) {
        let mut status = self.status.subscribe();
        let ready = status.wait_for(|status| status.phase == InstancePhase::Ready);
        if ready.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Makes listed points that are not made; answers whether all are.
    async fn points_make(&self, spec: &ArchiveSpec, known: &mut Known) -> bool {
        for wanted in &spec.restore_points {
            let id = wanted.restore_point_id;
            if known.points.iter().any(|made| made.restore_point_id == id) {
                continue;
            }
            match self.point_make(wanted).await {
                Ok(made) => known.points.push(made),
                Err(error) => {
                    complain(&chain(&error));
                    sleep(Duration::from_secs(PAUSE_SECONDS)).await;
                    return false;
                }
            }
            self.publish(known, None);
        }
        true
    }

    async fn point_make(
        &self,
        wanted: &RestorePointRequest,
    ) -> Result<RestorePointStatus, AdminError> {
        let session = AdminSession::open(&self.instance).await?;
        let lsn = session.restore_point(&wanted.name).await?;
        Ok(RestorePointStatus {
            restore_point_id: wanted.restore_point_id,
            lsn,
            made_at: (self.now)(),
        })
    }

    /// Makes the first listed backup that is neither there nor given up; answers whether there was
    /// one.
    async fn backup_make(
        &self,
        spec: &ArchiveSpec,
        known: &mut Known,
        archived: &watch::Receiver<Lsn>,
    ) -> bool {
        let missing = |request: &&BackupRequest| {
            let tries = known.failed.get(&request.backup_id);
            known.catalogue.entry(request.backup_id).is_none()
                && tries.is_none_or(|(tries, _)| *tries < TRIES_MAX)
        };
        let Some(request) = spec.backups.iter().find(missing).cloned() else {
            return false;
        };
        let begin = BackupJob::status_begin(&request, (self.now)());
        let (status, told) = watch::channel(begin);
        let job = BackupJob {
            store: self.store.clone(),
            layout: self.layout,
            key: self.key.clone(),
            engine_socket: self.instance.engine_socket(),
            claim: known.claim,
            request: request.clone(),
            rate_kib: None,
            archived: archived.clone(),
            status,
        };
        let telling = async {
            let mut words = interval(Duration::from_millis(WORD_MS));
            loop {
                words.tick().await;
                let now = told.borrow().clone();
                self.publish(known, Some(&now));
            }
        };
        let made = tokio::select! {
            made = backup_run(job) => made,
            () = telling => return true,
        };
        match made {
            Ok(entry) => self.made(known, &entry).await,
            Err(error) => {
                let error = chain(&error);
                tracing::error!(error, backup_id = %request.backup_id, "a backup failed");
                let mut failed = told.borrow().clone();
                failed.state = BackupState::Failed;
                failed.error = Some(error);
                let tries = known.failed.get(&request.backup_id);
                let tries = tries.map_or(0, |(tries, _)| *tries) + 1;
                known.failed.insert(request.backup_id, (tries, failed));
                sleep(Duration::from_secs(PAUSE_SECONDS)).await;
            }
        }
        true
    }

    async fn made(&self, known: &mut Known, entry: &BackupEntry) {
        tracing::info!(backup_id = %entry.backup_id, bytes = entry.bytes_stored, "a backup is complete");
        known.failed.remove(&entry.backup_id);
        self.look_until_known(known, false).await;
    }

    /// Deletes what is needed no more. Nothing is being made meanwhile.
    async fn expire(&self, spec: &ArchiveSpec, known: &mut Known) {
        let gone = expired(&known.catalogue, spec.expire_before, &spec.pinned);
        if gone == Expired::default() {
            return;
        }
        match expire(&self.store, &self.layout, &gone).await {
            Ok(0) => {}
            Ok(objects) => {
                tracing::info!(objects, backups = ?gone.backups, "expired");
                if let Err(error) = self.look(known, false).await {
                    complain(&chain(&error));
                }
            }
            Err(error) => complain(&chain(&error)),
        }
    }

    fn publish(&self, known: &Known, running: Option<&BackupStatus>) {
        let complete = known.catalogue.entries.iter().map(BackupEntry::status);
        let failed = known.failed.values();
        let failed = failed.filter(|(tries, _)| *tries >= TRIES_MAX);
        let failed = failed.map(|(_, status)| status.clone());
        let backups = complete.chain(failed).chain(running.cloned());
        let backups: Vec<_> = backups.collect();
        self.status.update(|status| {
            let archive = status.archive.get_or_insert_default();
            archive.archive_id = Some(self.layout.archive_id());
            archive.backups = backups;
            archive.windows.clone_from(&known.windows);
            archive.restore_points.clone_from(&known.points);
        });
    }
}

fn claim(progress: &watch::Receiver<Progress>) -> Claim {
    let Progress {
        timeline, epoch, ..
    } = *progress.borrow();
    Claim { timeline, epoch }
}

fn complain(error: &str) {
    tracing::error!(error, "backups");
}

impl Known {
    /// What is listed no more was noticed.
    fn forget(&mut self, spec: &ArchiveSpec) {
        let listed = |id: &BackupId| spec.backups.iter().any(|request| request.backup_id == *id);
        self.failed.retain(|id, _| listed(id));
        self.points.retain(|made| {
            let mut wanted = spec.restore_points.iter();
            wanted.any(|wanted| wanted.restore_point_id == made.restore_point_id)
        });
    }
}
