//! Finding a database: in the cache, at the control plane, and awake.

use super::control::{Control, ControlError};
use super::metrics::Metrics;
use super::routes::{Known, RouteTable};
use crate::protocol::postgres::proof::{self, Proof};
use crate::protocol::postgres::session::{Order, SessionTable};
use crate::protocol::postgres::wire::{Fatal, sqlstate};
use futures::future::{BoxFuture, FutureExt, Shared};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::name::PgName;
use lumadb_contract::route::{NodeAddress, Route, RouteState, RouteUpdate};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

/// How long the answer "no such database" is believed.
const ABSENCE: Duration = Duration::from_secs(2);

/// Databases whose absence is remembered at most.
const ABSENT_MAX: usize = 10_000;

/// Questions to the control plane under way at once.
const QUESTIONS_MAX: usize = 16;

/// Whose a session of the edge is.
#[derive(Debug, Clone)]
pub(super) struct Label {
    pub(super) database_id: DatabaseId,
    pub(super) role: PgName,
    /// By what it was let in; `None`: it is a session of the control plane's own.
    pub(super) proof: Option<Proof>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LocateError {
    /// There is no such database in this region.
    Unknown,
    /// The control plane cannot be asked now.
    Away,
}

type Waking = Shared<BoxFuture<'static, Result<Option<Arc<Known>>, ()>>>;

pub(super) struct Locator {
    control: Control,
    table: Mutex<RouteTable>,
    absent: Mutex<HashMap<DatabaseId, Instant>>,
    questions: Semaphore,
    waking: Mutex<HashMap<DatabaseId, Waking>>,
    sessions: Arc<SessionTable<Label>>,
    metrics: Arc<Metrics>,
    /// Rung at each change of the table, for whoever keeps the file.
    pub(super) changed: Notify,
    /// The same for all who wait for a route to change.
    turns: watch::Sender<()>,
    wake_timeout: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Locator {
    pub(super) fn new(
        control: Control,
        table: RouteTable,
        sessions: Arc<SessionTable<Label>>,
        metrics: Arc<Metrics>,
        wake_timeout: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            control,
            table: Mutex::new(table),
            absent: Mutex::default(),
            questions: Semaphore::new(QUESTIONS_MAX),
            waking: Mutex::default(),
            sessions,
            metrics,
            changed: Notify::new(),
            turns: watch::Sender::new(()),
            wake_timeout,
        })
    }

    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    pub(super) fn table(&self) -> MutexGuard<'_, RouteTable> {
        lock(&self.table)
    }

    pub(super) fn cached(&self, id: DatabaseId) -> Option<Arc<Known>> {
        self.table().get(id)
    }

    /// Ends once the route of a database leads elsewhere than to this node on another machine, where
    /// nobody may be left to say so. Never for one of this machine: its socket tells.
    pub(super) async fn led_elsewhere(&self, id: DatabaseId, node: &NodeAddress) {
        if matches!(node, NodeAddress::Unix(_)) {
            return std::future::pending().await;
        }
        let mut turns = self.turns.subscribe();
        while self
            .cached(id)
            .is_some_and(|known| known.route.state.node() == Some(node))
        {
            // The sender lives as long as this.
            let _ = turns.changed().await;
        }
    }

    /// The route of a database, from the cache or from the control plane.
    pub(super) async fn find(
        &self,
        id: DatabaseId,
        now: Instant,
    ) -> Result<Arc<Known>, LocateError> {
        if let Some(known) = self.cached(id) {
            return Ok(known);
        }
        if lock(&self.absent)
            .get(&id)
            .is_some_and(|until| now < *until)
        {
            return Err(LocateError::Unknown);
        }
        let Ok(_turn) = self.questions.acquire().await else {
            return Err(LocateError::Away);
        };
        match self.control.resolve(id).await {
            Ok(Some(route)) => {
                self.take(route);
                self.cached(id).ok_or(LocateError::Away)
            }
            Ok(None) => {
                self.remember_absence(id, now);
                Err(LocateError::Unknown)
            }
            Err(error) => {
                tracing::warn!(%error, %id, "a database could not be looked up");
                Err(LocateError::Away)
            }
        }
    }

    fn remember_absence(&self, id: DatabaseId, now: Instant) {
        let mut absent = lock(&self.absent);
        if absent.len() >= ABSENT_MAX {
            absent.retain(|_, until| now < *until);
        }
        if absent.len() < ABSENT_MAX {
            absent.insert(id, now + ABSENCE);
        }
    }

    /// Asks the control plane for the database to be awake, once for all who wait for it.
    /// `Ok(None)`: it is gone.
    pub(super) async fn wake(self: &Arc<Self>, id: DatabaseId) -> Result<Option<Arc<Known>>, ()> {
        let waking = lock(&self.waking)
            .entry(id)
            .or_insert_with(|| {
                let locator = self.clone();
                async move {
                    let outcome = locator.wake_now(id).await;
                    lock(&locator.waking).remove(&id);
                    outcome.map_err(|error| {
                        tracing::warn!(%error, %id, "a database was not woken");
                    })
                }
                .boxed()
                .shared()
            })
            .clone();
        // A task of its own: it goes on, and cleans up, when the client that began it leaves.
        tokio::spawn(waking).await.unwrap_or(Err(()))
    }

    async fn wake_now(&self, id: DatabaseId) -> Result<Option<Arc<Known>>, ControlError> {
        self.metrics.wakes.fetch_add(1, Relaxed);
        let answer = self.control.wake(id, self.wake_timeout).await;
        match &answer {
            Ok(Some(route)) if route.state.node().is_some() => {}
            _ => {
                self.metrics.wakes_failed.fetch_add(1, Relaxed);
            }
        }
        match answer? {
            Some(route) => self.take(route),
            None => self.forget(id),
        }
        Ok(self.cached(id))
    }

    fn take(&self, route: Route) {
        let id = route.database_id;
        lock(&self.absent).remove(&id);
        if self.table().put(route) {
            self.follow(&HashSet::from([id]));
        }
    }

    fn forget(&self, id: DatabaseId) {
        if self.table().remove(id) {
            self.follow(&HashSet::from([id]));
        }
    }

    pub(super) fn apply(&self, update: RouteUpdate) {
        let changed = self.table().apply(update);
        let mut absent = lock(&self.absent);
        if !absent.is_empty() {
            for id in &changed {
                absent.remove(id);
            }
        }
        drop(absent);
        self.follow(&changed);
    }

    /// Ends the sessions that the changed routes do not admit any more.
    fn follow(&self, changed: &HashSet<DatabaseId>) {
        self.changed.notify_one();
        self.turns.send_replace(());
        if changed.is_empty() || self.sessions.is_empty() {
            return;
        }
        self.sessions.end_each(|label| {
            changed.contains(&label.database_id).then_some(())?;
            let fatal = self.objection(label)?;
            let known = self.cached(label.database_id);
            let suspended = known.is_some_and(|known| known.route.state == RouteState::Suspended);
            // The node ends what does not come to the end of its transaction in time.
            let order = if suspended {
                Order::WhenIdle
            } else {
                Order::Now
            };
            Some((order, fatal))
        });
    }

    /// Why a session may not go on, by the routes of now.
    pub(super) fn objection(&self, label: &Label) -> Option<Fatal> {
        let text = match self.cached(label.database_id) {
            None => "terminating connection: the database was deleted",
            Some(known) if known.route.state == RouteState::Suspended => {
                "terminating connection: the database was suspended"
            }
            Some(known) => proof::objection(
                known.roles.get(&label.role),
                &known.route.allowed_networks,
                label.proof.as_ref(),
            )?,
        };
        Some(Fatal::new(sqlstate::ADMIN_SHUTDOWN, text))
    }
}
