//! Forgets what nobody asks for any more.

use crate::app::{AppError, Platform};
use crate::store::{idempotency, outbox, throttle};
use std::future::Future;
use std::pin::pin;
use time::Duration;

/// How long a request with the same idempotency key gets the same answer.
const IDEMPOTENCY_LIFE: Duration = Duration::days(30);
const THROTTLE_LIFE: Duration = Duration::days(1);
const OUTBOX_LIFE: Duration = Duration::days(30);

const INTERVAL: std::time::Duration = std::time::Duration::from_hours(1);

/// Sweeps every hour until `shutdown` is done.
pub async fn run(platform: Platform, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    loop {
        if let Err(error) = sweep(&platform).await {
            tracing::warn!(%error, "old rows were not swept");
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
