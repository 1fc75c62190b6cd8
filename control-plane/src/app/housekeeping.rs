//! What is done every hour: forgetting what nobody asks for any more, and bringing plans in line
//! with the price book that is in force.

use crate::app::{AppError, Platform, billing, catalog};
use crate::store::{EitherTx, idempotency, outbox, throttle, usage};
use std::future::Future;
use std::pin::pin;
use time::{Duration, OffsetDateTime, UtcOffset};

/// How long a request with the same idempotency key gets the same answer.
const IDEMPOTENCY_LIFE: Duration = Duration::days(30);
const THROTTLE_LIFE: Duration = Duration::days(1);
const OUTBOX_LIFE: Duration = Duration::days(30);

/// How long single samples are kept: a whole month and two weeks more, so that an invoice that was
/// just sent can be explained sample by sample. The hours that they were folded into stay, and so
/// do the high-water marks by which a sample that comes again is known.
const SAMPLE_LIFE: Duration = Duration::days(45);

/// How long ahead there is room for samples: a worker that cannot make room for a day or two only
/// leaves more to be moved later.
const SAMPLE_ROOM: Duration = Duration::days(3);

const INTERVAL: std::time::Duration = std::time::Duration::from_hours(1);

/// Sweeps every hour until `shutdown` is done.
pub async fn run(platform: Platform, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    loop {
        if let Err(error) = sweep(&platform).await {
            tracing::warn!(%error, "old rows were not swept");
        }
        if let Err(error) = sweep_samples(&platform).await {
            tracing::warn!(%error, "old samples were not swept");
        }
        if let Err(error) = catalog::plans_derive(&platform).await {
            tracing::error!(%error, "plans were not derived from the price book");
        }
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Sweeps once.
pub async fn sweep(platform: &Platform) -> Result<(), AppError> {
    let now = platform.clock.now();
    let mut tx = platform.store.region().await?;
    throttle::purge(&mut tx, now - THROTTLE_LIFE).await?;
    idempotency::purge(&mut tx, now - IDEMPOTENCY_LIFE).await?;
    outbox::purge(&mut tx, now - OUTBOX_LIFE).await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets the samples of days that are past, and makes room for those to come.
pub async fn sweep_samples(platform: &Platform) -> Result<(), AppError> {
    let day = |moment: OffsetDateTime| moment.to_offset(UtcOffset::UTC).date();
    let mut tx = platform.store.region().await?;
    let now = billing::now(platform, &mut EitherTx::Region(&mut tx)).await?;
    let dropped =
        usage::samples_keep(&mut tx, day(now - SAMPLE_LIFE), day(now + SAMPLE_ROOM)).await?;
    tx.commit().await?;
    if dropped > 0 {
        tracing::info!(days = dropped, "old samples are forgotten");
    }
    Ok(())
}
