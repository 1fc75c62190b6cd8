//! Databases that stand still because their organization does not pay.

use crate::store::{EitherTx, StoreError, TenantTx};
use lumadb_contract::id::{DatabaseId, OrganizationId};
use time::OffsetDateTime;

/// Holds every database of an organization; each remembers what it was asked to be.
pub async fn hold(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases
         set hold = 'payment', hold_desired = desired, desired = 'suspended',
             generation = generation + 1, run_generation = generation + 1, look_at = $2, attempt = 0
         where organization_id = $1 and deleted_at is null and desired <> 'deleted'
           and hold is null",
        organization.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Has every database that is held be again what it was asked to be.
pub async fn release(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases
         set desired = case desired when 'deleted' then desired else hold_desired end,
             hold = null, hold_desired = null, generation = generation + 1,
             run_generation = generation + 1, look_at = $2, attempt = 0
         where organization_id = $1 and deleted_at is null and hold is not null",
        organization.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub async fn is_held(tx: &mut TenantTx, id: DatabaseId) -> Result<bool, StoreError> {
    let organization = tx.organization();
    let held = sqlx::query_scalar!(
        r#"select hold is not null as "held!" from databases where organization_id = $1 and id = $2"#,
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(held.unwrap_or_default())
}
