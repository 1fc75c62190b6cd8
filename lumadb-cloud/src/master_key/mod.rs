//! `lumadb-cloud master-key`: which master key wraps the others, and how that is changed.
//!
//! A change is three commands: one makes another key the active one, one wraps everything by it that
//! the one before wraps, and one removes that. Each may be killed anywhere and run again: until the
//! last one the keys of before are there, and every process finds them.

mod change;
mod needs;

use crate::config::{Config, ObjectStore as ObjectStoreConfig};
use crate::database;
use crate::keys::KeyFiles;
use crate::service::{ServiceError, object_store, with_cause};
use crate::up::{self, UpError, say};
use clap::Subcommand;
use lumadb_control_plane::app::archive::{ArchiveKeyError, Archives};
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::identity::master_keys::{KeyFile, MasterKeyError, MasterKeys};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::store::StoreError;
use lumadb_control_plane::store::setup::Setup;
use lumadb_data_plane::archive::identity::IdentityError;
use lumadb_data_plane::archive::store::{ObjectStore, StoreError as ObjectStoreError};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub(crate) enum MasterKey {
    /// Make another master key the active one; the one of before stays readable
    Rotate {
        /// File with the new key, 32 bytes in base64 [default: a random one]
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Wrap by the active key what others wrap; no backup is written anew
    Rewrap,
    /// List the master keys and what needs them
    Status,
    /// Remove a key that nothing needs any more
    Remove { fingerprint: String },
    /// Write the files of all keys as the configuration says: sealed by kms.key_id, or in plain
    Reseal,
    /// Write a key in plain, for a copy elsewhere and for `lumadb-node restore`; nothing has to run
    Export {
        /// File that holds it [default: that of the active key]
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// A file that is not there yet
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum MasterKeyFailure {
    #[error("another `lumadb-cloud master-key` is at work")]
    Busy,
    #[error(
        "the control plane's database does not answer; `lumadb-cloud up` has to run on this data folder: {0}"
    )]
    Away(StoreError),
    #[error("could not write {}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0} is the active master key already")]
    IsActive(String),
    #[error("{0} is the active master key: make another one active first")]
    StaysActive(String),
    #[error("no master key {0} is known here")]
    Unknown(String),
    #[error("the master key {fingerprint} is still needed: {why}")]
    Needed { fingerprint: String, why: String },
    #[error("{count} archives were passed over: {first}")]
    PassedOver { count: usize, first: String },
    #[error(transparent)]
    Master(#[from] MasterKeyError),
    #[error(transparent)]
    Keys(#[from] ArchiveKeyError),
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Up(#[from] UpError),
    #[error("{}", with_cause(.0))]
    Store(#[from] StoreError),
    #[error("{}", with_cause(.0))]
    Objects(#[from] ObjectStoreError),
    #[error("{}", with_cause(.0))]
    Identity(#[from] IdentityError),
}

/// Everything that the commands work on.
struct Work {
    data: DataFolder,
    /// Where keys lie.
    folder: PathBuf,
    keys: MasterKeys,
    file: KeyFile,
    setup: Setup,
    store: ObjectStore,
    clock: Clock,
    _lock: File,
}

pub(crate) async fn run(
    data: &DataFolder,
    config: &Config,
    asked: MasterKey,
) -> Result<(), MasterKeyFailure> {
    let file = KeyFile::new(Arc::new(config.kms.clone()));
    if let MasterKey::Export { from, to } = &asked {
        let from = from.clone();
        let from = from.unwrap_or_else(|| MasterKeys::active_path(&data.keys()));
        return export(&file, &from, to);
    }
    let mut work = Work::open(data, config, file).await?;
    match asked {
        MasterKey::Rotate { from } => work.rotate(from.as_deref()).await,
        MasterKey::Rewrap => work.rewrap().await,
        MasterKey::Status => work.status().await,
        MasterKey::Remove { fingerprint } => work.remove(&fingerprint).await,
        MasterKey::Reseal => work.reseal(),
        MasterKey::Export { .. } => Ok(()),
    }
}

impl Work {
    async fn open(
        data: &DataFolder,
        config: &Config,
        file: KeyFile,
    ) -> Result<Self, MasterKeyFailure> {
        let setup = Setup::open(&database::administrator(data)).await;
        let setup = setup.map_err(MasterKeyFailure::Away)?;
        let folder = data.keys();
        let lock = lock(folder.join("master-keys.lock"))?;
        let store = ObjectStoreConfig {
            listen: up::object_store_address(data, config)?,
            ..config.object_store.clone()
        };
        let files = KeyFiles::new(folder.clone());
        let archives: Archives = object_store::archives(&files, &store, &config.kms)?;
        Ok(Self {
            data: data.clone(),
            folder,
            store: ObjectStore::open(&object_store::store_of_all(&archives)).await,
            keys: archives.master_keys,
            file,
            setup,
            clock: Clock::system(),
            _lock: lock,
        })
    }
}

fn lock(path: PathBuf) -> Result<File, MasterKeyFailure> {
    let failed = |path, source| MasterKeyFailure::File { path, source };
    let file = match File::create(&path) {
        Ok(file) => file,
        Err(source) => return Err(failed(path, source)),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(MasterKeyFailure::Busy),
        Err(TryLockError::Error(source)) => Err(failed(path, source)),
    }
}

/// Nothing that is there is written over.
fn export(file: &KeyFile, from: &Path, to: &Path) -> Result<(), MasterKeyFailure> {
    let key = file.read(from)?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .and_then(|mut out| {
            writeln!(out, "{}", key.to_base64().expose())?;
            out.sync_all()
        });
    written.map_err(|source| MasterKeyFailure::File {
        path: to.to_owned(),
        source,
    })?;
    say::line(&format!(
        "{} is in {}, in plain: keep it where nobody else reads it",
        key.fingerprint(),
        to.display()
    ));
    Ok(())
}
