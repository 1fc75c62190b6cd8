//! Backups: those that were asked for, and those that nodes tell of.

use super::{RegionTx, StoreError, TenantTx};
use crate::app::state::{BackupKind, BackupOrigin, BackupState};
use lumadb_contract::archive::BackupStatus;
use lumadb_contract::id::{ArchiveId, BackupId, DatabaseId, OrganizationId};
use serde::Serialize;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct BackupRow {
    pub id: BackupId,
    pub database_id: DatabaseId,
    pub name: Option<String>,
    pub origin: BackupOrigin,
    pub kind: BackupKind,
    pub state: BackupState,
    pub requested_at: OffsetDateTime,
    pub started_at: Option<OffsetDateTime>,
    pub ended_at: Option<OffsetDateTime>,
    pub timeline: Option<i32>,
    pub start_lsn: Option<String>,
    pub end_lsn: Option<String>,
    pub bytes_read: i64,
    pub bytes_expected: i64,
    pub bytes_stored: i64,
    pub parent_id: Option<BackupId>,
}

#[derive(Debug)]
pub struct NewBackup<'a> {
    pub id: BackupId,
    pub organization: OrganizationId,
    pub archive: ArchiveId,
    pub database: DatabaseId,
    pub name: Option<&'a str>,
    pub origin: BackupOrigin,
    pub kind: BackupKind,
    pub now: OffsetDateTime,
}

/// One that shall be or is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenBackup {
    pub id: BackupId,
    pub kind: BackupKind,
    pub requested_at: OffsetDateTime,
}

/// One that was made, or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedBackup {
    pub id: BackupId,
    pub state: BackupState,
    pub requested_at: OffsetDateTime,
    /// What an incremental one builds on.
    pub parent_id: Option<BackupId>,
}

/// A caller asks for one.
pub async fn insert(tx: &mut TenantTx, new: &NewBackup<'_>) -> Result<(), StoreError> {
    insert_into(tx.connection(), new).await
}

/// The schedule asks for one.
pub async fn schedule(tx: &mut RegionTx, new: &NewBackup<'_>) -> Result<(), StoreError> {
    insert_into(tx.connection(), new).await
}

