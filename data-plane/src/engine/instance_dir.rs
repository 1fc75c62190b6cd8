//! Where things lie in an instance's folder.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Longest path of a unix socket, bytes (`sun_path` without its final zero).
const SOCKET_PATH_BYTES_MAX: usize = 107;

#[derive(Debug, thiserror::Error)]
pub enum InstanceDirError {
    #[error("the instance folder {} cannot be used", path.display())]
    Unusable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the path {} is too long for a socket by {excess} bytes: use a data folder with a shorter name",
        path.display()
    )]
    TooLong { path: PathBuf, excess: usize },
}

/// An instance's folder. Whoever made it (the runtime) gave its parts to two users: `data` and
/// `run` to the engine's, `node` and `node-run` to the node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceDir {
    root: PathBuf,
}

impl InstanceDir {
    /// Takes an existing folder, and refuses one whose sockets would have too long a path.
    pub fn open(root: &Path) -> Result<Self, InstanceDirError> {
        let root = root
            .canonicalize()
            .map_err(|source| InstanceDirError::Unusable {
                path: root.to_owned(),
                source,
            })?;
        let dir = Self { root };
        for socket in [dir.engine_socket(), dir.metrics_socket()] {
            let excess = socket
                .as_os_str()
                .len()
                .saturating_sub(SOCKET_PATH_BYTES_MAX);
            if excess > 0 {
                return Err(InstanceDirError::TooLong {
                    path: socket,
                    excess,
                });
            }
        }
        Ok(dir)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes those of the node's folders that are missing: on a volume of its own nobody else has.
    pub(crate) fn node_folders_make(&self) -> io::Result<()> {
        make_folder(&self.node(), 0o700)?;
        make_folder(&self.node_run(), 0o750)
    }

    /// Makes the folder of the engine's sockets if it is missing. The node has one there too.
    pub(super) fn run_make(&self) -> io::Result<()> {
        make_folder(&self.run(), 0o770)
    }

    /// Where an instance is prepared that has no data folder yet.
    pub(super) fn making(&self) -> PathBuf {
        self.root.join("making")
    }

    fn node_run(&self) -> PathBuf {
        self.root.join("node-run")
    }

    /// PostgreSQL's data folder.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Sockets of the engine's side.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The helper's socket, where the node tells it what to do.
    pub fn helper_socket(&self) -> PathBuf {
        self.run().join("engine.sock")
    }

    /// The named pipe that PostgreSQL prints into.
    pub(super) fn engine_output(&self) -> PathBuf {
        self.run().join("engine.output")
    }

    /// Where the node asks the helper to write what is restored.
    pub(crate) fn restore_socket(&self) -> PathBuf {
        self.run().join("restore.sock")
    }

    /// Where PostgreSQL asks for WAL while it replays what is restored.
    pub(crate) fn wal_socket(&self) -> PathBuf {
        self.run().join("wal.sock")
    }

    /// PostgreSQL's own socket.
    pub fn engine_socket(&self) -> PathBuf {
        self.run().join(".s.PGSQL.5432")
    }

    /// What the engine holds while it is at rest.
    pub(super) fn at_rest(&self) -> PathBuf {
        self.run().join("at-rest.json")
    }

    /// The node's own files: spec, incarnation, spool.
    pub fn node(&self) -> PathBuf {
        self.root.join("node")
    }

    pub fn spool(&self) -> PathBuf {
        self.node().join("spool")
    }

    /// What of the engine's statistics of vectors is counted.
    pub(crate) fn vectors_file(&self) -> PathBuf {
        self.node().join("vectors.json")
    }

    /// What the engine refuses for the organization's limits, as it was last.
    pub(crate) fn write_limit_file(&self) -> PathBuf {
        self.node().join("write-limit.json")
    }

    pub fn spec_file(&self) -> PathBuf {
        self.node().join("spec.json")
    }

    /// Where an edge hands on its clients.
    pub fn node_socket(&self) -> PathBuf {
        self.node_run().join("node.sock")
    }

    /// Where the platform's own services come; named as PostgreSQL's clients look for it in a folder.
    pub fn service_socket(&self) -> PathBuf {
        self.node_run().join(".s.PGSQL.5432")
    }

    /// Health, readiness and metrics over HTTP.
    pub fn metrics_socket(&self) -> PathBuf {
        self.node_run().join("metrics.sock")
    }
}

/// One that is there is left as it is. A new one has exactly this mode, whatever the umask.
fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    match std::fs::create_dir(path) {
        Ok(()) => std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
