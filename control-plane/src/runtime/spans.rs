//! Spans of granted compute: kept on disk until they are stored.

use super::files::{self, Durability};
use super::{ComputeSpan, Reports};
use crate::clock::Clock;
use lumadb_contract::id::{DatabaseId, IncarnationId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::Notify;

/// How often a span that lasts is written with the moment it was last seen.
const SEEN_INTERVAL: Duration = Duration::from_mins(1);

/// Wait before spans that could not be stored are tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    database_id: DatabaseId,
    incarnation_id: IncarnationId,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    seen_at: OffsetDateTime,
    milli_vcpu: u32,
    /// Seen to run by this process, not only read from the file.
    #[serde(skip)]
    live: bool,
    /// Stored as it stands.
    #[serde(skip)]
    stored: bool,
}

impl Entry {
    fn span(&self) -> ComputeSpan {
        ComputeSpan {
            database_id: self.database_id,
            incarnation_id: self.incarnation_id,
            started_at: self.started_at,
            ended_at: self.ended_at,
            seen_at: self.seen_at,
            milli_vcpu: self.milli_vcpu,
        }
    }
}

/// The spans of one runtime that are open or not stored yet.
#[derive(Debug)]
pub struct SpanBook {
    path: PathBuf,
    clock: Clock,
    entries: Mutex<Vec<Entry>>,
    changed: Notify,
}

