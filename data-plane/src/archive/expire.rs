//! What of an archive is no longer needed.
//!
//! Kept are: what is pinned, what ended at or after the moment before which things expire, and of
//! what ended earlier the last backup, because every moment behind it is restored from there; and
//! whatever any of these builds on. WAL is kept from the start of the first of them on. Seals never
//! expire: were one gone, the writer that it fenced could go on.

use super::backup::{BackupEntry, Catalogue};
use super::layout::{Layout, segment_range, timeline_of};
use super::store::{ObjectStore, StoreError};
use lumadb_contract::archive::Lsn;
use lumadb_contract::id::BackupId;
use std::collections::BTreeSet;
use time::OffsetDateTime;

/// What expires.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// No kept one builds on them; the newest first, so that none is ever without what it builds on.
    pub backups: Vec<BackupId>,
    /// WAL that ends here or before is needed by nothing.
    pub wal_before: Lsn,
}

/// Decides. Pure.
pub fn expired(
    catalogue: &Catalogue,
    before: Option<OffsetDateTime>,
    pinned: &[BackupId],
) -> Expired {
    // What a damaged entry needs cannot be told.
    let Some(before) = before.filter(|_| catalogue.damaged.is_empty()) else {
        return Expired::default();
    };
    let entries = &catalogue.entries;
    let last_old = entries.iter().rev().find(|entry| entry.ended_at < before);
    let last_old = last_old.map(|entry| entry.backup_id);
    let is_wanted = |entry: &&BackupEntry| {
        let id = entry.backup_id;
        entry.ended_at >= before || pinned.contains(&id) || last_old == Some(id)
    };
    let wanted: Vec<_> = entries.iter().filter(is_wanted).collect();
    let mut kept = BTreeSet::new();
    for entry in &wanted {
        kept.insert(entry.backup_id);
        let chain = catalogue.chain(entry.backup_id).unwrap_or_default();
        kept.extend(chain.iter().map(|entry| entry.backup_id));
    }
    let gone = entries.iter().rev().map(|entry| entry.backup_id);
    // What a chain builds on is kept for its files: nothing is replayed from there.
    let first = wanted.iter().map(|entry| entry.start_lsn).min();
    Expired {
        backups: gone.filter(|id| !kept.contains(id)).collect(),
        wal_before: first.unwrap_or_default(),
    }
}

/// Deletes what expired; answers how many objects. The caller makes no backup meanwhile. A backup's
/// entry goes first: what is left of it is no backup, and [`super::backup::orphans_remove`] finds
/// it.
pub async fn expire(
    store: &ObjectStore,
    layout: &Layout,
    expired: &Expired,
) -> Result<u64, StoreError> {
    let mut deleted = 0;
    for backup_id in &expired.backups {
        store
            .delete(vec![layout.catalogue_entry(*backup_id)])
            .await?;
        let parts = store.list(&layout.backup(*backup_id, ""), None).await?;
        deleted += 1 + parts.len() as u64;
        let parts = parts.into_iter().map(|part| part.name);
        store.delete(parts.collect()).await?;
    }
    for folder in store.list_folders(&layout.wal()).await? {
        let Some(timeline) = timeline_of(&folder) else {
            continue;
        };
        let mut runs = store.list(&layout.segments(timeline), None).await?;
        // Whoever writes on begins behind the last one.
        runs.pop();
        let old = runs
            .into_iter()
            .map(|run| run.name)
            .filter(|name| segment_range(name).is_some_and(|(_, end)| end <= expired.wal_before));
        let old: Vec<_> = old.collect();
        deleted += old.len() as u64;
        store.delete(old).await?;
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::super::backup::samples::{at, backup, id};
    use super::*;
    use lumadb_contract::archive::BackupKind;

    fn chain() -> Catalogue {
        let mut entries = vec![
            backup(1, 1, 100),
            backup(2, 1, 200),
            backup(3, 1, 300),
            backup(4, 1, 400),
        ];
        entries[2].kind = BackupKind::Incremental;
        entries[2].parent = Some(id(2));
        Catalogue {
            entries,
            damaged: Vec::new(),
        }
    }

    #[test]
    fn every_moment_behind_the_limit_stays_restorable() {
        let catalogue = chain();
        for (before, gone, wal) in [
            (0, vec![], 100),
            // Moments from 110 on need the first.
            (150, vec![], 100),
            (210, vec![], 100),
            (211, vec![1], 200),
            // The third builds on the second, whose WAL nobody replays.
            (311, vec![1], 300),
            (411, vec![3, 2, 1], 400),
            (99_999, vec![3, 2, 1], 400),
        ] {
            let expired = expired(&catalogue, Some(at(before)), &[]);
            let gone: Vec<_> = gone.into_iter().map(id).collect();
            let expected = Expired {
                backups: gone,
                wal_before: Lsn(wal),
            };
            assert_eq!(expired, expected, "before {before}");
        }
    }

    /// A backup a day for more than a year, of which each `full_every`th is a full one.
    fn year(window: u32, full_every: u32) -> usize {
        let day_of = |day: i64| at(day * 86_400);
        let mut catalogue = Catalogue::default();
        let mut most = 0;
        for day in 0..400 {
            let mut made = backup(day + 1, 1, day * 100 + 100);
            made.ended_at = day_of(i64::from(day));
            if day % full_every != 0 {
                made.kind = BackupKind::Incremental;
                made.parent = Some(id(day));
            }
            catalogue.entries.push(made);
            let begin = day_of(i64::from(day) - i64::from(window));
            let gone = expired(&catalogue, Some(begin), &[]);
            catalogue
                .entries
                .retain(|entry| !gone.backups.contains(&entry.backup_id));
            for entry in &catalogue.entries {
                let chain = catalogue.chain(entry.backup_id);
                assert!(chain.is_some(), "{window} days: what one builds on is gone");
            }
            let first = catalogue
                .entries
                .iter()
                .rev()
                .find(|entry| entry.ended_at < begin);
            let first = first.map_or(Lsn(100), |entry| entry.start_lsn);
            let oldest = catalogue.entries.first().expect("some").ended_at;
            assert!(
                oldest < begin || day <= window,
                "{window} days: the window has lost its begin"
            );
            assert_eq!(
                gone.wal_before, first,
                "{window} days: WAL is kept from there on"
            );
            most = most.max(catalogue.entries.len());
        }
        most
    }

    #[test]
    fn each_window_keeps_what_it_needs_for_a_year_and_not_much_more() {
        for (window, full_every) in [(1, 1), (7, 7), (14, 7), (30, 7), (365, 7)] {
            let most = year(window, full_every);
            // The days of the window, the one before it, and what its chain has in front.
            let bound = usize::try_from(window + 1 + full_every).expect("positive");
            assert!(most <= bound, "{window} days: {most} backups of {bound}");
        }
    }

    #[test]
    fn what_is_pinned_stays_with_its_wal_and_what_it_builds_on() {
        let expired = expired(&chain(), Some(at(99_999)), &[id(3)]);
        assert_eq!(expired.backups, [id(1)]);
        assert_eq!(expired.wal_before, Lsn(300));
    }

    #[test]
    fn nothing_expires_without_a_limit_or_beside_a_damaged_entry() {
        let catalogue = chain();
        assert_eq!(expired(&catalogue, None, &[]), Expired::default());
        let empty = Catalogue::default();
        assert_eq!(expired(&empty, Some(at(1)), &[]), Expired::default());
    }
}
