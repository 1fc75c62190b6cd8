//! Drills: a backup that nobody restored is a hope.
//!
//! One at a time in a region, the database whose last drill is longest ago: its newest backup and all
//! WAL since are restored into a scratch instance that the runtime runs as any other, but that no
//! client is led to, that archives nothing and that nobody pays for. Its node compares the backup
//! with its manifest and checks every table and index. What was found is written down, and the
//! instance goes. A drill that fails is an alarm, and its database's owner is told by mail.
//!
//! A round looks at what is and does the next thing; a process that is killed between two leaves a
//! row that says what is still there.

use crate::app::Platform;
use crate::app::archive::{ArchiveKeyError, Archives, Rights};
use crate::app::audit::AuditAction;
use crate::app::state::DrillState;
use crate::notify::content;
use crate::runtime::{IfAbsent, Observation, Runtime, RuntimeError};
use crate::store::archive::{self, ArchiveRow};
use crate::store::audit::{self, NewAuditEvent};
use crate::store::billing::customer;
use crate::store::desired;
use crate::store::drill::{self, DrillEnd, DrillProgress, NewDrill, OpenDrill};
use crate::store::outbox;
use crate::store::{EitherTx, RegionTx, StoreError};
use lumadb_contract::archive::{Lsn, RestorePhase, RestoreSpec, RestoreTarget};
use lumadb_contract::id::{AuditEventId, DatabaseId, DrillId, OutboxId};
use lumadb_contract::instance::{Compute, InstancePhase, InstanceSpec, InstanceStatus, RunState};
use lumadb_contract::network::AllowedNetworks;
use serde_json::json;
use std::pin::pin;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Between two rounds while nothing is tried.
const INTERVAL: std::time::Duration = std::time::Duration::from_secs(20);
/// While something is, at most, and at least.
const INTERVAL_OPEN: std::time::Duration = std::time::Duration::from_secs(2);
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Longest drill: what is not restored and checked by then counts as failed.
const LIMIT: Duration = Duration::hours(12);

/// Longest time that the runtime may take for one wish.
const RUNTIME_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(2);

const TOOK_TOO_LONG: &str = "the runtime took too long";

/// What the owner is told where the cause is the platform's.
const FAULT_PLATFORM: &str =
    "The drill could not be carried out. The platform's operators see why.";
const FAULT_LIMIT: &str = "The restore was not done within 12 hours.";

/// Rounds until `shutdown` is done.
pub async fn run<R: Runtime>(
    platform: Platform,
    runtime: Arc<R>,
    region: String,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let mut changes = runtime.changes();
    loop {
        let open = tokio::select! {
            () = &mut shutdown => return,
            open = round(&platform, &*runtime, &region) => open,
        };
        let open = open.unwrap_or_else(|error| {
            tracing::warn!(%error, "drills do not go on");
            None
        });
        tokio::select! {
            () = &mut shutdown => return,
            () = next_look(&mut changes, open) => {}
        }
    }
}

