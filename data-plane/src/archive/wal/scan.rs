//! What there is of one timeline.
//!
//! Runs are known by their names. The last one says where the chain of chunks goes on, and from
//! there each item is read and checked. What is damaged or missing in the middle ends a range of WAL
//! and is noted; it does not hide what lies behind it.

use super::WalError;
use super::chain::Position;
use super::format::{Header, Item, Kind, Origin, WINDOW};
use super::item::Items;
use crate::archive::layout::{Sequence, Timeline, chunk_sequence, segment_range};
use futures::stream::{self, StreamExt};
use lumadb_contract::archive::Lsn;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Items fetched at the same time, at most, and at least.
const FETCHES_AT_ONCE: (usize, usize) = (16, 2);

/// Fetched at the same time, bytes: fewer items where they are large.
const FETCHED_BYTES: u64 = 2 * 1024 * 1024;

/// Scans begun because what was listed had gone meanwhile, at most.
const SCANS_MAX: usize = 5;

/// Small items of one timeline kept to be read again, bytes as they lie in the store: about a run of
/// those that are cut while commits wait for them.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Largest item that is kept, bytes as it lies in the store.
const KEPT_ITEM_BYTES_MAX: usize = 256 * 1024;

/// Items to fetch at the same time, if the largest has so many bytes.
pub(super) fn fetches_at_once(largest: Option<u64>) -> usize {
    let (most, least) = FETCHES_AT_ONCE;
    let fit = FETCHED_BYTES / largest.unwrap_or_default().max(1);
    usize::try_from(fit).unwrap_or(most).clamp(least, most)
}

/// Something of an archive that is damaged or missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub name: String,
    pub what: String,
}

/// A stretch of WAL and the object that holds it.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) name: String,
    pub(super) start: Lsn,
    pub(super) end: Lsn,
    /// Of a chunk.
    pub(super) header: Option<Header>,
    /// What it holds, if it is small.
    pub(super) kept: Option<Arc<Item>>,
}

#[derive(Debug)]
pub(super) struct Scan {
    pub(super) timeline: Timeline,
    /// Runs, then chunks, in order.
    pub(super) pieces: Vec<Piece>,
    /// Where the next writer goes on.
    pub(super) position: Position,
    pub(super) origin: Option<Origin>,
    /// The last run.
    pub(super) anchor: Option<Header>,
    pub(super) faults: Vec<Fault>,
    kept_bytes: usize,
}

impl Scan {
    pub(super) async fn read(items: &Items, timeline: Timeline) -> Result<Self, WalError> {
        let mut scans = 1;
        loop {
            match Self::read_once(items, timeline).await {
                // Put together into a run since it was listed.
                Err(WalError::Gone { .. }) if scans < SCANS_MAX => scans += 1,
                other => return other,
            }
        }
    }

    async fn read_once(items: &Items, timeline: Timeline) -> Result<Self, WalError> {
        let layout = items.layout;
        // In this order: what is put together meanwhile is then seen twice, and not missed.
        let chunks = items.store.list(&layout.chunks(timeline), None).await?;
        let runs = items.store.list(&layout.segments(timeline), None).await?;
        let pieces = runs.iter().filter_map(|run| {
            let (start, end) = segment_range(&run.name)?;
            Some(Piece {
                name: run.name.clone(),
                start,
                end,
                header: None,
                kept: None,
            })
        });
        let mut scan = Self {
            timeline,
            pieces: pieces.collect(),
            position: Position::START,
            origin: None,
            anchor: None,
            faults: Vec::new(),
            kept_bytes: 0,
        };
        scan.anchor_read(items).await?;
        let sequences = chunks
            .iter()
            .filter_map(|object| Some((chunk_sequence(&object.name)?, object.bytes)));
        scan.walk(items, sequences.collect()).await?;
        Ok(scan)
    }

    /// Begins behind the last run.
    async fn anchor_read(&mut self, items: &Items) -> Result<(), WalError> {
        let Some(last) = self.pieces.last() else {
            return Ok(());
        };
        let (name, start, end) = (last.name.clone(), last.start, last.end);
        match items.read(&name).await {
            Ok(None) => return Err(WalError::Gone { name }),
            Err(error) if error.is_damage() => self.fault(&name, &error),
            Err(error) => return Err(error),
            Ok(Some(run)) => {
                let header = run.header;
                let named = (header.kind, header.start, header.end);
                if named == (Kind::Run, start, end) && header.timeline == self.timeline {
                    self.origin = Some(header.origin);
                    self.anchor = Some(header);
                    self.position = Position::behind_run(&header);
                } else {
                    self.fault(&name, &"it holds something else than its name says");
                }
            }
        }
        Ok(())
    }

