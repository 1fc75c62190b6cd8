//! What is sold and where: the same for everybody.

use crate::store::{IdentityTx, StoreError};

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
                compute_milli_vcpu_default, idle_timeout_seconds, members_max
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

/// Whether the database answers.
pub async fn ping(tx: &mut IdentityTx) -> Result<(), StoreError> {
    sqlx::query_scalar!(r#"select 1 as "one!""#)
        .fetch_one(tx.connection())
        .await?;
    Ok(())
}
