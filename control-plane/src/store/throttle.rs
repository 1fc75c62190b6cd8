//! Counters of attempts, shared by every process.

use crate::store::{IdentityTx, RegionTx, StoreError};
use time::OffsetDateTime;

/// Counts one attempt and gives their number in this window. The count holds from the commit on.
pub async fn hit(
    tx: &mut IdentityTx,
    key: &str,
    window_start: OffsetDateTime,
) -> Result<i32, StoreError> {
    let attempts = sqlx::query_scalar!(
        "insert into throttles as t (key, window_start, attempts) values ($1, $2, 1)
         on conflict (key, window_start) do update set attempts = t.attempts + 1
         returning attempts",
        key,
        window_start
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(attempts)
}

/// Takes one attempt back: it was none.
pub async fn forgive(
    tx: &mut IdentityTx,
    key: &str,
    window_start: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update throttles set attempts = attempts - 1
         where key = $1 and window_start = $2 and attempts > 0",
        key,
        window_start
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Forgets windows that began before this moment.
pub async fn purge(tx: &mut RegionTx, before: OffsetDateTime) -> Result<u64, StoreError> {
    let purged = sqlx::query!("delete from throttles where window_start < $1", before)
        .execute(tx.connection())
        .await?
        .rows_affected();
    Ok(purged)
}
