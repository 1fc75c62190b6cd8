//! What backups left that did not come to their end.

use super::catalogue::Catalogue;
use crate::archive::layout::Layout;
use crate::archive::store::{ObjectStore, StoreError};

/// Deletes every object of a backup that no catalogue entry names, and every upload that nobody
/// finished; answers how many. The caller is the archive's only writer, makes no backup meanwhile,
/// and has read `catalogue` before. What belongs to a damaged entry stays.
pub async fn orphans_remove(
    store: &ObjectStore,
    layout: &Layout,
    catalogue: &Catalogue,
) -> Result<u64, StoreError> {
    let below = layout.backups();
    let mut removed = store.uploads_abort(&below).await?;
    for folder in store.list_folders(&below).await? {
        let named = folder.strip_prefix(&below).unwrap_or_default();
        let named = named.trim_end_matches('/');
        let damaged = catalogue.damaged.iter().any(|entry| {
            let name = entry.object.strip_prefix(&layout.catalogue());
            name.and_then(|name| name.strip_suffix(".json")) == Some(named)
        });
        if damaged {
            continue;
        }
        let entries = catalogue.entries.iter();
        let entry = entries
            .clone()
            .find(|entry| entry.backup_id.to_string() == named);
        let objects = store.list(&folder, None).await?;
        let orphan = |name: &String| {
            let part = name.strip_prefix(&folder).unwrap_or_default();
            !entry.is_some_and(|entry| {
                let parts = entry.parts.iter().chain([&entry.manifest]);
                parts.into_iter().any(|known| known.name == part)
            })
        };
        let objects = objects.into_iter().map(|object| object.name);
        let orphans: Vec<_> = objects.filter(orphan).collect();
        removed += orphans.len() as u64;
        store.delete(orphans).await?;
    }
    Ok(removed)
}
