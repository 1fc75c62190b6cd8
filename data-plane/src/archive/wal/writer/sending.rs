//! Chunks on their way: some at a time, counted in their order.

use super::super::format::{Header, Kind};
use super::super::item::Items;
use super::{Progress, WriterError};
use crate::archive::layout::Sequence;
use crate::archive::store::Put;
use crate::errors::chain;
use bytes::Bytes;
use lumadb_contract::archive::Lsn;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

/// Chunks on their way at a time.
const PLACES: usize = 6;

/// The same where the next chunk may still grow: what is committed meanwhile goes with it, and the
/// store has fewer and larger ones to make durable.
const PLACES_TO_GROW: usize = 4;

/// The longest that a chunk which may still grow keeps behind the one before it.
const GAP_MAX: Duration = Duration::from_millis(20);

/// Pauses between calls that a store did not answer, milliseconds: the first, and the longest.
const PAUSE_MS: (u64, u64) = (100, 5_000);

#[derive(Debug)]
struct OnItsWay {
    sequence: Sequence,
    end: Lsn,
    since: Instant,
    task: AbortOnDropHandle<Result<(), WriterError>>,
}

#[derive(Debug)]
pub(super) struct Sending {
    items: Items,
    progress: watch::Sender<Progress>,
    /// Whose turn it is to compress and encrypt: that is fast, and takes some times a chunk's memory.
    turns: Arc<Semaphore>,
    queue: VecDeque<OnItsWay>,
    /// How long chunks are on their way, of late; zero: none has arrived.
    span: Duration,
}

impl Sending {
    pub(super) fn new(items: Items, progress: watch::Sender<Progress>) -> Self {
        Self {
            items,
            progress,
            turns: Arc::new(Semaphore::new(1)),
            queue: VecDeque::new(),
            span: Duration::ZERO,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// When the next chunk may leave, which can grow no more or still can; `None`: once another has
    /// arrived.
    pub(super) fn place(&self, is_complete: bool, now: Instant) -> Option<Instant> {
        let newest = self.queue.back().map(|newest| newest.since);
        place(is_complete, self.queue.len(), newest, self.span, now)
    }

    /// Number of the oldest: everything before it has arrived.
    pub(super) fn first(&self) -> Option<Sequence> {
        self.queue.front().map(|oldest| oldest.sequence)
    }

    /// Since when the oldest has been on its way.
    pub(super) fn since(&self) -> Option<Instant> {
        self.queue.front().map(|oldest| oldest.since)
    }

    /// Sends a chunk until it is there, or somebody else's is.
    pub(super) fn send(&mut self, header: Header, wal: Bytes) {
        let name = self.items.layout.chunk(header.timeline, header.sequence);
        let (items, progress) = (self.items.clone(), self.progress.clone());
        let sent = send(items, progress, self.turns.clone(), name, header, wal);
        self.queue.push_back(OnItsWay {
            sequence: header.sequence,
            end: header.end,
            since: Instant::now(),
            task: AbortOnDropHandle::new(tokio::spawn(sent)),
        });
    }

    /// Where the oldest ends, once it is there; never, if there is none. May be dropped while it
    /// waits.
    pub(super) async fn arrived(&mut self) -> Result<Lsn, WriterError> {
        let Some(oldest) = self.queue.front_mut() else {
            return std::future::pending().await;
        };
        let sent = (&mut oldest.task).await;
        let (end, span) = (oldest.end, oldest.since.elapsed());
        self.span = smoothed(self.span, span);
        self.queue.pop_front();
        sent.unwrap_or(Err(WriterError::Broken)).map(|()| end)
    }
}

/// The same, behind so many chunks, of which the newest left at `newest`.
fn place(
    is_complete: bool,
    on_their_way: usize,
    newest: Option<Instant>,
    span: Duration,
    now: Instant,
) -> Option<Instant> {
    if is_complete {
        return (on_their_way < PLACES).then_some(now);
    }
    let place = newest.map_or(now, |newest| newest + gap(span));
    (on_their_way < PLACES_TO_GROW).then_some(place)
}

/// Between two chunks that may still grow. Places taken one right after the other by the first few
/// commits of many at once would leave the others to wait for two chunks: the one that is on its way,
/// and their own.
fn gap(span: Duration) -> Duration {
    let places = u32::try_from(PLACES_TO_GROW).unwrap_or(1);
    (span / places).min(GAP_MAX)
}

/// The last few count most.
fn smoothed(before: Duration, last: Duration) -> Duration {
    if before.is_zero() {
        last
    } else {
        (before * 7 + last) / 8
    }
}

async fn send(
    items: Items,
    progress: watch::Sender<Progress>,
    turns: Arc<Semaphore>,
    name: String,
    header: Header,
    wal: Bytes,
) -> Result<(), WriterError> {
    let turn = turns.acquire().await;
    let body = items.seal(&name, header, wal).await;
    drop(turn);
    // The chain has a hole here: nothing behind it may count.
    let body = body.map_err(|_| WriterError::Broken)?;
    let mut pause_ms = PAUSE_MS.0;
    loop {
        match items.store.put_new(&name, body.clone()).await {
            Ok(Put::Created) => {
                progress.send_if_modified(|progress| progress.store_error.take().is_some());
                return Ok(());
            }
            Ok(Put::AlreadyThere) => return Err(taken(&items, &name).await),
            Err(error) => {
                let text = chain(&error);
                tracing::warn!(error = text, "WAL waits for the object store");
                progress.send_modify(|progress| progress.store_error = Some(text));
                sleep(Duration::from_millis(pause_ms)).await;
                pause_ms = (pause_ms * 2).min(PAUSE_MS.1);
            }
        }
    }
}

/// Whose the number is.
async fn taken(items: &Items, name: &str) -> WriterError {
    match items.read(name).await {
        Ok(Some(item)) if item.header.kind == Kind::Seal => WriterError::Fenced {
            epoch: item.header.epoch,
        },
        _ => WriterError::Taken {
            name: name.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_leaves_at_once_and_the_next_after_a_while_unless_it_is_complete() {
        let (now, span) = (Instant::now(), Duration::from_millis(24));
        let behind = |is_complete, number| {
            let newest = (number > 0).then_some(now);
            place(is_complete, number, newest, span, now)
        };
        assert_eq!(behind(false, 0), Some(now));
        assert_eq!(behind(false, 1), Some(now + Duration::from_millis(6)));
        assert_eq!(behind(true, 1), Some(now));
        assert_eq!(behind(false, PLACES_TO_GROW), None);
        assert_eq!(behind(true, PLACES_TO_GROW), Some(now));
        assert_eq!(behind(true, PLACES), None);
    }

    #[test]
    fn chunks_that_may_grow_are_spread_over_the_time_that_one_takes() {
        let ms = Duration::from_millis;
        assert_eq!(gap(Duration::ZERO), Duration::ZERO);
        assert_eq!(gap(ms(24)), ms(6));
        assert_eq!(gap(ms(5000)), GAP_MAX);
    }

    #[test]
    fn one_slow_chunk_does_not_decide() {
        let ms = Duration::from_millis;
        let first = smoothed(Duration::ZERO, ms(24));
        assert_eq!(first, ms(24));
        assert_eq!(smoothed(first, ms(104)), ms(34));
    }
}
