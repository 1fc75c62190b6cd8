//! Waiting for conditions.

use crate::Outcome;
use std::future::Future;
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks until `look` gives a value; fails with `what` and the last refusal after `limit`.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> Outcome<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Outcome<Option<T>>>,
{
    let start = Instant::now();
    let mut last = String::from("not yet");
    loop {
        match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => last = error.to_string(),
        }
        if start.elapsed() > limit {
            return Err(format!("waited {} s for {what}: {last}", limit.as_secs()).into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
