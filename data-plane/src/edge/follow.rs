//! Keeping the routes: from the control plane into memory, from memory into the file.

use super::locate::Locator;
use super::metrics::Metrics;
use super::routes::RouteTable;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio_stream::StreamExt;

/// Bounds of the pause before the control plane is dialed again.
const DIAL_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Shortest time between two writings of the file.
const SAVE_PAUSE: Duration = Duration::from_secs(1);

/// Receives routes for ever, resuming where the stream broke.
pub(super) async fn follow(locator: Arc<Locator>, metrics: Arc<Metrics>) {
    let (mut pause, pause_max) = DIAL_AGAIN;
    loop {
        let cursor = locator.table().cursor();
        match locator.control().watch(cursor).await {
            Ok(mut updates) => {
                metrics.control_connected.store(true, Relaxed);
                while let Some(update) = updates.next().await {
                    match update {
                        Ok(update) => {
                            pause = DIAL_AGAIN.0;
                            locator.apply(update);
                            metrics.has_routes.store(true, Relaxed);
                        }
                        Err(error) => {
                            tracing::warn!(%error, "the stream of routes broke");
                            break;
                        }
                    }
                }
                metrics.control_connected.store(false, Relaxed);
            }
            Err(error) => {
                tracing::warn!(%error, "no routes: the control plane is away");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(pause_max);
    }
}

/// Writes the file after changes, for ever.
pub(super) async fn save(locator: Arc<Locator>, path: &Path, region: &str) {
    loop {
        locator.changed.notified().await;
        save_now(&locator, path, region).await;
        tokio::time::sleep(SAVE_PAUSE).await;
    }
}

/// Writes the file. A failure is told and tried again at the next change: the routes in memory are
/// good.
pub(super) async fn save_now(locator: &Locator, path: &Path, region: &str) {
    let bytes = locator.table().to_bytes(region);
    let path = path.to_owned();
    let saving = tokio::task::spawn_blocking(move || RouteTable::store(&path, &bytes?));
    match saving.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the routes were not written to their file"),
        Err(error) => tracing::warn!(%error, "the routes were not written to their file"),
    }
}
