//! Certificates in use, and later ones: each ends, and an edge may live longer.

use super::config::Source;
use crate::protocol::postgres::tls::TlsError;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often they are asked for anew.
const RENEWAL_INTERVAL: Duration = Duration::from_hours(24);

#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    #[error("they cannot be read: {0}")]
    Source(#[from] io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What is made of certificates, and made anew of later ones. Those that cannot be had leave the last
/// in use.
pub(super) struct Renewed<C, T> {
    /// What they are for, as the log says it.
    what: &'static str,
    source: Source<C>,
    make: fn(&C) -> Result<T, TlsError>,
    current: Mutex<(T, Instant)>,
}

impl<C, T: Clone> Renewed<C, T> {
    pub(super) fn new(
        what: &'static str,
        source: Source<C>,
        make: fn(&C) -> Result<T, TlsError>,
        now: Instant,
    ) -> Result<Self, RenewalError> {
        let first = make(&source.read()?)?;
        Ok(Self {
            what,
            source,
            make,
            current: Mutex::new((first, now)),
        })
    }

    pub(super) fn at(&self, now: Instant) -> T {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (in_use, made_at) = &mut *current;
        if now.duration_since(*made_at) >= RENEWAL_INTERVAL {
            *made_at = now;
            let read = self.source.read().map_err(RenewalError::from);
            match read.and_then(|certificates| Ok((self.make)(&certificates)?)) {
                Ok(renewed) => *in_use = renewed,
                Err(error) => {
                    tracing::error!(%error, what = self.what, "certificates are not renewed");
                }
            }
        }
        in_use.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    #[test]
    fn later_ones_are_taken_each_day_and_the_last_stay_where_there_are_none() {
        let file = Arc::new(AtomicU32::new(1));
        let read = file.clone();
        let source = Source::new(move || match read.load(Relaxed) {
            0 => Err(io::ErrorKind::NotFound.into()),
            number => Ok(number),
        });
        let begin = Instant::now();
        let renewed = Renewed::new("a test", source, |number| Ok(*number), begin);
        let renewed = renewed.expect("made");
        let after = |hours| renewed.at(begin + Duration::from_hours(hours));
        file.store(2, Relaxed);
        assert_eq!((after(0), after(23), after(24)), (1, 1, 2));
        file.store(0, Relaxed);
        assert_eq!((after(47), after(48)), (2, 2));
        file.store(3, Relaxed);
        assert_eq!((after(71), after(72)), (2, 3));
    }
}
