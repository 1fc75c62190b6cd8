//! Restores: databases made from the archive of another.

use super::database::at_rest_until;
use super::{RegionTx, StoreError, TenantTx};
use crate::app::state::{Desired, Observed, RestorePhase};
use lumadb_contract::archive::{RestoreStatus, RestoreTarget};
use lumadb_contract::id::{ArchiveId, DatabaseId};
use serde::Deserialize;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

/// A row, read as PostgreSQL's `to_jsonb` gives it: it hangs on the row of its database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RestoreRow {
    source_database_id: Uuid,
    /// `None`: it is removed.
    source_archive_id: Option<Uuid>,
    pub target: RestoreTarget,
    pub phase: RestorePhase,
    pub bytes_done: i64,
    pub bytes_total: i64,
    pub replayed_lsn: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub reached: Option<OffsetDateTime>,
    pub refusal: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

impl RestoreRow {
    pub const fn source_database(&self) -> DatabaseId {
        DatabaseId::from_uuid(self.source_database_id)
    }

    pub fn source_archive(&self) -> Option<ArchiveId> {
        self.source_archive_id.map(ArchiveId::from_uuid)
    }
}

#[derive(Debug)]
pub struct NewRestore<'a> {
    pub database: DatabaseId,
    pub source_database: DatabaseId,
    pub source_archive: ArchiveId,
    pub target: &'a RestoreTarget,
    pub phase: RestorePhase,
    pub now: OffsetDateTime,
}

pub async fn insert(tx: &mut TenantTx, new: &NewRestore<'_>) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "insert into restores (database_id, organization_id, source_database_id, source_archive_id,
             target, phase, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        new.database.uuid(),
        organization.uuid(),
        new.source_database.uuid(),
        new.source_archive.uuid(),
        Json(new.target) as _,
        new.phase.as_str(),
        new.now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How a database came to be, for the loop.
pub async fn of_database(
    tx: &mut RegionTx,
    database: DatabaseId,
) -> Result<Option<RestoreRow>, StoreError> {
    let row = sqlx::query!(
        r#"select to_jsonb(r) as "restore!: Json<RestoreRow>" from restores r
           where database_id = $1"#,
        database.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| row.restore.0))
}

/// What is being restored from an archive.
#[derive(Debug, Clone, Copy)]
pub struct OpenRestores {
    /// When the oldest restore or drill began that has not ended.
    pub since: Option<OffsetDateTime>,
    /// Whether one waits for the archive to have what was written just now.
    pub is_waited_for: bool,
}

pub async fn open(tx: &mut RegionTx, archive: ArchiveId) -> Result<OpenRestores, StoreError> {
    let open = sqlx::query_as!(
        OpenRestores,
        r#"select min(at) as since, coalesce(bool_or(waits), false) as "is_waited_for!"
           from (select created_at as at, phase = 'waiting' as waits from restores
                 where source_archive_id = $1 and ended_at is null
                 union all
                 select started_at, false from drills
                 where archive_id = $1 and ended_at is null) open"#,
        archive.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(open)
}

/// What a restore waits for.
#[derive(Debug, Clone)]
pub struct WaitedFor {
    pub instance_id: DatabaseId,
    pub desired: Desired,
    pub observed: Observed,
    pub deleted_at: Option<OffsetDateTime>,
}

impl WaitedFor {
    pub fn at_rest_until(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        at_rest_until(self.desired, self.observed, self.deleted_at, now)
    }
}

/// The database that a restore is made from.
pub async fn source(
    tx: &mut RegionTx,
    restore: &RestoreRow,
) -> Result<Option<WaitedFor>, StoreError> {
    let row = sqlx::query_as!(
        WaitedFor,
        r#"select instance_id as "instance_id: DatabaseId", desired as "desired: Desired",
                  observed as "observed: Observed", deleted_at
           from databases where id = $1"#,
        restore.source_database_id
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// What a restore waited for is archived: it begins, and its source need not hurry any more.
pub async fn arrived(
    tx: &mut RegionTx,
    database: DatabaseId,
    target: &RestoreTarget,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "with begun as (
             update restores set phase = 'pending', target = $2
             where database_id = $1 and phase = 'waiting'
             returning source_database_id)
         update databases d set look_at = $3
         from begun where d.id = begun.source_database_id and d.deleted_at is null",
        database.uuid(),
        Json(target) as _,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes how far a restore is; one that has ended stays as it is. At its end the source is looked
/// at, which holds fast until then what is restored from.
pub async fn record(
    tx: &mut RegionTx,
    database: DatabaseId,
    phase: RestorePhase,
    status: Option<&RestoreStatus>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let ended = matches!(phase, RestorePhase::Done | RestorePhase::Refused).then_some(now);
    sqlx::query!(
        "with told as (
             update restores
             set phase = $2, bytes_done = coalesce($3, bytes_done),
                 bytes_total = coalesce($4, bytes_total),
                 replayed_lsn = coalesce($5::text::pg_lsn, replayed_lsn),
                 reached = coalesce($6, reached), refusal = $7, ended_at = $8
             where database_id = $1 and ended_at is null
             returning source_database_id, ended_at)
         update databases d set look_at = $9
         from told where told.ended_at is not null and d.id = told.source_database_id
           and d.deleted_at is null",
        database.uuid(),
        phase.as_str(),
        status.map(|status| bytes(status.bytes_done)),
        status.map(|status| bytes(status.bytes_total)),
        status
            .and_then(|status| status.replayed_lsn)
            .map(|lsn| lsn.to_string()),
        status.and_then(|status| status.reached),
        status.and_then(|status| status.refusal.as_deref()),
        ended,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A database that goes away restores nothing.
pub async fn abandon(
    tx: &mut RegionTx,
    database: DatabaseId,
    why: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update restores set phase = 'refused', refusal = $2, ended_at = $3
         where database_id = $1 and ended_at is null",
        database.uuid(),
        why,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
