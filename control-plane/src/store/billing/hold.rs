//! Databases that stand still, whatever is asked of them: their organization does not pay, or its
//! spend cap is used. Not paying is the stronger reason: it takes a hold over, and whoever looks at
//! spend caps holds again what it released.

use crate::store::{EitherTx, RegionTx, StoreError, TenantTx};
use lumadb_contract::id::{DatabaseId, OrganizationId};
use time::OffsetDateTime;

/// Why a database is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldReason {
    Payment,
    SpendCap,
}

/// Holds every database of an organization that does not pay; each remembers what it was asked to
/// be.
pub async fn hold(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases
         set hold = 'payment', hold_desired = coalesce(hold_desired, desired),
             desired = 'suspended', generation = generation + 1,
             run_generation = generation + 1, look_at = $2, attempt = 0
         where organization_id = $1 and deleted_at is null and desired <> 'deleted'
           and hold is distinct from 'payment'",
        organization.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Has every database that was held for not being paid be again what it was asked to be.
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
         where organization_id = $1 and deleted_at is null and hold = 'payment'",
        organization.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Holds a database for a used spend cap.
pub async fn hold_for_cap(
    tx: &mut RegionTx,
    database: DatabaseId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases
         set hold = 'spend_cap', hold_desired = desired, desired = 'suspended',
             generation = generation + 1, run_generation = generation + 1, look_at = $2,
             attempt = 0
         where id = $1 and hold is null and desired <> 'deleted' and deleted_at is null",
        database.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Has a database that was held for a spend cap be again what it was asked to be.
pub async fn release_for_cap(
    tx: &mut RegionTx,
    database: DatabaseId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases
         set desired = case desired when 'deleted' then desired else hold_desired end,
             hold = null, hold_desired = null, generation = generation + 1,
             run_generation = generation + 1, look_at = $2, attempt = 0
         where id = $1 and hold = 'spend_cap' and deleted_at is null",
        database.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Why a database is held, if it is.
pub async fn reason(tx: &mut TenantTx, id: DatabaseId) -> Result<Option<HoldReason>, StoreError> {
    let organization = tx.organization();
    let reason = sqlx::query_scalar!(
        "select hold from databases where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    match reason.flatten().as_deref() {
        None => Ok(None),
        Some("payment") => Ok(Some(HoldReason::Payment)),
        Some("spend_cap") => Ok(Some(HoldReason::SpendCap)),
        Some(other) => Err(StoreError::Corrupt(format!("a hold for {other}"))),
    }
}
