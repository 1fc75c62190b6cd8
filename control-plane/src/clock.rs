//! Time and identifiers as parameters: the only place of the control plane that reads the clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use time::OffsetDateTime;
use uuid::{ContextV7, Timestamp, Uuid};

/// Tells the time and makes time-ordered identifiers. Tests move it. Clones share both.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    /// Orders the identifiers of one millisecond.
    sequence: Arc<Mutex<ContextV7>>,
}

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Microseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn system() -> Self {
        Self::of(Source::System)
    }

    /// A clock that stands at `start` until it is moved.
    pub fn manual(start: OffsetDateTime) -> Self {
        Self::of(Source::Manual(Arc::new(AtomicI64::new(micros(start)))))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            sequence: Arc::new(Mutex::new(ContextV7::new())),
        }
    }

    /// UTC, cut to microseconds: what PostgreSQL stores, so that a time reads back as written.
    pub fn now(&self) -> OffsetDateTime {
        let micros = match &self.source {
            #[expect(clippy::disallowed_methods, reason = "this is the clock")]
            Source::System => micros(OffsetDateTime::now_utc()),
            Source::Manual(at) => at.load(Ordering::Relaxed),
        };
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Moves a manual clock forward; the system's clock stays as it is.
    pub fn advance(&self, by: time::Duration) {
        if let Source::Manual(at) = &self.source {
            let micros = i64::try_from(by.whole_microseconds()).unwrap_or(i64::MAX);
            at.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// A UUIDv7 of this moment, greater than every one that this clock made before.
    pub fn new_uuid(&self) -> Uuid {
        let now = self.now();
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        let sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        Uuid::new_v7(Timestamp::from_unix(&*sequence, seconds, now.nanosecond()))
    }
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn identifiers_of_one_moment_come_in_the_order_of_their_making() {
        let clock = Clock::manual(datetime!(2026-11-23 12:00 UTC));
        let mut last = clock.new_uuid();
        for _ in 0..10_000 {
            let next = clock.clone().new_uuid();
            assert!(next > last);
            last = next;
        }
    }
}
