//! How far an import is: written by whoever does the work, read by whoever tells of it.

use crate::app::state::ImportState;
use crate::store::import::{ClaimedImport, ImportProgress};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;

/// Numbers that only grow while an import is under way; all but the lag.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stage: AtomicU8,
    tables_begun: AtomicI64,
    tables_total: AtomicI64,
    bytes_copied: AtomicI64,
    source_bytes: AtomicI64,
    /// Of one that follows, and one more; 0: not known yet.
    lag_bytes_and_one: AtomicI64,
    /// Microseconds since the Unix epoch; 0: no change yet.
    last_change_at_us: AtomicI64,
    is_completing: AtomicBool,
    completing: Notify,
}

const COPYING: u8 = 1;
const FINISHING: u8 = 2;
const FOLLOWING: u8 = 3;
const VALIDATING: u8 = 4;

/// Starts the line of `pg_restore` that names the table whose rows come next.
const TABLE_LINE: &str = "pg_restore: processing data for table ";

/// Begins of lines that say that all rows are in.
const FINISHING_LINES: [&str; 3] = [
    "pg_restore: creating INDEX ",
    "pg_restore: creating CONSTRAINT ",
    "pg_restore: creating FK CONSTRAINT ",
];

impl Progress {
    /// Of an import that an earlier worker may have begun.
    pub(super) fn of(claimed: &ClaimedImport) -> Self {
        let progress = Self::default();
        let stage = match claimed.state {
            ImportState::Copying | ImportState::Finishing => COPYING,
            ImportState::Following => FOLLOWING,
            ImportState::Validating => VALIDATING,
            _ => 0,
        };
        progress.stage.store(stage, Ordering::Relaxed);
        if stage >= FOLLOWING {
            progress.source(claimed.tables_total, claimed.source_bytes);
            let copied = &progress.bytes_copied;
            copied.store(claimed.bytes_copied, Ordering::Relaxed);
        }
        progress
    }

    pub(super) fn source(&self, tables: i64, bytes: i64) {
        self.tables_total.store(tables, Ordering::Relaxed);
        self.source_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn copying(&self) {
        self.stage.fetch_max(COPYING, Ordering::Relaxed);
    }

    pub(super) fn finishing(&self) {
        self.stage.fetch_max(FINISHING, Ordering::Relaxed);
    }

    pub(super) fn following(&self) {
        self.stage.fetch_max(FOLLOWING, Ordering::Relaxed);
    }

    /// It has switched over; what is left changes no row.
    pub(super) fn validating(&self) {
        self.stage.fetch_max(VALIDATING, Ordering::Relaxed);
    }

    /// WAL of the source's that is not applied yet.
    pub(super) fn lag(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.lag_bytes_and_one
            .store(bytes.saturating_add(1), Ordering::Relaxed);
    }

    /// A transaction is applied that committed at the source then.
    pub(super) fn applied(&self, committed_at: OffsetDateTime) {
        let since = committed_at - OffsetDateTime::UNIX_EPOCH;
        let since = i64::try_from(since.whole_microseconds()).unwrap_or_default();
        self.last_change_at_us.store(since, Ordering::Relaxed);
    }

    /// The customer asks for the switch-over.
    pub(super) fn complete(&self) {
        if !self.is_completing.swap(true, Ordering::Relaxed) {
            self.completing.notify_waiters();
        }
    }

    pub(super) fn is_completing(&self) -> bool {
        self.is_completing.load(Ordering::Relaxed)
    }

    /// Waits until it is asked for; may miss one that is asked for just before.
    pub(super) async fn completing(&self) {
        self.completing.notified().await;
    }

    pub(super) fn copied(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.bytes_copied.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes a line that `pg_restore --verbose` printed.
    pub(super) fn line(&self, line: &str) {
        if line.starts_with(TABLE_LINE) {
            self.tables_begun.fetch_add(1, Ordering::Relaxed);
        } else if FINISHING_LINES.iter().any(|begin| line.starts_with(begin)) {
            self.finishing();
        }
    }

    pub(super) fn now(&self) -> ImportProgress {
        let read = |number: &AtomicI64| number.load(Ordering::Relaxed);
        let (begun, total) = (read(&self.tables_begun), read(&self.tables_total));
        let (state, done) = match self.stage.load(Ordering::Relaxed) {
            VALIDATING => (ImportState::Validating, total),
            FOLLOWING => (ImportState::Following, total),
            FINISHING => (ImportState::Finishing, begun),
            // The last one that began is being copied.
            COPYING => (ImportState::Copying, (begun - 1).max(0)),
            _ => (ImportState::Checking, 0),
        };
        ImportProgress {
            state,
            tables_done: done.min(total),
            tables_total: total,
            bytes_copied: read(&self.bytes_copied),
            source_bytes: read(&self.source_bytes),
            lag_bytes: read(&self.lag_bytes_and_one)
                .checked_sub(1)
                .filter(|bytes| *bytes >= 0),
            last_change_at: match read(&self.last_change_at_us) {
                0 => None,
                since => Some(OffsetDateTime::UNIX_EPOCH + Duration::microseconds(since)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_done_when_the_next_begins_or_all_are() {
        let progress = Progress::default();
        assert_eq!(progress.now().state, ImportState::Checking);
        progress.source(2, 1000);
        progress.copying();
        progress.line("pg_restore: creating TABLE \"public.a\"");
        progress.line("pg_restore: processing data for table \"public.a\"");
        assert_eq!(progress.now().tables_done, 0);
        progress.line("pg_restore: processing data for table \"public.b\"");
        assert_eq!(progress.now().tables_done, 1);
        assert_eq!(progress.now().state, ImportState::Copying);
        progress.line("pg_restore: creating CONSTRAINT \"public.a a_pkey\"");
        assert_eq!(progress.now().tables_done, 2);
        assert_eq!(progress.now().state, ImportState::Finishing);
    }

    #[test]
    fn one_that_follows_tells_how_far_behind_it_is() {
        let progress = Progress::default();
        progress.source(2, 1000);
        progress.following();
        let now = progress.now();
        assert_eq!((now.state, now.tables_done), (ImportState::Following, 2));
        assert_eq!((now.lag_bytes, now.last_change_at), (None, None));
        let committed_at = OffsetDateTime::UNIX_EPOCH + Duration::microseconds(7);
        progress.lag(12);
        progress.applied(committed_at);
        // It is not copied a second time.
        progress.copying();
        let now = progress.now();
        assert_eq!(now.state, ImportState::Following);
        assert_eq!(
            (now.lag_bytes, now.last_change_at),
            (Some(12), Some(committed_at))
        );
        progress.complete();
        assert!(progress.is_completing());
        progress.validating();
        assert_eq!(progress.now().state, ImportState::Validating);
    }
}
