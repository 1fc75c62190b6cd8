//! Removing the WAL of an archive whose time is over.

use super::WalError;
use super::format::Kind;
use super::item::Items;
use crate::archive::layout::{Layout, timeline_of};
use crate::archive::sealed::ArchiveKey;
use crate::archive::store::ObjectStore;
use futures::stream::{self, StreamExt};
use std::sync::Arc;

/// Items looked into at the same time.
const READS_AT_ONCE: usize = 16;

/// Deletes every chunk and leaves every seal, and what cannot be read and may be one; answers how
/// many objects went.
pub async fn chunks_remove(
    store: &ObjectStore,
    layout: Layout,
    key: Arc<ArchiveKey>,
) -> Result<u64, WalError> {
    let items = Items {
        store: store.clone(),
        layout,
        key,
    };
    let mut removed = 0;
    for folder in store.list_folders(&layout.wal()).await? {
        let Some(timeline) = timeline_of(&folder) else {
            continue;
        };
        let below = layout.chunks(timeline);
        let mut after: Option<String> = None;
        loop {
            let page = store.list_page(&below, after.as_deref()).await?;
            after = page.objects.last().map(|object| object.name.clone());
            let reads = page.objects.into_iter().map(|object| {
                let items = &items;
                async move {
                    match items.read(&object.name).await {
                        Ok(Some(item)) => {
                            Ok((item.header.kind == Kind::Chunk).then_some(object.name))
                        }
                        Ok(None) => Ok(None),
                        Err(error) if error.is_damage() => Ok(None),
                        Err(error) => Err(error),
                    }
                }
            });
            let mut reads = stream::iter(reads).buffer_unordered(READS_AT_ONCE);
            let mut chunks = Vec::new();
            while let Some(chunk) = reads.next().await {
                chunks.extend(chunk?);
            }
            removed += chunks.len() as u64;
            store.delete(chunks).await?;
            if !page.more || after.is_none() {
                break;
            }
        }
    }
    Ok(removed)
}
