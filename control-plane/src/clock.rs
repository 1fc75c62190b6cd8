//! Time and identifiers as parameters: the only place of the control plane that reads the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use time::OffsetDateTime;
use uuid::Uuid;

/// Tells the time and makes time-ordered identifiers. Tests move it.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Microseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until it is moved.
    pub fn manual(start: OffsetDateTime) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(micros(start)))))
    }

    /// UTC, cut to microseconds: what PostgreSQL stores, so that a time reads back as written.
    pub fn now(&self) -> OffsetDateTime {
        let micros = match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "this is the clock")]
            Source::System => micros(OffsetDateTime::now_utc()),
            Source::Manual(at) => at.load(Ordering::Relaxed),
        };
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Moves a manual clock forward; the system's clock stays as it is.
    pub fn advance(&self, by: time::Duration) {
        if let Source::Manual(at) = &self.0 {
            let micros = i64::try_from(by.whole_microseconds()).unwrap_or(i64::MAX);
            at.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// A UUIDv7 of this moment.
    pub fn new_uuid(&self) -> Uuid {
        let now = self.now();
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        Uuid::new_v7(uuid::Timestamp::from_unix(
            uuid::NoContext,
            seconds,
            now.nanosecond(),
        ))
    }
}

fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}
