//! Billing's time: the clock's, and ahead of it where a developer said so.
//!
//! Whoever wants to see a month's end need not wait for it. What is counted while billing's time is
//! ahead is counted in that time, as if the days between had passed with everything as it was.

use crate::app::{AppError, Caller, Platform, ProblemType};
use crate::store::billing::clock;
use crate::store::{EitherTx, RegionTx};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// Farthest that one call moves it: two months and some days.
const ADVANCE_SECONDS_MAX: u32 = 70 * 24 * 3600;

/// How long after a move usage is waited for: nodes say what they hold each minute.
const MOVED_PATIENCE: Duration = Duration::minutes(3);

/// What time it is for billing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BillingClock {
    #[serde(with = "time::serde::rfc3339")]
    pub now: OffsetDateTime,
    /// How far it is ahead of the clock.
    pub ahead_seconds: i64,
    /// Whether it can be moved: a setting for developers.
    pub is_movable: bool,
}

/// How far to move it.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BillingClockAdvance {
    #[schema(minimum = 1, maximum = 6_048_000)]
    pub seconds: u32,
}

/// What time it is for billing, in this transaction.
pub async fn now(platform: &Platform, tx: &mut EitherTx<'_>) -> Result<OffsetDateTime, AppError> {
    Ok(platform.clock.now() + clock::ahead(tx).await?)
}

/// Until when usage is waited for that was not yet heard of when billing's time was moved past it;
/// `None`: it was never moved.
pub(super) async fn moved_patience(tx: &mut RegionTx) -> Result<Option<OffsetDateTime>, AppError> {
    let moved_at = clock::moved_at(tx).await?;
    Ok(moved_at.map(|moved_at| moved_at + MOVED_PATIENCE))
}

pub async fn clock_get(platform: &Platform) -> Result<BillingClock, AppError> {
    let mut tx = platform.store.identity(None, None).await?;
    let ahead = clock::ahead_of_identity(&mut tx).await?;
    tx.commit().await?;
    Ok(view(platform, ahead))
}

/// Moves billing's time ahead for everybody; there is no way back.
pub async fn clock_advance(
    platform: &Platform,
    caller: &Caller,
    input: BillingClockAdvance,
) -> Result<BillingClock, AppError> {
    if !platform.settings.billing_clock_moves {
        return Err(AppError::rejected(
            ProblemType::Forbidden,
            "Billing's clock stands still here: `billing.clock_moves` is off.",
        ));
    }
    if !(1..=ADVANCE_SECONDS_MAX).contains(&input.seconds) {
        let message = format!("is 1 to {ADVANCE_SECONDS_MAX}");
        return Err(AppError::field("seconds", message));
    }
    let mut tx = platform.store.region().await?;
    let by = Duration::seconds(input.seconds.into());
    let ahead = clock::advance(&mut tx, by, platform.clock.now()).await?;
    tx.commit().await?;
    tracing::warn!(caller = caller.name(), %ahead, "billing's clock was moved");
    Ok(view(platform, ahead))
}

fn view(platform: &Platform, ahead: Duration) -> BillingClock {
    BillingClock {
        now: platform.clock.now() + ahead,
        ahead_seconds: ahead.whole_seconds(),
        is_movable: platform.settings.billing_clock_moves,
    }
}
