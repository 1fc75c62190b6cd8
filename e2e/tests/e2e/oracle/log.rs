//! What was told to clients, kept outside of the database.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A row, as it was written.
pub(super) type Row = i64;

/// Rows that somebody was told of, and when first.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<BTreeMap<Row, Instant>>>);

impl Log {
    pub(super) fn told(&self, rows: impl IntoIterator<Item = Row>) {
        let now = Instant::now();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            told.entry(row).or_insert(now);
        }
    }

    pub(super) fn take(&self) -> BTreeMap<Row, Instant> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *told)
    }
}
