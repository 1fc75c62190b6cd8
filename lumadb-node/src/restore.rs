//! `lumadb-node restore`: from arguments to what the data plane does.

use crate::arguments::{RestoreArguments, TargetArguments};
use lumadb_contract::archive::{ObjectStoreSpec, RestoreTarget};
use lumadb_contract::key_chain::{Key, KeyError};
use lumadb_data_plane::archive::layout::Layout;
use lumadb_data_plane::archive::store::ObjectStore;
use lumadb_data_plane::engine::{EngineDir, EngineDirError};
use lumadb_data_plane::recovery::{Rebuild, RebuildError, Restored, rebuild};
use nix::errno::Errno;
use nix::unistd::{User, geteuid, initgroups, setgid, setuid};
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreFailure {
    #[error("reading the master key from {}", path.display())]
    MasterKeyFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} does not hold a master key", path.display())]
    MasterKey {
        path: PathBuf,
        #[source]
        source: KeyError,
    },
    #[error(
        "the master key in {} is sealed by a key management service: `lumadb-cloud master-key export --from {} --to FILE` writes it in plain",
        path.display(),
        path.display()
    )]
    Sealed { path: PathBuf },
    #[error(
        "PostgreSQL does not run as root: say by --user who shall own the folder, or run this as that user"
    )]
    Root,
    #[error("there is no user `{0}`")]
    NoUser(String),
    #[error("becoming the user `{user}`")]
    Become {
        user: String,
        #[source]
        source: Errno,
    },
    #[error("where this program lies cannot be told")]
    Program(#[source] io::Error),
    #[error(transparent)]
    Engine(#[from] EngineDirError),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
}

pub(crate) async fn restore(arguments: RestoreArguments) -> Result<(), RestoreFailure> {
    // Only root may be able to read it.
    let master_key = master_key_read(&arguments.master_key)?;
    become_user(arguments.user.as_deref())?;
    let spec = ObjectStoreSpec {
        endpoint: arguments.endpoint,
        region: arguments.region,
        bucket: arguments.from.bucket,
        prefix: arguments.from.prefix,
        path_style: arguments.path_style,
        credentials: None,
        storage_class: None,
        server_side_encryption: None,
    };
    let to = std::path::absolute(&arguments.to).unwrap_or(arguments.to);
    let job = Rebuild {
        engine: EngineDir::open(&arguments.engine.engine_dir)?,
        store: ObjectStore::open(&spec).await,
        layout: Layout::new(arguments.archive),
        master_key,
        target: target(arguments.target),
        timeline: arguments.timeline,
        other_collations: arguments.other_collations,
        to,
        program: std::env::current_exe().map_err(RestoreFailure::Program)?,
    };
    let restored = rebuild(&job).await?;
    println!("{}", report(&job, &restored));
    Ok(())
}

fn target(arguments: TargetArguments) -> RestoreTarget {
    let TargetArguments {
        latest: _,
        time,
        lsn,
        transaction,
        name,
    } = arguments;
    let time = time.map(|moment| RestoreTarget::Time(moment.0));
    time.or(lsn.map(RestoreTarget::Lsn))
        .or(transaction.map(RestoreTarget::Transaction))
        .or(name.map(RestoreTarget::Name))
        .unwrap_or(RestoreTarget::Latest)
}

fn master_key_read(path: &Path) -> Result<Key, RestoreFailure> {
    let path_owned = || path.to_owned();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| RestoreFailure::MasterKeyFile {
        path: path_owned(),
        source,
    })?;
    if text.starts_with('{') {
        return Err(RestoreFailure::Sealed { path: path_owned() });
    }
    Key::from_base64(&text).map_err(|source| RestoreFailure::MasterKey {
        path: path_owned(),
        source,
    })
}

/// For good, where root runs this.
fn become_user(name: Option<&str>) -> Result<(), RestoreFailure> {
    let name = match (geteuid().is_root(), name) {
        (false, None) => return Ok(()),
        (true, None) => return Err(RestoreFailure::Root),
        (_, Some(name)) => name,
    };
    let fault = |source| RestoreFailure::Become {
        user: name.to_owned(),
        source,
    };
    let user = User::from_name(name).map_err(fault)?;
    let user = user.ok_or_else(|| RestoreFailure::NoUser(name.to_owned()))?;
    if user.uid == geteuid() {
        return Ok(());
    }
    let c_name = CString::new(name).map_err(|_| RestoreFailure::NoUser(name.to_owned()))?;
    initgroups(&c_name, user.gid).map_err(fault)?;
    setgid(user.gid).map_err(fault)?;
    setuid(user.uid).map_err(fault)
}

fn report(job: &Rebuild, restored: &Restored) -> String {
    let to = job.to.display();
    let last = restored.last_transaction.map_or_else(
        || "none: nothing was committed after the backup".to_owned(),
        |at| at.to_string(),
    );
    let mut lines = vec![
        format!("Restored into {to}"),
        format!(
            "  backup            {} of {}",
            restored.base, restored.base_ended_at
        ),
        format!("  replayed up to    {}", restored.lsn),
        format!("  last transaction  {last}"),
    ];
    for object in &restored.damaged {
        lines.push(format!("  damaged, and not needed: {object}"));
    }
    for what in &restored.collations_changed {
        lines.push(format!("  run REINDEX: {what}"));
    }
    let postgres = job.engine.program("postgres");
    lines.push(format!("Start it with: {} -D {to}", postgres.display()));
    lines.join("\n")
}
