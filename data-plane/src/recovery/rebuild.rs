//! A plain PostgreSQL data folder out of a bucket and a master key: for the day on which there is
//! nothing else.
//!
//! Everything happens in a folder beside the one that was asked for, which appears when PostgreSQL
//! has replayed up to the target and ended in order, with a configuration that suits any machine.

use super::config;
use super::driver::{Asked, RecoveryError, Restored, Source, recover};
use super::local::{LocalSite, RESTORED};
use super::suits::Here;
use crate::archive::identity::{IdentityError, identity_read};
use crate::archive::layout::Layout;
use crate::archive::sealed::{ArchiveKey, SealedError};
use crate::archive::store::ObjectStore;
use crate::engine::{
    EngineDir, EngineDirError, InstanceDir, InstanceDirError, Postmaster, StopMode,
};
use crate::files;
use lumadb_contract::archive::{RestoreStatus, RestoreTarget};
use lumadb_contract::key_chain::{Key, KeyChain, KeyError};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Time for an engine to end that an earlier attempt left replaying, seconds.
const STOP_SECONDS: u64 = 60;

#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("{} exists: name a folder that does not", path.display())]
    Exists { path: PathBuf },
    #[error("{} cannot be used", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Instance(#[from] InstanceDirError),
    #[error(transparent)]
    EngineDir(#[from] EngineDirError),
    #[error(transparent)]
    Engine(#[from] crate::engine::PostmasterError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("there is no archive here: `{object}` is missing")]
    NoArchive { object: String },
    #[error("the archive's wrapped keys are not understood")]
    KeyChain {
        #[source]
        source: serde_json::Error,
    },
    #[error(transparent)]
    MasterKey(#[from] KeyError),
    #[error(transparent)]
    Key(#[from] SealedError),
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

/// What to restore, from where, to where.
#[derive(Debug)]
pub struct Rebuild {
    pub engine: EngineDir,
    pub store: ObjectStore,
    pub layout: Layout,
    pub master_key: Key,
    pub target: RestoreTarget,
    /// `None`: the newest.
    pub timeline: Option<u32>,
    /// Also where text is sorted otherwise here: the indexes are to be made anew then.
    pub other_collations: bool,
    /// The data folder, which does not exist yet.
    pub to: PathBuf,
    /// This program, which PostgreSQL runs to ask for WAL (`restore-command`).
    pub program: PathBuf,
}

/// Restores. It may be called again after any error.
pub async fn rebuild(job: &Rebuild) -> Result<Restored, RebuildError> {
    if job.to.exists() {
        let path = job.to.clone();
        return Err(RebuildError::Exists { path });
    }
    let here = Here::new(job.engine.version()?, job.engine.block_bytes());
    let key = archive_key(job).await?;
    let source = Source {
        store: job.store.clone(),
        layout: job.layout,
        key: Arc::new(ArchiveKey::parse(&key.to_base64())?),
    };
    let root = beside(&job.to);
    let instance = work_folder(&root).await?;
    let site = LocalSite {
        engine: &job.engine,
        instance: &instance,
        program: &job.program,
    };
    let status = watch::Sender::new(RestoreStatus::default());
    let socket = instance.wal_socket();
    let asked = Asked {
        target: job.target.clone(),
        timeline: job.timeline,
        other_collations: job.other_collations,
        verify: false,
    };
    let restored = recover(&source, asked, &site, &socket, &here, &status).await?;
    plain(&instance.data())?;
    let moved = std::fs::rename(instance.data(), &job.to);
    moved.map_err(fault(&job.to))?;
    files::sync_parent(&job.to).map_err(fault(&job.to))?;
    std::fs::remove_dir_all(&root).map_err(fault(&root))?;
    Ok(restored)
}

/// By the master key and what lies in the archive.
async fn archive_key(job: &Rebuild) -> Result<Key, RebuildError> {
    let identity = identity_read(&job.store, &job.layout).await?;
    let identity = identity.ok_or_else(|| RebuildError::NoArchive {
        object: job.layout.identity(),
    })?;
    let chain: KeyChain = serde_json::from_value(identity.wrapped_key)
        .map_err(|source| RebuildError::KeyChain { source })?;
    Ok(chain.open(&job.master_key, job.layout.archive_id())?)
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    to.with_file_name(name)
}

/// Makes it, as an instance has it; what an earlier attempt left there goes.
async fn work_folder(root: &Path) -> Result<InstanceDir, RebuildError> {
    if root.exists() {
        let earlier = InstanceDir::open(root)?;
        if let Some(running) = Postmaster::adopt(&earlier) {
            let patience = Duration::from_secs(STOP_SECONDS);
            running.stop(StopMode::Immediate, patience).await?;
        }
        std::fs::remove_dir_all(root).map_err(fault(root))?;
    }
    for folder in [root.to_owned(), root.join("data"), root.join("run")] {
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(fault(&folder))?;
    }
    Ok(InstanceDir::open(root)?)
}

/// Makes a folder of it that anyone can run.
fn plain(data: &Path) -> Result<(), RebuildError> {
    for (name, content) in [
        ("postgresql.conf", config::PLAIN),
        ("pg_hba.conf", config::PLAIN_HBA),
    ] {
        let path = data.join(name);
        files::replace(&path, content.as_bytes()).map_err(fault(&path))?;
    }
    let restored = data.join(RESTORED);
    std::fs::remove_file(&restored).map_err(fault(&restored))
}

fn fault(path: &Path) -> impl FnOnce(io::Error) -> RebuildError + use<> {
    let path = path.to_owned();
    move |source| RebuildError::Folder { path, source }
}
