//! Archives of deleted databases, on their way out.

use super::{RegionTx, StoreError, TenantTx};
use lumadb_contract::id::{ArchiveId, DatabaseId, OrganizationId};
use time::OffsetDateTime;

/// An archive whose time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueArchive {
    pub id: ArchiveId,
    pub organization_id: OrganizationId,
    pub database_id: DatabaseId,
}

/// Those of a region whose database was deleted longer ago than the plan's window, at most `limit`.
pub async fn due(
    tx: &mut RegionTx,
    region: &str,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<DueArchive>, StoreError> {
    let rows = sqlx::query_as!(
        DueArchive,
        r#"select a.id as "id: ArchiveId", a.organization_id as "organization_id: OrganizationId",
                  a.database_id as "database_id: DatabaseId"
           from archives a
           join databases d on d.id = a.database_id
           join organizations o on o.id = a.organization_id
           join plans p on p.id = o.plan_id
           where d.region = $1 and d.deleted_at is not null
             and (a.removing_since is not null
                  or d.deleted_at + make_interval(days => p.restore_window_days) <= $2)
           -- One that cannot be removed shall not stand in the way of the others.
           order by random() limit $3"#,
        region,
        now,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Marks an archive, so that nothing is restored from it any more. False: something is, or is about
/// to be.
pub async fn mark(
    tx: &mut RegionTx,
    archive: &DueArchive,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let held = sqlx::query!(
        r#"select pg_try_advisory_xact_lock(hashtextextended($1::text, 1)) as "free!""#,
        archive.database_id.uuid().to_string()
    )
    .fetch_one(tx.connection())
    .await?;
    if !held.free {
        return Ok(false);
    }
    // A statement of its own: it sees what whoever held the lock before has written.
    let marked = sqlx::query!(
        "update archives a set removing_since = coalesce(removing_since, $2)
         where id = $1
           and not exists (select from restores r
                           where r.source_archive_id = a.id and r.ended_at is null)
           and not exists (select from drills l where l.archive_id = a.id and l.removed_at is null)",
        archive.id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(marked.rows_affected() > 0)
}

/// Keeps an archive from being marked until the transaction ends. To be called before its row is
/// read.
pub async fn hold_off(tx: &mut TenantTx, database: DatabaseId) -> Result<(), StoreError> {
    sqlx::query!(
        "select pg_advisory_xact_lock_shared(hashtextextended($1::text, 1))::text as lock",
        database.uuid().to_string()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

/// Forgets an archive whose objects are gone, and what was kept of its database for it. False: it
/// was forgotten before.
pub async fn forget(tx: &mut RegionTx, archive: &DueArchive) -> Result<bool, StoreError> {
    let (id, database) = (archive.id.uuid(), archive.database_id.uuid());
    sqlx::query!("delete from restore_points where archive_id = $1", id)
        .execute(tx.connection())
        .await?;
    sqlx::query!("delete from drills where archive_id = $1", id)
        .execute(tx.connection())
        .await?;
    sqlx::query!("delete from backups where archive_id = $1", id)
        .execute(tx.connection())
        .await?;
    sqlx::query!(
        "delete from logical_databases where database_id = $1",
        database
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "delete from database_roles where database_id = $1",
        database
    )
    .execute(tx.connection())
    .await?;
    let done = sqlx::query!(
        "delete from archives where id = $1 and removing_since is not null",
        id
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}
