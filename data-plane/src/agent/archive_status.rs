//! How far the archive is, as the node tells it.

use super::state::NodeState;
use super::status::StatusBoard;
use crate::archive::store::{ObjectStore, StoreCount};
use crate::archive::wal::{Pace, Progress};
use crate::engine::{AdminError, AdminSession, InstanceDir};
use crate::errors::chain;
use lumadb_contract::archive::Lsn;
use lumadb_contract::id::ArchiveId;
use lumadb_contract::instance::InstancePhase;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Between two looks at what the engine has, seconds.
const LOOK_SECONDS: u64 = 5;

/// Between two reports while WAL is on its way, milliseconds.
const REPORT_MS: u64 = 500;

/// Time for the engine's answer, seconds.
const ANSWER_SECONDS: u64 = 5;

/// Finds the latest moment before which all that was committed is archived: the time is taken, then
/// the engine is asked how far its WAL is, and then the archive must reach that.
#[derive(Debug)]
pub(crate) struct Moment {
    instance: InstanceDir,
    state: Arc<NodeState>,
    now: fn() -> OffsetDateTime,
    /// What the archive shall reach, and the time before that was asked.
    asked: Option<(Lsn, OffsetDateTime)>,
    until: Option<OffsetDateTime>,
    flushed: Lsn,
    /// Connections opened when the engine was asked, if none was open.
    quiet_at: Option<u64>,
}

impl Moment {
    pub(crate) fn new(
        instance: InstanceDir,
        state: Arc<NodeState>,
        now: fn() -> OffsetDateTime,
    ) -> Self {
        Self {
            instance,
            state,
            now,
            asked: None,
            until: None,
            flushed: Lsn(0),
            quiet_at: None,
        }
    }

    async fn look(&mut self) -> Result<(), AdminError> {
        let counters = self.state.counters();
        let now = (self.now)();
        let opened = counters.snapshot().connections_opened;
        if self.quiet_at == Some(opened) {
            // Nobody was there who could have committed anything.
            self.asked = Some((self.flushed, now));
            return Ok(());
        }
        let quiet = counters.connections() == 0;
        let asking = async {
            let session = AdminSession::open(&self.instance).await?;
            session.flushed().await
        };
        let limit = Duration::from_secs(ANSWER_SECONDS);
        let flushed = timeout(limit, asking).await;
        self.flushed = flushed.unwrap_or(Err(AdminError::Timeout))?;
        self.quiet_at = quiet.then_some(opened);
        self.asked = Some((self.flushed, now));
        Ok(())
    }

    fn reached(&mut self, archived: Lsn) {
        if let Some((_, at)) = self.asked.take_if(|(flushed, _)| *flushed <= archived) {
            self.until = Some(at);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reporter {
    status: StatusBoard,
    moment: Moment,
    store: Option<ObjectStore>,
    /// Of stores that were used before, in this incarnation.
    counted: StoreCount,
}

impl Reporter {
    pub(crate) fn new(status: StatusBoard, moment: Moment) -> Self {
        Self {
            status,
            moment,
            store: None,
            counted: StoreCount::default(),
        }
    }

    /// There is no archive.
    pub(crate) fn nothing(&self) {
        self.status.update(|status| status.archive = None);
    }

    pub(crate) fn begin(&mut self, archive_id: ArchiveId) {
        self.moment.asked = None;
        self.moment.until = None;
        self.status.update(|status| {
            let archive = status.archive.get_or_insert_default();
            if archive.archive_id != Some(archive_id) {
                *archive = lumadb_contract::archive::ArchiveStatus::default();
                archive.archive_id = Some(archive_id);
            }
        });
    }

    /// From here on requests go to `store`.
    pub(crate) fn counts(&mut self, store: &ObjectStore) {
        self.end();
        self.store = Some(store.clone());
    }

    pub(crate) fn end(&mut self) {
        self.counted = self.count();
        self.store = None;
    }

    fn count(&self) -> StoreCount {
        let now = self.store.as_ref().map(ObjectStore::count);
        let now = now.unwrap_or_default();
        StoreCount {
            puts: self.counted.puts + now.puts,
            put_bytes: self.counted.put_bytes + now.put_bytes,
            put_failures: self.counted.put_failures + now.put_failures,
        }
    }

    pub(crate) fn fails(&self, error: String) {
        let count = self.count();
        self.status.update(|status| {
            let archive = status.archive.get_or_insert_default();
            archive.puts = count.puts;
            archive.put_bytes = count.put_bytes;
            archive.put_failures = count.put_failures;
            archive.error = Some(error);
        });
    }

    /// Tells of a writer's progress until the writer ends. A spec, which names the pace, has it look
    /// at once: somebody may wait for what is written by now.
    pub(crate) async fn follow(
        &mut self,
        mut progress: watch::Receiver<Progress>,
        mut pace: watch::Receiver<Pace>,
    ) {
        let mut looks = interval(Duration::from_secs(LOOK_SECONDS));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_due = false;
        loop {
            tokio::select! {
                changed = progress.changed() => if changed.is_err() { return },
                _ = looks.tick() => is_due = true,
                Ok(()) = pace.changed() => is_due = true,
            }
            let now = progress.borrow_and_update().clone();
            self.moment.reached(now.archived);
            // What was asked before is waited for first.
            if is_due && self.moment.asked.is_none() {
                is_due = false;
                self.look().await;
                self.moment.reached(now.archived);
            }
            self.tell(&now);
            if now.archived < now.flushed {
                sleep(Duration::from_millis(REPORT_MS)).await;
            }
        }
    }

    async fn look(&mut self) {
        if self.status.read().phase != InstancePhase::Ready {
            return;
        }
        if let Err(error) = self.moment.look().await {
            tracing::debug!(
                error = chain(&error),
                "the engine was not asked for its WAL"
            );
        }
    }

    fn tell(&self, progress: &Progress) {
        let count = self.count();
        self.status.update(|status| {
            // An engine that rests or starts is no fault of the archive's.
            let serves = status.phase == InstancePhase::Ready;
            let session_error = progress.session_error.as_ref().filter(|_| serves);
            let archive = status.archive.get_or_insert_default();
            archive.archived_lsn = progress.archived;
            archive.flushed_lsn = progress.flushed.max(self.moment.flushed);
            archive.archived_until = self.moment.until.or(archive.archived_until);
            archive.puts = count.puts;
            archive.put_bytes = count.put_bytes;
            archive.put_failures = count.put_failures;
            archive.error = progress.store_error.as_ref().or(session_error).cloned();
        });
    }
}
