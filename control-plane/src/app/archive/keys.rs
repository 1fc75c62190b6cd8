//! Where archives lie, and the keys that lead to theirs.

use crate::app::AppError;
use crate::app::state::Durability;
use crate::clock::Clock;
use crate::identity::SealError;
use crate::identity::master_keys::{MasterKeyError, MasterKeys};
use crate::identity::random::{self, NoRandomness};
use crate::store::archive::{self, ArchiveRow, NewArchive, OrganizationKeyRow};
use crate::store::{EitherTx, StoreError};
use lumadb_contract::archive::{ArchiveAccess, ObjectStoreCredentials, ObjectStoreSpec};
use lumadb_contract::id::{ArchiveId, DatabaseId, OrganizationId};
use lumadb_contract::key_chain::{
    KEY_CHAIN_VERSION, Key, KeyChain, KeyError, WrappedKey, archive_key_wrap,
    organization_key_unwrap, organization_key_wrap,
};
use lumadb_contract::scope::{Access, InvalidScope, scoped_credentials};
use lumadb_contract::secret::Secret;
use time::{Duration, OffsetDateTime};

/// The first backup waits this long, so that it does not stand in the way of the first client.
const FIRST_BACKUP_DELAY: Duration = Duration::seconds(15);

/// How to log in to the object store.
#[derive(Debug, Clone)]
pub enum StoreCredentials {
    /// Our own server's: every archive has keys of its own, which follow from this secret.
    Scoped(Secret),
    /// One key for all archives.
    Given(ObjectStoreCredentials),
    /// What the environment of each node gives.
    Environment,
}

/// What an archive is reached for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    Write,
    Read,
}

/// Where archives lie, and what opens them.
#[derive(Debug, Clone)]
pub struct Archives {
    pub master_keys: MasterKeys,
    /// Without credentials: those differ by archive.
    pub store: ObjectStoreSpec,
    pub credentials: StoreCredentials,
}

#[derive(Debug, thiserror::Error)]
pub enum ArchiveKeyError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Master(#[from] MasterKeyError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the tables hold no key to seal with: `lumadb-cloud up` makes one")]
    NoSealKey,
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error(transparent)]
    Scope(#[from] InvalidScope),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ArchiveKeyError> for AppError {
    fn from(error: ArchiveKeyError) -> Self {
        match error {
            ArchiveKeyError::Store(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

impl Archives {
    /// All that leads from the master key to an archive's.
    pub fn key_chain(row: &ArchiveRow) -> KeyChain {
        KeyChain {
            version: KEY_CHAIN_VERSION,
            organization_id: row.organization_id,
            archive_id: row.id,
            master_key: row.master_key.clone(),
            organization_key: WrappedKey(row.organization_key.clone()),
            archive_key: WrappedKey(row.wrapped_key.clone()),
        }
    }

    /// What a node needs to reach an archive, and no other.
    pub fn access(
        &self,
        row: &ArchiveRow,
        rights: Rights,
    ) -> Result<ArchiveAccess, ArchiveKeyError> {
        self.access_by(&Self::key_chain(row), rights)
    }

    /// The same for an archive that no table knows: the control plane's own.
    pub fn access_by(
        &self,
        chain: &KeyChain,
        rights: Rights,
    ) -> Result<ArchiveAccess, ArchiveKeyError> {
        let id = chain.archive_id;
        let key = chain.open(&self.master_keys.find(&chain.master_key)?, id)?;
        let credentials = match &self.credentials {
            StoreCredentials::Scoped(root_secret) => {
                let access = match rights {
                    Rights::Write => Access::ReadWrite,
                    Rights::Read => Access::ReadOnly,
                };
                let scope = id.to_string();
                let (access_key_id, secret_access_key) =
                    scoped_credentials(root_secret, &scope, access)?;
                Some(ObjectStoreCredentials {
                    access_key_id,
                    secret_access_key,
                    session_token: None,
                })
            }
            StoreCredentials::Given(given) => Some(given.clone()),
            StoreCredentials::Environment => None,
        };
        Ok(ArchiveAccess {
            archive_id: id,
            store: ObjectStoreSpec {
                credentials,
                ..self.store.clone()
            },
            key: key.to_base64(),
        })
    }

    /// New keys for an archive that no table knows.
    pub fn key_chain_new(
        &self,
        organization: OrganizationId,
        id: ArchiveId,
    ) -> Result<KeyChain, ArchiveKeyError> {
        let outer = self.new_organization_key(organization)?;
        let archive_key = self.new_archive_key(organization, &outer, id)?;
        Ok(KeyChain {
            version: KEY_CHAIN_VERSION,
            organization_id: organization,
            archive_id: id,
            master_key: outer.master_key,
            organization_key: WrappedKey(outer.wrapped_key),
            archive_key: WrappedKey(archive_key),
        })
    }

    fn new_organization_key(
        &self,
        organization: OrganizationId,
    ) -> Result<OrganizationKeyRow, ArchiveKeyError> {
        let key = Key::new(random::bytes()?);
        let master = self.master_keys.active()?;
        let wrapped = organization_key_wrap(&master, organization, &key, random::bytes()?);
        Ok(OrganizationKeyRow {
            master_key: master.fingerprint(),
            wrapped_key: wrapped?.0,
        })
    }

    /// A new archive's key, wrapped.
    fn new_archive_key(
        &self,
        organization: OrganizationId,
        organization_key: &OrganizationKeyRow,
        id: ArchiveId,
    ) -> Result<String, ArchiveKeyError> {
        let master = self.master_keys.find(&organization_key.master_key)?;
        let wrapped = WrappedKey(organization_key.wrapped_key.clone());
        let outer = organization_key_unwrap(&master, organization, &wrapped)?;
        let key = Key::new(random::bytes()?);
        let wrapped = archive_key_wrap(&outer, organization, id, &key, random::bytes()?)?;
        Ok(wrapped.0)
    }
}

/// When a new archive's first backup is due. Where commits wait for the archive, clients wait for the
/// first backup too.
fn first_backup_due(now: OffsetDateTime, durability: Durability) -> OffsetDateTime {
    match durability {
        Durability::Local => now + FIRST_BACKUP_DELAY,
        Durability::S3 => now,
    }
}

/// Makes the archive of a database.
pub(crate) async fn make(
    archives: &Archives,
    clock: &Clock,
    mut tx: EitherTx<'_>,
    organization: OrganizationId,
    database: DatabaseId,
    durability: Durability,
) -> Result<ArchiveId, ArchiveKeyError> {
    let id = ArchiveId::from_uuid(clock.new_uuid());
    let now = clock.now();
    let known = archive::organization_key(&mut tx, organization).await?;
    let organization_key = if let Some(known) = known {
        known
    } else {
        let made = archives.new_organization_key(organization)?;
        archive::organization_key_insert(&mut tx, organization, &made, now).await?;
        // Another may have been first: then its key is the one that counts.
        let known = archive::organization_key(&mut tx, organization).await?;
        known.unwrap_or(made)
    };
    let new = NewArchive {
        id,
        organization,
        database,
        wrapped_key: archives.new_archive_key(organization, &organization_key, id)?,
        now,
        backup_due_at: first_backup_due(now, durability),
    };
    archive::insert(&mut tx, &new).await?;
    Ok(id)
}
