//! The keys of one installation: made once, in files of mode 0600.

use base64::Engine as _;
use lumadb_contract::key_chain::Key;
use lumadb_control_plane::identity::master_keys::{KeyFile, MasterKeyError, MasterKeys};
use lumadb_control_plane::identity::random;
use rcgen::{KeyPair, PKCS_ED25519};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("could not write {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("could not make a key: {0}")]
    Make(String),
    #[error(transparent)]
    Master(#[from] MasterKeyError),
}

/// Paths of the keys in a folder.
#[derive(Debug, Clone)]
pub(crate) struct KeyFiles {
    folder: PathBuf,
}

impl KeyFiles {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where they all lie.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Signs what the API shows to edges.
    pub(crate) fn api_private(&self) -> PathBuf {
        self.folder.join("api.key")
    }

    pub(crate) fn api_public(&self) -> PathBuf {
        self.folder.join("api.pub")
    }

    /// Signs what the edge shows to the API.
    pub(crate) fn edge_private(&self) -> PathBuf {
        self.folder.join("edge.key")
    }

    pub(crate) fn edge_public(&self) -> PathBuf {
        self.folder.join("edge.pub")
    }

    /// The active master key, which wraps what seals secrets in the tables and the keys of
    /// organizations.
    pub(crate) fn master(&self) -> PathBuf {
        MasterKeys::active_path(&self.folder)
    }

    /// Secret of our own S3 server's root key, from which those of archives follow: 32 bytes in
    /// base64, taken as text.
    pub(crate) fn object_store(&self) -> PathBuf {
        self.folder.join("object-store.secret")
    }

    /// The wrapped keys of the control plane's own archive.
    pub(crate) fn control_archive(&self) -> PathBuf {
        self.folder.join("control-archive.json")
    }

    /// What the API shows to the server that stands in for Stripe: a key as Stripe writes it.
    pub(crate) fn stripe_fake(&self) -> PathBuf {
        self.folder.join("stripe-fake.key")
    }

    /// Signs the webhooks of that server.
    pub(crate) fn stripe_fake_webhook(&self) -> PathBuf {
        self.folder.join("stripe-fake-webhook.secret")
    }

    /// Makes what is missing. A master key is never made again: without the one that sealed them
    /// passwords are lost, and archives cannot be read.
    pub(crate) fn ensure(&self, master: &KeyFile) -> Result<(), KeyError> {
        let pairs = [
            (self.api_private(), self.api_public()),
            (self.edge_private(), self.edge_public()),
        ];
        for (private, public) in pairs {
            if private.exists() && public.exists() {
                continue;
            }
            let key = KeyPair::generate_for(&PKCS_ED25519)
                .map_err(|error| KeyError::Make(error.to_string()))?;
            write(&public, &key.public_key_pem())?;
            write(&private, &key.serialize_pem())?;
        }
        let random = || random::bytes::<32>().map_err(|error| KeyError::Make(error.to_string()));
        if !self.master().exists() {
            write(&self.master(), &master.content(&Key::new(random()?))?)?;
        }
        for (path, start) in [
            (self.object_store(), ""),
            (self.stripe_fake(), "sk_test_"),
            (self.stripe_fake_webhook(), "whsec_"),
        ] {
            if path.exists() {
                continue;
            }
            let text = base64::engine::general_purpose::STANDARD.encode(random()?);
            write(&path, &format!("{start}{text}\n"))?;
        }
        Ok(())
    }
}

/// Writes beside the file and renames: a key is whole or absent.
fn write(path: &Path, text: &str) -> Result<(), KeyError> {
    let beside = path.with_extension("new");
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    })();
    written.map_err(|source| KeyError::File {
        path: path.to_owned(),
        source,
    })
}
