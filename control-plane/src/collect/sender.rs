//! Sends what is due, handles what was told, looks for what was not, and compares at night.

use super::{Collector, credit_note, event, invoice, reconcile};
use crate::app::AppError;
use crate::store::stripe::task::{self, TaskKind, TaskRow};
use crate::store::stripe::{CHANNEL, report};
use lumadb_billing::stripe::Failure;
use sqlx::postgres::PgListener;
use std::future::Future;
use std::pin::pin;
use time::{Duration, OffsetDateTime, Time};

/// How long one process may take for the tasks that it took: longer than all steps of one.
const LEASE: Duration = Duration::minutes(5);

/// Tasks taken at once; they are sent one after the other.
const BATCH: i64 = 10;

/// Longest time until a row is seen whose notification was missed.
const LOOK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(2);

/// Between two looks for events of which no webhook came, and between two attempts to compare.
const LIST_INTERVAL: Duration = Duration::minutes(1);

/// When the night's comparison is due (UTC).
const COMPARE_AT: Time = time::macros::time!(3:30);

/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::minutes(10);

/// How long after a charge was refused the next one is tried, by how many were refused before. After
/// the last one only another card makes it tried again.
const AFTER_REFUSAL: [Duration; 4] = [
    Duration::days(1),
    Duration::days(2),
    Duration::days(4),
    Duration::days(7),
];

/// What became of a task.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// The bank refused.
    Refused(String),
    /// To be sent again.
    Later(String),
    /// Somebody must look.
    Stuck(String),
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        let text = failure.to_string();
        match failure {
            // Its customer reads this.
            Failure::Declined { message, .. } => Self::Refused(message),
            Failure::Refused { .. } => Self::Stuck(text),
            Failure::NotServed { .. } | Failure::Unknown(_) => Self::Later(text),
        }
    }
}

/// Sends until `shutdown` is done.
pub async fn run(collector: Collector, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let mut listener = None;
    let mut listed_at = None;
    loop {
        if listener.is_none() {
            listener = listen(&collector).await;
        }
        match look(&collector, &mut listed_at).await {
            Ok(0) => {}
            Ok(_) => continue,
            Err(error) => tracing::warn!(%error, "what is to be sent to Stripe was not read"),
        }
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            alive = notified(&mut listener) => if !alive { listener = None },
        }
    }
}

/// Everything that is due now; how much that was.
async fn look(
    collector: &Collector,
    listed_at: &mut Option<OffsetDateTime>,
) -> Result<usize, AppError> {
    let now = collector.platform.clock.now();
    if listed_at.is_none_or(|at| now - at >= LIST_INTERVAL) {
        *listed_at = Some(now);
        if let Err(error) = event::backfill(collector).await {
            tracing::warn!(%error, "events at Stripe were not listed");
        }
        if is_night(collector, now).await?
            && let Err(error) = reconcile::reconcile(collector).await
        {
            tracing::error!(%error, "the ledger and Stripe were not compared");
        }
    }
    send_due(collector).await
}

/// Whether the comparison of the last night is missing.
async fn is_night(collector: &Collector, now: OffsetDateTime) -> Result<bool, AppError> {
    let mut tx = collector.platform.store.region().await?;
    let latest = report::latest(&mut tx).await?;
    tx.commit().await?;
    let today = now.replace_time(COMPARE_AT);
    let due = if now >= today {
        today
    } else {
        today - Duration::DAY
    };
    Ok(latest.is_none_or(|latest| latest < due))
}

async fn listen(collector: &Collector) -> Option<PgListener> {
    let pool = collector.platform.store.pool();
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.listen(CHANNEL).await.ok()?;
    Some(listener)
}

/// False when the connection is lost; without one, never.
async fn notified(listener: &mut Option<PgListener>) -> bool {
    match listener {
        Some(listener) => matches!(listener.try_recv().await, Ok(Some(_))),
        None => std::future::pending().await,
    }
}

/// Handles the events and sends the tasks that are due now; how many they were.
pub async fn send_due(collector: &Collector) -> Result<usize, AppError> {
    let platform = &collector.platform;
    let handled = event::handle_due(collector).await?;
    let now = platform.clock.now();
    let mut tx = platform.store.region().await?;
    let tasks = task::claim(&mut tx, now, now + LEASE, BATCH).await?;
    tx.commit().await?;
    let sent = tasks.len();
    for task in tasks {
        let outcome = match task.kind {
            TaskKind::Invoice => invoice::send(collector, &task).await?,
            TaskKind::Void => invoice::void(collector, &task).await?,
            TaskKind::CreditNote => credit_note::send(collector, &task).await?,
        };
        record(collector, &task, outcome).await?;
    }
    Ok(handled + sent)
}

async fn record(collector: &Collector, task: &TaskRow, outcome: Outcome) -> Result<(), AppError> {
    let now = collector.platform.clock.now();
    let (id, document) = (task.id, task.invoice_id);
    let mut tx = collector.platform.store.region().await?;
    match outcome {
        Outcome::Done => task::done(&mut tx, id, now).await?,
        Outcome::Refused(because) => {
            tracing::info!(%document, because, "a charge was refused");
            let next = usize::try_from(task.refusals).unwrap_or_default();
            // Far away: only another card brings it back.
            let pause = AFTER_REFUSAL
                .get(next)
                .copied()
                .unwrap_or(Duration::days(3650));
            task::refused(&mut tx, id, now + pause, &because).await?;
        }
        Outcome::Later(error) => {
            tracing::warn!(%document, error, "it is sent to Stripe again");
            let pause = Duration::seconds(1 << task.key_tries.clamp(0, 12)).min(PAUSE_MAX);
            task::retry(&mut tx, id, now + pause, &error).await?;
        }
        Outcome::Stuck(error) => {
            tracing::error!(%document, error, "it is not sent to Stripe any more: look at it");
            task::failed(&mut tx, id, now, &error).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}
