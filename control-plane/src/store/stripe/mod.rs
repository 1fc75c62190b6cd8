//! What is kept of Stripe: customers, what is to be sent, events, comparisons.

pub mod checkout;
pub mod customer;
pub mod event;
pub mod report;
pub mod task;

use super::{EitherTx, StoreError};

/// Channel on which a new row says "look".
pub const CHANNEL: &str = "stripe_added";

/// Says so to whoever sends, at the commit.
async fn notify(tx: &mut EitherTx<'_>) -> Result<(), StoreError> {
    sqlx::query!(r#"select pg_notify($1, '') is null as "notified""#, CHANNEL)
        .fetch_one(tx.connection())
        .await?;
    Ok(())
}
