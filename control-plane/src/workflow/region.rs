//! The loop of a region: what to look at, how many at once, and for how long claims hold.

use super::look::look;
use crate::app::Platform;
use crate::runtime::{Observation, Runtime};
use crate::store::desired::{self, Lease};
use crate::store::{SignalReceiver, StoreError};
use lumadb_contract::archive::{BackupState, RestorePhase};
use lumadb_contract::id::{BackupId, DatabaseId, IncarnationId};
use lumadb_contract::instance::{InstancePhase, InstanceStatus};
use lumadb_contract::route::NodeAddress;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Databases that are worked on at once.
const CONCURRENCY: usize = 16;
/// A claim holds this long unless it is renewed: a killed loop's work is taken over after it.
const LEASE: time::Duration = time::Duration::seconds(10);
const RENEW_INTERVAL: Duration = Duration::from_secs(3);
/// How often what is due is looked for without any signal.
const TICK: Duration = Duration::from_millis(500);
/// Clients that come and go are looked at together after this long.
const IDLE_DELAY: Duration = Duration::from_secs(1);
/// How far an archive is, is looked at this often where nobody waits for it.
const ARCHIVE_DELAY: Duration = Duration::from_secs(20);
/// How often a signaled database is tried that is locked for a moment.
const CLAIM_TRIES_MAX: u8 = 10;
const ORPHAN_INTERVAL: Duration = Duration::from_mins(5);
/// Longest wait, at the end, for looks under way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Applies the desired state of one region.
#[derive(Debug)]
pub struct Workflow<R> {
    platform: Platform,
    runtime: Arc<R>,
    region: String,
    /// Of this run of the loop: a restarted one is another.
    owner: Uuid,
    tasks: JoinSet<Result<(), StoreError>>,
    /// Databases that are worked on, by the task that does.
    busy: HashMap<tokio::task::Id, DatabaseId>,
    /// Signaled, with tries so far.
    signaled: HashMap<DatabaseId, u8>,
    /// To be signaled at that moment.
    later: HashMap<DatabaseId, Instant>,
    seen: HashMap<DatabaseId, Digest>,
    is_away: bool,
}

/// What of an observation is worth a look at once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Digest {
    incarnation: Option<IncarnationId>,
    /// May be known only after its node has said all the rest.
    address: Option<NodeAddress>,
    phase: Option<InstancePhase>,
    generation: u64,
    is_known: bool,
    is_idle: bool,
    archive: ArchiveDigest,
    /// Hash of what moves while bytes flow: it is looked at together with what comes after.
    progress: u64,
    /// Somebody may be watching it move.
    is_busy: bool,
}

/// What of an archive and a restore is worth a look at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ArchiveDigest {
    backups: Vec<(BackupId, BackupState)>,
    restore_points: usize,
    windows: usize,
    has_hole: bool,
    has_error: bool,
    restore: Option<RestorePhase>,
}

impl ArchiveDigest {
    fn of(status: &InstanceStatus) -> Self {
        let restore = status.restore.as_ref().map(|restore| restore.phase);
        let Some(archive) = &status.archive else {
            return Self {
                restore,
                ..Self::default()
            };
        };
        let backups = archive.backups.iter();
        Self {
            backups: backups
                .map(|backup| (backup.backup_id, backup.state))
                .collect(),
            restore_points: archive.restore_points.len(),
            windows: archive.windows.len(),
            has_hole: archive
                .windows
                .last()
                .is_some_and(|window| window.until.is_some()),
            has_error: archive.error.is_some(),
            restore,
        }
    }

    fn is_busy(&self) -> bool {
        let restoring = matches!(
            self.restore,
            Some(RestorePhase::Fetching | RestorePhase::Replaying)
        );
        let running = |(_, state): &(BackupId, BackupState)| *state == BackupState::Running;
        restoring || self.backups.iter().any(running)
    }
}

/// Positions, moments and bytes of an archive and a restore.
fn progress(status: &InstanceStatus) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(archive) = &status.archive {
        (archive.archived_lsn, archive.flushed_lsn).hash(&mut hasher);
        archive.archived_until.hash(&mut hasher);
        for backup in &archive.backups {
            (backup.bytes_read, backup.bytes_stored).hash(&mut hasher);
        }
    }
    if let Some(restore) = &status.restore {
        (restore.bytes_done, restore.bytes_total).hash(&mut hasher);
        (restore.replayed_lsn, restore.reached).hash(&mut hasher);
    }
    hasher.finish()
}

