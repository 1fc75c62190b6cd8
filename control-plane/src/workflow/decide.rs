//! From what is desired and what is observed to what is written: values in, values out.

use crate::app::state::{Desired, InPlacePhase, Observed, OperationKind, OperationState};
use crate::runtime::{Observation, RuntimeError};
use crate::store::desired::{ClaimedDatabase, OpenOperation, OperationRecord, Record};
use crate::workflow::steps::{self, Reached};
use lumadb_contract::archive::{ArchiveSpec, RestorePhase, RestoreSpec, RestoreStatus};
use lumadb_contract::instance::{
    Compute, InstancePhase, InstanceSpec, LogicalDatabaseSpec, RoleSpec, RunState,
};
use lumadb_contract::network::AllowedNetworks;
use sqlx::types::Json;
use time::{Duration, OffsetDateTime};

/// A database that is as it should be is looked at again after this long, should a signal be lost.
const RESYNC_RUNNING: Duration = Duration::seconds(60);
const RESYNC_STOPPED: Duration = Duration::minutes(5);
/// One on its way to the desired state.
const RESYNC_PENDING: Duration = Duration::seconds(2);
const BACKOFF_FIRST: Duration = Duration::milliseconds(250);
const BACKOFF_MAX: Duration = Duration::seconds(60);

/// What the caller of an operation is told when it fails; the cause is for the operator.
const ERROR_DEADLINE: &str =
    "The database did not get there in time. We keep trying; this operation has ended.";
const ERROR_GIVEN_UP: &str =
    "The platform could not carry this out. Its operators see why; try again later.";

/// What is written at the end of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) record: Record,
    pub(super) operations: Vec<OperationRecord>,
    pub(super) attempt: i32,
    pub(super) look_at: OffsetDateTime,
    /// A change of desired state that the platform itself makes.
    pub(super) turn: Option<Turn>,
}

/// Falling asleep, and staying awake after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) from: Desired,
    pub(super) to: Desired,
}

/// What the runtime is asked for; `None` for a database that holds a value outside of its range. One
/// that shall be removed stops first, so that all that was committed is archived.
pub(super) fn spec(
    row: &ClaimedDatabase,
    roles: Vec<RoleSpec>,
    logical_databases: Vec<LogicalDatabaseSpec>,
    archive: Option<ArchiveSpec>,
    restore: Option<RestoreSpec>,
) -> Option<InstanceSpec> {
    let run = match row.desired {
        // Whoever is connected is cut off.
        _ if row.is_halted => RunState::Stopped,
        Desired::Running => RunState::Running,
        Desired::Asleep => RunState::Asleep,
        Desired::Suspended | Desired::Deleted => RunState::Stopped,
    };
    Some(InstanceSpec {
        database_id: row.instance_id,
        serves_database_id: (row.instance_id != row.id).then_some(row.id),
        generation: u64::try_from(row.generation).ok()?,
        engine_version: u16::try_from(row.engine_version).ok()?,
        run,
        compute: Compute {
            milli_vcpu: u32::try_from(row.milli_vcpu).ok()?,
            memory_mib: u32::try_from(row.memory_mib).ok()?,
        },
        connections_max: u16::try_from(row.connections_max).ok()?,
        route_number: u32::try_from(row.route_number).ok()?,
        roles,
        logical_databases,
        allowed_networks: AllowedNetworks::of_texts(&row.allowed_networks).ok()?,
        tls: None,
        edges: None,
        archive,
        restore,
    })
}

/// Decides after the runtime was asked. `refused`: why what it should be made from was refused before.
/// `jitter` is at least 0 and less than 1.
pub(super) fn decide(
    row: &ClaimedDatabase,
    operations: &[OpenOperation],
    asked: &Result<(), RuntimeError>,
    observation: &Observation,
    refused: Option<&str>,
    now: OffsetDateTime,
    jitter: f64,
) -> Decision {
    let mut record = record(row, observation, now);
    let mut attempt = 0;
    match asked {
        Ok(()) => {}
        Err(RuntimeError::Retry(error)) => {
            attempt = row.attempt.saturating_add(1);
            record.error = Some(error.clone());
        }
        Err(RuntimeError::GiveUp(error) | RuntimeError::Gone(error)) => {
            record.observed = Observed::Failed;
            record.error = Some(error.clone());
        }
    }
    let refusal = refusal(observation).or(refused);
    if refusal.is_some() {
        record.observed = Observed::Failed;
    }
    let given_up = match asked {
        Err(RuntimeError::GiveUp(_) | RuntimeError::Gone(_)) => Some(ERROR_GIVEN_UP),
        _ => refusal,
    };
    let settled = asked.is_ok() && is_settled(row.desired, &record);
    let operations: Vec<_> = operations
        .iter()
        .map(|operation| operation_record(operation, &record, observation, settled, given_up, now))
        .collect();
    let turn = turn(row, observation, &record, now);
    let look_at = look_at(
        row,
        &operations,
        &record,
        attempt,
        settled,
        given_up.is_some(),
        now,
        jitter,
    );
    Decision {
        record,
        operations,
        attempt,
        look_at,
        turn,
    }
}

