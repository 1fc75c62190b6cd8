//! The organization as a customer at Stripe, made when it is first needed.

use super::Collector;
use super::sender::Outcome;
use crate::app::AppError;
use crate::store::billing::customer as billing_customer;
use crate::store::stripe::customer::{self, StripeCustomerRow};
use crate::store::{EitherTx, StoreError};
use lumadb_billing::stripe::{Failure, Key, NewCustomer};
use lumadb_contract::id::OrganizationId;
use time::Duration;

/// A key is used so long: Stripe forgets it after 24 hours.
pub(super) const KEY_LIFE: Duration = Duration::hours(23);

/// How long a customer is asked for by one key: it may hold an error, and whoever waits for the page
/// waits as long. Longer than Stripe's search takes to find what was made, which is less than a
/// minute (Stripe's reference, "Search").
const PATIENCE: Duration = Duration::minutes(2);

/// Its identifier at Stripe.
pub(super) async fn ensure(
    collector: &Collector,
    organization: OrganizationId,
) -> Result<Result<String, Outcome>, AppError> {
    let platform = &collector.platform;
    let now = platform.clock.now();
    let mut region = platform.store.region().await?;
    let mut tx = EitherTx::Region(&mut region);
    let first = format!("customer-{}", platform.clock.new_uuid());
    customer::ensure(&mut tx, organization, &first, now).await?;
    let row = customer::find(&mut tx, organization)
        .await?
        .ok_or_else(gone)?;
    let new = describe(&mut tx, organization).await?;
    region.commit().await?;
    if let Some(customer) = row.customer {
        return Ok(Ok(customer));
    }
    let made = match make(collector, &row, &new).await? {
        Ok(made) => made,
        Err(failure) => return Ok(Err(failure.into())),
    };
    let mut region = platform.store.region().await?;
    customer::made(&mut EitherTx::Region(&mut region), organization, &made, now).await?;
    region.commit().await?;
    Ok(Ok(made))
}

async fn make(
    collector: &Collector,
    row: &StripeCustomerRow,
    new: &NewCustomer,
) -> Result<Result<String, Failure>, AppError> {
    let (platform, stripe) = (&collector.platform, &collector.account.stripe);
    let now = platform.clock.now();
    let mut key = row.idempotency_key.clone();
    if now - row.key_made_at > PATIENCE {
        match stripe.customer_find(&new.organization).await {
            Ok(Some(found)) => return Ok(Ok(found.id)),
            Ok(None) => {}
            Err(failure) => return Ok(Err(failure)),
        }
        key = format!("customer-{}", platform.clock.new_uuid());
        let mut region = platform.store.region().await?;
        let mut tx = EitherTx::Region(&mut region);
        customer::key_change(&mut tx, row.organization_id, &key, now).await?;
        region.commit().await?;
    }
    let key = Key::new(&key).map_err(AppError::internal)?;
    Ok(stripe.customer_create(&key, new).await.map(|made| made.id))
}

async fn describe(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<NewCustomer, StoreError> {
    let row = billing_customer::find(tx, organization)
        .await?
        .ok_or_else(gone)?;
    let owners = billing_customer::owners(tx, organization).await?;
    let owner = owners.into_iter().next().map(|(email, _)| email);
    Ok(NewCustomer {
        organization: organization.to_string(),
        name: row.name.unwrap_or(row.organization_name),
        email: row.email.or(owner).unwrap_or_default(),
    })
}

fn gone() -> StoreError {
    StoreError::Corrupt("an organization without a row of its billing".into())
}
