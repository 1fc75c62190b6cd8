//! What backups left that did not come to their end.

use super::catalogue::Catalogue;
use super::claim::Claim;
use crate::archive::layout::Layout;
use crate::archive::store::{ObjectStore, StoreError};

/// Deletes every object of a backup that no catalogue entry names, and every upload that nobody
/// finished; answers how many. The caller wrote to the archive with `claim`, makes no backup
/// meanwhile, and has read `catalogue` before. What a later writer made stays, and so does what
/// belongs to a damaged entry.
pub async fn orphans_remove(
    store: &ObjectStore,
    layout: &Layout,
    catalogue: &Catalogue,
    claim: Claim,
) -> Result<u64, StoreError> {
    let below = layout.backups();
    let may_remove = |name: &str| {
        let part = name.rsplit('/').next().unwrap_or_default();
        Claim::of_part(part).is_none_or(|maker| maker <= claim)
    };
    let mut removed = store.uploads_abort(&below, may_remove).await?;
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
            may_remove(name)
                && !entry.is_some_and(|entry| {
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
