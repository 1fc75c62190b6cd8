//! Effects that leave after commit: written with the change that causes them.

use crate::store::{EitherTx, IdentityTx, RegionTx, StoreError};
use lumadb_contract::id::OutboxId;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Channel on which a new row says "look".
pub const CHANNEL: &str = "outbox_added";

/// Adds a mail in the transaction of an identity.
pub async fn insert_mail(
    tx: &mut IdentityTx,
    id: OutboxId,
    payload: &serde_json::Value,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    write(tx.connection(), id, payload, now).await
}

/// Adds a mail in the transaction of a tenant or of the platform itself.
pub async fn insert_mail_of(
    tx: &mut EitherTx<'_>,
    id: OutboxId,
    payload: &serde_json::Value,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    write(tx.connection(), id, payload, now).await
}

async fn write(
    connection: &mut PgConnection,
    id: OutboxId,
    payload: &serde_json::Value,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into outbox (id, kind, payload, created_at, send_at) values ($1, 'mail', $2, $3, $3)",
        id.uuid(),
        payload,
        now
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(r#"select pg_notify($1, '') is null as "notified""#, CHANNEL)
        .fetch_one(connection)
        .await?;
    Ok(())
}

#[derive(Debug, Clone)]
pub struct DueRow {
    pub id: OutboxId,
    pub payload: serde_json::Value,
    /// How often it was tried before.
    pub attempts: i32,
    pub created_at: OffsetDateTime,
}

/// Takes rows that are due, for as long as the lease lasts; each goes to one taker.
pub async fn claim(
    tx: &mut RegionTx,
    now: OffsetDateTime,
    lease_until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<DueRow>, StoreError> {
    let rows = sqlx::query_as!(
        DueRow,
        r#"update outbox set lease_until = $2, attempts = attempts + 1
           where id in (select id from outbox
                        where sent_at is null and failed_at is null and send_at <= $1
                          and (lease_until is null or lease_until <= $1)
                        order by send_at limit $3 for update skip locked)
           returning id as "id: OutboxId", payload, attempts - 1 as "attempts!", created_at"#,
        now,
        lease_until,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Notes that it left, and forgets what it said: it may hold a secret link.
pub async fn sent(tx: &mut RegionTx, id: OutboxId, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "update outbox set sent_at = $2, lease_until = null, payload = '{}', error = null
         where id = $1",
        id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Tries again at `send_at`.
pub async fn retry(
    tx: &mut RegionTx,
    id: OutboxId,
    send_at: OffsetDateTime,
    error: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update outbox set send_at = $2, lease_until = null, error = $3 where id = $1",
        id.uuid(),
        send_at,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives up.
pub async fn failed(
    tx: &mut RegionTx,
    id: OutboxId,
    now: OffsetDateTime,
    error: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update outbox set failed_at = $2, lease_until = null, error = $3, payload = '{}'
         where id = $1",
        id.uuid(),
        now,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Forgets what was sent, or given up, before this moment.
pub async fn purge(tx: &mut RegionTx, before: OffsetDateTime) -> Result<u64, StoreError> {
    let purged = sqlx::query!(
        "delete from outbox where coalesce(sent_at, failed_at) < $1",
        before
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(purged)
}
