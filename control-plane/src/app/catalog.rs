//! What is sold and where; the same for everybody, logged in or not.

use crate::app::{AppError, Platform};
use crate::store::catalog;
use serde::Serialize;
use utoipa::ToSchema;

/// Where databases can be.
#[derive(Debug, Serialize, ToSchema)]
pub struct Region {
    pub name: String,
    pub display_name: String,
    /// Host that clients of its databases connect to.
    pub host: String,
    pub port: i32,
}

/// What an organization can have.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plan {
    pub id: String,
    pub display_name: String,
    /// Null: as many as you like.
    pub databases_max: Option<i32>,
    /// Thousandths of a vCPU.
    pub compute_milli_vcpu_max: i32,
    /// Thousandths of a vCPU.
    pub compute_milli_vcpu_default: i32,
    /// Seconds without a client after which a database falls asleep; null: never.
    pub idle_timeout_seconds: Option<i32>,
    /// Null: as many as you like.
    pub members_max: Option<i32>,
}

/// A size of compute on offer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ComputeSize {
    /// Thousandths of a vCPU.
    pub milli_vcpu: i32,
    pub memory_mib: i32,
    pub connections_max: i32,
}

/// Plans, and the sizes that they can use.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plans {
    pub items: Vec<Plan>,
    pub compute_sizes: Vec<ComputeSize>,
}

pub async fn region_list(platform: &Platform) -> Result<Vec<Region>, AppError> {
    let mut tx = platform.store.identity(None, None).await?;
    let rows = catalog::regions(&mut tx).await?;
    tx.commit().await?;
    let regions = rows.into_iter().map(|row| Region {
        name: row.name,
        display_name: row.display_name,
        host: row.host,
        port: row.port,
    });
    Ok(regions.collect())
}

pub async fn plan_list(platform: &Platform) -> Result<Plans, AppError> {
    let mut tx = platform.store.identity(None, None).await?;
    let plans = catalog::plans(&mut tx).await?;
    let sizes = catalog::compute_sizes(&mut tx).await?;
    tx.commit().await?;
    let items = plans.into_iter().map(|row| Plan {
        id: row.id,
        display_name: row.display_name,
        databases_max: row.databases_max,
        compute_milli_vcpu_max: row.compute_milli_vcpu_max,
        compute_milli_vcpu_default: row.compute_milli_vcpu_default,
        idle_timeout_seconds: row.idle_timeout_seconds,
        members_max: row.members_max,
    });
    let compute_sizes = sizes.into_iter().map(|row| ComputeSize {
        milli_vcpu: row.milli_vcpu,
        memory_mib: row.memory_mib,
        connections_max: row.connections_max,
    });
    Ok(Plans {
        items: items.collect(),
        compute_sizes: compute_sizes.collect(),
    })
}

/// Whether the control plane's database answers.
pub async fn ready(platform: &Platform) -> Result<(), AppError> {
    let mut tx = platform.store.identity(None, None).await?;
    catalog::ping(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}
