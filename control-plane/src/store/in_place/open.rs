//! Those under way: what decides what comes next, and the ways to their ends but one.

use super::remove_made;
use crate::app::state::{
    Desired, Durability, InPlacePhase, Observed, OperationKind, OperationState, RestorePhase, Step,
};
use crate::store::{RegionTx, StoreError};
use lumadb_contract::id::{DatabaseId, OperationId, OrganizationId};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

/// Those of a region that have not ended.
pub async fn open(tx: &mut RegionTx, region: &str) -> Result<Vec<OperationId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"select p.operation_id as "id: OperationId"
           from in_place_restores p join databases d on d.id = p.database_id
           where p.ended_at is null and d.region = $1 order by p.created_at"#,
        region
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(ids)
}

/// One of the two databases, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    pub id: DatabaseId,
    pub instance_id: DatabaseId,
    pub generation: i64,
    pub desired: Desired,
    pub observed: Observed,
    pub observed_generation: i64,
    pub durability: Durability,
    /// It stands still, whatever is asked of it.
    pub is_held: bool,
    /// A loop looks at it now.
    pub is_claimed: bool,
}

/// One that has not ended, with all that decides what comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenInPlace {
    pub operation_id: OperationId,
    pub organization_id: OrganizationId,
    pub phase: InPlacePhase,
    pub is_made: bool,
    pub stopping_since: Option<OffsetDateTime>,
    pub database: Side,
    pub kept: Side,
    /// How far the content is that the kept one was made with.
    pub restore: Option<RestorePhase>,
    pub refusal: Option<String>,
    /// The archive of what shall be restored holds a backup.
    pub is_backed_up: bool,
    pub kind: OperationKind,
    pub state: OperationState,
    pub steps: Vec<Step>,
    pub started_at: Option<OffsetDateTime>,
    pub deadline_at: OffsetDateTime,
}

/// Reads one and keeps others from changing it or its databases until the transaction ends. `None`:
/// it has ended, or another is at it.
pub async fn lock(
    tx: &mut RegionTx,
    operation: OperationId,
    now: OffsetDateTime,
) -> Result<Option<OpenInPlace>, StoreError> {
    let named = sqlx::query!(
        "select database_id, kept_database_id from in_place_restores
         where operation_id = $1 and ended_at is null",
        operation.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(named) = named else {
        return Ok(None);
    };
    let ids = [named.database_id, named.kept_database_id];
    // Usage is taken in under these, before it touches the rows of databases.
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended(instance_id::text, 0))::text as lock
         from (select instance_id from databases where id = any($1) order by instance_id) d",
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    let locked = sqlx::query_as!(
        Side,
        r#"select id as "id: DatabaseId", instance_id as "instance_id: DatabaseId", generation,
                  desired as "desired: Desired", observed as "observed: Observed",
                  observed_generation, durability as "durability: Durability",
                  hold is not null as "is_held!", coalesce(lease_until > $2, false) as "is_claimed!"
           from databases where id = any($1) order by id for update skip locked"#,
        &ids,
        now
    )
    .fetch_all(tx.connection())
    .await?;
    let side = |id: Uuid| locked.iter().find(|side| side.id.uuid() == id).cloned();
    let (Some(database), Some(kept)) = (side(named.database_id), side(named.kept_database_id))
    else {
        return Ok(None);
    };
    let row = sqlx::query!(
        r#"select p.organization_id as "organization_id: OrganizationId",
                  p.phase as "phase: InPlacePhase", p.is_made, p.stopping_since,
                  o.kind as "kind: OperationKind", o.state as "state: OperationState",
                  o.steps as "steps: Json<Vec<Step>>", o.started_at, o.deadline_at,
                  r.phase as "restore?: RestorePhase", r.refusal as "refusal?",
                  exists(select from archives a where a.database_id = p.kept_database_id
                           and a.windows <> '[]') as "is_backed_up!"
           from in_place_restores p
           join operations o on o.id = p.operation_id
           left join restores r on r.database_id = p.kept_database_id
           where p.operation_id = $1 and p.ended_at is null for update of p"#,
        operation.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| OpenInPlace {
        operation_id: operation,
        organization_id: row.organization_id,
        phase: row.phase,
        is_made: row.is_made,
        stopping_since: row.stopping_since,
        database,
        kept,
        restore: row.restore,
        refusal: row.refusal,
        is_backed_up: row.is_backed_up,
        kind: row.kind,
        state: row.state,
        steps: row.steps.0,
        started_at: row.started_at,
        deadline_at: row.deadline_at,
    }))
}

/// Has both stop. Nobody wakes them until this has ended.
pub async fn stop(
    tx: &mut RegionTx,
    open: &OpenInPlace,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update in_place_restores set phase = 'stopping', stopping_since = $2
         where operation_id = $1",
        open.operation_id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update databases
         set desired = 'asleep', generation = generation + 1, run_generation = generation + 1,
             look_at = $3, attempt = 0
         where id = $1 or id = $2",
        open.database.id.uuid(),
        open.kept.id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives up: the database goes on with what it has, and what was made for this goes.
pub async fn abandon(
    tx: &mut RegionTx,
    open: &OpenInPlace,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update in_place_restores set phase = 'abandoned', ended_at = $2 where operation_id = $1",
        open.operation_id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    if open.phase == InPlacePhase::Stopping {
        sqlx::query!(
            "update databases
             set desired = case when hold is null then 'running' else desired end,
                 hold_desired = case when hold is null then null else 'running' end,
                 generation = generation + 1, run_generation = generation + 1, look_at = $2,
                 attempt = 0
             where id = $1 and desired <> 'deleted' and deleted_at is null",
            open.database.id.uuid(),
            now
        )
        .execute(tx.connection())
        .await?;
    }
    if open.is_made {
        remove_made(tx.connection(), open.kept.id, now).await?;
    }
    Ok(())
}
