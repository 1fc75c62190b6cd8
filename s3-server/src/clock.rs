//! Time as a parameter: the only place of the crate that reads the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use time::OffsetDateTime;

/// Tells the time. Tests move it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands until it is moved, `start_ms` milliseconds after 1970.
    pub fn manual(start_ms: i64) -> Self {
        Self(Some(Arc::new(AtomicI64::new(start_ms))))
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        if let Some(at) = &self.0 {
            return at.load(Ordering::Relaxed);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = OffsetDateTime::now_utc();
        i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
    }

    /// Moves a manual clock forward; the system's clock stays as it is.
    pub fn advance_ms(&self, by: i64) {
        if let Some(at) = &self.0 {
            at.fetch_add(by, Ordering::Relaxed);
        }
    }
}

/// A moment as S3 writes it.
pub(crate) fn moment(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
