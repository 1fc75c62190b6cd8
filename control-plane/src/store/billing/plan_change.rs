//! Changes of plan that were asked for.

use crate::app::billing::PlanChangeState;
use crate::store::{EitherTx, RegionTx, StoreError};
use lumadb_contract::id::{OrganizationId, PlanChangeId};
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct PlanChangeRow {
    pub id: PlanChangeId,
    pub from_plan_id: String,
    pub plan_id: String,
    pub state: PlanChangeState,
    /// When a scheduled one is due, or when it came into force.
    pub effective_at: Option<OffsetDateTime>,
    /// `usr_…`, `tok_…` or `system`.
    pub requested_by: String,
    pub created_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
}

/// Writes one. The customer's row must be locked.
pub async fn insert(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    new: &PlanChangeRow,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into plan_changes (id, organization_id, from_plan_id, plan_id, state, effective_at,
             requested_by, created_at, ended_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.id.uuid(),
        organization.uuid(),
        new.from_plan_id,
        new.plan_id,
        new.state.as_str(),
        new.effective_at,
        new.requested_by,
        new.created_at,
        new.ended_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The one that has not ended.
pub async fn open(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Option<PlanChangeRow>, StoreError> {
    let rows = select(tx, organization, None, true, 1).await?;
    Ok(rows.into_iter().next())
}

/// Newest first, from behind `before` on.
pub async fn list(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    before: Option<PlanChangeId>,
    limit: i64,
) -> Result<Vec<PlanChangeRow>, StoreError> {
    select(tx, organization, before, false, limit).await
}

async fn select(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    before: Option<PlanChangeId>,
    only_open: bool,
    limit: i64,
) -> Result<Vec<PlanChangeRow>, StoreError> {
    let rows = sqlx::query_as!(
        PlanChangeRow,
        r#"select id as "id: PlanChangeId", from_plan_id, plan_id,
                  state as "state: PlanChangeState", effective_at, requested_by, created_at, ended_at
           from plan_changes
           where organization_id = $1 and ($2::uuid is null or id < $2)
             and (not $3 or ended_at is null)
           order by id desc limit $4"#,
        organization.uuid(),
        before.map(PlanChangeId::uuid),
        only_open,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Ends one. The customer's row must be locked.
pub async fn end(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: PlanChangeId,
    state: PlanChangeState,
    effective_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update plan_changes set state = $3, effective_at = coalesce($4, effective_at), ended_at = $5
         where organization_id = $1 and id = $2 and ended_at is null",
        organization.uuid(),
        id.uuid(),
        state.as_str(),
        effective_at,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Organizations with a scheduled change that is due, the longest due first.
pub async fn due(
    tx: &mut RegionTx,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<OrganizationId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"select organization_id as "id: OrganizationId" from plan_changes
           where state = 'scheduled' and effective_at <= $1 order by effective_at limit $2"#,
        now,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Members of an organization.
pub async fn members(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from memberships where organization_id = $1"#,
        organization.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

/// Has databases fall asleep at the latest after so long, where the plan says so.
pub async fn idle_timeouts_bound(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    seconds_max: i32,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases set idle_timeout_seconds = $2, revision = revision + 1, look_at = $3
         where organization_id = $1 and deleted_at is null
           and (idle_timeout_seconds is null or idle_timeout_seconds > $2)",
        organization.uuid(),
        seconds_max,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
