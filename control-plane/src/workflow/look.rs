//! One look at one database: ask for the desired state, observe, write.

use super::archive;
use super::decide::{self, Decision};
use super::recovery::{self, Asked, Recovery};
use super::steps::{self, Reached};
use crate::app::Platform;
use crate::app::archive::ArchiveKeyError;
use crate::app::state::{Desired, OperationKind, OperationState, RecoveryPhase};
use crate::app::usage;
use crate::runtime::{Cleared, IfAbsent, Observation, Runtime, RuntimeError};
use crate::store::desired::{self, ClaimedDatabase, OpenOperation, OperationRecord};
use crate::store::{RegionTx, StoreError, backup, recovery as store_recovery, restore};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{InstancePhase, InstanceSpec};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Longest time that the runtime may take for one wish.
const RUNTIME_TIMEOUT: Duration = Duration::from_mins(2);

/// Longest wait for a deleted database to stop before it is removed.
const STOP_LIMIT: time::Duration = time::Duration::minutes(3);

/// Between two looks at whether a restore's source is archived as far as it is waited for.
const WAITING_LOOK: time::Duration = time::Duration::milliseconds(500);

/// What operations say that a deletion overtook.
const ERROR_DELETED: &str = "The database was deleted.";

struct Loaded {
    row: ClaimedDatabase,
    archive: Option<archive::Loaded>,
    /// The spec, or why there is none.
    spec: Result<Option<InstanceSpec>, RuntimeError>,
    operations: Vec<OpenOperation>,
}

impl Loaded {
    /// Whether nothing of it is to be made yet.
    fn waits(&self) -> bool {
        self.archive.as_ref().is_some_and(archive::Loaded::waits)
    }

    /// Why what it should have been made from was refused; `None` where something of it is there.
    fn refused(&self, observation: &Observation) -> Option<&str> {
        let is_there = matches!(observation, Observation::Attached { .. });
        if is_there || self.row.system_identifier.is_some() {
            return None;
        }
        self.archive.as_ref().and_then(archive::Loaded::refusal)
    }

    fn observe<R: Runtime>(&self, runtime: &R) -> Observation {
        if self.waits() {
            return Observation::Absent;
        }
        runtime.observe(self.row.instance_id)
    }
}

/// Looks at the database that has this instance, and that `owner` has claimed.
pub(super) async fn look<R: Runtime>(
    platform: &Platform,
    runtime: &R,
    owner: Uuid,
    id: DatabaseId,
) -> Result<(), StoreError> {
    let observe = |id| runtime.observe(id);
    let Some(mut loaded) = load(platform, owner, id, observe).await? else {
        return Ok(());
    };
    if !runtime.wakes_on_connect() {
        loaded.row.idle_timeout_seconds = None;
    }
    let before = loaded.observe(runtime);
    let removes = loaded.row.desired == Desired::Deleted
        && !stops_first(&loaded, &before, platform.clock.now());
    let asked = ask(runtime, &loaded, &before, removes).await;
    if let Err(error) = &asked {
        tracing::warn!(database = %id, attempt = loaded.row.attempt, %error, "the runtime did not do as asked");
    }
    let now = platform.clock.now();
    if removes && asked.is_ok() {
        return finish_deleted(platform, owner, &loaded, &before, now).await;
    }
    let observation = loaded.observe(runtime);
    let row = &loaded.row;
    let recovery = Recovery::of(row, loaded.archive.as_ref(), &asked, &observation, now);
    let asked = recovery.answer(row, asked);
    let open = &loaded.operations;
    let refused = loaded.refused(&observation);
    let jitter = rand::random();
    let mut decision = decide::decide(row, open, &asked, &observation, refused, now, jitter);
    recovery.hurry(row, &mut decision, now);
    if loaded.waits() {
        decision.look_at = decision.look_at.min(now + WAITING_LOOK);
    }
    let found = Found {
        observation,
        recovery,
        decision,
    };
    finish(platform, owner, &loaded, found, now).await
}

