//! Spend caps in force: who is degraded for one, in which order, and who was told of a budget.

use super::{EitherTx, RegionTx, StoreError, TenantTx};
use crate::app::limits::CapStage;
use lumadb_contract::id::{DatabaseId, OrganizationId};
use lumadb_contract::money::Cents;
use std::collections::BTreeMap;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// Organizations with a cap or a budget, and those whose databases are degraded for one.
pub async fn organizations(tx: &mut RegionTx) -> Result<Vec<OrganizationId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"select organization_id as "id: OrganizationId" from billing_customers
           where spend_cap_cents is not null or cardinality(budgets_cents) > 0
              or organization_id in (select organization_id from cap_stages)
           order by organization_id"#
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// How far each degraded database of an organization is.
pub async fn stages(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<BTreeMap<DatabaseId, CapStage>, StoreError> {
    let rows = sqlx::query!(
        r#"select database_id as "database: DatabaseId", stage from cap_stages
           where organization_id = $1"#,
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    let stages = rows.into_iter().map(|row| match row.stage.as_str() {
        "read_only" => Ok((row.database, CapStage::ReadOnly)),
        "asleep" => Ok((row.database, CapStage::Asleep)),
        other => Err(StoreError::Corrupt(format!("the stage {other} of a cap"))),
    });
    stages.collect()
}

/// Replaces them.
pub async fn stages_set(
    tx: &mut RegionTx,
    organization: OrganizationId,
    stages: &BTreeMap<DatabaseId, CapStage>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let databases: Vec<Uuid> = stages.keys().map(|database| database.uuid()).collect();
    let names: Vec<String> = stages.values().map(|stage| stage.as_str().into()).collect();
    sqlx::query!(
        "delete from cap_stages where organization_id = $1 and database_id <> all($2)",
        organization.uuid(),
        &databases
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "insert into cap_stages (database_id, organization_id, stage, since)
         select id, $1, stage, $4 from unnest($2::uuid[], $3::text[]) as given (id, stage)
         on conflict (database_id) do update set stage = excluded.stage, since = excluded.since
         where cap_stages.stage <> excluded.stage",
        organization.uuid(),
        &databases,
        &names,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether a database is degraded for a used cap, and the cap.
pub async fn degraded(
    tx: &mut RegionTx,
    database: DatabaseId,
) -> Result<Option<Option<i64>>, StoreError> {
    let cap = sqlx::query_scalar!(
        "select c.spend_cap_cents from cap_stages s
         join billing_customers c on c.organization_id = s.organization_id
         where s.database_id = $1",
        database.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(cap)
}

/// The order in which an organization's databases fall asleep, as far as its owner named it.
pub async fn order(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Vec<DatabaseId>, StoreError> {
    let named = sqlx::query_scalar!(
        "select database_ids from cap_orders where organization_id = $1",
        organization.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    let named = named.unwrap_or_default().into_iter();
    Ok(named.map(DatabaseId::from_uuid).collect())
}

pub async fn order_set(tx: &mut TenantTx, order: &[DatabaseId]) -> Result<(), StoreError> {
    let organization = tx.organization();
    let order: Vec<Uuid> = order.iter().map(|database| database.uuid()).collect();
    sqlx::query!(
        "insert into cap_orders (organization_id, database_ids) values ($1, $2)
         on conflict (organization_id) do update set database_ids = excluded.database_ids",
        organization.uuid(),
        &order
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What an organization is told of what it spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpendAlert {
    Budget,
    SpendCapNear,
    SpendCap,
}

impl SpendAlert {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::SpendCapNear => "spend_cap_near",
            Self::SpendCap => "spend_cap",
        }
    }
}

/// Notes that an amount was reached in a period. Whether that is new.
pub async fn alert_insert(
    tx: &mut RegionTx,
    organization: OrganizationId,
    period: Date,
    kind: SpendAlert,
    amount: Cents,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into spend_alerts (organization_id, period, kind, amount_cents, created_at)
         values ($1, $2, $3, $4, $5) on conflict do nothing",
        organization.uuid(),
        period,
        kind.as_str(),
        amount.get(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}
