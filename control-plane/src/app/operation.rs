//! Operations: what was asked for, how far it is, how it ended.

use crate::app::archive::in_place;
use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::database;
use crate::app::state::{Desired, OperationKind, OperationState, Step, Undo};
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::store::operation::{self, NewOperation, OperationRow};
use crate::store::{Signal, database as store_database, in_place as store_in_place};
use crate::workflow::initial_steps;
use lumadb_contract::id::{DatabaseId, OperationId, OrganizationId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration as StdDuration;
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;
use utoipa::ToSchema;

/// An operation that has not ended by then has failed; the loop goes on nevertheless.
const DEADLINE: Duration = Duration::minutes(5);
/// The same for a restore, which takes as long as its backup is large.
pub(crate) const RESTORE_DEADLINE: Duration = Duration::days(2);

/// How often a waiting call looks without any signal.
const LOOK_INTERVAL: StdDuration = StdDuration::from_secs(1);

/// What an operation says that a later one replaced.
const SUPERSEDED: &str = "A later change took its place.";

/// A change that takes time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    pub id: OperationId,
    pub kind: OperationKind,
    pub state: OperationState,
    pub database_id: DatabaseId,
    pub steps: Vec<Step>,
    /// Why it failed or was cancelled.
    #[schema(required = true)]
    pub error: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub ended_at: Option<OffsetDateTime>,
}

impl From<OperationRow> for Operation {
    fn from(row: OperationRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            state: row.state,
            database_id: row.database_id,
            steps: row.steps.0,
            error: row.error,
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
        }
    }
}

/// Writes a new operation into the change that causes it.
pub(super) async fn begin(
    platform: &Platform,
    change: &mut Change,
    caller: &Caller,
    database: DatabaseId,
    kind: OperationKind,
    generation: i64,
    undo: Option<Undo>,
) -> Result<Operation, AppError> {
    let now = platform.clock.now();
    let deadline = match kind {
        OperationKind::DatabaseRestore | OperationKind::DatabaseRestoreInPlace => RESTORE_DEADLINE,
        _ => DEADLINE,
    };
    let new = NewOperation {
        id: OperationId::from_uuid(platform.clock.new_uuid()),
        database,
        kind,
        generation,
        steps: initial_steps(kind, now),
        undo,
        created_by: caller.user,
        created_at: now,
        deadline_at: now + deadline,
    };
    operation::insert(change, &new).await?;
    Ok(Operation {
        id: new.id,
        kind,
        state: OperationState::Pending,
        database_id: database,
        steps: new.steps,
        error: None,
        created_at: now,
        started_at: None,
        ended_at: None,
    })
}

/// Ends those operations on whether a database runs whose place a new one takes; a deletion takes
/// the place of all.
pub(super) async fn supersede(
    platform: &Platform,
    change: &mut Change,
    database: DatabaseId,
    desired: Desired,
) -> Result<(), AppError> {
    use OperationKind::{DatabaseCreate, DatabaseRestore, DatabaseResume, DatabaseSuspend};
    let open = operation::list_open(change, database).await?;
    let replaced: Vec<_> = open
        .into_iter()
        .filter(|open| {
            desired == Desired::Deleted
                || matches!(
                    open.kind,
                    DatabaseCreate | DatabaseRestore | DatabaseResume | DatabaseSuspend
                )
        })
        .map(|open| open.id)
        .collect();
    operation::cancel(change, &replaced, SUPERSEDED, platform.clock.now()).await?;
    Ok(())
}

/// The operation; `longest` holds the answer until it has ended.
pub async fn operation_get(
    platform: &Platform,
    caller: &Caller,
    id: OperationId,
    longest: StdDuration,
) -> Result<Operation, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseRead).await?;
    wait(platform, member.organization, id, longest).await
}

/// Waits for the end of an operation of this organization.
pub async fn wait(
    platform: &Platform,
    organization: OrganizationId,
    id: OperationId,
    longest: StdDuration,
) -> Result<Operation, AppError> {
    let deadline = Instant::now() + longest;
    let mut signals = platform.store.signals().subscribe();
    loop {
        let operation = read(platform, organization, id).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if operation.state.is_final() || left.is_zero() {
            return Ok(operation);
        }
        signals
            .wait_for(Signal::Operation(id), left.min(LOOK_INTERVAL))
            .await;
    }
}

