//! Time as a parameter: the only place of the crate that reads the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use time::OffsetDateTime;

/// Tells the time in seconds, as Stripe does. Tests move it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands until it is moved, `start` seconds after 1970.
    pub fn manual(start: i64) -> Self {
        Self(Some(Arc::new(AtomicI64::new(start))))
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        if let Some(at) = &self.0 {
            return at.load(Ordering::Relaxed);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let now = OffsetDateTime::now_utc();
        now.unix_timestamp()
    }

    /// Moves a manual clock forward; the system's clock stays as it is.
    pub fn advance(&self, seconds: i64) {
        if let Some(at) = &self.0 {
            at.fetch_add(seconds, Ordering::Relaxed);
        }
    }
}
