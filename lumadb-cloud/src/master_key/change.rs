//! Making a key active, wrapping by it, removing one.

use super::{MasterKeyFailure, Work};
use crate::keys::KeyFiles;
use crate::up::folder::{read_optional, replace};
use crate::up::say;
use lumadb_contract::id::ArchiveId;
use lumadb_contract::key_chain::{Key, KeyChain};
use lumadb_control_plane::app::archive::{ArchiveKeyError, rewrap};
use lumadb_control_plane::identity::master_keys::{KeyFile, MasterKeys};
use lumadb_control_plane::identity::random;
use lumadb_data_plane::archive::identity::{
    ArchiveIdentity, IdentityError, identity_read, identity_replace,
};
use lumadb_data_plane::archive::layout::Layout;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

impl Work {
    /// Both keys lie in files of their own before the new one becomes the active one, and the tables
    /// know it: whoever reads at any moment finds what it needs.
    pub(super) async fn rotate(&mut self, from: Option<&Path>) -> Result<(), MasterKeyFailure> {
        let old = self.keys.active()?;
        let new = match from {
            Some(path) => self.file.read(path)?,
            None => Key::new(random::bytes().map_err(ArchiveKeyError::from)?),
        };
        let (before, after) = (old.fingerprint(), new.fingerprint());
        if before == after {
            return Err(MasterKeyFailure::IsActive(after));
        }
        self.keep(&old)?;
        self.keep(&new)?;
        say::line(&format!("The new master key is {after}; both are kept"));
        self.setup.master_key_name(&after, self.clock.now()).await?;
        self.write(&MasterKeys::active_path(&self.folder), &new)?;
        say::line(&format!(
            "{after} is active, and {before} is still read. Keep a copy of {} elsewhere; then run `lumadb-cloud master-key rewrap`",
            MasterKeys::active_path(&self.folder).display()
        ));
        Ok(())
    }

    fn keep(&self, key: &Key) -> Result<(), MasterKeyFailure> {
        let folder = MasterKeys::kept_folder(&self.folder);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        if let Err(source) = builder.create(&folder) {
            return Err(MasterKeyFailure::File {
                path: folder,
                source,
            });
        }
        let path = MasterKeys::kept_path(&self.folder, &key.fingerprint());
        self.write(&path, key)
    }

    fn write(&self, path: &Path, key: &Key) -> Result<(), MasterKeyFailure> {
        let text = self.file.content(key)?;
        replace(path, text.as_bytes()).map_err(|source| MasterKeyFailure::File {
            path: path.to_owned(),
            source,
        })
    }

    /// One file after the other: each holds the same key before and after.
    pub(super) fn reseal(&self) -> Result<(), MasterKeyFailure> {
        for path in self.files()? {
            let key = self.file.read(&path)?;
            self.write(&path, &key)?;
            let by = KeyFile::sealed_by(&path)?;
            say::line(&format!(
                "{}: {}",
                path.display(),
                by.map_or("in plain".into(), |by| format!("sealed by {by}"))
            ));
        }
        Ok(())
    }

    pub(super) async fn rewrap(&mut self) -> Result<(), MasterKeyFailure> {
        let active = self.keys.active()?.fingerprint();
        say::line(&format!("Wrapping by {active}"));
        let organizations = rewrap::rewrap(&mut self.setup, &self.keys, self.clock.now()).await?;
        say::line(&format!("Keys of organizations: {organizations}"));
        self.rewrap_record()?;
        say::line("The record of the control plane's own archive is written");
        let archives = self.rewrap_archives().await?;
        say::line(&format!("What archives say of their keys: {archives}"));
        say::line("Done; `lumadb-cloud master-key status` says what is still needed");
        Ok(())
    }

    /// The record from which `up` takes the keys of the control plane's own archive; it looks.
    fn rewrap_record(&self) -> Result<(), MasterKeyFailure> {
        let Some(chain) = self.record()? else {
            return Ok(());
        };
        let Some(chain) = rewrap::chain_rewrap(&self.keys, &chain)? else {
            return Ok(());
        };
        let path = KeyFiles::new(self.folder.clone()).control_archive();
        let written = serde_json::to_vec_pretty(&chain)
            .map_err(std::io::Error::from)
            .and_then(|text| replace(&path, &text));
        written.map_err(|source| MasterKeyFailure::File { path, source })
    }

