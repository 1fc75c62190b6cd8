//! Instance folders: who owns what in them, and how one is made.
//!
//! As root every instance has an engine's user, a node's user and a group of its own
//! ([`super::user_ids`]), so that no tenant's process can reach another's files. Not as root, all
//! is ours.

use super::files::{self, Durability};
use super::layout::{DataFolder, InstanceFolder};
use super::process::{Processes, Program};
use super::user_ids::UserIds;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, chown, lchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time for one stage of making a folder.
const STAGE_TIMEOUT: Duration = Duration::from_mins(2);

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("could not prepare {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("`lumadb-node prepare --stage {stage}` failed ({outcome}): {output}")]
    Stage {
        stage: &'static str,
        outcome: String,
        /// The end of what it printed.
        output: String,
    },
    #[error(transparent)]
    Process(#[from] super::process::ProcessError),
    #[error(
        "every range of user IDs is held by some data folder; {} says by which: remove one that is not needed any more",
        claims.display()
    )]
    UserIdsExhausted { claims: PathBuf },
}

impl FolderError {
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

/// Users and group of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owners {
    pub engine: u32,
    pub node: u32,
    pub group: u32,
}

/// What `instance.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// `None`: made by a user that is not root, and owned by it.
    owners: Option<Owners>,
}

/// Programs that instances are made of and run with.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `lumadb-node`.
    pub node: PathBuf,
    /// The folder that holds `bin/postgres`.
    pub engine: PathBuf,
}

impl InstanceFolder {
    /// Users of this instance, if it exists.
    pub fn owners(&self) -> Result<Option<Owners>, FolderError> {
        let path = self.record();
        let text = fs::read(&path).map_err(|source| FolderError::file(&path, source))?;
        let record: Record = serde_json::from_slice(&text)
            .map_err(|error| FolderError::file(&path, error.into()))?;
        Ok(record.owners)
    }

    pub fn exists(&self) -> bool {
        self.record().exists()
    }

    /// The engine's process, if one runs in this folder: by its own record, and by the folder that
    /// it stands in, which a rename does not change.
    pub(crate) fn engine_process(&self) -> Option<i32> {
        let text = fs::read_to_string(self.postmaster()).ok()?;
        let pid: i32 = text.lines().next()?.trim().parse().ok()?;
        let stands_in = fs::metadata(format!("/proc/{pid}/cwd")).ok()?;
        let data = fs::metadata(self.data()).ok()?;
        (stands_in.ino() == data.ino() && stands_in.dev() == data.dev()).then_some(pid)
    }
}

/// Whether children can be given users of their own.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A user and a group that nothing on this machine runs as, for one run of a program; `None` where
/// children run as we do.
pub fn user_lend(data: &DataFolder) -> Result<Option<(u32, u32)>, FolderError> {
    let owners = is_root().then(|| UserIds::new(data).give()).transpose()?;
    Ok(owners.map(|owners| (owners.engine, owners.group)))
}

/// Makes a whole instance folder at `target`, which appears there in one step. Everything happens
/// beside it first, under a name that starts with `making-`.
pub async fn folder_make(
    data: &DataFolder,
    programs: &Programs,
    target: &Path,
) -> Result<(), FolderError> {
    let label = uuid::Uuid::from_bytes(rand::random()).simple().to_string();
    let making = InstanceFolder::new(data.pool().join(format!("making-{label}")));
    let result = folder_fill(data, programs, &making, &label).await;
    let result = result.and_then(|()| {
        fs::rename(making.root(), target).map_err(|source| FolderError::file(target, source))?;
        sync_parents(making.root(), target)
    });
    if result.is_err() {
        folder_destroy(making.root().to_owned()).await;
    }
    result
}

/// Writes a rename through to the disk: without it a power cut could leave the folder where it was.
pub fn sync_parents(from: &Path, to: &Path) -> Result<(), FolderError> {
    for folder in [from.parent(), to.parent()].into_iter().flatten() {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| FolderError::file(folder, source))?;
    }
    Ok(())
}

