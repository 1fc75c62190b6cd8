//! The data folder: made, checked, locked.

use super::error::UpError;
use lumadb_control_plane::runtime::local::folder::is_root;
use lumadb_control_plane::runtime::local::layout::{DATA_PATH_BYTES_MAX, DataFolder};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where the data goes when nobody says so.
const DEFAULT_NAME: &str = "lumadb-data";

/// The same, for root in a folder that other users may not enter, such as `/root`.
const DEFAULT_OF_ROOT: &str = "/var/lib/lumadb-cloud";

/// Lets other users pass through a folder without reading it.
const PASS_MODE: u32 = 0o711;

/// The folder that was asked for, or the default one; absolute.
pub(crate) fn choose(asked: Option<PathBuf>) -> Result<DataFolder, UpError> {
    let current = std::env::current_dir()
        .map_err(|error| UpError::Other(format!("the current folder is gone: {error}")))?;
    let root = match asked {
        Some(path) => current.join(path),
        None if is_root() && closed_above(&current).is_some() => DEFAULT_OF_ROOT.into(),
        None => current.join(DEFAULT_NAME),
    };
    // Without `..` and links, so that every process names the folder alike.
    let root = root.canonicalize().unwrap_or(root);
    Ok(DataFolder::new(root))
}

/// Makes the folder and what is always in it.
pub(crate) fn prepare(data: &DataFolder) -> Result<DataFolder, UpError> {
    let make = |path: PathBuf, mode: u32| {
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&path)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
            .map_err(|source| UpError::folder(data.root(), &path, source))
    };
    // Databases run as users of their own: they pass through these, and read none of them.
    let pass = if is_root() { PASS_MODE } else { 0o700 };
    make(data.root().to_owned(), pass)?;
    let root = data.root().canonicalize();
    let data =
        DataFolder::new(root.map_err(|source| UpError::folder(data.root(), data.root(), source))?);
    if !data.path_fits() {
        return Err(UpError::PathTooLong {
            path: data.root().to_owned(),
            bytes_max: DATA_PATH_BYTES_MAX,
        });
    }
    if is_root()
        && let Some(closed) = closed_above(data.root())
    {
        return Err(UpError::Closed {
            path: data.root().to_owned(),
            closed,
        });
    }
    let parent_sockets = data.parent_socket();
    for (path, mode) in [
        (data.run(), pass),
        (
            parent_sockets.parent().unwrap_or(data.root()).to_owned(),
            pass,
        ),
        (data.imports(), pass),
        (data.pool(), pass),
        (data.instances(), pass),
        (data.authority(), 0o700),
        (data.keys(), 0o700),
        (data.processes(), 0o700),
        (data.logs(), 0o700),
        (data.edge_sessions(), 0o700),
        (data.trash(), 0o700),
        (data.outbox(), 0o700),
        (data.object_store(), 0o700),
    ] {
        make(path, mode)?;
    }
    write_probe(&data)?;
    Ok(data)
}

/// Finds a full disk before anything is started on it.
fn write_probe(data: &DataFolder) -> Result<(), UpError> {
    let path = data.root().join(".probe");
    let written = fs::write(&path, vec![0_u8; 256 * 1024]);
    let _ = fs::remove_file(&path);
    written.map_err(|source| UpError::folder(data.root(), data.root(), source))
}

/// The lock that says that an `up` works on this folder; it goes with the process.
pub(crate) fn lock(data: &DataFolder) -> Result<File, UpError> {
    let path = data.lock();
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|source| UpError::folder(data.root(), &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(UpError::AlreadyRunning(data.root().to_owned())),
        Err(fs::TryLockError::Error(source)) => Err(UpError::folder(data.root(), &path, source)),
    }
}

/// The first folder on the way to `path` that a user without rights of its own cannot pass.
pub(crate) fn closed_above(path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut above: Vec<&Path> = real.ancestors().collect();
    above.reverse();
    above
        .into_iter()
        .find(|folder| {
            fs::metadata(folder).is_ok_and(|found| found.is_dir() && found.mode() & 0o001 == 0)
        })
        .map(Path::to_owned)
}

/// Reads a file that may not be there.
pub(crate) fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes beside the file and renames, through to the disk; only we may read it.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()
}
