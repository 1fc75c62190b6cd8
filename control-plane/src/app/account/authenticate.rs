//! Who shows this secret.

use crate::app::account::session::expiry;
use crate::app::{Actor, AppError, Caller, Platform};
use crate::identity::secret_token;
use crate::store::{api_token, session};
use lumadb_contract::secret::Secret;
use std::net::IpAddr;
use time::Duration;

/// How exact "last seen" and "last used" are: they are not written at every request.
const SEEN_RESOLUTION: Duration = Duration::minutes(1);

/// The caller behind a console's cookie.
pub async fn authenticate_session(
    platform: &Platform,
    secret: &Secret,
    client_address: Option<IpAddr>,
) -> Result<Option<Caller>, AppError> {
    let hash = secret_token::hash(secret.expose());
    let now = platform.clock.now();
    let mut tx = platform.store.identity(None, Some(&hash)).await?;
    let found = session::find(&mut tx, &hash, now).await?;
    if let Some(session) = &found
        && now - session.last_seen_at >= SEEN_RESOLUTION
    {
        let expires_at = expiry(session.created_at, now);
        session::touch(&mut tx, session.id, now, expires_at).await?;
    }
    tx.commit().await?;
    Ok(found.map(|session| Caller {
        user: session.user_id,
        actor: Actor::Session(session.id),
        client_address,
    }))
}

/// The caller behind an API token.
pub async fn authenticate_token(
    platform: &Platform,
    token: &Secret,
    client_address: Option<IpAddr>,
) -> Result<Option<Caller>, AppError> {
    if !secret_token::is_api_token(token.expose()) {
        return Ok(None);
    }
    let hash = secret_token::hash(token.expose());
    let now = platform.clock.now();
    let mut tx = platform.store.identity(None, Some(&hash)).await?;
    let found = api_token::find(&mut tx, &hash, now).await?;
    if let Some(token) = &found
        && token
            .last_used_at
            .is_none_or(|at| now - at >= SEEN_RESOLUTION)
    {
        api_token::touch(&mut tx, token.id, now).await?;
    }
    tx.commit().await?;
    Ok(found.map(|token| Caller {
        user: token.user_id,
        actor: Actor::Token {
            token: token.id,
            organization: token.organization_id,
            read_only: token.read_only,
        },
        client_address,
    }))
}
