//! Imports: copies from another PostgreSQL, how far they are, and who works on them.

use super::{RegionTx, StoreError, TenantTx};
use crate::app::state::ImportState;
use lumadb_contract::id::{DatabaseId, ImportId};
use lumadb_contract::name::PgName;
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct ImportRow {
    pub id: ImportId,
    pub database_id: DatabaseId,
    pub logical_database: String,
    pub role: PgName,
    pub source_host: String,
    pub source_port: i32,
    pub source_database: String,
    pub source_user: String,
    pub state: ImportState,
    pub attempt: i32,
    pub tables_done: i64,
    pub tables_total: i64,
    pub bytes_copied: i64,
    pub source_bytes: i64,
    pub continuous: bool,
    pub lag_bytes: Option<i64>,
    pub last_change_at: Option<OffsetDateTime>,
    pub complete_requested_at: Option<OffsetDateTime>,
    pub error: Option<String>,
    pub cancel_requested_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
    pub started_at: Option<OffsetDateTime>,
    pub ended_at: Option<OffsetDateTime>,
}

#[derive(Debug)]
pub struct NewImport<'a> {
    pub id: ImportId,
    pub database: DatabaseId,
    pub logical_database: &'a str,
    pub role: &'a PgName,
    pub source_host: &'a str,
    pub source_port: u16,
    pub source_database: &'a str,
    pub source_user: &'a str,
    pub source_sealed: &'a [u8],
    pub continuous: bool,
    pub now: OffsetDateTime,
}

/// One that a worker has taken on.
#[derive(Debug, Clone)]
pub struct ClaimedImport {
    pub id: ImportId,
    pub database_id: DatabaseId,
    pub logical_database: String,
    pub role: PgName,
    pub source_sealed: Vec<u8>,
    /// As it was before.
    pub state: ImportState,
    /// This one counted.
    pub attempt: i32,
    pub continuous: bool,
    pub tables_total: i64,
    pub bytes_copied: i64,
    pub source_bytes: i64,
    pub error: Option<String>,
    pub cancel_requested_at: Option<OffsetDateTime>,
    pub database_is_deleted: bool,
}

/// How far a worker has come.
#[derive(Debug, Clone, Copy)]
pub struct ImportProgress {
    pub state: ImportState,
    pub tables_done: i64,
    pub tables_total: i64,
    pub bytes_copied: i64,
    pub source_bytes: i64,
    /// Of one that follows.
    pub lag_bytes: Option<i64>,
    pub last_change_at: Option<OffsetDateTime>,
}

/// Name of the constraint by which a database has one open import at a time.
pub const OPEN_UNIQUE: &str = "imports_open";

/// Whether one into this database has not ended.
pub async fn is_open(tx: &mut TenantTx, database: DatabaseId) -> Result<bool, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query!(
        r#"select exists(select from imports
                         where organization_id = $1 and database_id = $2
                           and ended_at is null) as "found!""#,
        organization.uuid(),
        database.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.found)
}

pub async fn insert(tx: &mut TenantTx, new: &NewImport<'_>) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "insert into imports (id, organization_id, database_id, logical_database, role,
             source_host, source_port, source_database, source_user, source_sealed, created_at,
             continuous)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        new.id.uuid(),
        organization.uuid(),
        new.database.uuid(),
        new.logical_database,
        new.role.as_str(),
        new.source_host,
        i32::from(new.source_port),
        new.source_database,
        new.source_user,
        new.source_sealed,
        new.now,
        new.continuous
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub async fn find(tx: &mut TenantTx, id: ImportId) -> Result<Option<ImportRow>, StoreError> {
    Ok(select(tx, Some(id), None, None, 1).await?.pop())
}

/// Those of a database, newest first, from below `before` on.
pub async fn list(
    tx: &mut TenantTx,
    database: DatabaseId,
    before: Option<ImportId>,
    limit: i64,
) -> Result<Vec<ImportRow>, StoreError> {
    select(tx, None, Some(database), before, limit).await
}