/// Each state of an operation from now on, the last one final.
pub async fn operation_events(
    platform: &Platform,
    caller: &Caller,
    id: OperationId,
) -> Result<impl futures::Stream<Item = Result<Operation, AppError>> + Send + use<>, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseRead).await?;
    read(platform, member.organization, id).await?;
    Ok(follow(platform.clone(), member.organization, id))
}

fn follow(
    platform: Platform,
    organization: OrganizationId,
    id: OperationId,
) -> impl futures::Stream<Item = Result<Operation, AppError>> + Send {
    async_stream::try_stream! {
        let mut signals = platform.store.signals().subscribe();
        let mut before = None;
        loop {
            let operation = read(&platform, organization, id).await?;
            let is_final = operation.state.is_final();
            if before.as_ref() != Some(&operation) {
                before = Some(operation.clone());
                yield operation;
            }
            if is_final {
                break;
            }
            signals.wait_for(Signal::Operation(id), LOOK_INTERVAL).await;
        }
    }
}

async fn read(
    platform: &Platform,
    organization: OrganizationId,
    id: OperationId,
) -> Result<Operation, AppError> {
    let mut tx = platform.store.tenant(organization).await?;
    let row = operation::find(&mut tx, id).await?;
    tx.commit().await?;
    row.map(Operation::from)
        .ok_or_else(|| AppError::not_found("operation", id))
}

/// Operations of a database, newest first, from below `before` on.
pub async fn operation_list(
    platform: &Platform,
    caller: &Caller,
    database: DatabaseId,
    before: Option<OperationId>,
    limit: i64,
) -> Result<Vec<Operation>, AppError> {
    let (mut tx, _) = database::reading(platform, caller, database).await?;
    let rows = operation::list(&mut tx, database, before, limit).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(Operation::from).collect())
}

/// Brings the desired state of before back. Only the latest change of a database can be cancelled,
/// and only one that has a way back.
pub async fn operation_cancel(
    platform: &Platform,
    caller: &Caller,
    id: OperationId,
    request: Option<&IdempotentRequest>,
) -> Result<Operation, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseWrite).await?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    let conflict = |text: &str| AppError::rejected(ProblemType::Conflict, text);
    let unlocked = find(&mut change, id).await?;
    if unlocked.state.is_final() {
        return Err(conflict("The operation has ended."));
    }
    let row = database::find(&mut change, unlocked.database_id, true).await?;
    // Read again under the lock of its database: it may have ended.
    let open = find(&mut change, id).await?;
    if open.state.is_final() {
        return Err(conflict("The operation has ended."));
    }
    let now = platform.clock.now();
    if in_place::is(open.kind) {
        if !store_in_place::cancel(&mut change, id, now).await? {
            return Err(conflict(
                "Connections are being cut over; it cannot be cancelled any more.",
            ));
        }
        return cancelled(change, &open, now).await;
    }
    let Some(undo) = open.undo.clone() else {
        return Err(conflict("This kind of operation cannot be cancelled."));
    };
    if open.generation != row.generation {
        return Err(conflict(
            "The database was changed since; only its latest change can be cancelled.",
        ));
    }
    let mut to = database::unchanged(&row);
    to.generation += 1;
    match undo.0 {
        Undo::Desired(desired) => {
            to.desired = desired;
            to.run_generation = to.generation;
        }
        Undo::MilliVcpu(milli_vcpu) => to.milli_vcpu = milli_vcpu,
        Undo::Durability(durability) => to.durability = durability,
    }
    store_database::change(&mut change, row.id, &to, now).await?;
    cancelled(change, &open, now).await
}

async fn cancelled(
    mut change: Change,
    open: &OperationRow,
    now: OffsetDateTime,
) -> Result<Operation, AppError> {
    operation::cancel(&mut change, &[open.id], "It was cancelled.", now).await?;
    change
        .audit(
            AuditAction::OperationCancel,
            open.id,
            json!({ "kind": open.kind }),
        )
        .await?;
    let answer = find(&mut change, open.id).await?.into();
    change.commit(answer).await
}

async fn find(change: &mut Change, id: OperationId) -> Result<OperationRow, AppError> {
    operation::find(change, id)
        .await?
        .ok_or_else(|| AppError::not_found("operation", id))
}
