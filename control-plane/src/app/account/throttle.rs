//! How often something may be tried, counted in the database for all processes together.

use crate::app::{AppError, Platform, ProblemType};
use crate::store::throttle;
use std::net::IpAddr;
use time::{Duration, OffsetDateTime};

/// One limit that an attempt counts against.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    key: String,
    attempts_max: u32,
    window: Duration,
}

impl Rule {
    /// `what` names the kind of attempt; `whom` the account or address that it is counted for.
    pub(super) fn new(what: &str, whom: &str, attempts_max: u32, window: Duration) -> Self {
        Self {
            key: format!("{what}/{whom}"),
            attempts_max,
            window,
        }
    }

    /// Counted for an address; all clients whose address is not known share one.
    pub(super) fn address(
        what: &str,
        address: Option<IpAddr>,
        attempts_max: u32,
        window: Duration,
    ) -> Self {
        let whom = address.map_or_else(|| "unknown".to_owned(), network);
        Self::new(what, &whom, attempts_max, window)
    }

    fn window_start(&self, now: OffsetDateTime) -> OffsetDateTime {
        let seconds = self.window.whole_seconds().max(1);
        let start = now.unix_timestamp().div_euclid(seconds) * seconds;
        OffsetDateTime::from_unix_timestamp(start).unwrap_or(now)
    }
}

/// An IPv4 address, or the /64 of an IPv6 address: who has one address of it has them all.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Attempts that were counted.
#[derive(Debug)]
pub(super) struct Attempt {
    rules: Vec<Rule>,
    at: OffsetDateTime,
}

/// Counts an attempt against every rule; fails with `rate_limited` when one is used up.
pub(super) async fn attempt(platform: &Platform, rules: Vec<Rule>) -> Result<Attempt, AppError> {
    let now = platform.clock.now();
    let mut tx = platform.store.identity(None, None).await?;
    let mut wait = None;
    for rule in &rules {
        let start = rule.window_start(now);
        let attempts = throttle::hit(&mut tx, &rule.key, start).await?;
        if i64::from(attempts) > i64::from(rule.attempts_max) {
            wait = wait.max(Some(start + rule.window - now));
        }
    }
    // Kept whatever comes of the attempt: an undone count would be no limit.
    tx.commit().await?;
    let Some(wait) = wait else {
        return Ok(Attempt { rules, at: now });
    };
    let seconds = u32::try_from(wait.whole_seconds().max(1)).unwrap_or(u32::MAX);
    Err(AppError::Rejected {
        problem: ProblemType::RateLimited,
        detail: format!("Too many attempts. Try again in {seconds} s."),
        errors: Vec::new(),
        retry_after_seconds: Some(seconds),
        operation: None,
    })
}

impl Attempt {
    /// Takes the counts back: the attempt was a good one.
    pub(super) async fn forgive(self, platform: &Platform) -> Result<(), AppError> {
        let mut tx = platform.store.identity(None, None).await?;
        for rule in &self.rules {
            throttle::forgive(&mut tx, &rule.key, rule.window_start(self.at)).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_ipv6_network_counts_as_one() {
        let network = |text: &str| network(text.parse().expect("address"));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