    pub(super) fn record(&self) -> Result<Option<KeyChain>, MasterKeyFailure> {
        let path = KeyFiles::new(self.folder.clone()).control_archive();
        let read = read_optional(&path).and_then(|text| {
            text.map(|text| serde_json::from_slice(&text).map_err(std::io::Error::from))
                .transpose()
        });
        read.map_err(|source| MasterKeyFailure::File { path, source })
    }

    /// Nodes do it for the archives that they write; nobody else does it where none runs.
    async fn rewrap_archives(&mut self) -> Result<u64, MasterKeyFailure> {
        let mut count = 0;
        let mut passed_over = Vec::new();
        for id in self.archives().await? {
            match self.rewrap_archive(id).await {
                Ok(true) => count += 1,
                Ok(false) => {}
                // Others are not kept waiting by one; what it needs is told by `status`.
                Err(
                    error @ (MasterKeyFailure::Keys(_)
                    | MasterKeyFailure::Identity(IdentityError::Malformed { .. })),
                ) => {
                    say::line(&format!("{id} is passed over: {error}"));
                    passed_over.push(format!("{id}: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        match passed_over.first() {
            None => Ok(count),
            Some(first) => Err(MasterKeyFailure::PassedOver {
                count: passed_over.len(),
                first: first.clone(),
            }),
        }
    }

    async fn rewrap_archive(&mut self, id: ArchiveId) -> Result<bool, MasterKeyFailure> {
        let layout = Layout::new(id);
        let Some((identity, chain)) = self.identity(id).await? else {
            return Ok(false);
        };
        let Some(chain) = rewrap::chain_rewrap(&self.keys, &chain)? else {
            return Ok(false);
        };
        let stays = self.setup.archive_stays(id).await?;
        if stays == Some(false) {
            return Ok(false);
        }
        let wrapped_key =
            serde_json::to_value(&chain).map_err(|source| IdentityError::Malformed {
                name: layout.identity(),
                source,
            })?;
        let identity = ArchiveIdentity {
            wrapped_key,
            ..identity
        };
        identity_replace(&self.store, &layout, &identity).await?;
        if stays.is_some() && self.setup.archive_stays(id).await? != Some(true) {
            // Its removal began meanwhile, and may have been past this object.
            self.store.delete(vec![layout.identity()]).await?;
        }
        Ok(true)
    }

    /// Every archive in the object store, whether the tables know it or not.
    pub(super) async fn archives(&self) -> Result<Vec<ArchiveId>, MasterKeyFailure> {
        let folders = self.store.list_folders("").await?;
        let names = folders.iter().map(|name| name.trim_matches('/'));
        Ok(names.filter_map(|name| name.parse().ok()).collect())
    }

    /// What an archive says of itself; `None`: nothing yet.
    pub(super) async fn identity(
        &self,
        id: ArchiveId,
    ) -> Result<Option<(ArchiveIdentity, KeyChain)>, MasterKeyFailure> {
        let layout = Layout::new(id);
        let Some(identity) = identity_read(&self.store, &layout).await? else {
            return Ok(None);
        };
        let chain = serde_json::from_value(identity.wrapped_key.clone()).map_err(|source| {
            IdentityError::Malformed {
                name: layout.identity(),
                source,
            }
        })?;
        Ok(Some((identity, chain)))
    }

    /// Forgets it in the tables first: from then on nothing can be wrapped by it.
    pub(super) async fn remove(&mut self, fingerprint: &str) -> Result<(), MasterKeyFailure> {
        let active = self.keys.active()?.fingerprint();
        if active == fingerprint {
            return Err(MasterKeyFailure::StaysActive(active));
        }
        let needs = self.needs().await?;
        let Some(key) = needs.keys.get(fingerprint) else {
            return Err(MasterKeyFailure::Unknown(fingerprint.to_owned()));
        };
        let why = key.why().into_iter().chain(needs.unknown()).next();
        if let Some(why) = why {
            let fingerprint = fingerprint.to_owned();
            return Err(MasterKeyFailure::Needed { fingerprint, why });
        }
        self.setup.master_key_forget(fingerprint).await?;
        let path = MasterKeys::kept_path(&self.folder, fingerprint);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(MasterKeyFailure::File { path, source });
            }
            _ => {}
        }
        say::line(&format!(
            "{fingerprint} is removed. To restore the control plane to a moment before the change, put a copy at {}",
            path.display()
        ));
        Ok(())
    }
}
