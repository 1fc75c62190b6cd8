//! How far billing's time is ahead of the clock.

use crate::store::{EitherTx, IdentityTx, RegionTx, StoreError};
use sqlx::PgConnection;
use time::Duration;

pub async fn ahead(tx: &mut EitherTx<'_>) -> Result<Duration, StoreError> {
    read(tx.connection()).await
}

/// What time it is is no secret.
pub async fn ahead_of_identity(tx: &mut IdentityTx) -> Result<Duration, StoreError> {
    read(tx.connection()).await
}

async fn read(connection: &mut PgConnection) -> Result<Duration, StoreError> {
    let ahead_us = sqlx::query_scalar!("select ahead_us from billing_clock")
        .fetch_one(connection)
        .await?;
    Ok(Duration::microseconds(ahead_us))
}

/// Moves it further ahead; how far it is then.
pub async fn advance(tx: &mut RegionTx, by: Duration) -> Result<Duration, StoreError> {
    let by_us = i64::try_from(by.whole_microseconds()).unwrap_or(i64::MAX);
    let ahead_us = sqlx::query_scalar!(
        "update billing_clock set ahead_us = ahead_us + $1 returning ahead_us",
        by_us
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Duration::microseconds(ahead_us))
}
