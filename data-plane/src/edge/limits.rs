//! What one address may do: failed log-ins in a minute, connections that have not authenticated.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Addresses that are remembered at most.
const ADDRESSES_MAX: usize = 65_536;

const MINUTE: Duration = Duration::from_mins(1);

/// Whom a limit counts for: an IPv4 address, or the /64 that one IPv6 customer has.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Failed log-ins by address: a bucket that holds a minute's worth and refills evenly.
#[derive(Debug)]
pub(super) struct FailureLimit {
    per_minute: u32,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    failures: f64,
    at: Instant,
}

impl Bucket {
    /// Failures that still count at `now`.
    fn failures_at(&self, now: Instant, per_minute: u32) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.failures - passed * f64::from(per_minute) / MINUTE.as_secs_f64()).max(0.0)
    }
}

impl FailureLimit {
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            per_minute,
            buckets: Mutex::default(),
        }
    }

    /// How long this address has to wait before it may try again; `None`: it may.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let failures = lock(&self.buckets)
            .get(&counted(address))?
            .failures_at(now, self.per_minute);
        let over = failures + 1.0 - f64::from(self.per_minute);
        // A millionth of a failure is the rounding of the refill.
        (over > 1e-6).then(|| MINUTE.mul_f64(over / f64::from(self.per_minute)))
    }

    /// Remembers a failed log-in.
    pub(super) fn failed(&self, address: IpAddr, now: Instant) {
        let mut buckets = lock(&self.buckets);
        if buckets.len() >= ADDRESSES_MAX {
            buckets.retain(|_, bucket| bucket.failures_at(now, self.per_minute) > 0.0);
        }
        if buckets.len() >= ADDRESSES_MAX {
            // More attackers than places: whoever failed longest ago is forgotten.
            let oldest = buckets.iter().min_by_key(|(_, bucket)| bucket.at);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                buckets.remove(&oldest);
            }
        }
        let bucket = buckets.entry(counted(address)).or_insert(Bucket {
            failures: 0.0,
            at: now,
        });
        bucket.failures =
            (bucket.failures_at(now, self.per_minute) + 1.0).min(f64::from(self.per_minute));
        bucket.at = now;
    }
}

/// Connections that have not authenticated, by address.
#[derive(Debug)]
pub(super) struct HalfOpenLimit {
    per_address: u32,
    total: usize,
    open: Mutex<(usize, HashMap<IpAddr, u32>)>,
}

impl HalfOpenLimit {
    pub(super) fn new(per_address: u32, total: usize) -> Arc<Self> {
        Arc::new(Self {
            per_address,
            total,
            open: Mutex::default(),
        })
    }

    /// A place for one more connection from there, until the answer is dropped.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<HalfOpen> {
        let address = counted(address);
        let mut open = lock(&self.open);
        let (total, by_address) = &mut *open;
        if *total >= self.total {
            return None;
        }
        let count = by_address.entry(address).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        *total += 1;
        drop(open);
        Some(HalfOpen {
            limit: self.clone(),
            address,
        })
    }
}

#[derive(Debug)]
pub(super) struct HalfOpen {
    limit: Arc<HalfOpenLimit>,
    address: IpAddr,
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        let mut open = lock(&self.limit.open);
        let (total, by_address) = &mut *open;
        *total -= 1;
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_is_stopped_after_its_failures_and_let_in_again_with_time() {
        let limit = FailureLimit::new(20);
        let (home, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let start = Instant::now();
        for _ in 0..20 {
            assert_eq!(limit.wait(home, start), None);
            limit.failed(home, start);
        }
        assert_eq!(limit.wait(home, start), Some(Duration::from_secs(3)));
        assert_eq!(limit.wait(other, start), None);
        assert_eq!(limit.wait(home, start + Duration::from_secs(4)), None);
        limit.failed(home, start + Duration::from_secs(4));
        assert!(limit.wait(home, start + Duration::from_secs(5)).is_some());
        assert_eq!(limit.wait(home, start + Duration::from_secs(70)), None);
    }

    #[test]
    fn a_customers_ipv6_addresses_count_as_one_and_a_mapped_ipv4_as_itself() {
        let limit = FailureLimit::new(1);
        let now = Instant::now();
        limit.failed(address("2001:db8:1:2::5"), now);
        assert!(limit.wait(address("2001:db8:1:2:ffff::1"), now).is_some());
        assert!(limit.wait(address("2001:db8:1:3::5"), now).is_none());
        limit.failed(address("::ffff:192.0.2.7"), now);
        assert!(limit.wait(address("192.0.2.7"), now).is_some());
    }

    #[test]
    fn the_memory_of_addresses_is_bounded() {
        let limit = FailureLimit::new(20);
        let now = Instant::now();
        for number in 0..u32::try_from(ADDRESSES_MAX).expect("fits") + 10 {
            limit.failed(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(lock(&limit.buckets).len(), ADDRESSES_MAX);
    }

    #[test]
    fn half_open_connections_are_bounded_by_address_and_in_all() {
        let limit = HalfOpenLimit::new(2, 3);
        let (home, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let first = limit.enter(home).expect("free");
        let _second = limit.enter(home).expect("free");
        assert!(limit.enter(home).is_none());
        let _third = limit.enter(other).expect("free");
        assert!(limit.enter(other).is_none());
        drop(first);
        assert!(limit.enter(home).is_some());
    }
}
