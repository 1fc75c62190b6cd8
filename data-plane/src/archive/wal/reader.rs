//! Reads the WAL of an archive.

use super::WalError;
use super::format::{Kind, Origin};
use super::item::Items;
use super::scan::{Fault, Piece, Scan};
use crate::archive::layout::{Layout, Timeline, timeline_of};
use crate::archive::sealed::ArchiveKey;
use crate::archive::store::ObjectStore;
use futures::stream::{self, StreamExt};
use lumadb_contract::archive::Lsn;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Objects of one segment fetched at the same time.
const FETCHES_AT_ONCE: usize = 16;

/// Looks at an archive because what was listed had gone meanwhile, at most.
const LOOKS_MAX: usize = 3;

/// What an archive held when it was opened or looked at again. Items keep being put together into
/// runs meanwhile; that is noticed and makes no difference.
#[derive(Debug)]
pub struct WalReader {
    items: Items,
    scans: Mutex<BTreeMap<Timeline, Arc<Scan>>>,
}

impl WalReader {
    /// Lists the archive, and reads and checks what is not yet in runs.
    pub async fn open(
        store: ObjectStore,
        layout: Layout,
        key: Arc<ArchiveKey>,
    ) -> Result<Self, WalError> {
        let reader = Self {
            items: Items { store, layout, key },
            scans: Mutex::default(),
        };
        reader.refresh().await?;
        Ok(reader)
    }

    /// Looks again.
    pub async fn refresh(&self) -> Result<(), WalError> {
        let items = &self.items;
        let folders = items.store.list_folders(&items.layout.wal()).await?;
        for timeline in folders.iter().filter_map(|folder| timeline_of(folder)) {
            self.look(timeline).await?;
        }
        Ok(())
    }

    async fn look(&self, timeline: Timeline) -> Result<(), WalError> {
        let scan = Arc::new(Scan::read(&self.items, timeline).await?);
        let mut scans = self.scans.lock().unwrap_or_else(PoisonError::into_inner);
        scans.insert(timeline, scan);
        Ok(())
    }

    fn scan(&self, timeline: Timeline) -> Option<Arc<Scan>> {
        let scans = self.scans.lock().unwrap_or_else(PoisonError::into_inner);
        scans.get(&timeline).cloned()
    }

    fn scans(&self) -> Vec<Arc<Scan>> {
        let scans = self.scans.lock().unwrap_or_else(PoisonError::into_inner);
        scans.values().cloned().collect()
    }

    /// Whose WAL it is; `None`: there is none.
    pub fn origin(&self) -> Option<Origin> {
        self.scans().iter().find_map(|scan| scan.origin)
    }

    /// Timelines, in order.
    pub fn timelines(&self) -> Vec<Timeline> {
        self.scans().iter().map(|scan| scan.timeline).collect()
    }

    /// What there is of a timeline, in order; between two ranges is a hole.
    pub fn covered(&self, timeline: Timeline) -> Vec<Range<Lsn>> {
        let scan = self.scan(timeline);
        scan.map(|scan| scan.ranges()).unwrap_or_default()
    }

    /// The last timeline and where its WAL ends; `None`: there is no WAL.
    pub fn latest(&self) -> Option<(Timeline, Lsn)> {
        let scans = self.scans();
        let ends = scans.iter().rev();
        let mut ends = ends.filter_map(|scan| Some((scan.timeline, scan.ranges().last()?.end)));
        ends.next()
    }

    /// What is damaged or missing in the middle.
    pub fn faults(&self) -> Vec<Fault> {
        let scans = self.scans();
        scans.iter().flat_map(|scan| scan.faults.clone()).collect()
    }

    /// The file of segment `number` (its position divided by `segment_bytes`), with zeros behind
    /// the end of what is archived. `None`: the archive does not hold its beginning.
    pub async fn segment(
        &self,
        timeline: Timeline,
        number: u64,
        segment_bytes: u64,
    ) -> Result<Option<Vec<u8>>, WalError> {
        let start = number.saturating_mul(segment_bytes);
        let range = Lsn(start)..Lsn(start.saturating_add(segment_bytes));
        let Some(mut segment) = self.wal(timeline, range).await? else {
            return Ok(None);
        };
        segment.resize(usize::try_from(segment_bytes).unwrap_or_default(), 0);
        Ok(Some(segment))
    }

    /// WAL from the start of `range` on, up to its end or to where the archive's ends. `None`: the
    /// archive does not hold the start.
    pub async fn wal(
        &self,
        timeline: Timeline,
        range: Range<Lsn>,
    ) -> Result<Option<Vec<u8>>, WalError> {
        let mut looks = 0;
        loop {
            let Some(scan) = self.scan(timeline) else {
                return Ok(None);
            };
            let Some(pieces) = scan.pieces_of(range.start, range.end) else {
                return Ok(None);
            };
            match fetch(&self.items, pieces, &range).await {
                Err(WalError::Gone { .. }) if looks < LOOKS_MAX => {
                    looks += 1;
                    self.look(timeline).await?;
                }
                other => return other.map(Some),
            }
        }
    }

    /// A timeline's history file; `None`: there is none.
    pub async fn history(&self, timeline: Timeline) -> Result<Option<Vec<u8>>, WalError> {
        let name = self.items.layout.history(timeline);
        let Some((header, content)) = self.items.read_whole(&name).await? else {
            return Ok(None);
        };
        if header.kind != Kind::History || header.timeline != timeline {
            return Err(WalError::Foreign {
                name,
                what: "it is no history of this timeline",
            });
        }
        Ok(Some(content))
    }
}

/// What `pieces` hold of `range`.
async fn fetch(items: &Items, pieces: &[Piece], range: &Range<Lsn>) -> Result<Vec<u8>, WalError> {
    let length = range.end.0.saturating_sub(range.start.0);
    let mut wal = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    let reads: Vec<_> = pieces
        .iter()
        .map(|piece| piece_read(items, piece))
        .collect();
    let mut reads = stream::iter(reads).buffered(FETCHES_AT_ONCE);
    let mut at = range.start.0;
    while let Some(read) = reads.next().await {
        let (start, content) = read?;
        let end = (start.0 + content.len() as u64).min(range.end.0);
        let from = usize::try_from(at.saturating_sub(start.0)).unwrap_or(usize::MAX);
        let to = usize::try_from(end.saturating_sub(start.0)).unwrap_or(usize::MAX);
        wal.extend_from_slice(content.get(from..to).unwrap_or_default());
        at = end;
    }
    Ok(wal)
}

pub(super) async fn piece_read(items: &Items, piece: &Piece) -> Result<(Lsn, Vec<u8>), WalError> {
    let name = &piece.name;
    if let Some(item) = &piece.kept {
        return Ok((piece.start, item.content(name)?));
    }
    let read = items.read_whole(name).await?;
    let (header, content) = read.ok_or_else(|| WalError::Gone { name: name.clone() })?;
    let as_listed = match piece.header {
        Some(listed) => header == listed,
        None => header.kind == Kind::Run,
    };
    if !as_listed || (header.start, header.end) != (piece.start, piece.end) {
        return Err(WalError::unreadable(name, "it changed since it was listed"));
    }
    Ok((piece.start, content))
}
