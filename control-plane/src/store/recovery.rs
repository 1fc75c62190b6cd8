//! Recoveries: databases whose content was lost, on their way back from their archives.

use super::{RegionTx, StoreError, TenantTx};
use crate::app::state::{OperationKind, RecoveryPhase, Step};
use lumadb_contract::archive::RestoreTarget;
use lumadb_contract::id::{ArchiveId, DatabaseId, OperationId, OrganizationId};
use serde::Deserialize;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

/// A row, read as PostgreSQL's `to_jsonb` gives it: it hangs on the row of its database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RecoveryRow {
    pub phase: RecoveryPhase,
    /// When the content was first found gone.
    #[serde(with = "time::serde::rfc3339")]
    pub noticed_at: OffsetDateTime,
    /// Everything that was committed before it was archived by then.
    #[serde(with = "time::serde::rfc3339::option")]
    pub archived_until: Option<OffsetDateTime>,
    /// Of this loss and of those shortly before.
    pub attempts: i32,
    /// An instance was made since.
    pub is_made: bool,
    /// Before then nothing more is done.
    #[serde(with = "time::serde::rfc3339")]
    pub due_at: OffsetDateTime,
    operation_id: Option<Uuid>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

impl RecoveryRow {
    /// The last attempt.
    pub fn operation(&self) -> Option<OperationId> {
        self.operation_id.map(OperationId::from_uuid)
    }
}

/// A loss that was found.
#[derive(Debug)]
pub struct NewRecovery {
    pub database: DatabaseId,
    pub organization: OrganizationId,
    pub archived_until: Option<OffsetDateTime>,
    /// Made shortly before.
    pub attempts: i32,
    pub due_at: OffsetDateTime,
    pub now: OffsetDateTime,
}

/// Notes a loss, in the place of what was noted of one before.
pub async fn notice(tx: &mut RegionTx, new: &NewRecovery) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into recoveries (database_id, organization_id, phase, noticed_at, archived_until,
             attempts, due_at)
         values ($1, $2, 'noticed', $3, $4, $5, $6)
         on conflict (database_id) do update
         set phase = excluded.phase, noticed_at = excluded.noticed_at,
             archived_until = excluded.archived_until, attempts = excluded.attempts,
             is_made = false, due_at = excluded.due_at, operation_id = null, ended_at = null",
        new.database.uuid(),
        new.organization.uuid(),
        new.now,
        new.archived_until,
        new.attempts,
        new.due_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// An attempt, and the operation that shows it.
#[derive(Debug)]
pub struct NewAttempt {
    pub operation: OperationId,
    pub database: DatabaseId,
    pub organization: OrganizationId,
    pub steps: Vec<Step>,
    pub now: OffsetDateTime,
    pub deadline_at: OffsetDateTime,
}

/// Begins an attempt: what is left of the instance ends first. The database goes on under a
/// generation that no node has heard of.
pub async fn begin(tx: &mut RegionTx, new: &NewAttempt) -> Result<(), StoreError> {
    sqlx::query!(
        "with told as (
             update databases
             set generation = generation + 1, run_generation = generation + 1, look_at = $4,
                 attempt = 0
             where id = $2 and deleted_at is null returning generation)
         insert into operations (id, organization_id, database_id, kind, generation, steps,
             created_at, deadline_at)
         select $1, $3, $2, $5, generation, $6, $4, $7 from told",
        new.operation.uuid(),
        new.database.uuid(),
        new.organization.uuid(),
        new.now,
        OperationKind::DatabaseRecover.as_str(),
        Json(&new.steps) as _,
        new.deadline_at
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update recoveries
         set phase = 'clearing', attempts = attempts + 1, operation_id = $2, due_at = $3
         where database_id = $1 and ended_at is null",
        new.database.uuid(),
        new.operation.uuid(),
        new.now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Has the instance be made anew from the archive that it goes on writing.
pub async fn restore(
    tx: &mut RegionTx,
    database: DatabaseId,
    organization: OrganizationId,
    archive: ArchiveId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    // Its primary key is deferrable, and so no arbiter of `on conflict`.
    let again = sqlx::query!(
        "update restores
         set source_database_id = $1, source_archive_id = $2, target = $3, phase = 'pending',
             bytes_done = 0, bytes_total = 0, replayed_lsn = null, reached = null, refusal = null,
             created_at = $4, ended_at = null
         where database_id = $1",
        database.uuid(),
        archive.uuid(),
        Json(&RestoreTarget::Latest) as _,
        now
    )
    .execute(tx.connection())
    .await?;
    if again.rows_affected() == 0 {
        sqlx::query!(
            "insert into restores (database_id, organization_id, source_database_id,
                 source_archive_id, target, created_at)
             values ($1, $2, $1, $3, $4, $5)",
            database.uuid(),
            organization.uuid(),
            archive.uuid(),
            Json(&RestoreTarget::Latest) as _,
            now
        )
        .execute(tx.connection())
        .await?;
    }
    sqlx::query!(
        "update databases
         set observed = 'pending', incarnation_id = null, node_address = null, idle_since = null,
             connections = 0, error = null, look_at = $2, attempt = 0
         where id = $1 and deleted_at is null",
        database.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update recoveries set phase = 'restoring', is_made = true
         where database_id = $1 and ended_at is null",
        database.uuid()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// An attempt failed, and another one comes.
pub async fn retry(
    tx: &mut RegionTx,
    database: DatabaseId,
    due_at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update recoveries set phase = 'waiting', due_at = $2
         where database_id = $1 and ended_at is null",
        database.uuid(),
        due_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Ends one, as `phase` says.
pub async fn end(
    tx: &mut RegionTx,
    database: DatabaseId,
    phase: RecoveryPhase,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update recoveries set phase = $2, ended_at = $3
         where database_id = $1 and ended_at is null",
        database.uuid(),
        phase.as_str(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Ends an attempt's operation without effect.
pub async fn cancel(
    tx: &mut RegionTx,
    operation: OperationId,
    why: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update operations set state = 'cancelled', error = $2, ended_at = $3
         where id = $1 and ended_at is null",
        operation.uuid(),
        why,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What a database is called, for a mail.
pub async fn name(tx: &mut RegionTx, database: DatabaseId) -> Result<String, StoreError> {
    let name = sqlx::query_scalar!("select name from databases where id = $1", database.uuid())
        .fetch_one(tx.connection())
        .await?;
    Ok(name)
}

/// Whether a database is on its way back.
pub async fn is_open(tx: &mut TenantTx, database: DatabaseId) -> Result<bool, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query!(
        r#"select exists(select from recoveries
                         where organization_id = $1 and database_id = $2 and ended_at is null)
               as "found!""#,
        organization.uuid(),
        database.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.found)
}
