//! Before anything is written: what the archive ends with, whether the engine's WAL is the same
//! there, and the seal that fences whoever wrote before.

use super::super::format::{CHUNK_BYTES_MAX, Header, Kind, Origin, WINDOW, sha256};
use super::super::item::Items;
use super::super::reader::piece_read;
use super::super::scan::Scan;
use super::super::{WalError, chain::Position};
use super::{Tail, WalSource, WriterError};
use crate::archive::layout::{Timeline, timeline_of};
use crate::archive::replication::{DUPLICATE_OBJECT, ReplicationClient};
use crate::archive::store::Put;
use bytes::Bytes;
use lumadb_contract::archive::Lsn;
use std::time::Duration;
use tokio::time::timeout;

/// Time for a seal, seconds: the engine waits meanwhile.
const SEAL_SECONDS: u64 = 10;

/// What the engine said of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Engine {
    pub(super) origin: Origin,
    pub(super) timeline: Timeline,
    pub(super) flushed: Lsn,
}

impl Engine {
    pub(super) async fn ask(
        items: &Items,
        source: &WalSource,
        client: &mut ReplicationClient,
    ) -> Result<Self, WriterError> {
        let identity = client.identify_system().await?;
        let segment_bytes = client.wal_segment_bytes().await?;
        Ok(Self {
            origin: Origin {
                database_id: source.database_id,
                archive_id: items.layout.archive_id(),
                system_identifier: identity.system_identifier,
                engine_version: source.engine_version,
                segment_bytes: u32::try_from(segment_bytes).unwrap_or(u32::MAX),
            },
            timeline: identity.timeline,
            flushed: identity.flushed,
        })
    }
}

/// What the engine keeps for us from here on; makes the slot if it is not there.
pub(super) async fn slot_restart(
    client: &mut ReplicationClient,
    slot: &str,
) -> Result<Lsn, WriterError> {
    let mut found = client.slot_read(slot).await?;
    if found.is_none() {
        match client.slot_create(slot).await {
            Err(error) if !error.is_code(DUPLICATE_OBJECT) => return Err(error.into()),
            _ => found = client.slot_read(slot).await?,
        }
    }
    if let Some(restart) = found.and_then(|found| found.restart) {
        return Ok(restart);
    }
    // It lost its WAL: what comes now is all there will be.
    client.slot_drop(slot).await?;
    client.slot_create(slot).await?;
    let made = client.slot_read(slot).await?;
    made.and_then(|made| made.restart)
        .ok_or(WriterError::NoSlot)
}

/// What a new writer found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) position: Position,
    /// The last WAL of the archive; `None`: there is none.
    pub(super) tail: Option<Tail>,
}

/// Reads the end of the archive.
pub(super) async fn survey(items: &Items, engine: &Engine) -> Result<Found, WriterError> {
    let scan = Scan::read(items, engine.timeline).await?;
    if scan.origin.is_some_and(|origin| origin != engine.origin) {
        return Err(WriterError::Foreign);
    }
    let position = scan.position;
    let tail = match (position.end, scan.pieces.last()) {
        (Some(end), Some(last)) if last.end == end => {
            let (start, wal) = piece_read(items, last).await?;
            // Enough to compare, also of a run.
            let skipped = wal.len().saturating_sub(CHUNK_BYTES_MAX);
            Some(Tail {
                start: Lsn(start.0 + skipped as u64),
                wal: Bytes::from(wal).slice(skipped..),
            })
        }
        // Sealed where nothing was written yet.
        (Some(end), _) => Some(Tail {
            start: end,
            wal: Bytes::new(),
        }),
        (None, _) => None,
    };
    Ok(Found { position, tail })
}

/// Refuses an engine whose timeline others have left behind: its disk slept while the database was
/// restored from this archive.
pub(super) async fn newest_timeline_check(
    items: &Items,
    engine: &Engine,
) -> Result<(), WriterError> {
    let timeline = engine.timeline;
    let listed = items.store.list(&items.layout.histories(), None).await;
    let listed = listed.map_err(WalError::from)?;
    let newest = listed.iter().filter_map(|file| timeline_of(&file.name));
    match newest.max() {
        Some(newer) if newer > timeline => Err(WriterError::LeftBehind { timeline, newer }),
        _ => Ok(()),
    }
}

/// Keeps the engine's history file in the archive.
pub(super) async fn history_keep(
    items: &Items,
    engine: &Engine,
    client: &mut ReplicationClient,
) -> Result<(), WriterError> {
    let timeline = engine.timeline;
    if timeline < 2 {
        return Ok(());
    }
    let file = client.timeline_history(timeline).await?;
    let name = items.layout.history(timeline);
    if let Some((header, content)) = items.read_whole(&name).await? {
        let same = header.origin == engine.origin && content == file.content;
        return same
            .then_some(())
            .ok_or(WriterError::OtherHistory { timeline });
    }
    let header = Header {
        kind: Kind::History,
        origin: engine.origin,
        timeline,
        sequence: 0,
        next: 0,
        first: 0,
        epoch: 0,
        start: Lsn(0),
        end: Lsn(0),
        previous: [0; 32],
        continues: [0; 32],
        content: sha256(&file.content),
    };
    let body = items.seal(&name, header, file.content).await?;
    match items
        .store
        .put_new(&name, body)
        .await
        .map_err(WalError::from)?
    {
        Put::Created => Ok(()),
        Put::AlreadyThere => Err(WriterError::Raced),
    }
}

/// Fences whoever wrote before `position`: a chain goes on at `start`.
pub(super) async fn seal_put(
    items: &Items,
    engine: &Engine,
    position: &Position,
    start: Lsn,
) -> Result<Header, WriterError> {
    let header = Header {
        kind: Kind::Seal,
        origin: engine.origin,
        timeline: engine.timeline,
        sequence: position.next,
        next: position.next + WINDOW,
        first: position.next,
        epoch: position.epoch + 1,
        start,
        end: start,
        previous: position.hash,
        continues: [0; 32],
        content: sha256(&[]),
    };
    let name = items.layout.chunk(engine.timeline, position.next);
    let body = items.seal(&name, header, Bytes::new()).await?;
    let limit = Duration::from_secs(SEAL_SECONDS);
    let put = timeout(limit, items.store.put_new(&name, body)).await;
    match put
        .map_err(|_| WriterError::StoreAway)?
        .map_err(WalError::from)?
    {
        Put::Created => Ok(header),
        Put::AlreadyThere => Err(WriterError::Raced),
    }
}
