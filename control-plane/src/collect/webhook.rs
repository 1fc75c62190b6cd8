//! What Stripe pushes: believed by its signature, stored as it came, handled later.

use super::Collector;
use crate::app::{AppError, Platform, ProblemType};
use crate::store::stripe::event::{self, NewEvent};
use lumadb_billing::stripe::{Event, verify};
use time::OffsetDateTime;

/// Takes one webhook: its signature and its body, as they came. One that came before changes
/// nothing.
pub async fn receive(collector: &Collector, signature: &str, body: &[u8]) -> Result<(), AppError> {
    let platform = &collector.platform;
    let now = platform.clock.now();
    let Some(secret) = &collector.account.webhook_secret else {
        return Err(AppError::rejected(
            ProblemType::Forbidden,
            "Webhooks are not taken here: there is no secret to check them with.",
        ));
    };
    verify(secret, signature, body, now.unix_timestamp()).map_err(|forged| {
        tracing::warn!(%forged, "a webhook was refused");
        AppError::rejected(ProblemType::Forbidden, format!("Refused: {forged}."))
    })?;
    let invalid = |error: String| AppError::rejected(ProblemType::InvalidRequest, error);
    let payload = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    store(platform, body, &payload, "webhook").await.map(drop)
}

/// Stores an event; whether it is new.
pub(super) async fn store(
    platform: &Platform,
    raw: &[u8],
    payload: &serde_json::Value,
    source: &str,
) -> Result<bool, AppError> {
    let read = Event::parse(raw);
    let read =
        read.map_err(|error| AppError::rejected(ProblemType::InvalidRequest, error.to_string()))?;
    let now = platform.clock.now();
    let new = NewEvent {
        id: &read.id,
        kind: &read.kind,
        payload,
        source,
        happened_at: OffsetDateTime::from_unix_timestamp(read.created).unwrap_or(now),
    };
    let mut tx = platform.store.region().await?;
    let is_new = event::insert(&mut tx, &new, now).await?;
    tx.commit().await?;
    if !is_new {
        tracing::debug!(event = read.id, "an event came again");
    }
    Ok(is_new)
}
