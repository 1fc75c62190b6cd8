//! What has arrived and is not yet cut. Pure.

use super::super::format::CHUNK_BYTES_MAX;
use bytes::{Bytes, BytesMut};
use lumadb_contract::archive::Lsn;
use std::time::Duration;
use tokio::time::Instant;

/// When WAL leaves for the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As soon as there is a place.
    Now,
    /// At the latest so long after it was written, if the store answers within a fifth of that; or
    /// a second.
    Within(Duration),
}

impl Pace {
    /// How long it waits for more to come.
    fn patience(self) -> Duration {
        match self {
            Self::Now => Duration::ZERO,
            Self::Within(lag) => lag.saturating_sub((lag / 5).min(Duration::from_secs(1))),
        }
    }
}

#[derive(Debug)]
pub(super) struct Cutter {
    /// Where `pending` begins.
    start: Lsn,
    pending: BytesMut,
    /// When the first of `pending` came.
    since: Option<Instant>,
    /// No chunk crosses a multiple of this.
    run_bytes: u64,
}

impl Cutter {
    pub(super) fn new(start: Lsn, run_bytes: u64) -> Self {
        Self {
            start,
            pending: BytesMut::new(),
            since: None,
            run_bytes,
        }
    }

    pub(super) fn end(&self) -> Lsn {
        Lsn(self.start.0 + self.pending.len() as u64)
    }

    pub(super) fn push(&mut self, wal: &[u8], now: Instant) {
        if !wal.is_empty() {
            self.since.get_or_insert(now);
            self.pending.extend_from_slice(wal);
        }
    }

    /// Whether there is enough: what comes next shall wait in the engine.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= CHUNK_BYTES_MAX
    }

    /// Length of the next chunk if it were cut now.
    fn length(&self) -> usize {
        let left = self.run_bytes - self.start.0 % self.run_bytes;
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        self.pending.len().min(CHUNK_BYTES_MAX).min(left)
    }

    /// Whether the next chunk cannot grow any more.
    pub(super) fn is_complete(&self) -> bool {
        let end = self.start.0 + self.length() as u64;
        self.is_full() || (end > self.start.0 && end.is_multiple_of(self.run_bytes))
    }

    /// When the next chunk is to be cut; `None`: nothing has come.
    pub(super) fn due(&self, pace: Pace) -> Option<Instant> {
        let since = self.since?;
        Some(if self.is_complete() {
            since
        } else {
            since + pace.patience()
        })
    }

    /// Cuts a chunk.
    pub(super) fn cut(&mut self) -> Option<(Lsn, Bytes)> {
        let length = self.length();
        if length == 0 {
            return None;
        }
        let start = self.start;
        let chunk = self.pending.split_to(length).freeze();
        self.start.0 += length as u64;
        if self.pending.is_empty() {
            self.since = None;
            // The chunk keeps what it was split from alive.
            self.pending = BytesMut::new();
        }
        Some((start, chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: u64 = 16 << 20;

    #[test]
    fn a_chunk_is_what_came_and_never_crosses_a_run() {
        let now = Instant::now();
        let mut cutter = Cutter::new(Lsn(RUN - 5), RUN);
        assert_eq!(cutter.due(Pace::Now), None);
        assert!(cutter.cut().is_none());
        cutter.push(b"1234", now);
        cutter.push(b"56789", now);
        assert_eq!(cutter.end(), Lsn(RUN + 4));
        let (start, chunk) = cutter.cut().expect("something came");
        assert_eq!((start, &chunk[..]), (Lsn(RUN - 5), &b"12345"[..]));
        let (start, chunk) = cutter.cut().expect("a rest");
        assert_eq!((start, &chunk[..]), (Lsn(RUN), &b"6789"[..]));
        assert_eq!(cutter.due(Pace::Now), None);
    }

    #[test]
    fn it_waits_for_more_unless_more_cannot_come() {
        let now = Instant::now();
        let pace = Pace::Within(Duration::from_secs(1));
        let mut cutter = Cutter::new(Lsn(0), RUN);
        cutter.push(&[0; 10], now);
        let later = now + Duration::from_secs(5);
        cutter.push(&[0; 10], later);
        assert_eq!(cutter.due(pace), Some(now + Duration::from_millis(800)));
        assert_eq!(cutter.due(Pace::Now), Some(now));
        cutter.push(&vec![0; CHUNK_BYTES_MAX], later);
        assert!(cutter.is_full());
        assert_eq!(cutter.due(pace), Some(now));
        let mut at_the_end = Cutter::new(Lsn(RUN - 10), RUN);
        at_the_end.push(&[0; 10], now);
        assert_eq!(at_the_end.due(pace), Some(now));
    }

    /// Chunks cut in an hour in which WAL comes at these milliseconds.
    fn cuts(mut comes_ms: Vec<u64>, pace: Pace) -> u64 {
        comes_ms.sort_unstable();
        let begin = Instant::now();
        let mut cutter = Cutter::new(Lsn(0), RUN);
        let mut cuts = 0;
        for at in comes_ms {
            let now = begin + Duration::from_millis(at);
            if cutter.due(pace).is_some_and(|due| due <= now) {
                while cutter.cut().is_some() {
                    cuts += 1;
                }
            }
            cutter.push(&[0; 300], now);
        }
        cuts + u64::from(cutter.cut().is_some())
    }

    #[test]
    fn a_commit_a_second_costs_at_most_a_put_a_second() {
        let commits = (0..3600).map(|second| second * 1000);
        let pace = Pace::Within(Duration::from_secs(1));
        // What the engine writes of its own every 15 seconds, at any moment of a second.
        for phase in (0..1000).step_by(50) {
            let own = (0..240).map(|nth| nth * 15_000 + phase);
            let comes = commits.clone().chain(own).collect();
            assert!(cuts(comes, pace) <= 3600, "{phase}");
        }
        let busy = (0..36_000).map(|tenth| tenth * 100).collect();
        assert!(cuts(busy, pace) <= 4500);
        assert_eq!(cuts(Vec::new(), pace), 0);
    }

    #[test]
    fn a_long_lag_leaves_the_store_a_second() {
        let pace = Pace::Within(Duration::from_secs(10));
        assert_eq!(pace.patience(), Duration::from_secs(9));
    }
}
