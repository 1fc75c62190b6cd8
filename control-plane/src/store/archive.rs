//! Archives of databases: their wrapped keys, and what was last observed of them.

use super::{EitherTx, RegionTx, StoreError};
use lumadb_contract::archive::{ArchiveStatus, Lsn, RestoreWindow};
use lumadb_contract::id::{ArchiveId, DatabaseId, OrganizationId};
use sqlx::types::Json;
use time::OffsetDateTime;

/// An organization's key under the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationKeyRow {
    /// Fingerprint of the master key.
    pub master_key: String,
    pub wrapped_key: String,
}

/// An archive with the keys above it and what its organization's plan says.
#[derive(Debug, Clone)]
pub struct ArchiveRow {
    pub id: ArchiveId,
    pub organization_id: OrganizationId,
    pub database_id: DatabaseId,
    pub wrapped_key: String,
    /// Fingerprint of the master key.
    pub master_key: String,
    pub organization_key: String,
    pub backup_due_at: OffsetDateTime,
    pub archived_lsn: Option<String>,
    pub flushed_lsn: Option<String>,
    pub archived_until: Option<OffsetDateTime>,
    pub windows: Json<Vec<RestoreWindow>>,
    pub error: Option<String>,
    pub observed_at: Option<OffsetDateTime>,
    pub restore_window_days: i32,
    pub archive_lag_ms: i32,
    pub backup_interval_hours: i32,
    pub full_backup_interval_hours: i32,
}

#[derive(Debug)]
pub struct NewArchive {
    pub id: ArchiveId,
    pub organization: OrganizationId,
    pub database: DatabaseId,
    pub wrapped_key: String,
    pub now: OffsetDateTime,
    pub backup_due_at: OffsetDateTime,
}

pub async fn organization_key(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Option<OrganizationKeyRow>, StoreError> {
    let row = sqlx::query_as!(
        OrganizationKeyRow,
        "select master_key, wrapped_key from organization_keys where organization_id = $1",
        organization.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Does nothing where there is one already.
pub async fn organization_key_insert(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    key: &OrganizationKeyRow,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into organization_keys (organization_id, master_key, wrapped_key, created_at)
         values ($1, $2, $3, $4) on conflict do nothing",
        organization.uuid(),
        key.master_key,
        key.wrapped_key,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub async fn insert(tx: &mut EitherTx<'_>, new: &NewArchive) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into archives (id, organization_id, database_id, wrapped_key, created_at,
             backup_due_at)
         values ($1, $2, $3, $4, $5, $6)",
        new.id.uuid(),
        new.organization.uuid(),
        new.database.uuid(),
        new.wrapped_key,
        new.now,
        new.backup_due_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The archive that a database writes.
pub async fn of_database(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    database: DatabaseId,
) -> Result<Option<ArchiveRow>, StoreError> {
    select(tx, organization, Some(database), None).await
}

pub async fn find(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: ArchiveId,
) -> Result<Option<ArchiveRow>, StoreError> {
    select(tx, organization, None, Some(id)).await
}

async fn select(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    database: Option<DatabaseId>,
    id: Option<ArchiveId>,
) -> Result<Option<ArchiveRow>, StoreError> {
    let row = sqlx::query_as!(
        ArchiveRow,
        r#"select a.id as "id: ArchiveId", a.organization_id as "organization_id: OrganizationId",
                  a.database_id as "database_id: DatabaseId", a.wrapped_key, k.master_key,
                  k.wrapped_key as organization_key, a.backup_due_at,
                  a.archived_lsn::text as archived_lsn, a.flushed_lsn::text as flushed_lsn,
                  a.archived_until, a.windows as "windows: Json<Vec<RestoreWindow>>", a.error,
                  a.observed_at, p.restore_window_days, p.archive_lag_ms, p.backup_interval_hours,
                  p.full_backup_interval_hours
           from archives a
           join organization_keys k on k.organization_id = a.organization_id
           join organizations o on o.id = a.organization_id
           join plans p on p.id = o.plan_id
           where a.organization_id = $1 and ($2::uuid is null or a.database_id = $2)
             and ($3::uuid is null or a.id = $3)"#,
        organization.uuid(),
        database.map(DatabaseId::uuid),
        id.map(ArchiveId::uuid)
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Says when the schedule asks for a backup again.
pub async fn backup_due_set(
    tx: &mut RegionTx,
    id: ArchiveId,
    due_at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update archives set backup_due_at = $2 where id = $1",
        id.uuid(),
        due_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes what a node said. One that has only just begun knows neither positions nor windows: then
/// what was known before stays.
pub async fn record(
    tx: &mut RegionTx,
    id: ArchiveId,
    status: &ArchiveStatus,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let known = |lsn: Lsn| (lsn != Lsn::default()).then(|| lsn.to_string());
    sqlx::query!(
        "update archives
         set archived_lsn = coalesce($2::text::pg_lsn, archived_lsn),
             flushed_lsn = coalesce($3::text::pg_lsn, flushed_lsn),
             archived_until = coalesce($4, archived_until),
             windows = case when $5::jsonb = '[]' then windows else $5 end,
             error = $6, observed_at = $7
         where id = $1",
        id.uuid(),
        known(status.archived_lsn),
        known(status.flushed_lsn),
        status.archived_until,
        Json(&status.windows) as _,
        status.error,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
