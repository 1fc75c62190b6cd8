//! How many requests a caller may send: a token bucket for each, in this process.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Buckets kept at once; beyond, those that are full again are forgotten.
const BUCKETS_MAX: usize = 20_000;

const WINDOW: Duration = Duration::from_mins(1);

/// Limits requests by caller.
#[derive(Debug)]
pub struct RateLimiter {
    per_minute: u32,
    buckets: Mutex<HashMap<[u8; 16], Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Requests left, in thousandths.
    left_milli: u64,
    at: Instant,
}

/// What a caller has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub per_minute: u32,
    /// Whole requests left now.
    pub remaining: u32,
    /// `None`: go on. Else the seconds after which one more is allowed.
    pub retry_after_seconds: Option<u32>,
}

impl RateLimiter {
    pub fn new(per_minute: u32) -> Self {
        Self {
            per_minute: per_minute.max(1),
            buckets: Mutex::new(HashMap::new()),
        }
    }

    /// What a caller has left, if that is nothing.
    pub fn look(&self, key: [u8; 16], now: Instant) -> Option<Quota> {
        let full = u64::from(self.per_minute) * 1000;
        let mut buckets = match self.buckets.lock() {
            Ok(buckets) => buckets,
            Err(poisoned) => poisoned.into_inner(),
        };
        let bucket = buckets.get_mut(&key)?;
        bucket.refill(now, full);
        bucket.missing_seconds(full).map(|seconds| Quota {
            per_minute: self.per_minute,
            remaining: 0,
            retry_after_seconds: Some(seconds),
        })
    }

    /// Takes one request of this caller's. `key` is a hash: no credential is kept here.
    pub fn take(&self, key: [u8; 16], now: Instant) -> Quota {
        let full = u64::from(self.per_minute) * 1000;
        let mut buckets = match self.buckets.lock() {
            Ok(buckets) => buckets,
            Err(poisoned) => poisoned.into_inner(),
        };
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < WINDOW);
            if buckets.len() >= BUCKETS_MAX {
                // Somebody makes callers up faster than they can be told apart.
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket {
            left_milli: full,
            at: now,
        });
        bucket.refill(now, full);
        let retry_after_seconds = bucket.missing_seconds(full);
        bucket.left_milli = bucket
            .left_milli
            .saturating_sub(1000 * u64::from(retry_after_seconds.is_none()));
        Quota {
            per_minute: self.per_minute,
            remaining: u32::try_from(bucket.left_milli / 1000).unwrap_or(u32::MAX),
            retry_after_seconds,
        }
    }
}

impl Bucket {
    /// Until one request is allowed; `None` when one is now.
    fn missing_seconds(&self, full: u64) -> Option<u32> {
        let missing = 1000_u64.checked_sub(self.left_milli).filter(|m| *m > 0)?;
        let per_second = full / WINDOW.as_secs();
        let seconds = missing.div_ceil(per_second.max(1));
        Some(u32::try_from(seconds).unwrap_or(60))
    }

    fn refill(&mut self, now: Instant, full: u64) {
        let elapsed_ms = now.saturating_duration_since(self.at).as_millis();
        let elapsed_ms = u64::try_from(elapsed_ms).unwrap_or(u64::MAX);
        let gained = elapsed_ms.saturating_mul(full) / 60_000;
        // A time too short to gain anything is left to the next call.
        if gained > 0 {
            self.left_milli = self.left_milli.saturating_add(gained).min(full);
            self.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_gets_its_share_and_no_more_and_others_are_not_hurt() {
        let limiter = RateLimiter::new(60);
        let start = Instant::now();
        for left in (0..60).rev() {
            let quota = limiter.take([1; 16], start);
            assert_eq!((quota.remaining, quota.retry_after_seconds), (left, None));
        }
        let refused = limiter.take([1; 16], start);
        assert_eq!(refused.retry_after_seconds, Some(1));
        assert_eq!(limiter.take([2; 16], start).retry_after_seconds, None);
        let later = start + Duration::from_secs(1);
        assert_eq!(limiter.take([1; 16], later).retry_after_seconds, None);
        assert!(limiter.take([1; 16], later).retry_after_seconds.is_some());
    }

    #[test]
    fn memory_stays_bounded_whoever_calls() {
        let limiter = RateLimiter::new(60);
        let now = Instant::now();
        for caller in 0..(BUCKETS_MAX as u128 * 2) {
            limiter.take(caller.to_be_bytes(), now);
        }
        assert!(limiter.buckets.lock().expect("lock").len() <= BUCKETS_MAX);
    }
}
