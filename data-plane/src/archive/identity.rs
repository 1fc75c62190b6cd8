//! What an archive is of: the one object that lies in it unencrypted. With the file of the master
//! key it is enough to read everything else.

use super::layout::Layout;
use super::store::{ObjectStore, Put, StoreError};
use bytes::Bytes;
use lumadb_contract::id::{ArchiveId, DatabaseId};
use serde::{Deserialize, Serialize};

/// Version of the form of [`ArchiveIdentity`].
pub const IDENTITY_VERSION: u16 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveIdentity {
    pub version: u16,
    pub archive_id: ArchiveId,
    pub database_id: DatabaseId,
    /// Of the cluster.
    pub system_identifier: u64,
    /// Major version of PostgreSQL.
    pub engine_version: u16,
    /// What leads from the master key to the archive's; it holds nothing that is secret without
    /// that.
    pub wrapped_key: serde_json::Value,
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("`{name}` is not understood")]
    Malformed {
        name: String,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "the archive is of {database_id} with system identifier {system_identifier}, and not of this database"
    )]
    Other {
        database_id: DatabaseId,
        system_identifier: u64,
    },
}

/// Whose archive it is; `None`: nobody's yet.
pub async fn identity_read(
    store: &ObjectStore,
    layout: &Layout,
) -> Result<Option<ArchiveIdentity>, IdentityError> {
    let name = layout.identity();
    let Some(text) = store.get(&name).await? else {
        return Ok(None);
    };
    let read = serde_json::from_slice(&text);
    read.map(Some)
        .map_err(|source| IdentityError::Malformed { name, source })
}

/// Has an archive that nobody writes say what it says with other keys above its own.
pub async fn identity_replace(
    store: &ObjectStore,
    layout: &Layout,
    identity: &ArchiveIdentity,
) -> Result<(), IdentityError> {
    let name = layout.identity();
    let text = serde_json::to_vec(identity).map_err(|source| IdentityError::Malformed {
        name: name.clone(),
        source,
    })?;
    Ok(store.put(&name, Bytes::from(text)).await?)
}

/// Has the archive say that it is this database's, with the newest wrapped key; an error if it is
/// another's.
pub async fn identity_keep(
    store: &ObjectStore,
    layout: &Layout,
    mine: &ArchiveIdentity,
) -> Result<(), IdentityError> {
    let name = layout.identity();
    let text = serde_json::to_vec(mine).map_err(|source| IdentityError::Malformed {
        name: name.clone(),
        source,
    })?;
    let text = Bytes::from(text);
    let found = match identity_read(store, layout).await? {
        Some(found) => found,
        None => match store.put_new(&name, text.clone()).await? {
            Put::Created => return Ok(()),
            Put::AlreadyThere => identity_read(store, layout).await?.unwrap_or(mine.clone()),
        },
    };
    let owner = |it: &ArchiveIdentity| (it.archive_id, it.database_id, it.system_identifier);
    if owner(&found) != owner(mine) {
        return Err(IdentityError::Other {
            database_id: found.database_id,
            system_identifier: found.system_identifier,
        });
    }
    if found != *mine {
        // Keys were wrapped anew, or the engine was upgraded.
        store.put(&name, text).await?;
    }
    Ok(())
}
