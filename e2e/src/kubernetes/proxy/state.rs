//! What a proxy has seen and what it shall break.

use super::request::{Fault, Seen, Sort};
use super::watch_body::Ending;
use http::Request;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};

pub(super) type Plan = Box<dyn Fn(&Seen) -> Option<Fault> + Send + Sync>;

pub(super) struct State {
    counts: Mutex<Counts>,
    plan: Mutex<Plan>,
    line: watch::Sender<Line>,
    endings: watch::Sender<Ending>,
    watches: Arc<AtomicUsize>,
    turn: Arc<AsyncMutex<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    seen: Vec<Seen>,
    writes: u64,
    /// The writes that are left before the cut, where one is ordered.
    left: Option<u64>,
}

/// Whether anybody is served. A connection belongs to one life of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) open: bool,
    pub(super) life: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            counts: Mutex::default(),
            plan: Mutex::new(Box::new(|_| None)),
            line: watch::Sender::new(Line {
                open: true,
                life: 0,
            }),
            endings: watch::Sender::new(Ending::Dropped),
            watches: Arc::default(),
            turn: Arc::default(),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("State").finish_non_exhaustive()
    }
}

impl State {
    pub(super) fn writes(&self) -> u64 {
        self.counts().writes
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.counts().seen.clone()
    }

    pub(super) fn watches(&self) -> usize {
        self.watches.load(Ordering::SeqCst)
    }

    pub(super) fn set_plan(&self, plan: Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    pub(super) fn end_watches(&self, ending: Ending) {
        self.endings.send_replace(ending);
    }

    pub(super) fn cut_after(&self, writes: u64) {
        self.counts().left = Some(writes);
        if writes == 0 {
            self.cut();
        }
    }

    pub(super) async fn until_cut(&self) {
        let mut line = self.line.subscribe();
        // The sender lives as long as this value.
        let _ = line.wait_for(|line| !line.open).await;
    }

    pub(super) fn mend(&self) {
        self.counts().left = None;
        self.line.send_modify(|line| line.open = true);
    }

    /// The line as it is, and news of it.
    pub(super) fn line(&self) -> watch::Receiver<Line> {
        self.line.subscribe()
    }

    /// News of how watches shall end, from now on.
    pub(super) fn endings(&self) -> watch::Receiver<Ending> {
        self.endings.subscribe()
    }

    /// Counted while it is held.
    pub(super) fn open_watch(&self) -> OpenWatch {
        self.watches.fetch_add(1, Ordering::SeqCst);
        OpenWatch(Arc::clone(&self.watches))
    }

    /// Notes a request, and says what goes wrong with it.
    pub(super) fn see<B>(&self, request: &Request<B>) -> (Sort, Option<Fault>) {
        let uri = request.uri();
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let mut seen = Seen {
            number: 0,
            method: request.method().clone(),
            path: path.to_owned(),
            sort: Sort::of(request.method(), uri),
        };
        {
            let mut counts = self.counts();
            seen.number = counts.seen.len() as u64 + 1;
            counts.seen.push(seen.clone());
        }
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.sort, plan(&seen))
    }

    /// The turn to write: where a cut is ordered, one writes at a time, so that it comes after as
    /// many writes as were named and not one more.
    pub(super) async fn turn_to_write(&self) -> Option<OwnedMutexGuard<()>> {
        self.counts().left?;
        Some(Arc::clone(&self.turn).lock_owned().await)
    }

    /// Whether one more write may be done.
    pub(super) fn may_write(&self) -> bool {
        self.counts().left != Some(0)
    }

    /// Counts a write that was done; cuts everybody off if it was the last.
    pub(super) fn written(&self) {
        let mut counts = self.counts();
        counts.writes += 1;
        if let Some(left) = &mut counts.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                drop(counts);
                self.cut();
            }
        }
    }

    fn cut(&self) {
        self.line.send_modify(|line| {
            line.open = false;
            line.life += 1;
        });
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open watch; it is counted until it is dropped.
pub(super) struct OpenWatch(Arc<AtomicUsize>);

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
