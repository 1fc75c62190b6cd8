//! Sessions of the web console.

use crate::store::{IdentityTx, StoreError};
use lumadb_contract::id::{SessionId, UserId};
use std::net::IpAddr;
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    pub id: SessionId,
    pub user: UserId,
    pub token_hash: &'a str,
    pub user_agent: &'a str,
    pub client_address: Option<IpAddr>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Clone)]
pub struct SessionRow {
    pub id: SessionId,
    pub user_id: UserId,
    pub user_agent: String,
    pub client_address: Option<String>,
    pub created_at: OffsetDateTime,
    pub last_seen_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

pub async fn insert(tx: &mut IdentityTx, session: &NewSession<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into sessions (id, user_id, token_hash, user_agent, client_address, created_at,
                               last_seen_at, expires_at)
         values ($1, $2, $3, $4, $5::text::inet, $6, $6, $7)",
        session.id.uuid(),
        session.user.uuid(),
        session.token_hash,
        session.user_agent,
        session.client_address.map(|address| address.to_string()),
        session.created_at,
        session.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A session that has not expired. The transaction looks up the hash.
pub async fn find(
    tx: &mut IdentityTx,
    token_hash: &str,
    now: OffsetDateTime,
) -> Result<Option<SessionRow>, StoreError> {
    let session = sqlx::query_as!(
        SessionRow,
        r#"select id as "id: SessionId", user_id as "user_id: UserId", user_agent,
                  host(client_address) as client_address, created_at, last_seen_at, expires_at
           from sessions where token_hash = $1 and expires_at > $2"#,
        token_hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(session)
}

/// Notes that the session is in use.
pub async fn touch(
    tx: &mut IdentityTx,
    id: SessionId,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update sessions set last_seen_at = $2, expires_at = $3 where id = $1",
        id.uuid(),
        now,
        expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The user's sessions that have not expired, the latest first.
pub async fn list(
    tx: &mut IdentityTx,
    user: UserId,
    now: OffsetDateTime,
) -> Result<Vec<SessionRow>, StoreError> {
    let sessions = sqlx::query_as!(
        SessionRow,
        r#"select id as "id: SessionId", user_id as "user_id: UserId", user_agent,
                  host(client_address) as client_address, created_at, last_seen_at, expires_at
           from sessions where user_id = $1 and expires_at > $2
           order by last_seen_at desc, id limit 1000"#,
        user.uuid(),
        now
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(sessions)
}

/// Ends one session of the user; false if there is none.
pub async fn delete(tx: &mut IdentityTx, user: UserId, id: SessionId) -> Result<bool, StoreError> {
    let deleted = sqlx::query!(
        "delete from sessions where id = $1 and user_id = $2",
        id.uuid(),
        user.uuid()
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(deleted == 1)
}

/// Ends the session with this secret. The transaction looks up the hash.
pub async fn delete_by_hash(tx: &mut IdentityTx, token_hash: &str) -> Result<(), StoreError> {
    sqlx::query!("delete from sessions where token_hash = $1", token_hash)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Gives a session of the user's a new secret; false if it has ended.
pub async fn rotate(
    tx: &mut IdentityTx,
    user: UserId,
    id: SessionId,
    token_hash: &str,
) -> Result<bool, StoreError> {
    let rotated = sqlx::query!(
        "update sessions set token_hash = $3 where id = $1 and user_id = $2",
        id.uuid(),
        user.uuid(),
        token_hash
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(rotated == 1)
}

/// Ends every session of the user but this one.
pub async fn delete_others(
    tx: &mut IdentityTx,
    user: UserId,
    current: SessionId,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from sessions where user_id = $1 and id <> $2",
        user.uuid(),
        current.uuid()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Ends all sessions of the user.
pub async fn delete_all(tx: &mut IdentityTx, user: UserId) -> Result<(), StoreError> {
    sqlx::query!("delete from sessions where user_id = $1", user.uuid())
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Forgets what has expired of the user's.
pub async fn delete_expired(
    tx: &mut IdentityTx,
    user: UserId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from sessions where user_id = $1 and expires_at <= $2",
        user.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