async fn select(
    tx: &mut TenantTx,
    id: Option<ImportId>,
    database: Option<DatabaseId>,
    before: Option<ImportId>,
    limit: i64,
) -> Result<Vec<ImportRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        ImportRow,
        r#"select id as "id: ImportId", database_id as "database_id: DatabaseId",
                  logical_database, role as "role: PgName", source_host, source_port,
                  source_database, source_user, state as "state: ImportState", attempt,
                  tables_done, tables_total, bytes_copied, source_bytes, continuous, lag_bytes,
                  last_change_at, complete_requested_at, error,
                  cancel_requested_at, created_at, started_at, ended_at
           from imports
           where organization_id = $1 and ($2::uuid is null or id = $2)
             and ($3::uuid is null or database_id = $3) and ($4::uuid is null or id < $4)
           order by id desc limit $5"#,
        organization.uuid(),
        id.map(ImportId::uuid),
        database.map(DatabaseId::uuid),
        before.map(ImportId::uuid),
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Has an import end; one that no worker has begun ends at once. One that has ended, or switched over,
/// stays as it is.
pub async fn cancel(
    tx: &mut TenantTx,
    id: ImportId,
    why: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "update imports set cancel_requested_at = coalesce(cancel_requested_at, $3),
             state = case when attempt = 0 then 'cancelled' else state end,
             error = case when attempt = 0 then $4 else error end,
             ended_at = case when attempt = 0 then $3 end,
             source_sealed = case when attempt = 0 then null else source_sealed end
         where organization_id = $1 and id = $2 and ended_at is null and state <> 'validating'",
        organization.uuid(),
        id.uuid(),
        now,
        why
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Has an import that follows its source switch over; `false` if it does not follow now.
pub async fn complete(
    tx: &mut TenantTx,
    id: ImportId,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let organization = tx.organization();
    let done = sqlx::query!(
        "update imports set complete_requested_at = coalesce(complete_requested_at, $3)
         where organization_id = $1 and id = $2 and state = 'following'
           and cancel_requested_at is null",
        organization.uuid(),
        id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes on the oldest import of a region that nobody works on.
pub async fn claim(
    tx: &mut RegionTx,
    region: &str,
    worker: Uuid,
    now: OffsetDateTime,
    lease_until: OffsetDateTime,
) -> Result<Option<ClaimedImport>, StoreError> {
    let row = sqlx::query_as!(
        ClaimedImport,
        r#"with due as (
               select i.id, i.state, d.desired = 'deleted' as database_is_deleted
               from imports i join databases d on d.id = i.database_id
               where d.region = $1 and i.ended_at is null
                 and (i.lease_until is null or i.lease_until < $3)
               order by i.id limit 1 for update of i skip locked
           )
           update imports i
           set lease_owner = $2, lease_until = $4, attempt = i.attempt + 1,
               started_at = coalesce(i.started_at, $3)
           from due where i.id = due.id
           returning i.id as "id: ImportId", i.database_id as "database_id: DatabaseId",
                     i.logical_database, i.role as "role: PgName",
                     i.source_sealed as "source_sealed!", due.state as "state!: ImportState",
                     i.attempt, i.continuous, i.tables_total, i.bytes_copied, i.source_bytes,
                     i.error, i.cancel_requested_at,
                     due.database_is_deleted as "database_is_deleted!""#,
        region,
        worker,
        now,
        lease_until
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// What became of a worker's claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    Held,
    /// It is held, and whoever asked for the import wants it to switch over.
    Completing,
    /// It is held, and whoever asked for the import wants it to end.
    Cancelled,
    /// It is held, and its database is being deleted.
    Orphaned,
    /// Another worker has it, or it has ended.
    Lost,
}

/// Writes how far an import is and keeps the claim. One that follows was copied: what breaks after
/// that counts anew.
pub async fn progress(
    tx: &mut RegionTx,
    id: ImportId,
    worker: Uuid,
    at: &ImportProgress,
    lease_until: OffsetDateTime,
) -> Result<Claim, StoreError> {
    let row = sqlx::query!(
        r#"update imports set state = $3, tables_done = $4, tables_total = $5, bytes_copied = $6,
               source_bytes = $7, lease_until = $8, lag_bytes = $9,
               last_change_at = coalesce($10, last_change_at),
               attempt = case when $3 in ('following', 'validating') then 1 else attempt end
           where id = $1 and lease_owner = $2 and ended_at is null
           returning cancel_requested_at is not null as "cancelled!",
                     complete_requested_at is not null as "completing!",
                     exists(select from databases d where d.id = imports.database_id
                            and d.desired = 'deleted') as "orphaned!""#,
        id.uuid(),
        worker,
        at.state.as_str(),
        at.tables_done,
        at.tables_total,
        at.bytes_copied,
        at.source_bytes,
        lease_until,
        at.lag_bytes,
        at.last_change_at
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(match row {
        None => Claim::Lost,
        Some(row) if row.orphaned => Claim::Orphaned,
        Some(row) if row.cancelled => Claim::Cancelled,
        Some(row) if row.completing => Claim::Completing,
        Some(_) => Claim::Held,
    })
}

/// Goes on to empty the target, for this reason: what comes after does not forget it.
pub async fn give_up(
    tx: &mut RegionTx,
    id: ImportId,
    worker: Uuid,
    why: &str,
    lease_until: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update imports set state = 'cleaning', error = $3, lease_until = $4
         where id = $1 and lease_owner = $2 and ended_at is null",
        id.uuid(),
        worker,
        why,
        lease_until
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends an import and forgets how its source is reached.
pub async fn end(
    tx: &mut RegionTx,
    id: ImportId,
    worker: Uuid,
    state: ImportState,
    error: Option<&str>,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update imports set state = $3, error = $4, ended_at = $5, source_sealed = null,
             lease_owner = null, lease_until = null, lag_bytes = null,
             tables_done = case when $3 = 'succeeded' then tables_total else tables_done end
         where id = $1 and lease_owner = $2 and ended_at is null",
        id.uuid(),
        worker,
        state.as_str(),
        error,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a claim back, for the next worker to begin at once.
pub async fn release(tx: &mut RegionTx, id: ImportId, worker: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "update imports set lease_owner = null, lease_until = null
         where id = $1 and lease_owner = $2",
        id.uuid(),
        worker
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