impl Digest {
    fn of(observation: &Observation) -> Self {
        let (status, address) = match observation {
            Observation::Attached {
                status,
                node_address,
            } => (Some(status), Some(node_address.clone())),
            Observation::Unknown | Observation::Absent => (None, None),
        };
        let archive = status.map(ArchiveDigest::of).unwrap_or_default();
        Self {
            incarnation: status.map(|status| status.incarnation_id),
            address,
            phase: status.map(|status| status.phase),
            generation: status.map_or(0, |status| status.observed_generation),
            is_known: *observation != Observation::Unknown,
            is_idle: status.is_some_and(|status| status.idle_since.is_some()),
            is_busy: archive.is_busy(),
            archive,
            progress: status.map_or(0, progress),
        }
    }
}

impl Digest {
    /// How long the change to `now` may wait for others to come; `None`: not at all.
    fn delay(&self, now: &Self) -> Option<Duration> {
        let moved = Self {
            is_idle: self.is_idle,
            progress: self.progress,
            ..now.clone()
        };
        if *self != moved {
            return None;
        }
        let is_slow = self.is_idle == now.is_idle && !now.is_busy;
        Some(if is_slow { ARCHIVE_DELAY } else { IDLE_DELAY })
    }
}

impl<R: Runtime> Workflow<R> {
    pub fn new(platform: Platform, runtime: Arc<R>, region: impl Into<String>) -> Self {
        let owner = platform.clock.new_uuid();
        Self {
            platform,
            runtime,
            region: region.into(),
            owner,
            tasks: JoinSet::new(),
            busy: HashMap::new(),
            signaled: HashMap::new(),
            later: HashMap::new(),
            seen: HashMap::new(),
            is_away: false,
        }
    }