/// Why what was asked for cannot be restored, if the node says so.
pub(super) fn refusal(observation: &Observation) -> Option<&str> {
    let restore = restore_status(observation)?;
    (restore.phase == RestorePhase::Refused)
        .then(|| restore.refusal.as_deref().unwrap_or(ERROR_GIVEN_UP))
}

/// How far the instance says that its restore is.
pub(super) fn restore_status(observation: &Observation) -> Option<&RestoreStatus> {
    match observation {
        Observation::Attached { status, .. } => status.restore.as_ref(),
        Observation::Unknown | Observation::Absent => None,
    }
}

/// What the observation says of the desired state.
pub(super) fn record(
    row: &ClaimedDatabase,
    observation: &Observation,
    now: OffsetDateTime,
) -> Record {
    let before = Record {
        observed: row.observed,
        observed_generation: row.observed_generation,
        incarnation_id: row.incarnation_id,
        node_address: row.node_address.as_ref().map(|Json(at)| at.clone()),
        engine_minor: row.engine_minor.clone(),
        system_identifier: row.system_identifier.clone(),
        idle_since: None,
        error: None,
    };
    match observation {
        Observation::Unknown => Record {
            idle_since: row.idle_since,
            error: row.error.clone(),
            ..before
        },
        Observation::Absent => match stopped(row.desired) {
            Some(observed) => Record {
                observed,
                observed_generation: row.generation,
                incarnation_id: None,
                node_address: None,
                ..before
            },
            None => Record {
                observed: Observed::Pending,
                incarnation_id: None,
                node_address: None,
                ..before
            },
        },
        Observation::Attached {
            status,
            node_address,
        } => {
            let reached = i64::try_from(status.observed_generation)
                .unwrap_or(i64::MAX)
                .min(row.generation);
            let (observed, observed_generation) = match (status.phase, stopped(row.desired)) {
                (InstancePhase::Ready, _) => (Observed::Running, reached),
                (InstancePhase::Stopped, Some(observed)) => (observed, row.generation),
                (InstancePhase::Failed, None) => (Observed::Failed, row.observed_generation),
                _ => (Observed::Pending, row.observed_generation),
            };
            Record {
                observed,
                observed_generation,
                incarnation_id: Some(status.incarnation_id),
                // Nobody is sent to a node that stops or that cannot start.
                node_address: matches!(
                    status.phase,
                    InstancePhase::Starting | InstancePhase::Ready
                )
                .then(|| node_address.clone()),
                engine_minor: status.engine_version.clone().or(before.engine_minor),
                system_identifier: status
                    .system_identifier
                    .map(|id| id.to_string())
                    .or(before.system_identifier),
                idle_since: status.idle_since.map(|since| idle_since(row, since, now)),
                error: status.error.clone(),
            }
        }
    }
}

/// Since when a database is idle whose node says `since`. As long as nobody was told that it is
/// there, those who wait for it cannot have come.
fn idle_since(row: &ClaimedDatabase, since: OffsetDateTime, now: OffsetDateTime) -> OffsetDateTime {
    let told = match row.observed {
        Observed::Running => row.idle_since,
        _ => Some(now),
    };
    told.map_or(since, |told| told.max(since))
}

/// How a database looks that was asked to stop and did; `None` if it was not asked to.
const fn stopped(desired: Desired) -> Option<Observed> {
    match desired {
        Desired::Asleep => Some(Observed::Asleep),
        Desired::Suspended => Some(Observed::Suspended),
        Desired::Running | Desired::Deleted => None,
    }
}

