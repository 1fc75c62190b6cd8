//! Restores in place: two databases change instances.
//!
//! What shall be restored is restored by the loop that runs databases, as any other. This one looks
//! whether it is there, has both databases stop, and then has them change places, with all that
//! belongs to an instance, in one transaction. Each step is a transaction of its own under the locks
//! of both rows, and asks nothing of any runtime: killed anywhere, it has happened or it has not.
//!
//! Both stop before they change places, so that
//! - all that was committed before the cut-over is in what is kept;
//! - an incarnation, and what it counts, belongs to one database;
//! - no look at an instance that began under one database ends under the other.

use super::steps::{self, Reached};
use crate::app::audit::AuditAction;
use crate::app::state::{
    Desired, Durability, InPlacePhase, Observed, OperationState, RestorePhase,
};
use crate::app::{AppError, Platform, role, usage};
use crate::store::audit::{self, NewAuditEvent};
use crate::store::desired::{self, OperationRecord};
use crate::store::in_place::{self, OpenInPlace, Side};
use crate::store::{RegionTx, Signal, StoreError};
use lumadb_contract::id::{AuditEventId, OperationId};
use serde_json::json;
use std::pin::pin;
use time::{Duration, OffsetDateTime};

/// Between two rounds without any signal.
const INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);
/// The same while one is open.
const INTERVAL_OPEN: std::time::Duration = std::time::Duration::from_secs(1);
/// Changes that come together are looked at together.
const GATHER: std::time::Duration = std::time::Duration::from_millis(5);

/// Longest wait for both to stop; then the database goes on as it was.
const STOP_LIMIT: Duration = Duration::minutes(3);

const ERROR_DELETED: &str = "One of the two databases is being deleted.";
const ERROR_DEADLINE: &str = "It was not restored in time. The database is as it was.";
const ERROR_STOP: &str =
    "The databases did not stop in time to change places. The database goes on as it was.";
const ERROR_REFUSED: &str = "It cannot be restored as asked. The database is as it was.";

/// Rounds until `shutdown` is done.
pub async fn run(platform: Platform, region: String, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let mut signals = platform.store.signals().subscribe();
    loop {
        let open = tokio::select! {
            () = &mut shutdown => return,
            open = round(&platform, &region) => open,
        };
        let open = open.unwrap_or_else(|error| {
            tracing::warn!(%error, "restores in place do not go on");
            0
        });
        let interval = if open == 0 { INTERVAL } else { INTERVAL_OPEN };
        let changed = async {
            while !matches!(signals.next().await, Signal::Database(_) | Signal::Missed) {}
            tokio::time::sleep(GATHER).await;
        };
        tokio::select! {
            () = &mut shutdown => return,
            _ = tokio::time::timeout(interval, changed) => {}
        }
        while signals.try_next().is_some() {}
    }
}

/// Does the next thing for each that is open; answers how many are.
pub async fn round(platform: &Platform, region: &str) -> Result<usize, StoreError> {
    let mut tx = platform.store.region().await?;
    let open = in_place::open(&mut tx, region).await?;
    tx.commit().await?;
    for operation in &open {
        if let Err(error) = step(platform, *operation).await {
            tracing::warn!(%operation, %error, "a restore in place does not go on");
        }
    }
    Ok(open.len())
}

async fn step(platform: &Platform, operation: OperationId) -> Result<(), AppError> {
    let now = platform.clock.now();
    let mut tx = platform.store.region().await?;
    let Some(open) = in_place::lock(&mut tx, operation, now).await? else {
        return Ok(());
    };
    let next = next(&open, now);
    match &next {
        Next::Wait => {}
        Next::Stop => in_place::stop(&mut tx, &open, now).await?,
        Next::Exchange => exchange(platform, &mut tx, &open, now).await?,
        Next::Abandon(_) => in_place::abandon(&mut tx, &open, now).await?,
    }
    record(&mut tx, &open, &next, now).await?;
    tx.commit().await?;
    match next {
        Next::Wait => {}
        next => {
            let (database, kept) = (open.database.id, open.kept.id);
            tracing::info!(%database, %kept, ?next, "a restore in place goes on");
        }
    }
    Ok(())
}

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    Wait,
    /// Both databases.
    Stop,
    Exchange,
    /// With what its owner is told.
    Abandon(String),
}

