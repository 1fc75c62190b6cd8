//! What is on the disk and in the bucket, and what a restored control plane remembers of it.

use super::archive;
use crate::database;
use crate::up::error::UpError;
use crate::up::say;
use lumadb_contract::id::{ArchiveId, DatabaseId};
use lumadb_control_plane::runtime::local::layout::{DataFolder, InstanceFolder};
use lumadb_control_plane::store::setup::{Remembered, Setup};
use lumadb_data_plane::archive::store::ObjectStore;
use std::collections::BTreeSet;

/// Differences; nothing of them is changed or removed by anybody.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Folders of databases that nobody remembers.
    folders: Vec<DatabaseId>,
    /// Archives that nobody remembers, and of which database they are.
    archives: Vec<(ArchiveId, DatabaseId)>,
    /// Databases that are remembered, and whose folders are gone.
    gone: Vec<DatabaseId>,
}

impl Found {
    /// Compares what the restored database in `control` knows. Also has every database looked at
    /// anew: their nodes may know wishes that it has forgotten.
    pub(super) async fn look(
        data: &DataFolder,
        control: &InstanceFolder,
        store: &ObjectStore,
    ) -> Result<Self, UpError> {
        let explain = |error: &dyn std::error::Error| UpError::explain(data.root(), error);
        let setup = Setup::open(&database::administrator_in(control)).await;
        let mut setup = setup.map_err(|error| explain(&error))?;
        let remembered = setup.remembered().await.map_err(|error| explain(&error))?;
        setup
            .generations_raise()
            .await
            .map_err(|error| explain(&error))?;
        setup.close().await.map_err(|error| explain(&error))?;
        let mut found = Self::compare(&remembered, &folders(data));
        let listed = store.list_folders("").await;
        for name in listed.map_err(|error| explain(&error))? {
            let Ok(id) = name.trim_matches('/').parse::<ArchiveId>() else {
                continue;
            };
            if remembered.archives.contains(&id) {
                continue;
            }
            let read = archive::chain_read(store, id).await;
            if let Some((database, chain)) = read.map_err(|error| explain(&error))?
                && chain.organization_id != archive::ORGANIZATION
            {
                found.archives.push((id, database));
            }
        }
        Ok(found)
    }

    fn compare(remembered: &Remembered, folders: &BTreeSet<DatabaseId>) -> Self {
        let known = |id: &&DatabaseId| remembered.databases.contains_key(id);
        let live = remembered.databases.iter().filter(|(_, is_live)| **is_live);
        Self {
            folders: folders.iter().filter(|id| !known(id)).copied().collect(),
            archives: Vec::new(),
            gone: live
                .map(|(id, _)| *id)
                .filter(|id| !folders.contains(id))
                .collect(),
        }
    }

    pub(super) fn tell(&self) {
        for id in &self.folders {
            say::line(&format!(
                "Found: {id} is not remembered, and its folder is there (instances/{id})"
            ));
        }
        for (archive, database) in &self.archives {
            say::line(&format!(
                "Found: {database} is not remembered, and its archive is there ({archive})"
            ));
        }
        for id in &self.gone {
            say::line(&format!(
                "Missing: {id} is remembered, and its folder is gone: it was deleted later, or is to be restored"
            ));
        }
    }
}

fn folders(data: &DataFolder) -> BTreeSet<DatabaseId> {
    let entries = std::fs::read_dir(data.instances());
    let entries = entries.into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_what_is_remembered_are_compared_both_ways() {
        let id = |number| DatabaseId::from_uuid(uuid::Uuid::from_u128(number));
        let remembered = Remembered {
            databases: [(id(1), true), (id(2), true), (id(3), false)].into(),
            archives: BTreeSet::new(),
        };
        let found = Found::compare(&remembered, &[id(1), id(4)].into());
        let expected = Found {
            folders: vec![id(4)],
            archives: Vec::new(),
            gone: vec![id(2)],
        };
        assert_eq!(found, expected);
    }
}
