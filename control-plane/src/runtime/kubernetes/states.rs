//! What nodes said through the link: from messages to observations and spans of compute.
//!
//! One stream is in force: the newest. What was said on an earlier one is remembered, but it is
//! not known any more whether it is so.

use super::super::Observation;
use super::super::spans::SpanBook;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{
    Generation, InstancePhase, InstanceSpec, InstanceStatus, RunState,
};
use lumadb_contract::route::NodeAddress;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};

/// Changes that a slow reader may be behind before it has to look at everything.
const CHANGES_WAITING_MAX: usize = 1024;

/// What of the last wish observations and spans depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    generation: Generation,
    run: RunState,
    milli_vcpu: u32,
}

/// Where a database stands on the stream in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    /// It was not named.
    #[default]
    Unheard,
    Says,
    Gone,
}

#[derive(Debug, Default)]
struct Known {
    wish: Option<Wish>,
    said: Option<(InstanceStatus, NodeAddress)>,
    standing: Standing,
}

#[derive(Debug, Default)]
struct Inner {
    streams: u64,
    open: Option<u64>,
    /// What was not named on the open stream is not in the cluster.
    is_complete: bool,
    known: HashMap<DatabaseId, Known>,
}

/// What is known of the nodes of one cluster.
#[derive(Debug)]
pub(super) struct States {
    inner: Mutex<Inner>,
    /// Number of the stream in force; 0 before the first.
    newest: watch::Sender<u64>,
    changes: broadcast::Sender<DatabaseId>,
    spans: Arc<SpanBook>,
}

impl States {
    pub(super) fn new(spans: Arc<SpanBook>) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            newest: watch::Sender::new(0),
            changes: broadcast::Sender::new(CHANGES_WAITING_MAX),
            spans,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<DatabaseId> {
        self.changes.subscribe()
    }

    pub(super) fn observe(&self, database: DatabaseId) -> Observation {
        let inner = self.inner();
        let unheard = Known::default();
        let known = inner.known.get(&database).unwrap_or(&unheard);
        let is_gone = match known.standing {
            Standing::Says => false,
            Standing::Gone => true,
            Standing::Unheard => {
                if inner.open.is_none() || !inner.is_complete {
                    return Observation::Unknown;
                }
                true
            }
        };
        match &known.said {
            Some((status, address)) if !is_gone || has_stopped_as_told(known, status) => {
                Observation::Attached {
                    status: status.clone(),
                    node_address: address.clone(),
                }
            }
            _ => Observation::Absent,
        }
    }

    /// Whether a client is connected, as far as is known.
    pub(super) fn has_clients(&self, database: DatabaseId) -> bool {
        let inner = self.inner();
        let known = inner.known.get(&database);
        known.is_some_and(|known| {
            let said = known.said.as_ref();
            known.standing == Standing::Says
                && said.is_some_and(|(status, _)| {
                    status.phase == InstancePhase::Ready && status.connections > 0
                })
        })
    }

    /// What a database is asked to be.
    pub(super) fn wish(&self, spec: &InstanceSpec) {
        let wish = Wish {
            generation: spec.generation,
            run: spec.run,
            milli_vcpu: spec.compute.milli_vcpu,
        };
        let mut inner = self.inner();
        inner.known.entry(spec.database_id).or_default().wish = Some(wish);
    }

    /// Nothing is left of a database.
    pub(super) fn forget(&self, database: DatabaseId) {
        let mut inner = self.inner();
        inner.known.remove(&database);
        self.spans.set(database, None);
        drop(inner);
        let _ = self.changes.send(database);
    }

    /// A stream begins, and takes the place of every other. Answers its number.
    pub(super) fn begin(&self) -> u64 {
        let mut inner = self.inner();
        inner.streams += 1;
        let stream = inner.streams;
        self.unlearn(&mut inner);
        inner.open = Some(stream);
        drop(inner);
        self.newest.send_replace(stream);
        stream
    }

    /// Once another stream has taken this one's place.
    pub(super) async fn superseded(&self, stream: u64) {
        let mut newest = self.newest.subscribe();
        let _ = newest.wait_for(|newest| *newest > stream).await;
    }

    /// Whatever ended it: from here on nobody sees what the nodes do.
    pub(super) fn end(&self, stream: u64) {
        let mut inner = self.inner();
        if inner.open == Some(stream) {
            self.unlearn(&mut inner);
        }
    }

    fn unlearn(&self, inner: &mut Inner) {
        inner.open = None;
        inner.is_complete = false;
        self.spans.release_all();
        for (database, known) in &mut inner.known {
            known.standing = Standing::Unheard;
            let _ = self.changes.send(*database);
        }
    }

    pub(super) fn status(
        &self,
        stream: u64,
        database: DatabaseId,
        status: InstanceStatus,
        address: NodeAddress,
    ) {
        let mut inner = self.inner();
        if inner.open != Some(stream) {
            return;
        }
        let known = inner.known.entry(database).or_default();
        self.record_span(database, known.wish, &status);
        known.said = Some((status, address));
        known.standing = Standing::Says;
        drop(inner);
        let _ = self.changes.send(database);
    }

    pub(super) fn absent(&self, stream: u64, database: DatabaseId) {
        let mut inner = self.inner();
        if inner.open != Some(stream) {
            return;
        }
        inner.known.entry(database).or_default().standing = Standing::Gone;
        self.spans.set(database, None);
        drop(inner);
        let _ = self.changes.send(database);
    }

    /// Every database of the cluster was named.
    pub(super) fn complete(&self, stream: u64) {
        let mut inner = self.inner();
        if inner.open != Some(stream) {
            return;
        }
        inner.is_complete = true;
        self.spans.end_unclaimed();
        for (database, known) in &inner.known {
            if known.standing == Standing::Unheard {
                let _ = self.changes.send(*database);
            }
        }
    }

    /// A span begins with an engine that is as it was asked to be; one that runs on with a size of
    /// before goes on with that.
    fn record_span(&self, database: DatabaseId, wish: Option<Wish>, status: &InstanceStatus) {
        let incarnation = status.incarnation_id;
        match (status.phase, wish) {
            (InstancePhase::Ready, Some(wish)) if status.observed_generation >= wish.generation => {
                self.spans
                    .set(database, Some((incarnation, wish.milli_vcpu)));
            }
            (InstancePhase::Ready | InstancePhase::Stopping, Some(wish)) => {
                self.spans.hold(database, incarnation, wish.milli_vcpu);
            }
            // Nobody has said yet what it shall be.
            (InstancePhase::Ready | InstancePhase::Stopping, None) => {
                self.spans.claim(database);
            }
            (InstancePhase::Starting | InstancePhase::Stopped | InstancePhase::Failed, _) => {
                self.spans.set(database, None);
            }
        }
    }
}

/// It stopped as it was told: what it said at last, of its archive above all, stays true.
fn has_stopped_as_told(known: &Known, status: &InstanceStatus) -> bool {
    let is_told = known.wish.is_some_and(|wish| wish.run == RunState::Stopped);
    is_told && status.phase == InstancePhase::Stopped
}

#[cfg(test)]
#[path = "states_tests.rs"]
mod tests;