/// Decides. Pure.
fn next(open: &OpenInPlace, now: OffsetDateTime) -> Next {
    let sides = [&open.database, &open.kept];
    if sides.iter().any(|side| side.desired == Desired::Deleted) {
        return Next::Abandon(ERROR_DELETED.into());
    }
    let is_held = sides.iter().any(|side| side.is_held);
    match open.phase {
        InPlacePhase::Preparing => {
            if open.is_made && open.restore == Some(RestorePhase::Refused) {
                let why = open.refusal.clone();
                return Next::Abandon(why.unwrap_or_else(|| ERROR_REFUSED.into()));
            }
            if now >= open.deadline_at {
                return Next::Abandon(ERROR_DEADLINE.into());
            }
            if !is_held && (!open.is_made || is_ready(open)) {
                Next::Stop
            } else {
                Next::Wait
            }
        }
        InPlacePhase::Stopping => {
            if !is_held && sides.iter().all(|side| is_at_rest(side)) {
                return Next::Exchange;
            }
            let since = open.stopping_since.unwrap_or(now);
            if now - since > STOP_LIMIT {
                return Next::Abandon(ERROR_STOP.into());
            }
            Next::Wait
        }
        InPlacePhase::Done | InPlacePhase::Abandoned => Next::Wait,
    }
}

/// Whether what was restored can take the place of what there is. Where commits wait for the
/// archive, nobody is served before its first backup: that is waited for here, not there.
fn is_ready(open: &OpenInPlace) -> bool {
    let kept = &open.kept;
    let serves = matches!(kept.observed, Observed::Running | Observed::Asleep);
    let waits = open.database.durability == Durability::S3 && !open.is_backed_up;
    open.restore == Some(RestorePhase::Done) && serves && !waits
}

/// Whether nothing of it runs, since it was asked to stop, and nobody is looking at it.
fn is_at_rest(side: &Side) -> bool {
    (side.desired, side.observed) == (Desired::Asleep, Observed::Asleep)
        && side.observed_generation >= side.generation
        && !side.is_claimed
}

/// Both change places.
async fn exchange(
    platform: &Platform,
    tx: &mut RegionTx,
    open: &OpenInPlace,
    now: OffsetDateTime,
) -> Result<(), AppError> {
    for side in [&open.database, &open.kept] {
        usage::pass_on(tx, side.instance_id, now).await?;
    }
    role::follow(platform, tx, open).await?;
    in_place::exchange(tx, open, now).await?;
    in_place::roles_prune(tx, open).await?;
    let event = NewAuditEvent {
        id: AuditEventId::from_uuid(platform.clock.new_uuid()),
        actor: "system".to_owned(),
        action: AuditAction::DatabaseChangePlaces,
        resource: open.database.id.to_string(),
        details: json!({ "kept": open.kept.id, "operation": open.operation_id }),
        client_address: None,
        created_at: now,
    };
    audit::insert_as_region(tx, open.organization_id, &event).await?;
    Ok(())
}

/// Writes how the operation stands, if that changed.
async fn record(
    tx: &mut RegionTx,
    open: &OpenInPlace,
    next: &Next,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let (state, phase, error) = match next {
        Next::Wait => (OperationState::Running, open.phase, None),
        Next::Stop => (OperationState::Running, InPlacePhase::Stopping, None),
        Next::Exchange => (OperationState::Running, InPlacePhase::Done, None),
        Next::Abandon(why) => (OperationState::Failed, open.phase, Some(why.clone())),
    };
    let reached = Reached {
        engine_known: true,
        restore: open.restore,
        in_place: Some(phase),
    };
    let steps = steps::advance(open.kind, &open.steps, state, reached, now);
    if state == open.state && steps == open.steps {
        return Ok(());
    }
    let record = OperationRecord {
        id: open.operation_id,
        state,
        steps,
        error,
        started_at: Some(open.started_at.unwrap_or(now)),
        ended_at: state.is_final().then_some(now),
    };
    desired::record_operations(tx, &[record]).await
}

#[cfg(test)]
#[path = "in_place_tests.rs"]
mod tests;
