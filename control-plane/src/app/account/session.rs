//! Sessions of the console: opened, listed, ended.

use crate::app::account::{LoggedIn, UserView, Visitor};
use crate::app::audit::AuditAction;
use crate::app::authorize::require_session;
use crate::app::change::new_audit_event;
use crate::app::{Actor, AppError, Caller, Platform};
use crate::identity::secret_token;
use crate::store::session::{self, NewSession, SessionRow};
use crate::store::user::UserRow;
use crate::store::{IdentityTx, audit, organization};
use lumadb_contract::id::{SessionId, UserId};
use lumadb_contract::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// A session ends when it was not used for so long …
const IDLE_MAX: Duration = Duration::days(30);
/// … and so long after the log-in in any case.
const LIFE_MAX: Duration = Duration::days(90);

/// Longest part of a browser's name that is kept, characters.
const USER_AGENT_CHARACTERS_MAX: usize = 300;

/// When a session that is used now ends.
pub(super) fn expiry(created_at: OffsetDateTime, now: OffsetDateTime) -> OffsetDateTime {
    (now + IDLE_MAX).min(created_at + LIFE_MAX)
}

/// Opens a session in the transaction of a user that has proved who it is.
pub(super) async fn open(
    platform: &Platform,
    tx: &mut IdentityTx,
    visitor: &Visitor,
    user: UserRow,
) -> Result<LoggedIn, AppError> {
    let secret = secret_token::opaque().map_err(AppError::internal)?;
    let now = platform.clock.now();
    let id = SessionId::from_uuid(platform.clock.new_uuid());
    let user_agent: String = visitor
        .user_agent
        .chars()
        .take(USER_AGENT_CHARACTERS_MAX)
        .collect();
    session::delete_expired(tx, user.id, now).await?;
    session::insert(
        tx,
        &NewSession {
            id,
            user: user.id,
            token_hash: &secret_token::hash(secret.expose()),
            user_agent: &user_agent,
            client_address: visitor.client_address,
            created_at: now,
            expires_at: expiry(now, now),
        },
    )
    .await?;
    record(platform, tx, visitor, user.id, AuditAction::UserLogIn, id).await?;
    Ok(LoggedIn {
        user: UserView::from(user),
        session_secret: secret,
    })
}

/// Writes an event about a user into the log of each of its organizations.
pub(super) async fn record(
    platform: &Platform,
    tx: &mut IdentityTx,
    visitor: &Visitor,
    user: UserId,
    action: AuditAction,
    session: SessionId,
) -> Result<(), AppError> {
    let caller = Caller {
        user,
        actor: Actor::Session(session),
        client_address: visitor.client_address,
    };
    for organization in organization::list_of_user(tx).await? {
        let event = new_audit_event(platform, &caller, action, user, json!({}));
        audit::insert_as_identity(tx, organization.id, &event).await?;
    }
    Ok(())
}

/// Ends the session with this secret, if there is one.
pub async fn log_out(platform: &Platform, secret: Option<&Secret>) -> Result<(), AppError> {
    let Some(secret) = secret else {
        return Ok(());
    };
    let hash = secret_token::hash(secret.expose());
    let mut tx = platform.store.identity(None, Some(&hash)).await?;
    session::delete_by_hash(&mut tx, &hash).await?;
    tx.commit().await?;
    Ok(())
}

/// A log-in that is still good.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    pub id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// What the browser called itself.
    pub user_agent: String,
    pub client_address: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub last_seen_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl SessionView {
    fn new(row: SessionRow, current: SessionId) -> Self {
        Self {
            id: row.id,
            current: row.id == current,
            user_agent: row.user_agent,
            client_address: row.client_address,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
        }
    }
}

/// The caller's sessions, the latest used first.
pub async fn session_list(
    platform: &Platform,
    caller: &Caller,
) -> Result<Vec<SessionView>, AppError> {
    let current = require_session(caller)?;
    let mut tx = platform.store.identity(Some(caller.user), None).await?;
    let rows = session::list(&mut tx, caller.user, platform.clock.now()).await?;
    tx.commit().await?;
    let views = rows.into_iter().map(|row| SessionView::new(row, current));
    Ok(views.collect())
}

/// Ends one of the caller's sessions.
pub async fn session_delete(
    platform: &Platform,
    caller: &Caller,
    id: SessionId,
) -> Result<(), AppError> {
    require_session(caller)?;
    let mut tx = platform.store.identity(Some(caller.user), None).await?;
    let deleted = session::delete(&mut tx, caller.user, id).await?;
    tx.commit().await?;
    if deleted {
        Ok(())
    } else {
        Err(AppError::not_found("session", id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_used_session_lives_on_but_not_for_ever() {
        let start = datetime!(2026-11-01 0:00 UTC);
        assert_eq!(expiry(start, start), start + IDLE_MAX);
        let later = start + Duration::days(20);
        assert_eq!(expiry(start, later), later + IDLE_MAX);
        assert_eq!(expiry(start, start + Duration::days(80)), start + LIFE_MAX);
    }
}
