//! Seals what was counted: often while clients are connected, once a minute otherwise.

use super::state::NodeState;
use super::status::StatusBoard;
use crate::metering::{Reading, Spool, SpoolError};
use lumadb_contract::id::IncarnationId;
use lumadb_contract::usage::{SEAL_INTERVAL_MS, UsageCounters, UsageGauges};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, sleep_until};

/// Sealing begins so long, milliseconds, after the one before began: the rest of
/// [`SEAL_INTERVAL_MS`] is the disk's.
const SEAL_EVERY_MS: u64 = SEAL_INTERVAL_MS * 3 / 4;

/// Pause between looks while no client is connected, seconds.
const HEARTBEAT_SECONDS: u64 = 60;

/// Acknowledgements that may wait, at most; further ones make the stream wait.
const ORDERS_MAX: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum MeterError {
    #[error("usage could not be sealed")]
    Spool(#[from] SpoolError),
    #[error("usage could not be sealed: the thread that writes it failed")]
    Thread(#[from] JoinError),
    #[error("usage could not be sealed: the meter has ended")]
    Ended,
}

#[derive(Debug)]
enum Order {
    Acknowledge {
        incarnation_id: IncarnationId,
        sequence: u64,
    },
    Finish {
        done: oneshot::Sender<()>,
    },
}

/// Speaks to the meter.
#[derive(Debug, Clone)]
pub(crate) struct MeterHandle(mpsc::Sender<Order>);

impl MeterHandle {
    /// The parent has stored these samples.
    pub(crate) async fn acknowledge(&self, incarnation_id: IncarnationId, sequence: u64) {
        let order = Order::Acknowledge {
            incarnation_id,
            sequence,
        };
        // A meter that has ended forgets nothing: the samples are sent again by the next one.
        let _ = self.0.send(order).await;
    }

    /// Seals the last sample of this incarnation; nothing is sealed after it.
    pub(crate) async fn finish(&self) -> Result<(), MeterError> {
        let (done, finished) = oneshot::channel();
        let sent = self.0.send(Order::Finish { done }).await;
        sent.map_err(|_| MeterError::Ended)?;
        finished.await.map_err(|_| MeterError::Ended)
    }
}

#[derive(Debug)]
pub(crate) struct Meter {
    /// Taken while a thread writes it.
    spool: Option<Spool>,
    state: Arc<NodeState>,
    status: StatusBoard,
    now: fn() -> OffsetDateTime,
    orders: mpsc::Receiver<Order>,
    finished: bool,
}

impl Meter {
    pub(crate) fn new(
        spool: Spool,
        state: Arc<NodeState>,
        status: StatusBoard,
        now: fn() -> OffsetDateTime,
    ) -> (Self, MeterHandle) {
        let (sender, orders) = mpsc::channel(ORDERS_MAX);
        let meter = Self {
            spool: Some(spool),
            state,
            status,
            now,
            orders,
            finished: false,
        };
        (meter, MeterHandle(sender))
    }

    /// Seals until every handle is gone. A full or failing disk is retried at the next look:
    /// nothing is lost by it but the promise about a kill.
    pub(crate) async fn run(mut self) -> Result<(), MeterError> {
        let mut connections = self.state.connections();
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(look_at), if !self.finished => {
                    self.seal(false).await?;
                    let pause = match self.state.counters().connections() {
                        0 => Duration::from_secs(HEARTBEAT_SECONDS),
                        _ => Duration::from_millis(SEAL_EVERY_MS),
                    };
                    look_at += pause;
                    look_at = look_at.max(Instant::now());
                }
                changed = connections.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    connections.mark_unchanged();
                    look_at = look_at.min(Instant::now() + Duration::from_millis(SEAL_EVERY_MS));
                }
                order = self.orders.recv() => match order {
                    None => return Ok(()),
                    Some(Order::Acknowledge { incarnation_id, sequence }) => {
                        self.spool(move |spool| spool.acknowledge(incarnation_id, sequence)).await?;
                    }
                    Some(Order::Finish { done }) => {
                        if !self.finished {
                            self.seal(true).await?;
                            self.finished = true;
                        }
                        let _ = done.send(());
                    }
                },
            }
        }
    }

    async fn seal(&mut self, last: bool) -> Result<(), MeterError> {
        let status = self.status.read();
        let now = (self.now)();
        let state = self.state.clone();
        // Before the engine is measured its size is not zero but unknown; nothing was counted yet
        // that could be lost by waiting.
        let is_blank = state.counters().snapshot() == UsageCounters::default();
        if !last && status.storage_bytes == 0 && is_blank {
            return Ok(());
        }
        self.spool(move |spool| {
            // Read as late as possible: what is counted while a thread starts is sealed too.
            let reading = Reading {
                counters: state.counters().snapshot(),
                gauges: UsageGauges {
                    storage_bytes: status.storage_bytes,
                    connections: state.counters().connections(),
                },
            };
            spool.seal(reading, last, now)
        })
        .await
    }

    async fn spool(
        &mut self,
        work: impl FnOnce(&mut Spool) -> Result<(), SpoolError> + Send + 'static,
    ) -> Result<(), MeterError> {
        let Some(mut spool) = self.spool.take() else {
            return Err(MeterError::Ended);
        };
        let worked = spawn_blocking(move || {
            let result = work(&mut spool);
            (spool, result)
        });
        let (spool, result) = worked.await?;
        self.spool = Some(spool);
        if let Err(error) = result {
            tracing::error!(error = %crate::errors::chain(&error), "the usage spool");
        }
        Ok(())
    }
}