    /// Reads the items of these numbers, with the lengths of their objects.
    async fn walk(
        &mut self,
        items: &Items,
        mut sequences: Vec<(Sequence, u64)>,
    ) -> Result<(), WalError> {
        let layout = items.layout;
        let timeline = self.timeline;
        sequences.retain(|(sequence, _)| *sequence >= self.position.next);
        let last = sequences.last().map_or(0, |(sequence, _)| *sequence);
        let at_once = fetches_at_once(sequences.iter().map(|(_, bytes)| *bytes).max());
        let read = |sequence| async move {
            let name = layout.chunk(timeline, sequence);
            let item = items.read(&name).await;
            (sequence, name, item)
        };
        let reads: Vec<_> = (sequences.into_iter())
            .map(|(sequence, _)| read(sequence))
            .collect();
        let mut reads = stream::iter(reads).buffered(at_once);
        let mut ahead = VecDeque::new();
        loop {
            let read = match ahead.pop_front() {
                Some(read) => Some(read),
                None => reads.next().await,
            };
            let Some((sequence, name, item)) = read else {
                return Ok(());
            };
            let next = self.position.next;
            if sequence < next {
                // Written by a writer that was fenced.
                continue;
            }
            if sequence > next {
                if last < next + WINDOW {
                    // A window's worth at most.
                    ahead.extend(reads.by_ref().collect::<Vec<_>>().await);
                    let behind = ahead.iter().map(|(_, _, item)| item);
                    if !behind
                        .chain([&item])
                        .any(|item| self.had_arrived(next, item))
                    {
                        // On their way, or left there by a writer that was killed.
                        return Ok(());
                    }
                }
                self.fault(&layout.chunk(timeline, next), &"it is missing");
                self.position.skip_to(sequence);
            }
            match item {
                Ok(Some(item)) => {
                    if let Err(what) = self.accept(&name, item) {
                        self.fault(&name, &what);
                        self.position.skip_to(sequence + 1);
                    }
                }
                Ok(None) => return Err(WalError::Gone { name }),
                Err(error) if error.is_damage() => {
                    self.fault(&name, &error);
                    self.position.skip_to(sequence + 1);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether `item`, of the same writer, says that `sequence` was in the archive before it.
    fn had_arrived(&self, sequence: Sequence, item: &Result<Option<Item>, WalError>) -> bool {
        let Ok(Some(item)) = item else {
            return false;
        };
        let header = &item.header;
        header.kind == Kind::Chunk && header.epoch == self.position.epoch && header.first > sequence
    }

    fn accept(&mut self, name: &str, item: Item) -> Result<(), &'static str> {
        let header = item.header;
        let other = |origin: Origin| origin != header.origin;
        if header.timeline != self.timeline || self.origin.is_some_and(other) {
            return Err("it is of another timeline or another database");
        }
        self.position.accept(&header)?;
        self.origin = Some(header.origin);
        if header.kind == Kind::Chunk {
            let bytes = item.compressed_bytes();
            let keep = bytes <= KEPT_ITEM_BYTES_MAX && self.kept_bytes + bytes <= KEPT_BYTES_MAX;
            self.kept_bytes += if keep { bytes } else { 0 };
            self.pieces.push(Piece {
                name: name.to_owned(),
                start: header.start,
                end: header.end,
                header: Some(header),
                kept: keep.then(|| Arc::new(item)),
            });
        }
        Ok(())
    }

    fn fault(&mut self, name: &str, what: &dyn std::fmt::Display) {
        tracing::error!(name, %what, "the archive is damaged");
        self.faults.push(Fault {
            name: name.to_owned(),
            what: what.to_string(),
        });
    }

    /// What is there, between holes.
    pub(super) fn ranges(&self) -> Vec<Range<Lsn>> {
        let mut ranges: Vec<Range<Lsn>> = Vec::new();
        for piece in &self.pieces {
            match ranges.last_mut() {
                Some(range) if range.end == piece.start => range.end = piece.end,
                _ => ranges.push(piece.start..piece.end),
            }
        }
        ranges
    }

    /// What holds WAL from `start` on, up to `end` or the first hole; `None`: nothing holds `start`.
    pub(super) fn pieces_of(&self, start: Lsn, end: Lsn) -> Option<&[Piece]> {
        let first = self.pieces.partition_point(|piece| piece.end <= start);
        let from = self.pieces.get(first..)?;
        if from.first()?.start > start {
            return None;
        }
        let mut at = start;
        let holds = from.iter().take_while(|piece| {
            let goes_on = piece.start < end && piece.start <= at;
            at = piece.end;
            goes_on
        });
        let count = holds.count();
        from.get(..count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(pieces: &[(u64, u64)]) -> Scan {
        let piece = |(start, end): &(u64, u64)| Piece {
            name: format!("{start}"),
            start: Lsn(*start),
            end: Lsn(*end),
            header: None,
            kept: None,
        };
        Scan {
            timeline: 1,
            pieces: pieces.iter().map(piece).collect(),
            position: Position::START,
            origin: None,
            anchor: None,
            faults: Vec::new(),
            kept_bytes: 0,
        }
    }

    #[test]
    fn ranges_end_where_something_is_missing() {
        let scan = scan(&[(0, 10), (10, 15), (20, 30)]);
        assert_eq!(scan.ranges(), [Lsn(0)..Lsn(15), Lsn(20)..Lsn(30)]);
        assert!(super::tests::scan(&[]).ranges().is_empty());
    }

    #[test]
    fn a_stretch_is_held_by_what_overlaps_it_up_to_a_hole() {
        let scan = scan(&[(0, 10), (10, 15), (20, 30)]);
        let names = |start, end| {
            let pieces = scan.pieces_of(Lsn(start), Lsn(end));
            pieces.map(|all| all.iter().map(|it| it.name.as_str()).collect::<Vec<_>>())
        };
        assert_eq!(names(0, 10), Some(vec!["0"]));
        assert_eq!(names(5, 12), Some(vec!["0", "10"]));
        assert_eq!(names(10, 30), Some(vec!["10"]));
        assert_eq!(names(15, 30), None);
        assert_eq!(names(20, 100), Some(vec!["20"]));
        assert_eq!(names(30, 100), None);
    }
}
