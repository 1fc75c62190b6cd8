//! Answers of requests that carried an idempotency key, kept with the change that they tell of.

use crate::store::{RegionTx, StoreError, TenantTx};
use time::OffsetDateTime;

/// A key as it was claimed: by whom, for which request.
#[derive(Debug, Clone)]
pub struct IdempotencyRecord<'a> {
    /// `usr_…` or `tok_…`.
    pub caller: &'a str,
    pub key: &'a str,
    /// Hex SHA-256 of method, path and body.
    pub request_hash: &'a str,
}

#[derive(Debug)]
pub struct StoredAnswer {
    pub request_hash: String,
    pub body: serde_json::Value,
}

/// Claims a key; false if it was used before. Waits for a transaction that has claimed it and has
/// not ended: when that one is undone, the claim is ours.
pub async fn claim(
    tx: &mut TenantTx,
    record: &IdempotencyRecord<'_>,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let organization = tx.organization();
    let claimed = sqlx::query!(
        "insert into idempotency_keys
             (organization_id, caller, key, request_hash, status, body, created_at)
         values ($1, $2, $3, $4, 0, '{}', $5)
         on conflict (organization_id, caller, key) do nothing",
        organization.uuid(),
        record.caller,
        record.key,
        record.request_hash,
        now
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(claimed == 1)
}

pub async fn find(
    tx: &mut TenantTx,
    caller: &str,
    key: &str,
) -> Result<Option<StoredAnswer>, StoreError> {
    let organization = tx.organization();
    let found = sqlx::query_as!(
        StoredAnswer,
        "select request_hash, body from idempotency_keys
         where organization_id = $1 and caller = $2 and key = $3",
        organization.uuid(),
        caller,
        key
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found)
}

/// Keeps the answer of a key that this transaction has claimed.
pub async fn answer(
    tx: &mut TenantTx,
    caller: &str,
    key: &str,
    status: i16,
    body: &serde_json::Value,
) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "update idempotency_keys set status = $4, body = $5
         where organization_id = $1 and caller = $2 and key = $3",
        organization.uuid(),
        caller,
        key,
        status,
        body
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Forgets answers that were given before this moment.
pub async fn purge(tx: &mut RegionTx, before: OffsetDateTime) -> Result<u64, StoreError> {
    let purged = sqlx::query!("delete from idempotency_keys where created_at < $1", before)
        .execute(tx.connection())
        .await?
        .rows_affected();
    Ok(purged)
}
