//! Puts chunks together into runs.
//!
//! A run's chunks are gone through twice, since its header holds the hash of all of them and goes
//! first: its content is never whole in memory. Small ones are fetched once, and kept compressed. The
//! run is written, read back and compared before the first of its chunks is deleted; seals are
//! never deleted. Killed anywhere, the next look finds either the chunks, or the run and some of its
//! chunks, which it deletes. Two that do it at the same time write the same.

use super::WalError;
use super::format::{Header, Kind};
use super::item::Items;
use super::reader::piece_read;
use super::run::{content_hash, run_check, run_write};
use super::scan::{Piece, Scan, fetches_at_once};
use super::writer::Progress;
use crate::archive::layout::{Layout, Timeline, chunk_sequence};
use crate::archive::sealed::ArchiveKey;
use crate::archive::store::{ObjectStore, Put};
use crate::errors::chain;
use futures::stream::{self, Stream, StreamExt};
use lumadb_contract::archive::Lsn;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Before the first look, seconds: a node that begins has clients that wait for it.
const REST_SECONDS: u64 = 20;

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

    /// Looks after a rest, and then whenever the writer behind `progress` has filled a run. Ends with the
    /// writer.
    pub async fn follow(&self, mut progress: watch::Receiver<Progress>) {
        sleep(Duration::from_secs(REST_SECONDS)).await;
        let mut done = (0, 0);
        let mut cleaned = 0;
        loop {
            let place = |progress: &Progress| {
                let run = progress.archived.0.checked_div(progress.run_bytes);
                (progress.timeline, run.unwrap_or_default())
            };
            let more = progress.wait_for(|progress| place(progress) > done).await;
            let Ok(now) = more.map(|progress| place(&progress)) else {
                return;
            };
            if cleaned != now.0 {
                // This node has fenced whoever wrote before.
                self.uploads_drop(now.0).await;
                cleaned = now.0;
            }
            match self.compact(now.0).await {
                Ok(_) => done = now,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "chunks of WAL stay as they are");
                    sleep(Duration::from_secs(PAUSE_SECONDS)).await;
                }
            }
        }
    }

    /// Parts of runs that somebody who was killed left unfinished.
    async fn uploads_drop(&self, timeline: Timeline) {
        let runs = self.items.layout.segments(timeline);
        if let Err(error) = self.items.store.uploads_abort(&runs, |_| true).await {
            tracing::warn!(error = chain(&error), "parts of runs stay in the store");
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
            Box::pin(self.run_make(timeline, stretch)).await?;
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
        let hash = content_hash(&name, self.content(stretch)).await?;
        let header = Header {
            kind: Kind::Run,
            first: first.sequence,
            start: first.start,
            previous: first.previous,
            continues: last.hash(),
            content: hash,
            ..last
        };
        let content = self.content(stretch);
        let put = run_write(&self.items, &name, &header, content).await?;
        if run_check(&self.items, &name).await? != header {
            return Err(WalError::unreadable(&name, "it is not what it was made of"));
        }
        if put == Put::AlreadyThere {
            tracing::info!(name, "somebody else made this run");
        }
        let names = stretch.iter().map(|piece| piece.name.clone());
        Ok(self.items.store.delete(names.collect()).await?)
    }

    fn content(&self, stretch: &[Piece]) -> impl Stream<Item = Result<Vec<u8>, WalError>> {
        let bytes = stretch.iter().map(|piece| piece.end.0 - piece.start.0);
        let at_once = fetches_at_once(bytes.max());
        let reads: Vec<_> = stretch
            .iter()
            .map(|piece| {
                let (items, piece) = (self.items.clone(), piece.clone());
                async move { Ok(piece_read(&items, &piece).await?.1) }
            })
            .collect();
        stream::iter(reads).buffered(at_once)
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
