//! Which master keys there are, and what needs them.

use super::{MasterKeyFailure, Work};
use crate::up::say;
use lumadb_contract::id::ArchiveId;
use lumadb_contract::instance::InstanceSpec;
use lumadb_contract::key_chain::KeyChain;
use lumadb_control_plane::identity::master_keys::{KeyFile, MasterKeys};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the key itself is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    Active,
    /// In a file of its own.
    Kept,
    #[default]
    Gone,
}

/// Of one master key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Need {
    whereabouts: Whereabouts,
    /// What seals its file.
    sealed_by: Option<String>,
    organizations: i64,
    has_seal_key: bool,
    archives: Vec<ArchiveId>,
    /// The record of the control plane's own archive, or what its node was told last.
    is_in_control: bool,
}

impl Need {
    /// What needs it, a line each.
    pub(super) fn why(&self) -> Vec<String> {
        let mut why = Vec::new();
        if self.organizations > 0 {
            why.push(format!(
                "it wraps the keys of {} organizations",
                self.organizations
            ));
        }
        if self.has_seal_key {
            why.push("it wraps the key that secrets in the tables are sealed with".into());
        }
        if let Some(first) = self.archives.first() {
            why.push(format!(
                "{} archives name it, {first} is one",
                self.archives.len()
            ));
        }
        if self.is_in_control {
            why.push(
                "the control plane's own archive is written under it; `up` sees to that in a minute"
                    .into(),
            );
        }
        why
    }
}

#[derive(Debug, Default)]
pub(super) struct Needs {
    /// By fingerprint.
    pub(super) keys: BTreeMap<String, Need>,
    /// Databases whose nodes may not have heard yet what wraps their keys now.
    behind: i64,
    /// Archives of which it cannot be said.
    illegible: Vec<String>,
}

impl Needs {
    /// Why nothing can be said of any key.
    pub(super) fn unknown(&self) -> Vec<String> {
        let mut why = Vec::new();
        if self.behind > 0 {
            why.push(format!(
                "the nodes of {} databases have not taken their last change yet; try again in a minute",
                self.behind
            ));
        }
        why.extend(self.illegible.first().cloned());
        why
    }

    fn of(&mut self, fingerprint: &str) -> &mut Need {
        self.keys.entry(fingerprint.to_owned()).or_default()
    }
}

impl Work {
    pub(super) async fn needs(&mut self) -> Result<Needs, MasterKeyFailure> {
        let mut needs = Needs::default();
        let active = self.keys.active()?.fingerprint();
        for path in self.files()? {
            // Those that are kept are called by their fingerprints.
            let name = path.file_stem().and_then(|name| name.to_str());
            let is_active = path == MasterKeys::active_path(&self.folder);
            let fingerprint = name.filter(|_| !is_active).unwrap_or(&active);
            let need = needs.of(fingerprint);
            need.sealed_by = KeyFile::sealed_by(&path)?;
            if need.whereabouts == Whereabouts::Gone {
                need.whereabouts = if is_active {
                    Whereabouts::Active
                } else {
                    Whereabouts::Kept
                };
            }
        }
        // Nodes first: one that has taken its change has written it into its archive.
        needs.behind = self.setup.databases_behind().await?;
        for row in self.setup.master_keys().await? {
            let need = needs.of(&row.fingerprint);
            need.organizations = row.organizations;
            need.has_seal_key = row.has_seal_key;
        }
        let told = self.record()?.into_iter().chain(self.control_told()?);
        for chain in told {
            needs.of(&chain.master_key).is_in_control = true;
        }
        for id in self.archives().await? {
            if self.setup.archive_stays(id).await? == Some(false) {
                continue;
            }
            match self.identity(id).await {
                Ok(Some((_, chain))) => needs.of(&chain.master_key).archives.push(id),
                Ok(None) => {}
                Err(MasterKeyFailure::Identity(error)) => {
                    needs.illegible.push(format!("{id} does not say: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(needs)
    }

    /// The files of all keys, the active one's first.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, MasterKeyFailure> {
        let mut files = vec![MasterKeys::active_path(&self.folder)];
        let folder = MasterKeys::kept_folder(&self.folder);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(files),
            Err(source) => {
                return Err(MasterKeyFailure::File {
                    path: folder,
                    source,
                });
            }
        };
        let kept = entries.flatten().map(|entry| entry.path());
        files.extend(kept.filter(|path| path.extension().is_some_and(|kind| kind == "key")));
        Ok(files)
    }

    /// The keys that the control plane's own node was told last: it would write them into its archive
    /// again if it began anew.
    fn control_told(&self) -> Result<Option<KeyChain>, MasterKeyFailure> {
        let path = self.data.control().node().join("spec.json");
        let read = crate::up::folder::read_optional(&path).and_then(|text| {
            text.map(|text| serde_json::from_slice::<InstanceSpec>(&text))
                .transpose()
                .map_err(std::io::Error::from)
        });
        let spec = read.map_err(|source| MasterKeyFailure::File { path, source })?;
        let archive = spec.and_then(|spec| spec.archive);
        Ok(archive.and_then(|archive| serde_json::from_value(archive.wrapped_key).ok()))
    }

    pub(super) async fn status(&mut self) -> Result<(), MasterKeyFailure> {
        let needs = self.needs().await?;
        for (fingerprint, need) in &needs.keys {
            let what = match need.whereabouts {
                Whereabouts::Active => "active",
                Whereabouts::Kept => "readable",
                Whereabouts::Gone => "NOT HERE",
            };
            say::line(&format!("{fingerprint}: {what}"));
            if let Some(by) = &need.sealed_by {
                say::line(&format!("  its file is sealed by {by}"));
            }
            let why = need.why();
            if why.is_empty() && need.whereabouts != Whereabouts::Active {
                say::line(&format!(
                    "  nothing needs it: `lumadb-cloud master-key remove {fingerprint}`"
                ));
            }
            for why in why {
                say::line(&format!("  {why}"));
            }
        }
        for why in needs.unknown() {
            say::line(&format!("Not certain yet: {why}"));
        }
        Ok(())
    }
}
