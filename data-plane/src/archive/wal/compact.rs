//! Puts chunks together into runs.
//!
//! A run is written, read back and compared before the first of its chunks is deleted; seals are
//! never deleted. Killed anywhere, the next look finds either the chunks, or the run and some of its
//! chunks, which it deletes. Two that do it at the same time write the same.

use super::WalError;
use super::format::{Header, Kind, sha256};
use super::item::{Items, aside};
use super::reader::piece_read;
use super::scan::{Piece, Scan};
use super::writer::Progress;
use crate::archive::layout::{Layout, Timeline, chunk_sequence};
use crate::archive::sealed::ArchiveKey;
use crate::archive::store::{ObjectStore, Put};
use crate::errors::chain;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use lumadb_contract::archive::Lsn;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Chunks fetched at the same time: a run's content is in memory as it is.
const FETCHES_AT_ONCE: usize = 8;

/// Pause after a failure, seconds.
const PAUSE_SECONDS: u64 = 30;

#[derive(Debug)]
pub struct Compactor {
    items: Items,
}

impl Compactor {
    pub fn new(store: ObjectStore, layout: Layout, key: Arc<ArchiveKey>) -> Self {
        Self {
            items: Items { store, layout, key },
        }
    }

    /// Looks whenever the writer behind `progress` has filled a run. Ends with the writer.
    pub async fn follow(&self, mut progress: watch::Receiver<Progress>) {
        let mut done = (0, 0);
        loop {
            let place = |progress: &Progress| {
                let run = progress.archived.0.checked_div(progress.run_bytes);
                (progress.timeline, run.unwrap_or_default())
            };
            let more = progress.wait_for(|progress| place(progress) > done).await;
            let Ok(now) = more.map(|progress| place(&progress)) else {
                return;
            };
            match self.compact(now.0).await {
                Ok(_) => done = now,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "chunks of WAL stay as they are");
                    sleep(Duration::from_secs(PAUSE_SECONDS)).await;
                }
            }
        }
    }

    /// Puts together what is complete; answers how many runs were made.
    pub async fn compact(&self, timeline: Timeline) -> Result<u64, WalError> {
        let scan = Scan::read(&self.items, timeline).await?;
        if let Some(run) = &scan.anchor {
            self.left_over_delete(run).await?;
        }
        if !scan.faults.is_empty() {
            // What could not be read may be readable later; behind a run nobody would look.
            return Ok(0);
        }
        let mut made = 0;
        for stretch in stretches(&scan.pieces) {
            self.run_make(timeline, stretch).await?;
            made += 1;
        }
        Ok(made)
    }

    /// Chunks of the last run: whoever made it was killed before they were gone.
    async fn left_over_delete(&self, run: &Header) -> Result<(), WalError> {
        let layout = self.items.layout;
        let before = layout.chunk(run.timeline, run.first.saturating_sub(1));
        let chunks = layout.chunks(run.timeline);
        let page = self.items.store.list_page(&chunks, Some(&before)).await?;
        let mut names = Vec::new();
        for object in page.objects {
            let Some(sequence) = chunk_sequence(&object.name) else {
                continue;
            };
            if sequence > run.sequence {
                break;
            }
            match self.items.read(&object.name).await {
                Ok(Some(item)) if item.header.kind == Kind::Chunk => names.push(object.name),
                Ok(_) => {}
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.items.store.delete(names).await?)
    }

    async fn run_make(&self, timeline: Timeline, stretch: &[Piece]) -> Result<(), WalError> {
        let headers = |piece: Option<&Piece>| piece.and_then(|piece| piece.header);
        let (Some(first), Some(last)) = (headers(stretch.first()), headers(stretch.last())) else {
            return Ok(());
        };
        let name = self.items.layout.segment(timeline, first.start, last.end);
        let content = self.content(stretch).await?;
        let hashed = content.clone();
        let hash = aside(&name, content.len(), move || Ok(sha256(&hashed))).await?;
        let header = Header {
            kind: Kind::Run,
            first: first.sequence,
            start: first.start,
            previous: first.previous,
            continues: last.hash(),
            content: hash,
            ..last
        };
        let body = self.items.seal(&name, header, content).await?;
        let put = self.items.store.put_new(&name, body).await?;
        // Its content was hashed again on the way.
        let read = self.items.read_whole(&name).await?;
        let (found, _) = read.ok_or_else(|| WalError::Gone { name: name.clone() })?;
        if found != header {
            return Err(WalError::unreadable(&name, "it is not what it was made of"));
        }
        if put == Put::AlreadyThere {
            tracing::info!(name, "somebody else made this run");
        }
        let names = stretch.iter().map(|piece| piece.name.clone());
        Ok(self.items.store.delete(names.collect()).await?)
    }

    async fn content(&self, stretch: &[Piece]) -> Result<Bytes, WalError> {
        let reads: Vec<_> = stretch
            .iter()
            .map(|piece| piece_read(&self.items, piece))
            .collect();
        let mut reads = stream::iter(reads).buffered(FETCHES_AT_ONCE);
        let bytes = |piece: &Piece| usize::try_from(piece.end.0.saturating_sub(piece.start.0));
        let whole = stretch.iter().filter_map(|piece| bytes(piece).ok()).sum();
        let mut content = Vec::with_capacity(whole);
        while let Some(read) = reads.next().await {
            content.extend_from_slice(&read?.1);
        }
        Ok(content.into())
    }
}