async fn insert_into(
    connection: &mut sqlx::PgConnection,
    new: &NewBackup<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into backups (id, organization_id, archive_id, database_id, name, origin, kind,
             requested_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        new.id.uuid(),
        new.organization.uuid(),
        new.archive.uuid(),
        new.database.uuid(),
        new.name,
        new.origin.as_str(),
        new.kind.as_str(),
        new.now
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn find(tx: &mut TenantTx, id: BackupId) -> Result<Option<BackupRow>, StoreError> {
    Ok(select(tx, Some(id), None, None, 1).await?.pop())
}

/// Those of a database, newest first, from below `before` on.
pub async fn list(
    tx: &mut TenantTx,
    database: DatabaseId,
    before: Option<BackupId>,
    limit: i64,
) -> Result<Vec<BackupRow>, StoreError> {
    select(tx, None, Some(database), before, limit).await
}

async fn select(
    tx: &mut TenantTx,
    id: Option<BackupId>,
    database: Option<DatabaseId>,
    before: Option<BackupId>,
    limit: i64,
) -> Result<Vec<BackupRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        BackupRow,
        r#"select id as "id: BackupId", database_id as "database_id: DatabaseId", name,
                  origin as "origin: BackupOrigin", kind as "kind: BackupKind",
                  state as "state: BackupState", requested_at, started_at, ended_at, timeline,
                  start_lsn::text as start_lsn, end_lsn::text as end_lsn, bytes_read,
                  bytes_expected, bytes_stored, parent_id as "parent_id: BackupId"
           from backups
           where organization_id = $1 and ($2::uuid is null or id = $2)
             and ($3::uuid is null or database_id = $3) and ($4::uuid is null or id < $4)
           order by id desc limit $5"#,
        organization.uuid(),
        id.map(BackupId::uuid),
        database.map(DatabaseId::uuid),
        before.map(BackupId::uuid),
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// How many of a database's backups have not ended.
pub async fn open_count(tx: &mut TenantTx, database: DatabaseId) -> Result<i64, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query!(
        r#"select count(*) as "count!" from backups
           where organization_id = $1 and database_id = $2 and state in ('pending', 'running')"#,
        organization.uuid(),
        database.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.count)
}

/// Those of an archive that have not ended, oldest first.
pub async fn open(tx: &mut RegionTx, archive: ArchiveId) -> Result<Vec<OpenBackup>, StoreError> {
    let rows = sqlx::query_as!(
        OpenBackup,
        r#"select id as "id: BackupId", kind as "kind: BackupKind", requested_at
           from backups where archive_id = $1 and state in ('pending', 'running') order by id"#,
        archive.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Those of an archive that can be restored, and those that failed.
pub async fn ended(tx: &mut RegionTx, archive: ArchiveId) -> Result<Vec<EndedBackup>, StoreError> {
    let rows = sqlx::query_as!(
        EndedBackup,
        r#"select id as "id: BackupId", state as "state: BackupState", requested_at,
                  parent_id as "parent_id: BackupId"
           from backups where archive_id = $1 and state in ('complete', 'failed') order by id"#,
        archive.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// A backup as a node tells of it, with identifiers as the schema has them.
#[derive(Debug, Serialize)]
struct Told<'a> {
    id: Uuid,
    kind: BackupKind,
    state: BackupState,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    timeline: i32,
    start_lsn: String,
    end_lsn: Option<String>,
    bytes_read: i64,
    bytes_expected: i64,
    bytes_stored: i64,
    parent_id: Option<Uuid>,
    error: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn of(status: &'a BackupStatus) -> Self {
        let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            id: status.backup_id.uuid(),
            kind: status.kind.into(),
            state: status.state.into(),
            started_at: status.started_at,
            ended_at: status.ended_at,
            timeline: i32::try_from(status.timeline).unwrap_or(i32::MAX),
            start_lsn: status.start_lsn.to_string(),
            end_lsn: status.end_lsn.map(|lsn| lsn.to_string()),
            bytes_read: bytes(status.bytes_read),
            bytes_expected: bytes(status.bytes_expected),
            bytes_stored: bytes(status.bytes_stored),
            parent_id: status.parent.map(BackupId::uuid),
            error: status.error.as_deref(),
        }
    }
}

/// Writes what a node said of its archive's backups, those included that only the archive knows.
/// What has failed or expired stays so. Gives whether one that was open has failed.
pub async fn record(
    tx: &mut RegionTx,
    archive: ArchiveId,
    statuses: &[BackupStatus],
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let told: Vec<_> = statuses.iter().map(Told::of).collect();
    let rows = sqlx::query!(
        r#"insert into backups as b (id, organization_id, archive_id, database_id, origin, kind,
               state, requested_at, started_at, ended_at, timeline, start_lsn, end_lsn, bytes_read,
               bytes_expected, bytes_stored, parent_id, error)
           select r.id, a.organization_id, a.id, a.database_id, 'scheduled', r.kind, r.state,
                  r.started_at, r.started_at, case when r.state <> 'running' then coalesce(r.ended_at, $3) end,
                  r.timeline, r.start_lsn, r.end_lsn, r.bytes_read, r.bytes_expected,
                  r.bytes_stored, r.parent_id, r.error
           from archives a,
                jsonb_to_recordset($2) as r(id uuid, kind text, state text,
                    started_at timestamptz, ended_at timestamptz, timeline integer,
                    start_lsn pg_lsn, end_lsn pg_lsn, bytes_read bigint, bytes_expected bigint,
                    bytes_stored bigint, parent_id uuid, error text)
           where a.id = $1
           on conflict (id) do update
           set kind = excluded.kind, state = excluded.state, started_at = excluded.started_at,
               ended_at = coalesce(b.ended_at, excluded.ended_at), timeline = excluded.timeline,
               start_lsn = excluded.start_lsn, end_lsn = excluded.end_lsn,
               bytes_read = excluded.bytes_read, bytes_expected = excluded.bytes_expected,
               bytes_stored = excluded.bytes_stored, parent_id = excluded.parent_id,
               error = excluded.error
           where b.archive_id = excluded.archive_id and b.state in ('pending', 'running')
             and (b.state, b.bytes_read, b.bytes_expected, b.bytes_stored, b.started_at)
                 is distinct from (excluded.state, excluded.bytes_read, excluded.bytes_expected,
                                   excluded.bytes_stored, excluded.started_at)
           returning state"#,
        archive.uuid(),
        Json(&told) as _,
        now
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .iter()
        .any(|row| row.state == BackupState::Failed.as_str()))
}

/// Complete ones that ended before the window and that the archive does not list any more are gone.
pub async fn expire(
    tx: &mut RegionTx,
    archive: ArchiveId,
    statuses: &[BackupStatus],
    before: OffsetDateTime,
) -> Result<(), StoreError> {
    let listed: Vec<_> = statuses
        .iter()
        .map(|status| status.backup_id.uuid())
        .collect();
    sqlx::query!(
        "update backups set state = 'expired'
         where archive_id = $1 and state = 'complete' and ended_at < $3 and id <> all($2)",
        archive.uuid(),
        &listed,
        before
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The database goes away: what it had not ended has failed.
pub async fn abandon(
    tx: &mut RegionTx,
    database: DatabaseId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update backups set state = 'failed', ended_at = $2, error = 'the database was deleted'
         where database_id = $1 and state in ('pending', 'running')",
        database.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
