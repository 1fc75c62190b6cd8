//! How a watch that broke off begins again.

use backon::ExponentialBuilder;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher::ExponentialBackoff;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(800);

/// An operator has a handful of watches, so that it may ask this often while its API server is in
/// trouble. Longer, and a database that is asked for waits for it when the trouble is over: the
/// default of kube, made for programs in every node, comes to half a minute.
const MAX: Duration = Duration::from_secs(5);

/// Without a failure for so long, the next wait is the first again.
const RESET_AFTER: Duration = Duration::from_secs(30);

/// The waits of one watch, each twice the one before.
pub(crate) fn backoff() -> impl Backoff {
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
    fn waits_double_up_to_the_longest_and_go_on() {
        let waits = backoff().take(100).map(|wait| wait.as_millis());
        let waits: Vec<_> = waits.collect();
        assert_eq!(waits.len(), 100);
        assert_eq!(waits[..2], [FIRST.as_millis(), 2 * FIRST.as_millis()]);
        assert_eq!(waits[99], MAX.as_millis());
    }
}