async fn folder_fill(
    data: &DataFolder,
    programs: &Programs,
    making: &InstanceFolder,
    label: &str,
) -> Result<(), FolderError> {
    let make = |path: PathBuf, mode: u32, owner: Option<(u32, u32)>| {
        files::make_folder(&path, mode)
            .and_then(|()| match owner {
                Some((user, group)) => chown(&path, Some(user), Some(group)),
                None => Ok(()),
            })
            .map_err(|source| FolderError::file(&path, source))
    };
    let owners = is_root().then(|| UserIds::new(data).give()).transpose()?;
    // initdb wants a user that has a name.
    let maker = owners.is_some().then(named_user).flatten();
    make(
        making.root().to_owned(),
        if maker.is_some() { 0o711 } else { 0o750 },
        None,
    )?;
    make(making.data(), 0o700, maker)?;
    make(making.run(), 0o770, maker)?;
    stage_run(data, programs, making, label, "initdb", maker).await?;
    if let Some(owners) = owners {
        let folder = making.data();
        let give = (owners.engine, owners.group);
        let given = tokio::task::spawn_blocking(move || chown_all(&folder, give)).await;
        given
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
            .map_err(|source| FolderError::file(&making.data(), source))?;
    }
    let engine = owners.map(|owners| (owners.engine, owners.group));
    let node = owners.map(|owners| (owners.node, owners.group));
    make(
        making.root().to_owned(),
        0o750,
        owners.map(|owners| (0, owners.group)),
    )?;
    make(making.run(), 0o770, engine)?;
    make(making.node(), 0o700, node)?;
    make(making.node_run(), 0o750, node)?;
    stage_run(data, programs, making, label, "setup", engine).await?;
    let path = making.record();
    let text = serde_json::to_vec(&Record { owners })
        .map_err(|error| FolderError::file(&path, error.into()))?;
    files::replace(&path, &text, 0o600, Durability::Machine)
        .map_err(|source| FolderError::file(&path, source))
}

/// Runs one stage of `lumadb-node prepare` at low priority: it must not slow what serves.
async fn stage_run(
    data: &DataFolder,
    programs: &Programs,
    making: &InstanceFolder,
    label: &str,
    stage: &'static str,
    user: Option<(u32, u32)>,
) -> Result<(), FolderError> {
    let name = format!("prepare.{label}");
    let mut arguments = vec![
        "-n".into(),
        "5".into(),
        programs.node.clone().into_os_string(),
    ];
    arguments.extend(["prepare", "--stage", stage, "--instance-dir"].map(Into::into));
    arguments.push(making.root().into());
    arguments.push("--engine-dir".into());
    arguments.push(programs.engine.clone().into());
    let program = Program {
        name: name.clone(),
        path: "nice".into(),
        arguments,
        environment: Vec::new(),
        inherit_environment: false,
        user,
        fingerprint: String::new(),
    };
    let processes = Processes::new(data.clone());
    let mut process = processes.start(&program)?;
    let waited = tokio::time::timeout(STAGE_TIMEOUT, process.wait()).await;
    if waited.is_err() {
        process.stop(Duration::from_secs(10)).await;
    }
    processes.forget(&name);
    let outcome = match waited {
        Ok(Some(status)) if status.success() => {
            processes.forget_log(&name);
            return Ok(());
        }
        Ok(Some(status)) => status.to_string(),
        Ok(None) => "it vanished".to_owned(),
        Err(_) => format!("not done after {} s", STAGE_TIMEOUT.as_secs()),
    };
    let output = processes.log_tail(&name, 2000);
    processes.forget_log(&name);
    Err(FolderError::Stage {
        stage,
        outcome,
        output,
    })
}

/// A user of `/etc/passwd` other than root, to run initdb as.
fn named_user() -> Option<(u32, u32)> {
    ["lumadb", "postgres", "nobody"].iter().find_map(|name| {
        let user = nix::unistd::User::from_name(name).ok()??;
        (!user.uid.is_root()).then(|| (user.uid.as_raw(), user.gid.as_raw()))
    })
}

fn chown_all(folder: &Path, (user, group): (u32, u32)) -> io::Result<()> {
    lchown(folder, Some(user), Some(group))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            chown_all(&entry.path(), (user, group))?;
        } else {
            lchown(entry.path(), Some(user), Some(group))?;
        }
    }
    Ok(())
}

/// Ends the engine that may run in a folder and removes the folder. Repeatable.
pub async fn folder_destroy(root: PathBuf) {
    let instance = InstanceFolder::new(root.clone());
    if let Some(pid) = instance.engine_process() {
        tracing::warn!(pid, folder = %root.display(), "ended an engine whose folder goes away");
        // SIGQUIT: PostgreSQL's immediate shutdown, which ends its children as well.
        for signal in [
            nix::sys::signal::Signal::SIGQUIT,
            nix::sys::signal::Signal::SIGKILL,
        ] {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
            for _ in 0..250 {
                if super::proc::start_time(pid).is_none() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    let shown = root.display().to_string();
    let removed = tokio::task::spawn_blocking(move || {
        // A process on its way out may still write a file or two.
        let mut result = files::remove_folder(&root);
        for _ in 0..5 {
            if result.is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
            result = files::remove_folder(&root);
        }
        result
    })
    .await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(folder = shown, %error, "could not remove a folder");
    }
}
