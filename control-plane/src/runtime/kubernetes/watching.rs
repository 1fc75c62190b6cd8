//! How a watch of the cluster begins again after it broke off.

use backon::ExponentialBuilder;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher::ExponentialBackoff;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(800);

/// As long as the operator waits, which has its watches on the same API server: what a customer asks
/// for is not written before the cluster was seen again.
const MAX: Duration = Duration::from_secs(5);

/// A watch that held for so long begins anew with the first wait.
const RESET_AFTER: Duration = Duration::from_secs(30);

/// The waits of one watch, without end.
pub(super) fn backoff() -> impl Backoff {
    let doubling = ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(MAX)
        .with_factor(2.0)
        .without_max_times();
    ResetTimerBackoff::new(ExponentialBackoff::from(doubling), RESET_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_was_away_for_hours_is_asked_as_often_as_one_that_was_for_seconds() {
        let waits: Vec<_> = backoff().take(1000).collect();
        assert_eq!(waits.len(), 1000);
        // They are calculated in floating point.
        let doubled = (waits[0].as_millis(), waits[1].as_millis());
        assert_eq!(doubled, (FIRST.as_millis(), 2 * FIRST.as_millis()));
        assert!(waits.iter().all(|wait| *wait <= MAX), "{waits:?}");
        assert_eq!(waits[999], MAX);
    }
}
