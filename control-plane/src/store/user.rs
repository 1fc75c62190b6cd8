//! People who can log in, and the links that are mailed to them.

use crate::store::{IdentityTx, StoreError};
use lumadb_contract::id::UserId;
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct UserRow {
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    pub password_hash: String,
    pub email_verified_at: Option<OffsetDateTime>,
    pub created_at: OffsetDateTime,
}

/// Adds a user; false if the address has one. The transaction looks up that address.
pub async fn insert(tx: &mut IdentityTx, user: &UserRow) -> Result<bool, StoreError> {
    let added = sqlx::query!(
        "insert into users (id, email, display_name, password_hash, created_at)
         values ($1, $2, $3, $4, $5) on conflict (email) do nothing",
        user.id.uuid(),
        user.email,
        user.display_name,
        user.password_hash,
        user.created_at
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(added == 1)
}

/// The user with this address; the transaction looks up that address.
pub async fn find_by_email(
    tx: &mut IdentityTx,
    email: &str,
) -> Result<Option<UserRow>, StoreError> {
    let user = sqlx::query_as!(
        UserRow,
        r#"select id as "id: UserId", email, display_name, password_hash, email_verified_at,
                  created_at
           from users where email = $1"#,
        email
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(user)
}

pub async fn find(tx: &mut IdentityTx, id: UserId) -> Result<Option<UserRow>, StoreError> {
    let user = sqlx::query_as!(
        UserRow,
        r#"select id as "id: UserId", email, display_name, password_hash, email_verified_at,
                  created_at
           from users where id = $1"#,
        id.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(user)
}

/// Says that the user owns its address; takes over what the sign-up behind the link asked for.
pub async fn verify(
    tx: &mut IdentityTx,
    id: UserId,
    password_hash: Option<&str>,
    display_name: Option<&str>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update users set email_verified_at = coalesce(email_verified_at, $4),
                          password_hash = coalesce($2, password_hash),
                          display_name = coalesce($3, display_name)
         where id = $1",
        id.uuid(),
        password_hash,
        display_name,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub async fn rename(tx: &mut IdentityTx, id: UserId, display_name: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update users set display_name = $2 where id = $1",
        id.uuid(),
        display_name
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// False if the password is another one than `before` by now.
pub async fn replace_password(
    tx: &mut IdentityTx,
    id: UserId,
    before: &str,
    password_hash: &str,
) -> Result<bool, StoreError> {
    let replaced = sqlx::query!(
        "update users set password_hash = $3 where id = $1 and password_hash = $2",
        id.uuid(),
        before,
        password_hash
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(replaced == 1)
}

/// What a mailed link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPurpose {
    VerifyEmail,
    ResetPassword,
}

impl LinkPurpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }
}

#[derive(Debug)]
pub struct NewLink<'a> {
    pub token_hash: &'a str,
    pub user: UserId,
    pub purpose: LinkPurpose,
    pub password_hash: Option<&'a str>,
    pub display_name: Option<&'a str>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

pub async fn insert_link(tx: &mut IdentityTx, link: &NewLink<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into email_links (token_hash, user_id, purpose, password_hash, display_name,
                                  created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        link.token_hash,
        link.user.uuid(),
        link.purpose.as_str(),
        link.password_hash,
        link.display_name,
        link.created_at,
        link.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

#[derive(Debug, Clone)]
pub struct UsedLink {
    pub user: UserId,
    pub password_hash: Option<String>,
    pub display_name: Option<String>,
}

/// Uses a link up; `None` if it is unknown, was used or has expired. The transaction looks up the
/// hash.
pub async fn use_link(
    tx: &mut IdentityTx,
    token_hash: &str,
    purpose: LinkPurpose,
    now: OffsetDateTime,
) -> Result<Option<UsedLink>, StoreError> {
    let used = sqlx::query_as!(
        UsedLink,
        r#"update email_links set used_at = $3
           where token_hash = $1 and purpose = $2 and used_at is null and expires_at > $3
           returning user_id as "user: UserId", password_hash, display_name"#,
        token_hash,
        purpose.as_str(),
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(used)
}

/// Makes every other link of this purpose worthless.
pub async fn expire_links(
    tx: &mut IdentityTx,
    user: UserId,
    purpose: LinkPurpose,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update email_links set expires_at = $3, password_hash = null
         where user_id = $1 and purpose = $2 and used_at is null and expires_at > $3",
        user.uuid(),
        purpose.as_str(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
