//! From the engine's cumulative statistics to operations: what was counted before is on disk, and
//! only what came since is added.

use crate::files;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// By logical database, then by index or table.
type VectorCounts = BTreeMap<String, BTreeMap<String, u64>>;

/// What of the engine's statistics is counted.
#[derive(Debug)]
pub struct VectorBook {
    file: PathBuf,
    counted: Option<VectorCounts>,
}

impl VectorBook {
    /// What an earlier incarnation left, if any did.
    pub fn open(file: PathBuf) -> Self {
        let counted = std::fs::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        Self { file, counted }
    }

    /// How many operations are new, noted as counted before they are: a kill in between loses them,
    /// and never counts them twice. Where nothing is known of before, nothing is new.
    pub fn take(&mut self, now: VectorCounts) -> io::Result<u64> {
        let grown = self
            .counted
            .as_ref()
            .map_or(0, |before| grown(before, &now));
        let mut counted = self.counted.clone().unwrap_or_default();
        counted.extend(now);
        if self.counted.as_ref() == Some(&counted) {
            return Ok(0);
        }
        files::replace(&self.file, &serde_json::to_vec(&counted)?)?;
        self.counted = Some(counted);
        Ok(grown)
    }
}

/// Statistics that shrank were reset, by a crash of the engine: what they show came since.
fn grown(before: &VectorCounts, now: &VectorCounts) -> u64 {
    let known = |database: &str, name: &str| {
        let database = before.get(database)?;
        database.get(name).copied()
    };
    let each = now.iter().flat_map(|(database, counts)| {
        counts
            .iter()
            .map(move |(name, count)| (database, name, *count))
    });
    each.map(|(database, name, count)| {
        let before = known(database, name).unwrap_or_default();
        count.checked_sub(before).unwrap_or(count)
    })
    .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, &str, u64)]) -> VectorCounts {
        let mut counts = VectorCounts::new();
        for (database, name, count) in of {
            let database = counts.entry((*database).to_owned()).or_default();
            database.insert((*name).to_owned(), *count);
        }
        counts
    }

    #[test]
    fn each_operation_counts_once_over_restarts_resets_and_drops() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("vectors.json");
        let mut book = VectorBook::open(file.clone());
        let first = book.take(counts(&[("1", "table 7", 100)])).expect("writes");
        assert_eq!(first, 0, "what was before anybody looked is nobody's");
        let more = counts(&[("1", "table 7", 130), ("1", "index 8", 5)]);
        assert_eq!(book.take(more.clone()).expect("writes"), 35);
        assert_eq!(book.take(more.clone()).expect("writes"), 0);
        let mut book = VectorBook::open(file);
        assert_eq!(book.take(more).expect("writes"), 0);
        // Another database comes, and the first one cannot be asked.
        assert_eq!(
            book.take(counts(&[("2", "table 7", 3)])).expect("writes"),
            3
        );
        let reset = counts(&[("1", "table 7", 4), ("2", "table 7", 3)]);
        assert_eq!(book.take(reset).expect("writes"), 4);
        assert_eq!(
            book.take(counts(&[("1", "table 9", 1)])).expect("writes"),
            1
        );
    }
}
