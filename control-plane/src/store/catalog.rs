//! What is sold and where: the same for everybody.

use crate::store::{IdentityTx, RegionTx, StoreError};

#[derive(Debug, Clone)]
pub struct RegionRow {
    pub name: String,
    pub display_name: String,
    pub host: String,
    pub port: i32,
}

#[derive(Debug, Clone)]
pub struct PlanRow {
    pub id: String,
    pub display_name: String,
    pub databases_max: Option<i32>,
    pub compute_milli_vcpu_max: i32,
    pub compute_milli_vcpu_default: i32,
    pub idle_timeout_seconds: Option<i32>,
    pub members_max: Option<i32>,
    pub durability_s3: bool,
}

#[derive(Debug, Clone)]
pub struct ComputeSizeRow {
    pub milli_vcpu: i32,
    pub memory_mib: i32,
    pub connections_max: i32,
}

pub async fn regions(tx: &mut IdentityTx) -> Result<Vec<RegionRow>, StoreError> {
    let rows = sqlx::query_as!(
        RegionRow,
        "select name, display_name, host, port from regions order by name"
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

pub async fn plans(tx: &mut IdentityTx) -> Result<Vec<PlanRow>, StoreError> {
    let rows = sqlx::query_as!(
        PlanRow,
        "select id, display_name, databases_max, compute_milli_vcpu_max,
                compute_milli_vcpu_default, idle_timeout_seconds, members_max, durability_s3
         from plans order by position"
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

pub async fn compute_sizes(tx: &mut IdentityTx) -> Result<Vec<ComputeSizeRow>, StoreError> {
    let rows = sqlx::query_as!(
        ComputeSizeRow,
        "select milli_vcpu, memory_mib, connections_max from compute_sizes order by milli_vcpu"
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// What of a plan is derived from the price book.
#[derive(Debug, Clone)]
pub struct DerivedPlan<'a> {
    pub id: &'a str,
    pub display_name: &'a str,
    pub position: i32,
    pub databases_max: Option<i32>,
    /// `None`: the largest size on offer.
    pub compute_milli_vcpu_max: Option<i32>,
    pub idle_timeout_seconds: Option<i32>,
    pub members_max: Option<i32>,
    pub restore_window_days: i32,
    pub archive_lag_ms: i32,
    pub durability_s3: bool,
    /// Version of the price book.
    pub book: &'a str,
}

/// Writes a plan, unless it was derived from this version before.
pub async fn plan_derive(tx: &mut RegionTx, plan: &DerivedPlan<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into plans as known (id, display_name, position, databases_max,
             compute_milli_vcpu_max, compute_milli_vcpu_default, idle_timeout_seconds, members_max,
             restore_window_days, archive_lag_ms, book, durability_s3)
         select $1, $2, $3, $4, most, least(most, 1000), $6, $7, $8, $9, $10, $11
         from (select coalesce($5::integer, max(milli_vcpu)) as most from compute_sizes) sizes
         on conflict (id) do update
         set display_name = excluded.display_name, position = excluded.position,
             databases_max = excluded.databases_max,
             compute_milli_vcpu_max = excluded.compute_milli_vcpu_max,
             compute_milli_vcpu_default = excluded.compute_milli_vcpu_default,
             idle_timeout_seconds = excluded.idle_timeout_seconds,
             members_max = excluded.members_max,
             restore_window_days = excluded.restore_window_days,
             archive_lag_ms = excluded.archive_lag_ms, book = excluded.book,
             durability_s3 = excluded.durability_s3
         where known.book <> excluded.book",
        plan.id,
        plan.display_name,
        plan.position,
        plan.databases_max,
        plan.compute_milli_vcpu_max,
        plan.idle_timeout_seconds,
        plan.members_max,
        plan.restore_window_days,
        plan.archive_lag_ms,
        plan.book,
        plan.durability_s3
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Whether the database answers.
pub async fn ping(tx: &mut IdentityTx) -> Result<(), StoreError> {
    sqlx::query_scalar!(r#"select 1 as "one!""#)
        .fetch_one(tx.connection())
        .await?;
    Ok(())
}