    /// Runs until it is told to stop, whatever fails; then lets looks under way end.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut signals = self.platform.store.signals().subscribe();
        let mut changes = self.runtime.changes();
        self.wait_for_store(&shutdown).await;
        let mut renew_at = Instant::now() + RENEW_INTERVAL;
        let mut orphans_at = Instant::now();
        while !shutdown.is_cancelled() {
            self.claim_and_spawn().await;
            if Instant::now() >= renew_at {
                renew_at = Instant::now() + RENEW_INTERVAL;
                self.renew().await;
            }
            if Instant::now() >= orphans_at {
                orphans_at = Instant::now() + ORPHAN_INTERVAL;
                self.remove_orphans().await;
            }
            self.wait(&mut signals, &mut changes, &shutdown).await;
        }
        self.drain().await;
    }

    /// The runtime may know nothing yet: everything is looked at once.
    async fn wait_for_store(&mut self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let looked = async {
                let mut tx = self.platform.store.region().await?;
                desired::look_at_all(&mut tx, &self.region, self.platform.clock.now()).await?;
                tx.commit().await
            };
            match looked.await {
                Ok(()) => return,
                Err(error) => self.away(&error),
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Says once that the database is away, and not again until it was back.
    fn away(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!(region = self.region, %error, "the loop cannot work");
        }
    }

    fn lease(&self) -> Lease {
        Lease {
            owner: self.owner,
            until: self.platform.clock.now() + LEASE,
        }
    }

    async fn claim_and_spawn(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self
            .later
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.later.remove(&id);
            self.signaled.entry(id).or_default();
        }
        let free = CONCURRENCY.saturating_sub(self.busy.len());
        if free == 0 {
            return;
        }
        match self.claim(free).await {
            Ok(claimed) => {
                self.is_away = false;
                for id in claimed {
                    self.signaled.remove(&id);
                    self.spawn(id);
                }
                // What was neither claimed nor is being worked on is locked, deleted or another's.
                let busy = &self.busy;
                self.signaled.retain(|id, tries| {
                    *tries += u8::from(!busy.values().any(|other| other == id));
                    *tries < CLAIM_TRIES_MAX
                });
            }
            Err(error) => self.away(&error),
        }
    }

    async fn claim(&self, limit: usize) -> Result<Vec<DatabaseId>, StoreError> {
        let also: Vec<_> = self.signaled.keys().copied().collect();
        let except: Vec<_> = self.busy.values().copied().collect();
        let mut tx = self.platform.store.region().await?;
        let claimed = desired::claim(
            &mut tx,
            &self.region,
            self.lease(),
            self.platform.clock.now(),
            &also,
            &except,
            i64::try_from(limit).unwrap_or(1),
        )
        .await?;
        tx.commit().await?;
        Ok(claimed)
    }

    fn spawn(&mut self, id: DatabaseId) {
        self.seen.insert(id, Digest::of(&self.runtime.observe(id)));
        let (platform, runtime, owner) =
            (self.platform.clone(), Arc::clone(&self.runtime), self.owner);
        let task = self
            .tasks
            .spawn(async move { look(&platform, &*runtime, owner, id).await });
        self.busy.insert(task.id(), id);
    }

    async fn renew(&mut self) {
        if self.busy.is_empty() {
            return;
        }
        let ids: Vec<_> = self.busy.values().copied().collect();
        let renewed = async {
            let mut tx = self.platform.store.region().await?;
            desired::renew(&mut tx, self.lease(), &ids).await?;
            tx.commit().await
        };
        if let Err(error) = renewed.await {
            self.away(&error);
        }
    }

    async fn wait(
        &mut self,
        signals: &mut SignalReceiver,
        changes: &mut broadcast::Receiver<DatabaseId>,
        shutdown: &CancellationToken,
    ) {
        // Something signaled could not be claimed: it is locked for a moment.
        let is_waiting = self
            .signaled
            .keys()
            .any(|id| !self.busy.values().any(|busy| busy == id));
        let tick = if is_waiting && !self.is_away {
            Duration::from_millis(20)
        } else {
            TICK
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(tick) => {}
            _ = signals.next() => {}
            change = changes.recv() => match change {
                Ok(id) => self.changed(id),
                Err(broadcast::error::RecvError::Lagged(_)) => self.all_changed(),
                Err(broadcast::error::RecvError::Closed) => tokio::time::sleep(tick).await,
            },
            Some(done) = self.tasks.join_next_with_id() => self.done(done),
        }
        while let Some(done) = self.tasks.try_join_next_with_id() {
            self.done(done);
        }
        while signals.try_next().is_some() {}
        loop {
            match changes.try_recv() {
                Ok(id) => self.changed(id),
                Err(TryRecvError::Lagged(_)) => self.all_changed(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
    }

    /// Looks at what changed: at once, or after a while if clients merely came or went.
    fn changed(&mut self, id: DatabaseId) {
        let now = Digest::of(&self.runtime.observe(id));
        let before = self.seen.get(&id);
        if before == Some(&now) {
            return;
        }
        let delay = before.and_then(|before| before.delay(&now));
        self.seen.insert(id, now);
        if let Some(delay) = delay {
            let at = Instant::now() + delay;
            let due = self.later.entry(id).or_insert(at);
            *due = at.min(*due);
        } else {
            self.signaled.insert(id, 0);
        }
    }

    fn all_changed(&mut self) {
        let known: Vec<_> = self.seen.keys().copied().collect();
        for id in known {
            self.changed(id);
        }
    }

    fn done(&mut self, done: Result<(tokio::task::Id, Result<(), StoreError>), JoinError>) {
        let task = match &done {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        let database = self.busy.remove(&task);
        match done {
            Ok((_, Ok(()))) => {}
            Ok((_, Err(error))) => {
                tracing::warn!(?database, %error, "a look was not finished");
            }
            Err(error) => tracing::error!(?database, %error, "a look broke off"),
        }
    }

    /// What the runtime still has of a deleted database goes: a removal was cut off.
    async fn remove_orphans(&mut self) {
        let ids = match self.runtime.list().await {
            Ok(ids) => ids,
            Err(error) => {
                tracing::warn!(%error, "the runtime does not tell what it has");
                return;
            }
        };
        let found = async {
            let mut tx = self.platform.store.region().await?;
            let deleted = desired::deleted_among(&mut tx, &ids).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(deleted)
        };
        match found.await {
            Ok(deleted) => {
                for id in deleted {
                    tracing::warn!(database = %id, "removing what is left of a deleted database");
                    let runtime = Arc::clone(&self.runtime);
                    self.tasks.spawn(async move {
                        if let Err(error) = runtime.remove(id).await {
                            tracing::warn!(database = %id, %error, "it was not removed");
                        }
                        Ok(())
                    });
                }
            }
            Err(error) => self.away(&error),
        }
    }

    async fn drain(&mut self) {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, ended).await.is_err() {
            tracing::warn!("looks under way were cut off");
        }
    }
}

#[cfg(test)]
#[path = "region_tests.rs"]
mod tests;