async fn load(
    platform: &Platform,
    owner: Uuid,
    id: DatabaseId,
    observe: impl Fn(DatabaseId) -> Observation,
) -> Result<Option<Loaded>, StoreError> {
    let now = platform.clock.now();
    let mut tx = platform.store.region().await?;
    let since = now - archive::AWAKE_FOR_BACKUP;
    let Some(mut row) = desired::load(&mut tx, id, owner, since).await? else {
        return Ok(None);
    };
    let (roles, logical_databases) = desired::contents(&mut tx, row.id).await?;
    let operations = desired::open_operations(&mut tx, row.id).await?;
    let archive = match archive::load(platform, &mut tx, &mut row, observe).await {
        Ok(archive) => Ok(archive),
        Err(ArchiveKeyError::Store(error)) => return Err(error),
        Err(error) => Err(error),
    };
    tx.commit().await?;
    let specs = match (&archive, &platform.archives) {
        (Ok(Some(archive)), Some(archives)) => archive.specs(archives, now).map(Some),
        _ => Ok(None),
    };
    let (archive, fault) = match (archive, specs) {
        (Ok(archive), Ok(specs)) => (archive, Ok(specs.unzip())),
        (Err(error), _) | (_, Err(error)) => (None, Err(error)),
    };
    let spec = match fault {
        Ok((to, from)) => Ok(decide::spec(
            &row,
            roles,
            logical_databases,
            to,
            from.flatten(),
        )),
        // Without its archive it would lose what it writes: it is rather not touched.
        Err(error) => Err(RuntimeError::GiveUp(format!("its archive: {error}"))),
    };
    Ok(Some(Loaded {
        row,
        archive,
        spec,
        operations,
    }))
}

/// Whether what runs of a deleted database stops before it is removed, so that all that was
/// committed is in its archive. What does not stop in time is removed all the same.
fn stops_first(loaded: &Loaded, observation: &Observation, now: OffsetDateTime) -> bool {
    let mut deletions = loaded.operations.iter();
    let since = deletions
        .find(|operation| operation.kind == OperationKind::DatabaseDelete)
        .and_then(|operation| operation.started_at);
    loaded.archive.is_some()
        && matches!(loaded.spec, Ok(Some(_)))
        && !is_at_rest(observation)
        && since.is_none_or(|since| now < since + STOP_LIMIT)
}

fn is_at_rest(observation: &Observation) -> bool {
    match observation {
        Observation::Absent => true,
        Observation::Unknown => false,
        Observation::Attached { status, .. } => status.phase == InstancePhase::Stopped,
    }
}

/// One that was seen with content is not made again, unless that content is still on its way.
fn if_absent(loaded: &Loaded, spec: &InstanceSpec) -> IfAbsent {
    if loaded.row.system_identifier.is_some() && spec.restore.is_none() {
        IfAbsent::GiveUp
    } else {
        IfAbsent::Make
    }
}

async fn ask<R: Runtime>(
    runtime: &R,
    loaded: &Loaded,
    before: &Observation,
    removes: bool,
) -> Result<Asked, RuntimeError> {
    let instance = loaded.row.instance_id;
    let work = async {
        match (&loaded.spec, recovery::clears(&loaded.row)) {
            _ if loaded.waits() && !removes => Ok(Asked::Applied),
            _ if removes => runtime.remove(instance).await.map(|()| Asked::Applied),
            // What an attempt made that failed.
            (_, Some(true)) => {
                let gone = runtime.remove(instance).await;
                gone.map(|()| Asked::Cleared(Cleared::Gone))
            }
            (_, Some(false)) => runtime.clear(instance).await.map(Asked::Cleared),
            (Ok(Some(_)), None) if loaded.refused(before).is_some() => Ok(Asked::Applied),
            (Ok(Some(spec)), None) => {
                let applied = runtime.apply(spec.clone(), if_absent(loaded, spec)).await;
                applied.map(|()| Asked::Applied)
            }
            (Err(error), None) => Err(error.clone()),
            (Ok(None), None) => Err(RuntimeError::GiveUp(
                "its row holds a value that no spec can".into(),
            )),
        }
    };
    tokio::time::timeout(RUNTIME_TIMEOUT, work)
        .await
        .unwrap_or_else(|_| {
            Err(RuntimeError::Retry(format!(
                "the runtime took longer than {} s",
                RUNTIME_TIMEOUT.as_secs()
            )))
        })
}

