//! Ends what others write to an archive, without an engine to go on with: what is in it by then will
//! be restored, and nothing that comes later would be.

use super::super::item::Items;
use super::super::scan::Scan;
use super::WriterError;
use super::claim::{self, Engine};
use crate::archive::layout::{Layout, Timeline, timeline_of};
use crate::archive::sealed::ArchiveKey;
use crate::archive::store::ObjectStore;
use std::sync::Arc;

/// Seals tried while a writer that is still there takes the number first, at most.
const TRIES_MAX: u32 = 20;

/// Seals the newest timeline of an archive where it ends, and answers it: whoever wrote there is told
/// with its next chunk that it is over, and acknowledges no more. `None`: nothing was ever written.
///
/// # Errors
/// [`WriterError::Raced`] where somebody writes faster than can be sealed; otherwise what the store
/// says. It may be called again after any error.
pub async fn fence(
    store: ObjectStore,
    layout: Layout,
    key: Arc<ArchiveKey>,
) -> Result<Option<Timeline>, WriterError> {
    let items = Items { store, layout, key };
    for _ in 0..TRIES_MAX {
        match seal(&items).await {
            Err(WriterError::Raced) => {}
            other => return other,
        }
    }
    Err(WriterError::Raced)
}

async fn seal(items: &Items) -> Result<Option<Timeline>, WriterError> {
    let folders = items.store.list_folders(&items.layout.wal()).await;
    let folders = folders.map_err(super::WalError::from)?;
    let timelines = folders.iter().filter_map(|folder| timeline_of(folder));
    let Some(timeline) = timelines.max() else {
        return Ok(None);
    };
    let scan = Scan::read(items, timeline).await?;
    let (Some(origin), Some(end)) = (scan.origin, scan.position.end) else {
        return Ok(None);
    };
    let engine = Engine {
        origin,
        timeline,
        flushed: end,
    };
    claim::seal_put(items, &engine, &scan.position, end).await?;
    tracing::info!(timeline, %end, "whoever archived WAL here is fenced");
    Ok(Some(timeline))
}