fn is_settled(desired: Desired, record: &Record) -> bool {
    match desired {
        Desired::Running => record.observed == Observed::Running,
        Desired::Asleep => record.observed == Observed::Asleep,
        Desired::Suspended => record.observed == Observed::Suspended,
        Desired::Deleted => record.observed == Observed::Deleted,
    }
}

fn operation_record(
    operation: &OpenOperation,
    record: &Record,
    observation: &Observation,
    settled: bool,
    given_up: Option<&str>,
    now: OffsetDateTime,
) -> OperationRecord {
    // What was suspended on its way back is not back.
    let is_there =
        operation.kind != OperationKind::DatabaseRecover || record.observed == Observed::Running;
    let done = settled && is_there && record.observed_generation >= operation.generation;
    let (state, error) = if done {
        (OperationState::Succeeded, None)
    } else if let Some(why) = given_up {
        (OperationState::Failed, Some(why.to_owned()))
    } else if now >= operation.deadline_at {
        (OperationState::Failed, Some(ERROR_DEADLINE.to_owned()))
    } else {
        (OperationState::Running, None)
    };
    OperationRecord {
        id: operation.id,
        state,
        steps: steps::advance(
            operation.kind,
            &operation.steps,
            state,
            Reached {
                engine_known: record.observed == Observed::Running || record.engine_minor.is_some(),
                restore: restore_status(observation).map(|restore| restore.phase.into()),
                in_place: Some(InPlacePhase::Done),
            },
            now,
        ),
        error,
        started_at: Some(operation.started_at.unwrap_or(now)),
        ended_at: state.is_final().then_some(now),
    }
}

/// Idle long enough to fall asleep; or asked to, while somebody connected.
fn turn(
    row: &ClaimedDatabase,
    observation: &Observation,
    record: &Record,
    now: OffsetDateTime,
) -> Option<Turn> {
    let Observation::Attached { status, .. } = observation else {
        return None;
    };
    if status.phase != InstancePhase::Ready || row.is_halted {
        return None;
    }
    match row.desired {
        Desired::Asleep if status.connections > 0 && status.idle_since.is_none() => Some(Turn {
            from: Desired::Asleep,
            to: Desired::Running,
        }),
        // It would break off the backup that is being made.
        Desired::Running if record.observed_generation >= row.generation && !row.has_backup => {
            (now >= sleep_at(row, record)? && status.connections == 0).then_some(Turn {
                from: Desired::Running,
                to: Desired::Asleep,
            })
        }
        _ => None,
    }
}

fn sleep_at(row: &ClaimedDatabase, record: &Record) -> Option<OffsetDateTime> {
    let timeout = Duration::seconds(i64::from(row.idle_timeout_seconds?));
    (row.desired == Desired::Running).then_some(record.idle_since? + timeout)
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is one reason to look sooner or later"
)]
fn look_at(
    row: &ClaimedDatabase,
    operations: &[OperationRecord],
    record: &Record,
    attempt: i32,
    settled: bool,
    given_up: bool,
    now: OffsetDateTime,
    jitter: f64,
) -> OffsetDateTime {
    if attempt > 0 {
        return now + backoff(attempt, jitter);
    }
    let open = operations
        .iter()
        .any(|operation| !operation.state.is_final());
    let resync = match record.observed {
        _ if given_up => RESYNC_STOPPED,
        _ if !settled || open => RESYNC_PENDING,
        Observed::Running => RESYNC_RUNNING,
        _ => RESYNC_STOPPED,
    };
    let regular = now + resync.scale(1.0 + jitter / 4.0);
    let backup_at = row
        .backup_due_at
        .filter(|_| record.observed == Observed::Running);
    [sleep_at(row, record), backup_at]
        .into_iter()
        .flatten()
        .fold(regular, |first, at| at.max(now + RESYNC_PENDING).min(first))
}

/// Doubles from a quarter of a second to a minute, each time a random part shorter.
fn backoff(attempt: i32, jitter: f64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1))
        .unwrap_or(0)
        .min(16);
    let whole = (BACKOFF_FIRST * 2_i32.pow(doublings)).min(BACKOFF_MAX);
    whole.scale(1.0 - jitter / 2.0)
}

trait Scale {
    fn scale(self, factor: f64) -> Duration;
}

impl Scale for Duration {
    fn scale(self, factor: f64) -> Duration {
        Duration::seconds_f64(self.as_seconds_f64() * factor)
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