/// Until the scratch instance of an open drill says something new, or a while has passed.
async fn next_look(changes: &mut broadcast::Receiver<DatabaseId>, open: Option<DatabaseId>) {
    let Some(open) = open else {
        return tokio::time::sleep(INTERVAL).await;
    };
    let news = async {
        loop {
            match changes.recv().await {
                Ok(id) if id == open => return,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    // What comes at once is looked at together.
    tokio::time::sleep(PAUSE).await;
    let _ = tokio::time::timeout(INTERVAL_OPEN, news).await;
}

/// Does the next thing; answers the scratch instance that is there.
pub async fn round<R: Runtime>(
    platform: &Platform,
    runtime: &R,
    region: &str,
) -> Result<Option<DatabaseId>, StoreError> {
    let Some(archives) = &platform.archives else {
        return Ok(None);
    };
    let mut tx = platform.store.region().await?;
    let Some(open) = drill::open(&mut tx, region).await? else {
        let begun = begin(platform, &mut tx, region).await?;
        tx.commit().await?;
        return Ok(begun);
    };
    tx.commit().await?;
    if open.state != DrillState::Running {
        return clean_up(platform, runtime, &open).await;
    }
    let asked = ask(platform, archives, runtime, &open).await?;
    let observation = runtime.observe(open.instance_id);
    let now = platform.clock.now();
    let (progress, end) = judge(&open, &asked, &observation, now);
    let mut tx = platform.store.region().await?;
    drill::record(&mut tx, open.id, progress, now).await?;
    if let Some(end) = end
        && drill::end(&mut tx, open.id, &end, now).await?
        && end.state == DrillState::Failed
    {
        tracing::error!(database = %open.database_id, drill = %open.id, fault = end.fault, error = end.error, "a drill failed");
        tell(platform, &mut tx, &open, &end, now).await?;
    }
    tx.commit().await?;
    Ok(Some(open.instance_id))
}

/// Begins the one whose turn it is.
async fn begin(
    platform: &Platform,
    tx: &mut RegionTx,
    region: &str,
) -> Result<Option<DatabaseId>, StoreError> {
    let now = platform.clock.now();
    let Some(due) = drill::due(tx, region, now).await? else {
        return Ok(None);
    };
    let either = &mut EitherTx::Region(tx);
    let Some(row) = archive::find(either, due.organization_id, due.archive_id).await? else {
        return Ok(None);
    };
    let new = NewDrill {
        id: DrillId::from_uuid(platform.clock.new_uuid()),
        organization: row.organization_id,
        archive: row.id,
        database: row.database_id,
        region,
        instance: DatabaseId::from_uuid(platform.clock.new_uuid()),
        rpo_ms: rpo_ms(&row, now),
        now,
    };
    if !drill::insert(tx, &new).await? {
        return Ok(None);
    }
    // The source must hear at once what it has to keep.
    desired::look_at(tx, row.database_id, now).await?;
    tracing::info!(database = %row.database_id, drill = %new.id, "a drill begins");
    Ok(Some(new.instance))
}

/// How much time of changes would be lost with the machine.
fn rpo_ms(row: &ArchiveRow, now: OffsetDateTime) -> i64 {
    let lsn = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Lsn>().ok());
    let is_whole =
        lsn(&row.archived_lsn).is_some_and(|archived| Some(archived) >= lsn(&row.flushed_lsn));
    match row.archived_until {
        Some(until) if !is_whole => i64::try_from((now - until).whole_milliseconds())
            .unwrap_or(i64::MAX)
            .max(0),
        _ => 0,
    }
}

/// Why a drill cannot go on.
#[derive(Debug, Clone)]
enum Stop {
    /// Its database is deleted.
    Deleted,
    Runtime(RuntimeError),
}

async fn ask<R: Runtime>(
    platform: &Platform,
    archives: &Archives,
    runtime: &R,
    open: &OpenDrill,
) -> Result<Result<(), Stop>, StoreError> {
    if open.is_deleted {
        return Ok(Err(Stop::Deleted));
    }
    let give_up = |error: String| Ok(Err(Stop::Runtime(RuntimeError::GiveUp(error))));
    let spec = match spec(platform, archives, open).await {
        Ok(Some(spec)) => spec,
        Ok(None) => return give_up("its archive or its size is none that a spec can hold".into()),
        Err(ArchiveKeyError::Store(error)) => return Err(error),
        Err(error) => return give_up(format!("its archive: {error}")),
    };
    let asked = tokio::time::timeout(RUNTIME_TIMEOUT, runtime.apply(spec, IfAbsent::Make)).await;
    let asked = asked.unwrap_or_else(|_| Err(RuntimeError::Retry(TOOK_TOO_LONG.into())));
    Ok(asked.map_err(Stop::Runtime))
}

/// As its source, with the source's archive to read and none of its own.
async fn spec(
    platform: &Platform,
    archives: &Archives,
    open: &OpenDrill,
) -> Result<Option<InstanceSpec>, ArchiveKeyError> {
    let mut tx = platform.store.region().await?;
    let either = &mut EitherTx::Region(&mut tx);
    let row = archive::find(either, open.organization_id, open.archive_id).await?;
    let (roles, logical_databases) = desired::contents(&mut tx, open.database_id).await?;
    tx.commit().await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let source = archives.access(&row, Rights::Read)?;
    let made = || {
        Some(InstanceSpec {
            database_id: open.instance_id,
            serves_database_id: None,
            generation: 1,
            engine_version: u16::try_from(open.engine_version).ok()?,
            run: RunState::Running,
            compute: Compute {
                milli_vcpu: u32::try_from(open.milli_vcpu).ok()?,
                memory_mib: u32::try_from(open.memory_mib).ok()?,
            },
            connections_max: u16::try_from(open.connections_max).ok()?,
            // Nobody is led to it, so nobody cancels there.
            route_number: 0,
            roles,
            logical_databases,
            allowed_networks: AllowedNetworks::default(),
            tls: None,
            edges: None,
            archive: None,
            restore: Some(RestoreSpec {
                source,
                target: RestoreTarget::Latest,
                verify: true,
            }),
        })
    };
    Ok(made())
}

/// How far it is, and whether that is the end. Pure.
fn judge(
    open: &OpenDrill,
    asked: &Result<(), Stop>,
    observation: &Observation,
    now: OffsetDateTime,
) -> (DrillProgress, Option<DrillEnd>) {
    let status = match observation {
        Observation::Attached { status, .. } => Some(status),
        Observation::Unknown | Observation::Absent => None,
    };
    let progress = status.map(progress).unwrap_or_default();
    let end = match asked {
        Err(Stop::Deleted) => Some(DrillEnd {
            state: DrillState::Abandoned,
            fault: None,
            error: None,
        }),
        Err(Stop::Runtime(RuntimeError::GiveUp(error))) => {
            Some(failed(FAULT_PLATFORM, Some(error.clone())))
        }
        _ => status.and_then(verdict),
    };
    let is_late = now - open.started_at > LIMIT;
    let end = end.or_else(|| {
        let error = status.and_then(|status| status.error.clone());
        is_late.then(|| failed(FAULT_LIMIT, error))
    });
    (progress, end)
}

fn progress(status: &InstanceStatus) -> DrillProgress {
    let restore = status.restore.as_ref();
    let found = restore.and_then(|restore| restore.verification.as_ref());
    DrillProgress {
        is_ready: status.phase == InstancePhase::Ready,
        reached: restore.and_then(|restore| restore.reached),
        restored_bytes: restore.map_or(0, |restore| restore.bytes_total),
        tables_checked: found.map_or(0, |found| found.tables),
        indexes_checked: found.map_or(0, |found| found.indexes),
    }
}

fn failed(fault: impl Into<String>, error: Option<String>) -> DrillEnd {
    DrillEnd {
        state: DrillState::Failed,
        fault: Some(fault.into()),
        error,
    }
}

/// What the node says of the end.
fn verdict(status: &InstanceStatus) -> Option<DrillEnd> {
    let restore = status.restore.as_ref()?;
    if restore.phase == RestorePhase::Refused {
        let why = restore.refusal.clone();
        let why = why.unwrap_or_else(|| FAULT_PLATFORM.into());
        return Some(failed(why, None));
    }
    let found = restore
        .verification
        .as_ref()
        .filter(|found| found.has_ended)?;
    if let Some(error) = &found.error {
        return Some(failed(FAULT_PLATFORM, Some(error.clone())));
    }
    if !found.faults.is_empty() {
        return Some(failed(found.faults.join("\n"), None));
    }
    Some(DrillEnd {
        state: DrillState::Succeeded,
        fault: None,
        error: None,
    })
}

/// Removes the scratch instance of one that has ended; answers it if it is still there.
async fn clean_up<R: Runtime>(
    platform: &Platform,
    runtime: &R,
    open: &OpenDrill,
) -> Result<Option<DatabaseId>, StoreError> {
    let removed = tokio::time::timeout(RUNTIME_TIMEOUT, runtime.remove(open.instance_id)).await;
    let removed = removed.unwrap_or_else(|_| Err(RuntimeError::Retry(TOOK_TOO_LONG.into())));
    if let Err(error) = removed {
        tracing::warn!(drill = %open.id, %error, "a scratch instance was not removed");
        return Ok(Some(open.instance_id));
    }
    let mut tx = platform.store.region().await?;
    drill::removed(&mut tx, open, platform.clock.now()).await?;
    tx.commit().await?;
    Ok(None)
}

/// Tells the owners, and writes it into the audit log.
async fn tell(
    platform: &Platform,
    tx: &mut RegionTx,
    open: &OpenDrill,
    end: &DrillEnd,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let url = format!(
        "{}/databases/{}/backups",
        platform.links.console_url, open.database_id
    );
    for (email, name) in customer::owners(&mut EitherTx::Region(tx), open.organization_id).await? {
        let mail = content::drill_failed(&email, &name, &open.database_name, &url);
        let payload = serde_json::to_value(mail)
            .map_err(|error| StoreError::Corrupt(format!("a mail: {error}")))?;
        let id = OutboxId::from_uuid(platform.clock.new_uuid());
        outbox::insert_mail_of(&mut EitherTx::Region(tx), id, &payload, now).await?;
    }
    let event = NewAuditEvent {
        id: AuditEventId::from_uuid(platform.clock.new_uuid()),
        actor: "system".to_owned(),
        action: AuditAction::DrillFail,
        resource: open.database_id.to_string(),
        details: json!({ "drill": open.id, "fault": end.fault }),
        client_address: None,
        created_at: now,
    };
    audit::insert_as_region(tx, open.organization_id, &event).await
}
