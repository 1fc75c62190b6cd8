//! Restore points: moments of a database that have a name.

use super::{EitherTx, RegionTx, StoreError, TenantTx};
use lumadb_contract::archive::{RestorePointRequest, RestorePointStatus};
use lumadb_contract::id::{ArchiveId, DatabaseId, RestorePointId};
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct RestorePointRow {
    pub id: RestorePointId,
    pub name: String,
    pub created_at: OffsetDateTime,
    pub lsn: Option<String>,
    pub made_at: Option<OffsetDateTime>,
}

/// Name of the constraint by which two moments of an archive cannot share a name.
pub const NAME_UNIQUE: &str = "restore_points_archive_id_name_key";

pub async fn insert(
    tx: &mut TenantTx,
    id: RestorePointId,
    archive: ArchiveId,
    database: DatabaseId,
    name: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "insert into restore_points (id, organization_id, archive_id, database_id, name, created_at)
         values ($1, $2, $3, $4, $5, $6)",
        id.uuid(),
        organization.uuid(),
        archive.uuid(),
        database.uuid(),
        name,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Those of a database, newest first, from below `before` on.
pub async fn list(
    tx: &mut TenantTx,
    database: DatabaseId,
    before: Option<RestorePointId>,
    limit: i64,
) -> Result<Vec<RestorePointRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        RestorePointRow,
        r#"select id as "id: RestorePointId", name, created_at, lsn::text as lsn, made_at
           from restore_points
           where organization_id = $1 and database_id = $2 and ($3::uuid is null or id < $3)
           order by id desc limit $4"#,
        organization.uuid(),
        database.uuid(),
        before.map(RestorePointId::uuid),
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

pub async fn find_by_name(
    tx: &mut EitherTx<'_>,
    archive: ArchiveId,
    name: &str,
) -> Result<Option<RestorePointRow>, StoreError> {
    let row = sqlx::query_as!(
        RestorePointRow,
        r#"select id as "id: RestorePointId", name, created_at, lsn::text as lsn, made_at
           from restore_points
           where archive_id = $1 and name = $2"#,
        archive.uuid(),
        name
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// How many of an archive are kept.
pub async fn count(tx: &mut TenantTx, archive: ArchiveId) -> Result<i64, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query!(
        r#"select count(*) as "count!" from restore_points
           where organization_id = $1 and archive_id = $2"#,
        organization.uuid(),
        archive.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.count)
}

/// Those of an archive that shall be made, oldest first.
pub async fn open(
    tx: &mut RegionTx,
    archive: ArchiveId,
) -> Result<Vec<RestorePointRequest>, StoreError> {
    let rows = sqlx::query_as!(
        RestorePointRequest,
        r#"select id as "restore_point_id: RestorePointId", name from restore_points
           where archive_id = $1 and made_at is null order by id"#,
        archive.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Writes those that a node has made.
pub async fn record(
    tx: &mut RegionTx,
    archive: ArchiveId,
    made: &[RestorePointStatus],
) -> Result<(), StoreError> {
    for point in made {
        sqlx::query!(
            "update restore_points set lsn = $3::text::pg_lsn, made_at = $4
             where id = $1 and archive_id = $2 and made_at is null",
            point.restore_point_id.uuid(),
            archive.uuid(),
            point.lsn.to_string(),
            point.made_at
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Forgets those that nothing can be restored to any more.
pub async fn expire(
    tx: &mut RegionTx,
    archive: ArchiveId,
    before: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from restore_points where archive_id = $1 and made_at < $2",
        archive.uuid(),
        before
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
