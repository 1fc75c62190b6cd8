//! The end of an archive: every object below its prefix goes.
//!
//! In this order: what says that a backup is complete, so that half of one is never taken for a
//! backup; the backups and the WAL; the seals, which fence whoever wrote before for as long as
//! anything is left; and what the archive says of itself. Killed anywhere, it is done again from
//! the start.

use super::layout::Layout;
use super::sealed::{ArchiveKey, SealedError};
use super::store::{ObjectStore, StoreError};
use super::wal::{WalError, chunks_remove};
use lumadb_contract::archive::ArchiveAccess;
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error(transparent)]
    Key(#[from] SealedError),
    #[error("somebody still writes to the archive: {0} is there again")]
    StillWritten(String),
}

/// Removes an archive; answers how many objects went. Nothing may be restored from it, and nothing
/// may write to it.
pub async fn archive_remove(access: &ArchiveAccess) -> Result<u64, RemoveError> {
    let store = ObjectStore::open(&access.store).await;
    let layout = Layout::new(access.archive_id);
    let key = Arc::new(ArchiveKey::parse(&access.key)?);
    let mut removed = clear(&store, &layout.catalogue()).await?;
    removed += store.uploads_abort(&layout.root(), |_| true).await?;
    for folder in [layout.backups(), layout.runs(), layout.histories()] {
        removed += clear(&store, &folder).await?;
    }
    removed += chunks_remove(&store, layout, key).await?;
    removed += clear(&store, &layout.wal()).await?;
    let root = layout.root();
    removed += clear(&store, &root).await?;
    let left = store.list_page(&root, None).await?.objects;
    match left.into_iter().next() {
        None => Ok(removed),
        Some(first) => Err(RemoveError::StillWritten(first.name)),
    }
}

/// Deletes what lies below a name, a page at a time.
async fn clear(store: &ObjectStore, below: &str) -> Result<u64, StoreError> {
    let mut removed = 0;
    let mut after: Option<String> = None;
    loop {
        let page = store.list_page(below, after.as_deref()).await?;
        let names: Vec<_> = page.objects.into_iter().map(|object| object.name).collect();
        after = names.last().cloned();
        removed += names.len() as u64;
        store.delete(names).await?;
        if !page.more || after.is_none() {
            return Ok(removed);
        }
    }
}
