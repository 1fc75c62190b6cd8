//! What a bucket holds, in order of the keys, and how it is listed. Pure.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Keys as bytes: S3 orders them so.
pub(crate) type Index<V> = BTreeMap<Box<[u8]>, V>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    /// Keys that go on behind it count as one. Empty: none does.
    pub(crate) delimiter: &'a str,
    /// Nothing before this is listed.
    pub(crate) from: Vec<u8>,
    /// Keys and folders, together.
    pub(crate) max: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<V> {
    pub(crate) objects: Vec<(String, V)>,
    /// Each ends with the delimiter.
    pub(crate) folders: Vec<String>,
    /// Where the next page begins, if there is more.
    pub(crate) next: Option<Vec<u8>>,
}

/// The first that comes behind `key`.
pub(crate) fn behind(key: &str) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// The first that comes behind all that begin with `prefix`, which is not empty and UTF-8: its last
/// byte is below 0xFF.
fn behind_all(prefix: &[u8]) -> Vec<u8> {
    let mut bytes = prefix.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
    bytes
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len())
        .position(|window| window == needle)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn list<V: Clone>(index: &Index<V>, query: &Query<'_>) -> Page<V> {
    let prefix = query.prefix.as_bytes();
    let mut page = Page {
        objects: Vec::new(),
        folders: Vec::new(),
        next: None,
    };
    let mut from = query.from.clone();
    if from.as_slice() < prefix {
        from = prefix.to_vec();
    }
    if query.max == 0 {
        return page;
    }
    loop {
        let start = Bound::Included(from.as_slice());
        let range = index.range::<[u8], _>((start, Bound::Unbounded));
        let mut skip_to = None;
        let mut full = None;
        for (key, value) in range.take_while(|(key, _)| key.starts_with(prefix)) {
            if page.objects.len() + page.folders.len() == query.max {
                full = Some(key.to_vec());
                break;
            }
            let rest = &key[prefix.len()..];
            let delimiter = query.delimiter.as_bytes();
            let cut = match delimiter {
                [] => None,
                delimiter => find(rest, delimiter),
            };
            match cut {
                None => page.objects.push((text(key), value.clone())),
                Some(at) => {
                    let folder = &key[..prefix.len() + at + delimiter.len()];
                    page.folders.push(text(folder));
                    skip_to = Some(behind_all(folder));
                    break;
                }
            }
        }
        match (skip_to, full) {
            (Some(next), _) => from = next,
            (None, Some(next)) => {
                page.next = Some(next);
                break;
            }
            (None, None) => break,
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// The same, told in the plainest way: all keys, folded, cut.
    fn model(keys: &BTreeSet<String>, query: &Query<'_>) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for key in keys {
            if !key.starts_with(query.prefix) || key.as_bytes() < query.from.as_slice() {
                continue;
            }
            let rest = &key[query.prefix.len()..];
            let shown = match rest.find(query.delimiter) {
                Some(at) if !query.delimiter.is_empty() => {
                    key[..query.prefix.len() + at + query.delimiter.len()].to_owned()
                }
                _ => key.clone(),
            };
            if found.last() != Some(&shown) {
                found.push(shown);
            }
        }
        found
    }

    fn pages(index: &Index<u8>, query: &Query<'_>) -> Vec<String> {
        let mut query = query.clone();
        let mut all = Vec::new();
        loop {
            let page = list(index, &query);
            let mut shown: Vec<String> = page.objects.into_iter().map(|(key, _)| key).collect();
            shown.extend(page.folders);
            assert!(shown.len() <= query.max);
            shown.sort();
            all.extend(shown);
            match page.next {
                Some(next) => query.from = next,
                None => return all,
            }
        }
    }

    proptest! {
        #[test]
        fn pages_together_are_what_is_there(
            keys in prop::collection::btree_set("[ab/é\u{10ffff}]{1,6}", 0..40),
            prefix in "[ab/]{0,2}",
            delimiter in prop::sample::select(vec!["", "/", "ab", "é"]),
            after in prop::option::of("[ab/é]{1,4}"),
            max in 1_usize..6,
        ) {
            let index = keys.iter().map(|key| (key.as_bytes().into(), 0)).collect();
            let from = after.map(|after| behind(&after)).unwrap_or_default();
            let query = Query { prefix: &prefix, delimiter, from, max };
            prop_assert_eq!(pages(&index, &query), model(&keys, &query));
        }
    }

    #[test]
    fn nothing_is_asked_and_nothing_follows() {
        let index: Index<u8> = [(b"a".as_slice().into(), 0)].into();
        let page = list(&index, &Query::default());
        assert!(page.objects.is_empty() && page.next.is_none());
    }
}
