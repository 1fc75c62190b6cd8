//! Organizations at Stripe.

use crate::store::{EitherTx, StoreError};
use lumadb_contract::id::OrganizationId;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use time::OffsetDateTime;

/// What a customer knows a card by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRow {
    pub brand: String,
    pub last4: String,
    pub exp_month: i64,
    pub exp_year: i64,
}

#[derive(Debug, Clone)]
pub struct StripeCustomerRow {
    pub organization_id: OrganizationId,
    pub customer: Option<String>,
    pub idempotency_key: String,
    pub key_made_at: OffsetDateTime,
    pub payment_method: Option<String>,
    pub card: Option<Json<CardRow>>,
}

/// The row, made with this key where there is none.
pub async fn ensure(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    key: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into stripe_customers (organization_id, idempotency_key, key_made_at, changed_at)
         values ($1, $2, $3, $3) on conflict (organization_id) do nothing",
        organization.uuid(),
        key,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub async fn find(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Option<StripeCustomerRow>, StoreError> {
    let row = sqlx::query_as!(
        StripeCustomerRow,
        r#"select organization_id as "organization_id: OrganizationId", customer, idempotency_key,
                  key_made_at, payment_method, card as "card: Json<CardRow>"
           from stripe_customers where organization_id = $1"#,
        organization.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Whose customer this is.
pub async fn owner(
    tx: &mut EitherTx<'_>,
    customer: &str,
) -> Result<Option<OrganizationId>, StoreError> {
    let owner = sqlx::query_scalar!(
        r#"select organization_id as "organization_id: OrganizationId"
           from stripe_customers where customer = $1"#,
        customer
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(owner)
}

/// Takes another key, after the old one had no effect.
pub async fn key_change(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    key: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_customers set idempotency_key = $2, key_made_at = $3
         where organization_id = $1 and customer is null",
        organization.uuid(),
        key,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes what Stripe calls it.
pub async fn made(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    customer: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_customers set customer = $2, changed_at = $3
         where organization_id = $1 and customer is null",
        organization.uuid(),
        customer,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes the card that invoices are paid with; `None`: there is none any more.
pub async fn card_change(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    payment_method: Option<&str>,
    card: Option<&CardRow>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_customers set payment_method = $2, card = $3, changed_at = $4
         where organization_id = $1",
        organization.uuid(),
        payment_method,
        card.map(Json) as _,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
