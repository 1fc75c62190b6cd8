//! What an organization begins with.

use super::CollectionMode;
use crate::app::{AppError, Platform};
use crate::store::IdentityTx;
use crate::store::billing::subscription::{self, NewSubscription};
use crate::store::billing::{clock, customer};
use crate::store::organization::OrganizationRow;
use lumadb_billing::period::Period;
use lumadb_billing::rating::Agreement;
use lumadb_contract::id::SubscriptionId;

/// Puts a new organization on its first plan. The transaction's user has just made it.
pub(in crate::app) async fn start(
    platform: &Platform,
    tx: &mut IdentityTx,
    organization: &OrganizationRow,
    caller: &str,
) -> Result<(), AppError> {
    let now = platform.clock.now() + clock::ahead_of_identity(tx).await?;
    let collection = platform.collection.as_ref();
    let mode = collection.map_or(CollectionMode::Manual, |collection| collection.mode());
    let period = Period::of(now)?.start().date();
    customer::insert_as_identity(tx, organization.id, mode, period, now).await?;
    let first = NewSubscription {
        id: SubscriptionId::from_uuid(platform.clock.new_uuid()),
        organization: organization.id,
        plan_id: &organization.plan_id,
        agreement: &Agreement::default(),
        starts_at: now,
        created_by: caller,
    };
    subscription::insert_as_identity(tx, &first).await?;
    Ok(())
}
