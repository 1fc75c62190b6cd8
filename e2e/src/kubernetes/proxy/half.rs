//! Which requests go wrong where half of them shall.

use super::request::{Seen, Sort};
use http::Method;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

/// Of each two requests that ask the same one goes wrong, which of them by no rule. So whoever asks again
/// is heard by the third try at the latest, and no two that ask different things go wrong in step.
#[derive(Debug, Default)]
pub struct Half {
    counts: Mutex<HashMap<Asked, u64>>,
}

/// What a request asks, whatever version of it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    method: Method,
    path: String,
    /// What it selects: several watches may be of one path.
    selectors: Vec<String>,
    is_watch: bool,
}

impl Asked {
    fn of(seen: &Seen) -> Self {
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        let selects = |pair: &&str| {
            let name = pair.split('=').next();
            matches!(name, Some("labelSelector" | "fieldSelector"))
        };
        Self {
            method: seen.method.clone(),
            path: path.to_owned(),
            selectors: query
                .split('&')
                .filter(selects)
                .map(str::to_owned)
                .collect(),
            is_watch: seen.sort == Sort::Watch,
        }
    }
}

impl Half {
    /// For a request that goes wrong, a number that follows no rhythm, to choose by how it does. Each
    /// request is to be asked about once.
    pub fn picked(&self, seen: &Seen) -> Option<usize> {
        let asked = Asked::of(seen);
        let mut hasher = DefaultHasher::new();
        asked.hash(&mut hasher);
        let number = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(asked).or_default();
            *count += 1;
            *count - 1
        };
        let (pair, place) = (number / 2, number % 2);
        pair.hash(&mut hasher);
        let mixed = hasher.finish();
        (mixed % 2 == place).then(|| usize::try_from(mixed >> 33).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUESTS: usize = 1000;

    const PATHS: [&str; 5] = [
        "/api/v1/pods",
        "/api/v1/pods?watch=true&labelSelector=a",
        "/api/v1/pods?watch=true&labelSelector=b",
        "/api/v1/secrets?watch=true",
        "/api/v1/namespaces/tenants/secrets/a",
    ];

    fn seen(path: &str) -> Seen {
        let method = Method::GET;
        Seen {
            number: 0,
            sort: Sort::of(&method, &path.parse().unwrap()),
            method,
            path: path.to_owned(),
        }
    }

    /// For each path which of its requests go wrong.
    fn fates() -> Vec<Vec<bool>> {
        let half = Half::default();
        let mut fates = vec![Vec::new(); PATHS.len()];
        for _ in 0..REQUESTS {
            for (path, fates) in PATHS.iter().zip(&mut fates) {
                fates.push(half.picked(&seen(path)).is_some());
            }
        }
        fates
    }

    #[test]
    fn half_of_every_row_of_requests_goes_wrong_and_never_three_one_after_the_other() {
        for fates in fates() {
            for first in 0..fates.len() {
                let mut failed = 0;
                for (index, fails) in fates[first..].iter().enumerate() {
                    failed += usize::from(*fails);
                    assert!((2 * failed).abs_diff(index + 1) <= 2);
                }
            }
            assert!(fates.windows(3).all(|three| three.contains(&false)));
        }
    }

    #[test]
    fn what_asks_different_things_does_not_go_wrong_in_step() {
        let fates = fates();
        for (index, one) in fates.iter().enumerate() {
            for other in &fates[..index] {
                let same = one.iter().zip(other).filter(|(one, other)| one == other);
                let same = same.count();
                assert!((400..600).contains(&same), "{same} of {REQUESTS}");
            }
        }
    }

    #[test]
    fn a_later_version_of_the_same_is_no_other_request() {
        let half = Half::default();
        let path = |version: usize| format!("/api/v1/pods?watch=true&resourceVersion={version}");
        let fails = |version| half.picked(&seen(&path(version))).is_some();
        let fates: Vec<bool> = (0..REQUESTS).map(fails).collect();
        assert!(fates.chunks(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn every_fault_has_its_turn() {
        let half = Half::default();
        let mut turns = [0; 4];
        for _ in 0..REQUESTS {
            if let Some(picked) = half.picked(&seen(PATHS[0])) {
                turns[picked % turns.len()] += 1;
            }
        }
        assert!(
            turns.iter().all(|turns| *turns > REQUESTS / 16),
            "{turns:?}"
        );
    }
}
