//! Waking: for an edge that has authenticated a client.

use crate::app::Platform;
use crate::store::{Signal, StoreError, desired, route};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::route::{Route, RouteState};
use std::time::Duration;
use tokio::time::Instant;

/// How often a waiting call looks without any signal.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The route of a database; `None`: there is no such database in this region.
pub async fn resolve(
    platform: &Platform,
    region: &str,
    database: DatabaseId,
) -> Result<Option<Route>, StoreError> {
    let mut tx = platform.store.region().await?;
    let route = route::find(&mut tx, region, database).await?;
    tx.commit().await?;
    Ok(route)
}

/// Has a sleeping database run and waits until it does or its node takes sessions that wait for
/// it, at most `longest`; then answers with the route as it is. A suspended one stays suspended.
pub async fn wake(
    platform: &Platform,
    region: &str,
    database: DatabaseId,
    longest: Duration,
) -> Result<Option<Route>, StoreError> {
    let deadline = Instant::now() + longest;
    let mut signals = platform.store.signals().subscribe();
    loop {
        let route = resolve(platform, region, database).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        match route.as_ref().map(|route| &route.state) {
            None
            | Some(
                RouteState::Awake { .. } | RouteState::Starting { .. } | RouteState::Suspended,
            ) => return Ok(route),
            Some(RouteState::Asleep | RouteState::Pending) if left.is_zero() => return Ok(route),
            Some(RouteState::Asleep) => {
                let mut tx = platform.store.region().await?;
                desired::wake(&mut tx, region, database, platform.clock.now()).await?;
                tx.commit().await?;
            }
            Some(RouteState::Pending) => {}
        }
        signals
            .wait_for(Signal::Database(database), left.min(LOOK_INTERVAL))
            .await;
    }
}
