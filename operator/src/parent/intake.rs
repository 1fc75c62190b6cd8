//! What nodes say, until it has gone where it goes: to the control plane, which answers for it, or
//! nowhere, where there is none.

use super::waiting::{Waiting, highest};
use lumadb_contract::allowance::{Allowance, AllowanceRequest};
use lumadb_contract::cluster::RegionMessage;
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::usage::UsageSample;
use lumadb_parent::{Refused, Stored};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Longest time in which a question is answered; then the node asks again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether somebody is charged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// It is being looked up: samples wait.
    #[default]
    Unknown,
    /// There is no control plane: samples are acknowledged and forgotten.
    Nobody,
    /// There is one, though it may be away.
    ControlPlane,
}

/// Databases about whose nodes there is news, each once.
#[derive(Debug, Default)]
pub(super) struct Notices {
    about: Mutex<BTreeSet<DatabaseId>>,
    come: Notify,
}

impl Notices {
    fn add(&self, database: DatabaseId) {
        lock(&self.about).insert(database);
        self.come.notify_one();
    }

    /// Once there may be news.
    pub(super) async fn come(&self) {
        self.come.notified().await;
    }

    pub(super) fn take(&self) -> BTreeSet<DatabaseId> {
        std::mem::take(&mut *lock(&self.about))
    }
}

#[derive(Debug, Default)]
struct Shared {
    beyond: watch::Sender<Beyond>,
    waiting: Mutex<Waiting>,
    /// For the control plane.
    news: Notices,
    /// For the statuses of instances.
    reports: Notices,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Intake(Arc<Shared>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Intake {
    pub(super) fn beyond(&self) -> watch::Receiver<Beyond> {
        self.0.beyond.subscribe()
    }

    /// A control plane that was there once is there: what is counted while its address is gone
    /// is kept.
    pub(super) fn set_beyond(&self, is_there: bool) {
        self.0.beyond.send_if_modified(|beyond| {
            let next = match (*beyond, is_there) {
                (_, true) | (Beyond::ControlPlane, _) => Beyond::ControlPlane,
                (_, false) => Beyond::Nobody,
            };
            let changed = *beyond != next;
            *beyond = next;
            changed
        });
    }

    pub(super) fn news(&self) -> &Notices {
        &self.0.news
    }

    pub(super) fn reports(&self) -> &Notices {
        &self.0.reports
    }

    /// A new stream to the control plane.
    pub(super) fn begin(&self) {
        lock(&self.0.waiting).begin();
    }

    pub(super) fn next(&self) -> Option<RegionMessage> {
        lock(&self.0.waiting).next()
    }

    pub(super) fn acknowledge(
        &self,
        database: DatabaseId,
        incarnation: IncarnationId,
        sequence: u64,
    ) {
        lock(&self.0.waiting).acknowledge(database, incarnation, sequence);
    }

    pub(super) fn answer(&self, database: DatabaseId, allowance: Allowance) {
        lock(&self.0.waiting).answer(database, allowance);
    }

    async fn is_charged(&self) -> bool {
        let mut beyond = self.beyond();
        let known = beyond
            .wait_for(|beyond| *beyond != Beyond::Unknown)
            .await
            .map(|beyond| *beyond);
        known.is_ok_and(|beyond| beyond == Beyond::ControlPlane)
    }
}

/// Takes back what is waited for no more, such as of a stream that has ended.
struct Withdrawal<'a> {
    intake: &'a Intake,
    database: DatabaseId,
    number: u64,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        lock(&self.intake.0.waiting).withdraw(self.database, self.number);
    }
}

impl lumadb_parent::Intake for Intake {
    async fn store(
        &self,
        database: DatabaseId,
        samples: &[UsageSample],
    ) -> Result<Stored, Refused> {
        if !self.is_charged().await {
            return Ok(highest(samples).into_iter().collect());
        }
        if samples.is_empty() {
            return Ok(Vec::new());
        }
        let (number, stored) = lock(&self.0.waiting).add(database, samples);
        let _withdrawal = Withdrawal {
            intake: self,
            database,
            number,
        };
        self.0.news.come.notify_one();
        // Without an answer another stream of this node has taken this one's place.
        Ok(stored.await.unwrap_or_default())
    }

    async fn allowance(
        &self,
        database: DatabaseId,
        request: &AllowanceRequest,
    ) -> Option<Allowance> {
        if !self.is_charged().await {
            return None;
        }
        let (number, answered) = lock(&self.0.waiting).ask(database, request);
        let _withdrawal = Withdrawal {
            intake: self,
            database,
            number,
        };
        self.0.news.come.notify_one();
        let answered = tokio::time::timeout(ANSWER_TIMEOUT, answered).await;
        answered.ok()?.ok()
    }

    fn noticed(&self, database: DatabaseId) {
        self.0.news.add(database);
        self.0.reports.add(database);
    }
}
