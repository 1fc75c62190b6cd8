//! Items in the store: fetched and opened, sealed and written.

use super::WalError;
use super::format::{self, Header, Item};
use crate::archive::layout::Layout;
use crate::archive::sealed::ArchiveKey;
use crate::archive::store::ObjectStore;
use bytes::Bytes;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// From this size on, bytes, ciphers and compression work beside the thread that serves clients.
const ASIDE_BYTES: usize = 32 * 1024;

/// Where items are, and what opens them.
#[derive(Debug, Clone)]
pub(super) struct Items {
    pub(super) store: ObjectStore,
    pub(super) layout: Layout,
    pub(super) key: Arc<ArchiveKey>,
}

impl Items {
    /// `None`: there is no such object.
    pub(super) async fn read(&self, name: &str) -> Result<Option<Item>, WalError> {
        let Some(object) = self.store.get(name).await? else {
            return Ok(None);
        };
        let (key, owned) = (self.key.clone(), name.to_owned());
        let bytes = object.len();
        let item = aside(name, bytes, move || Item::read(&key, &owned, &object)).await?;
        if item.header.origin.archive_id != self.layout.archive_id() {
            return Err(WalError::Foreign {
                name: name.to_owned(),
                what: "it is of another archive",
            });
        }
        Ok(Some(item))
    }

    /// As [`Self::read`], with its content.
    pub(super) async fn read_whole(
        &self,
        name: &str,
    ) -> Result<Option<(Header, Vec<u8>)>, WalError> {
        let Some(item) = self.read(name).await? else {
            return Ok(None);
        };
        let owned = name.to_owned();
        let bytes = usize::try_from(item.header.end.0.saturating_sub(item.header.start.0));
        let content = aside(name, bytes.unwrap_or(ASIDE_BYTES), move || {
            Ok((item.header, item.content(&owned)?))
        });
        content.await.map(Some)
    }

    /// What is to be written under `name`.
    pub(super) async fn seal(
        &self,
        name: &str,
        header: Header,
        content: Bytes,
    ) -> Result<Bytes, WalError> {
        let (key, owned) = (self.key.clone(), name.to_owned());
        aside(name, content.len(), move || {
            format::write(&key, &owned, &header, &content)
        })
        .await
    }
}

/// Does `work` on `bytes` beside the thread that serves clients, unless it is little.
pub(super) async fn aside<T: Send + 'static>(
    name: &str,
    bytes: usize,
    work: impl FnOnce() -> Result<T, WalError> + Send + 'static,
) -> Result<T, WalError> {
    if bytes < ASIDE_BYTES {
        return work();
    }
    spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(WalError::unreadable(name, "the thread that read it failed")))
}
