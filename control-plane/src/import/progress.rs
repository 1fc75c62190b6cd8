//! How far an import is: written by whoever does the work, read by whoever tells of it.

use crate::app::state::ImportState;
use crate::store::import::ImportProgress;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

/// Numbers that only grow while an import is under way.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stage: AtomicU8,
    tables_begun: AtomicI64,
    tables_total: AtomicI64,
    bytes_copied: AtomicI64,
    source_bytes: AtomicI64,
}

const COPYING: u8 = 1;
const FINISHING: u8 = 2;

/// Starts the line of `pg_restore` that names the table whose rows come next.
const TABLE_LINE: &str = "pg_restore: processing data for table ";

/// Begins of lines that say that all rows are in.
const FINISHING_LINES: [&str; 3] = [
    "pg_restore: creating INDEX ",
    "pg_restore: creating CONSTRAINT ",
    "pg_restore: creating FK CONSTRAINT ",
];

impl Progress {
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
}
