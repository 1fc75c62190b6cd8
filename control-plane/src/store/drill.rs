//! Drills: backups that are restored to see whether they can be.

use super::{RegionTx, StoreError, TenantTx, desired};
use crate::app::state::DrillState;
use lumadb_contract::id::{ArchiveId, DatabaseId, DrillId, OrganizationId};
use time::OffsetDateTime;

/// A drill, as its organization sees it.
#[derive(Debug, Clone)]
pub struct DrillRow {
    pub id: DrillId,
    pub database_id: DatabaseId,
    pub state: DrillState,
    pub started_at: OffsetDateTime,
    pub rpo_ms: i64,
    pub ready_at: Option<OffsetDateTime>,
    pub reached: Option<OffsetDateTime>,
    pub restored_bytes: i64,
    pub tables_checked: i64,
    pub indexes_checked: i64,
    pub ended_at: Option<OffsetDateTime>,
    pub fault: Option<String>,
}

/// The drill of a region whose scratch instance may be there.
#[derive(Debug, Clone)]
pub struct OpenDrill {
    pub id: DrillId,
    pub organization_id: OrganizationId,
    pub archive_id: ArchiveId,
    pub database_id: DatabaseId,
    pub database_name: String,
    pub is_deleted: bool,
    pub instance_id: DatabaseId,
    pub state: DrillState,
    pub started_at: OffsetDateTime,
    pub engine_version: i16,
    pub milli_vcpu: i32,
    pub memory_mib: i32,
    pub connections_max: i32,
}

/// An archive whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueDrill {
    pub organization_id: OrganizationId,
    pub archive_id: ArchiveId,
}

#[derive(Debug)]
pub struct NewDrill<'a> {
    pub id: DrillId,
    pub organization: OrganizationId,
    pub archive: ArchiveId,
    pub database: DatabaseId,
    pub region: &'a str,
    pub instance: DatabaseId,
    pub rpo_ms: i64,
    pub now: OffsetDateTime,
}

/// How far a drill is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrillProgress {
    pub is_ready: bool,
    pub reached: Option<OffsetDateTime>,
    pub restored_bytes: u64,
    pub tables_checked: u64,
    pub indexes_checked: u64,
}

/// How a drill ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillEnd {
    pub state: DrillState,
    pub fault: Option<String>,
    pub error: Option<String>,
}

/// Those of a database, newest first, from below `before` on.
pub async fn list(
    tx: &mut TenantTx,
    database: DatabaseId,
    before: Option<DrillId>,
    limit: i64,
) -> Result<Vec<DrillRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        DrillRow,
        r#"select id as "id: DrillId", database_id as "database_id: DatabaseId",
                  state as "state: DrillState", started_at, rpo_ms, ready_at, reached,
                  restored_bytes, tables_checked, indexes_checked, ended_at, fault
           from drills
           where organization_id = $1 and database_id = $2 and ($3::uuid is null or id < $3)
           order by id desc limit $4"#,
        organization.uuid(),
        database.uuid(),
        before.map(DrillId::uuid),
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// The one of a region that is under way, or has to be cleaned up.
pub async fn open(tx: &mut RegionTx, region: &str) -> Result<Option<OpenDrill>, StoreError> {
    let row = sqlx::query_as!(
        OpenDrill,
        r#"select l.id as "id: DrillId", l.organization_id as "organization_id: OrganizationId",
                  l.archive_id as "archive_id: ArchiveId", l.database_id as "database_id: DatabaseId",
                  d.name as database_name,
                  d.deleted_at is not null or d.desired = 'deleted' as "is_deleted!",
                  l.instance_id as "instance_id: DatabaseId", l.state as "state: DrillState",
                  l.started_at, d.engine_version, d.milli_vcpu, s.memory_mib, s.connections_max
           from drills l join databases d on d.id = l.database_id
           join compute_sizes s using (milli_vcpu)
           where l.region = $1 and l.removed_at is null"#,
        region
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// The archive of a region that was tried longest ago, if it is its turn: the first time comes one
/// interval after it was made.
pub async fn due(
    tx: &mut RegionTx,
    region: &str,
    now: OffsetDateTime,
) -> Result<Option<DueDrill>, StoreError> {
    let row = sqlx::query_as!(
        DueDrill,
        r#"select a.organization_id as "organization_id: OrganizationId", a.id as "archive_id: ArchiveId"
           from archives a
           join databases d on d.id = a.database_id
           join organizations o on o.id = a.organization_id
           join plans p on p.id = o.plan_id
           cross join lateral (select coalesce(max(l.started_at), a.created_at) as at
                               from drills l where l.archive_id = a.id) last
           where d.region = $1 and d.desired <> 'deleted'
             and last.at + make_interval(hours => p.drill_interval_hours) <= $2
             and exists (select from backups b where b.archive_id = a.id and b.state = 'complete')
           order by last.at limit 1"#,
        region,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Begins one. False: another is under way.
pub async fn insert(tx: &mut RegionTx, new: &NewDrill<'_>) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into drills (id, organization_id, archive_id, database_id, region, instance_id,
             started_at, rpo_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
        new.id.uuid(),
        new.organization.uuid(),
        new.archive.uuid(),
        new.database.uuid(),
        new.region,
        new.instance.uuid(),
        new.now,
        new.rpo_ms
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Writes how far one is that has not ended.
pub async fn record(
    tx: &mut RegionTx,
    id: DrillId,
    progress: DrillProgress,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query!(
        "update drills
         set ready_at = case when $2 then coalesce(ready_at, $3) else ready_at end,
             reached = coalesce($4, reached), restored_bytes = greatest(restored_bytes, $5),
             tables_checked = greatest(tables_checked, $6),
             indexes_checked = greatest(indexes_checked, $7)
         where id = $1 and ended_at is null",
        id.uuid(),
        progress.is_ready,
        now,
        progress.reached,
        signed(progress.restored_bytes),
        signed(progress.tables_checked),
        signed(progress.indexes_checked)
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Ends one. False: it has ended already.
pub async fn end(
    tx: &mut RegionTx,
    id: DrillId,
    end: &DrillEnd,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update drills set state = $2, fault = $3, error = $4, ended_at = $5
         where id = $1 and ended_at is null",
        id.uuid(),
        end.state.as_str(),
        end.fault,
        end.error,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Nothing of the scratch instance is left; at last the source is looked at again, which held fast
/// what was restored from.
pub async fn removed(
    tx: &mut RegionTx,
    drill: &OpenDrill,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update drills set removed_at = $2
         where id = $1 and removed_at is null and ended_at is not null",
        drill.id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    desired::look_at(tx, drill.database_id, now).await
}

/// Whether an instance was made for a drill: nobody pays for it.
pub async fn is_scratch(tx: &mut RegionTx, instance: DatabaseId) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"select exists(select from drills where instance_id = $1) as "found!""#,
        instance.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.found)
}

/// Databases by how their last drill that ended has ended.
pub async fn counts(tx: &mut RegionTx) -> Result<Vec<(DrillState, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"select state as "state: DrillState", count(*) as "databases!"
           from (select distinct on (l.database_id) l.state
                 from drills l join databases d on d.id = l.database_id
                 where l.ended_at is not null and d.deleted_at is null
                 order by l.database_id, l.started_at desc) last
           group by state order by state"#
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.state, row.databases))
        .collect())
}