impl SpanBook {
    pub(super) fn open(path: PathBuf, clock: Clock) -> Arc<Self> {
        let text = std::fs::read(&path).unwrap_or_default();
        let entries = serde_json::from_slice(&text).unwrap_or_default();
        Arc::new(Self {
            path,
            clock,
            entries: Mutex::new(entries),
            changed: Notify::new(),
        })
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what compute a database has now: `None` ends the span that is open, another
    /// incarnation or size ends it and begins the next.
    pub(super) fn set(&self, database: DatabaseId, granted: Option<(IncarnationId, u32)>) {
        let now = self.clock.now();
        let mut entries = self.entries();
        let open = entries
            .iter_mut()
            .find(|entry| entry.database_id == database && entry.ended_at.is_none());
        let mut changed = false;
        let mut begin = granted;
        if let Some(entry) = open {
            if granted == Some((entry.incarnation_id, entry.milli_vcpu)) {
                entry.live = true;
                begin = None;
            } else {
                // One that nobody watched ended when it was last seen.
                let end = if entry.live { now } else { entry.seen_at };
                entry.ended_at = Some(end.max(entry.started_at));
                entry.seen_at = end.max(entry.started_at);
                entry.stored = false;
                changed = true;
            }
        }
        if let Some((incarnation_id, milli_vcpu)) = begin {
            entries.push(Entry {
                database_id: database,
                incarnation_id,
                started_at: now,
                ended_at: None,
                seen_at: now,
                milli_vcpu,
                live: true,
                stored: false,
            });
            changed = true;
        }
        if changed {
            self.write(&entries);
            self.changed.notify_one();
        }
    }

    /// As [`SpanBook::set`], but a span of this incarnation goes on with the size that it has: the
    /// node has not applied another one yet.
    pub(super) fn hold(&self, database: DatabaseId, incarnation: IncarnationId, milli_vcpu: u32) {
        let open = self.entries().iter().find_map(|entry| {
            let same = entry.database_id == database && entry.incarnation_id == incarnation;
            (same && entry.ended_at.is_none()).then_some(entry.milli_vcpu)
        });
        self.set(database, Some((incarnation, open.unwrap_or(milli_vcpu))));
    }

    /// The engine of this database was found running: its span lasts.
    pub(super) fn claim(&self, database: DatabaseId) {
        for entry in self.entries().iter_mut() {
            if entry.database_id == database && entry.ended_at.is_none() {
                entry.live = true;
            }
        }
    }

    /// Nobody sees any more whether engines run: what happens to them from here on is not known
    /// until somebody says so.
    pub(super) fn release_all(&self) {
        let now = self.clock.now();
        let mut entries = self.entries();
        for entry in entries.iter_mut() {
            if entry.live && entry.ended_at.is_none() {
                entry.seen_at = now.max(entry.seen_at);
                entry.stored = false;
            }
            entry.live = false;
        }
        self.write(&entries);
        self.changed.notify_one();
    }

    /// Ends every open span that no running engine claimed.
    pub(super) fn end_unclaimed(&self) {
        let unclaimed: Vec<DatabaseId> = self
            .entries()
            .iter()
            .filter(|entry| !entry.live && entry.ended_at.is_none())
            .map(|entry| entry.database_id)
            .collect();
        for database in unclaimed {
            self.set(database, None);
        }
    }

    /// What is open or not stored yet.
    #[cfg(test)]
    pub(super) fn spans(&self) -> Vec<ComputeSpan> {
        self.entries().iter().map(Entry::span).collect()
    }

    fn write(&self, entries: &[Entry]) {
        let written = serde_json::to_vec(entries)
            .map_err(std::io::Error::from)
            .and_then(|text| files::replace(&self.path, &text, 0o600, Durability::Process));
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "could not write spans");
        }
    }

    /// Stores what is not stored, until dropped.
    pub(super) async fn deliver(self: Arc<Self>, reports: Reports) {
        let mut seen = tokio::time::interval(SEEN_INTERVAL);
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                _ = seen.tick() => self.see(),
            }
            while !self.store_all(&reports).await {
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    fn see(&self) {
        let now = self.clock.now();
        let mut entries = self.entries();
        for entry in entries.iter_mut() {
            if entry.live && entry.ended_at.is_none() {
                entry.seen_at = now;
                entry.stored = false;
            }
        }
        self.write(&entries);
    }

    /// Whether everything is stored, or never will be.
    async fn store_all(&self, reports: &Reports) -> bool {
        let waiting: Vec<Entry> = self
            .entries()
            .iter()
            .filter(|entry| !entry.stored)
            .cloned()
            .collect();
        for entry in waiting {
            match reports.compute_span(entry.span()).await {
                Ok(()) => self.mark_stored(&entry),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "spans of compute wait for the database");
                    return false;
                }
                Err(error) => {
                    let database = entry.database_id;
                    tracing::error!(%database, %error, "a span of compute was refused");
                    self.mark_stored(&entry);
                }
            }
        }
        true
    }

    fn mark_stored(&self, stored: &Entry) {
        let mut entries = self.entries();
        for entry in entries.iter_mut() {
            // One that changed meanwhile is still to be stored.
            entry.stored |= entry == stored;
        }
        entries.retain(|entry| !(entry.stored && entry.ended_at.is_some()));
        self.write(&entries);
    }

    /// Tries once more to store everything, within `limit`.
    pub(super) async fn flush(&self, reports: &Reports, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.store_all(reports)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: u128) -> uuid::Uuid {
        uuid::Uuid::from_u128(value)
    }

    #[test]
    fn a_resize_ends_a_span_and_begins_the_next_and_a_restart_continues_it() {
        let path = std::env::temp_dir().join(format!("lumadb-spans-{}.json", std::process::id()));
        let start = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let clock = Clock::manual(start);
        let database = DatabaseId::from_uuid(id(1));
        let incarnation = IncarnationId::from_uuid(id(2));
        let book = SpanBook::open(path.clone(), clock.clone());
        book.set(database, Some((incarnation, 250)));
        clock.advance(time::Duration::seconds(5));
        book.set(database, Some((incarnation, 250)));
        book.set(database, Some((incarnation, 500)));
        let first = book.entries()[0].clone();
        assert_eq!(first.ended_at, Some(start + time::Duration::seconds(5)));
        assert_eq!(book.entries().len(), 2);

        let again = SpanBook::open(path.clone(), clock.clone());
        again.claim(database);
        clock.advance(time::Duration::seconds(5));
        again.end_unclaimed();
        assert_eq!(again.entries()[1].ended_at, None, "a claimed span lasts");
        let later = SpanBook::open(path.clone(), clock);
        later.end_unclaimed();
        let last = later.entries()[1].clone();
        assert_eq!(
            last.ended_at,
            Some(last.seen_at),
            "unwatched: ended when last seen"
        );
        std::fs::remove_file(path).expect("removed");
    }
}
