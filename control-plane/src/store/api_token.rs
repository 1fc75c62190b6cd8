//! Tokens for the API.

use crate::store::{IdentityTx, StoreError, TenantTx};
use lumadb_contract::id::{ApiTokenId, OrganizationId, UserId};
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct ApiTokenRow {
    pub id: ApiTokenId,
    pub user_id: UserId,
    pub name: String,
    pub hint: String,
    pub read_only: bool,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub last_used_at: Option<OffsetDateTime>,
}

/// What a token that was shown stands for.
#[derive(Debug, Clone)]
pub struct KnownToken {
    pub id: ApiTokenId,
    pub organization_id: OrganizationId,
    pub user_id: UserId,
    pub read_only: bool,
    pub last_used_at: Option<OffsetDateTime>,
}

/// A token that has not expired. The transaction looks up the hash.
pub async fn find(
    tx: &mut IdentityTx,
    token_hash: &str,
    now: OffsetDateTime,
) -> Result<Option<KnownToken>, StoreError> {
    let token = sqlx::query_as!(
        KnownToken,
        r#"select id as "id: ApiTokenId", organization_id as "organization_id: OrganizationId",
                  user_id as "user_id: UserId", read_only, last_used_at
           from api_tokens where token_hash = $1 and expires_at > $2"#,
        token_hash,
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(token)
}

/// Notes that the token is in use. The transaction looks up the hash.
pub async fn touch(
    tx: &mut IdentityTx,
    id: ApiTokenId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update api_tokens set last_used_at = $2 where id = $1",
        id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub async fn insert(
    tx: &mut TenantTx,
    token: &ApiTokenRow,
    token_hash: &str,
) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "insert into api_tokens (id, organization_id, user_id, name, token_hash, hint, read_only,
                                 created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        token.id.uuid(),
        organization.uuid(),
        token.user_id.uuid(),
        token.name,
        token_hash,
        token.hint,
        token.read_only,
        token.created_at,
        token.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How many tokens the organization has.
pub async fn count(tx: &mut TenantTx) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(r#"select count(*) as "count!" from api_tokens"#)
        .fetch_one(tx.connection())
        .await?;
    Ok(count)
}

/// Newest first, from below `before` on.
pub async fn list(
    tx: &mut TenantTx,
    before: Option<ApiTokenId>,
    limit: i64,
) -> Result<Vec<ApiTokenRow>, StoreError> {
    let tokens = sqlx::query_as!(
        ApiTokenRow,
        r#"select id as "id: ApiTokenId", user_id as "user_id: UserId", name, hint, read_only,
                  created_at, expires_at, last_used_at
           from api_tokens where $1::uuid is null or id < $1
           order by id desc limit $2"#,
        before.map(ApiTokenId::uuid),
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(tokens)
}

/// False if the organization has no such token.
pub async fn delete(tx: &mut TenantTx, id: ApiTokenId) -> Result<bool, StoreError> {
    let deleted = sqlx::query!("delete from api_tokens where id = $1", id.uuid())
        .execute(tx.connection())
        .await?
        .rows_affected();
    Ok(deleted == 1)
}