/// What a look found, and what follows.
struct Found {
    observation: Observation,
    recovery: Recovery,
    decision: Decision,
}

async fn finish(
    platform: &Platform,
    owner: Uuid,
    loaded: &Loaded,
    found: Found,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let row = &loaded.row;
    let decision = found.decision;
    let mut tx = platform.store.region().await?;
    let kept = desired::finish(
        &mut tx,
        row,
        owner,
        &decision.record,
        decision.attempt,
        decision.look_at,
        now,
    )
    .await?;
    if !kept {
        tracing::info!(database = %row.id, "another loop took this database over");
        return Ok(());
    }
    if let Some(archive) = &loaded.archive {
        let record = &decision.record;
        archive
            .record(&mut tx, &found.observation, record, now)
            .await?;
    }
    record_changed(&mut tx, &loaded.operations, decision.operations).await?;
    found
        .recovery
        .carry_out(platform, &mut tx, row, now)
        .await?;
    if let Some(turn) = decision.turn {
        let turned =
            desired::set_desired(&mut tx, row.id, row.generation, turn.from, turn.to, now).await?;
        if turned {
            tracing::info!(database = %row.id, from = turn.from.as_str(), to = turn.to.as_str(), "turned");
        }
    }
    tx.commit().await
}

async fn finish_deleted(
    platform: &Platform,
    owner: Uuid,
    loaded: &Loaded,
    observation: &Observation,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let mut tx = platform.store.region().await?;
    if let Some(archive) = &loaded.archive {
        archive.record_archive(&mut tx, observation, now).await?;
    }
    if desired::mark_deleted(&mut tx, loaded.row.id, owner, now).await? {
        usage::close(&mut tx, loaded.row.instance_id, now).await?;
        backup::abandon(&mut tx, loaded.row.id, now).await?;
        restore::abandon(&mut tx, loaded.row.id, ERROR_DELETED, now).await?;
        store_recovery::end(&mut tx, loaded.row.id, RecoveryPhase::GivenUp, now).await?;
        let records = loaded
            .operations
            .iter()
            .map(|operation| deleted_record(operation, loaded.row.generation, now))
            .collect();
        record_changed(&mut tx, &loaded.operations, records).await?;
    }
    tx.commit().await
}

fn deleted_record(
    operation: &OpenOperation,
    generation: i64,
    now: OffsetDateTime,
) -> OperationRecord {
    let is_deletion =
        operation.kind == OperationKind::DatabaseDelete && operation.generation <= generation;
    let state = if is_deletion {
        OperationState::Succeeded
    } else {
        OperationState::Cancelled
    };
    OperationRecord {
        id: operation.id,
        state,
        steps: steps::advance(
            operation.kind,
            &operation.steps,
            state,
            Reached::default(),
            now,
        ),
        error: (!is_deletion).then(|| ERROR_DELETED.to_owned()),
        started_at: Some(operation.started_at.unwrap_or(now)),
        ended_at: Some(now),
    }
}

/// Writes those that moved: each write wakes whoever waits for one.
async fn record_changed(
    tx: &mut RegionTx,
    before: &[OpenOperation],
    records: Vec<OperationRecord>,
) -> Result<(), StoreError> {
    let changed: Vec<_> = before
        .iter()
        .zip(records)
        .filter(|(before, after)| before.state != after.state || before.steps.0 != after.steps)
        .map(|(_, after)| after)
        .collect();
    desired::record_operations(tx, &changed).await
}