/// Chunks that make a run: without a hole, within one run's length, and to its end or to a hole.
fn stretches(pieces: &[Piece]) -> Vec<&[Piece]> {
    let chunks = pieces.partition_point(|piece| piece.header.is_none());
    let chunks = pieces.get(chunks..).unwrap_or_default();
    let run_of = |piece: &Piece, at: Lsn| {
        let bytes = piece.header.map_or(1, |header| header.origin.run_bytes());
        at.0 / bytes
    };
    let together = |before: &Piece, after: &Piece| {
        before.end == after.start && run_of(before, before.start) == run_of(after, after.start)
    };
    let mut stretches: Vec<_> = chunks.chunk_by(together).collect();
    // The last one is complete only at the end of a run.
    if let Some(last) = stretches.last().and_then(|stretch| stretch.last())
        && run_of(last, last.start) == run_of(last, last.end)
    {
        stretches.pop();
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::header;
    use super::*;

    const RUN: u64 = 16 << 20;

    fn chunk(start: u64, end: u64) -> Piece {
        Piece {
            name: format!("{start:x}"),
            start: Lsn(start),
            end: Lsn(end),
            header: Some(Header {
                start: Lsn(start),
                end: Lsn(end),
                ..header(Kind::Chunk, &[])
            }),
            kept: None,
        }
    }

    fn lengths(pieces: &[Piece]) -> Vec<usize> {
        let stretches = stretches(pieces);
        stretches.iter().map(|stretch| stretch.len()).collect()
    }

    #[test]
    fn only_what_is_complete_is_put_together() {
        assert!(lengths(&[]).is_empty());
        assert!(lengths(&[chunk(0, 10), chunk(10, 20)]).is_empty());
        assert_eq!(lengths(&[chunk(0, 10), chunk(10, RUN)]), [2]);
        let next = chunk(RUN, RUN + 5);
        assert_eq!(lengths(&[chunk(0, 10), chunk(10, RUN), next]), [2]);
    }

    #[test]
    fn a_hole_ends_a_run_early_and_what_is_in_runs_is_left() {
        let mut run = chunk(0, RUN);
        run.header = None;
        let pieces = [
            run,
            chunk(RUN, RUN + 5),
            chunk(3 * RUN, 3 * RUN + 7),
            chunk(3 * RUN + 7, 4 * RUN),
        ];
        assert_eq!(lengths(&pieces), [1, 2]);
    }
}
