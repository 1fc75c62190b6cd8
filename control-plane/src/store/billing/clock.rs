//! How far billing's time is ahead of the clock.

use crate::store::{EitherTx, IdentityTx, RegionTx, StoreError};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

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

/// When it was last moved, by the clock that is never moved; `None`: it never was.
pub async fn moved_at(tx: &mut RegionTx) -> Result<Option<OffsetDateTime>, StoreError> {
    let moved_at = sqlx::query_scalar!("select moved_at from billing_clock")
        .fetch_one(tx.connection())
        .await?;
    Ok(moved_at)
}

/// Moves it further ahead at `now`, by the clock that is never moved; how far it is then.
pub async fn advance(
    tx: &mut RegionTx,
    by: Duration,
    now: OffsetDateTime,
) -> Result<Duration, StoreError> {
    let by_us = i64::try_from(by.whole_microseconds()).unwrap_or(i64::MAX);
    let ahead_us = sqlx::query_scalar!(
        "update billing_clock set ahead_us = ahead_us + $1, moved_at = $2 returning ahead_us",
        by_us,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Duration::microseconds(ahead_us))
}
