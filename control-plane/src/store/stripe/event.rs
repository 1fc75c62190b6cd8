//! What Stripe told.

use super::notify;
use crate::store::{EitherTx, RegionTx, StoreError};
use time::OffsetDateTime;

#[derive(Debug)]
pub struct NewEvent<'a> {
    pub id: &'a str,
    pub kind: &'a str,
    /// As it came.
    pub payload: &'a serde_json::Value,
    /// `webhook` or `list`.
    pub source: &'a str,
    pub happened_at: OffsetDateTime,
}

#[derive(Debug, Clone)]
pub struct EventRow {
    pub id: String,
    pub kind: String,
    pub payload: serde_json::Value,
    pub attempts: i32,
}

/// Adds an event; false if it is there already.
pub async fn insert(
    tx: &mut RegionTx,
    new: &NewEvent<'_>,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let added = sqlx::query!(
        "insert into stripe_events (id, kind, payload, source, happened_at, received_at, handle_at)
         values ($1, $2, $3, $4, $5, $6, $6) on conflict (id) do nothing",
        new.id,
        new.kind,
        new.payload,
        new.source,
        new.happened_at,
        now
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    if added == 1 {
        notify(&mut EitherTx::Region(tx)).await?;
    }
    Ok(added == 1)
}

/// Events that wait to be handled. Handling one twice changes nothing: no lease is needed.
pub async fn due(
    tx: &mut RegionTx,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        "select id, kind, payload, attempts from stripe_events
         where handled_at is null and failed_at is null and handle_at <= $1
         order by handle_at, id limit $2",
        now,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Notes that it is handled, in the transaction of its effect; false if that was noted before.
pub async fn handled(tx: &mut RegionTx, id: &str, now: OffsetDateTime) -> Result<bool, StoreError> {
    let handled = sqlx::query!(
        "update stripe_events set handled_at = $2, error = null
         where id = $1 and handled_at is null",
        id,
        now
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(handled == 1)
}

/// To be handled again later, or, with `failed_at`, not any more.
pub async fn retry(
    tx: &mut RegionTx,
    id: &str,
    handle_at: OffsetDateTime,
    failed_at: Option<OffsetDateTime>,
    error: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_events
         set handle_at = $2, failed_at = $3, error = $4, attempts = attempts + 1 where id = $1",
        id,
        handle_at,
        failed_at,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// When the latest event that we know of happened.
pub async fn latest(tx: &mut RegionTx) -> Result<Option<OffsetDateTime>, StoreError> {
    let latest = sqlx::query_scalar!("select max(happened_at) from stripe_events")
        .fetch_one(tx.connection())
        .await?;
    Ok(latest)
}

/// Forgets those that were handled before this moment.
pub async fn purge(tx: &mut RegionTx, before: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!("delete from stripe_events where handled_at < $1", before)
        .execute(tx.connection())
        .await?;
    Ok(())
}
