//! Where everything lies in the data folder.

use lumadb_contract::id::DatabaseId;
use std::path::{Path, PathBuf};

/// Longest path of a unix socket, bytes (`sun_path` less its closing zero).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Longest path of a socket below the data folder, bytes:
/// `/instances/db_<26 digits>/node-run/metrics.sock`.
const SOCKET_TAIL_BYTES: usize = "/instances/".len() + 29 + "/node-run/metrics.sock".len();

/// Longest path of a data folder, bytes.
pub const DATA_PATH_BYTES_MAX: usize = SOCKET_PATH_BYTES_MAX - SOCKET_TAIL_BYTES;

/// The one folder of a cloud on one machine. Paths only; nothing here touches the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    /// `root` is absolute: children are started elsewhere and record it.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether sockets below it still have a path that the kernel takes.
    pub fn path_fits(&self) -> bool {
        self.root.as_os_str().len() <= DATA_PATH_BYTES_MAX
    }

    /// Locked by `up` for as long as it lives.
    pub fn lock(&self) -> PathBuf {
        self.root.join("up.lock")
    }

    pub fn configuration(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The local certificate authority and the edge's certificate.
    pub fn authority(&self) -> PathBuf {
        self.root.join("ca")
    }

    /// Keys of service tokens and the master key.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// One record of each child process.
    pub fn processes(&self) -> PathBuf {
        self.root.join("processes")
    }

    pub fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Sockets and what services say of themselves.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Where the nodes of databases find their parent, the worker. In a folder of its own that any
    /// user may enter: the rest of `run` is closed.
    pub fn parent_socket(&self) -> PathBuf {
        self.root.join("run/parent/worker.sock")
    }

    /// Where the node of the control plane's own database finds its parent, `up`.
    pub fn up_parent_socket(&self) -> PathBuf {
        self.root.join("run/parent/up.sock")
    }

    /// Where the node of a drill of the control plane's database reports.
    pub fn control_drill_parent_socket(&self) -> PathBuf {
        self.root.join("run/parent/drill.sock")
    }

    /// Where edges ask the API process for routes.
    pub fn edge_control_socket(&self) -> PathBuf {
        self.root.join("run/edge-control.sock")
    }

    /// Folder of the edge's own socket, for sessions of the SQL editor.
    pub fn edge_sessions(&self) -> PathBuf {
        self.root.join("run/edge")
    }

    /// Sockets of imports: a folder for each, of its own user.
    pub fn imports(&self) -> PathBuf {
        self.root.join("run/imports")
    }

    /// The control plane's own database.
    pub fn control(&self) -> InstanceFolder {
        InstanceFolder::new(self.root.join("control"))
    }

    /// Where a drill restores the control plane's own database; then it is removed.
    pub fn control_drill(&self) -> InstanceFolder {
        InstanceFolder::new(self.root.join("control-drill"))
    }

    /// Where the control plane's own database is restored; then it is renamed.
    pub fn control_restoring(&self) -> InstanceFolder {
        InstanceFolder::new(self.root.join("control-restoring"))
    }

    /// Ready folders for databases to come.
    pub fn pool(&self) -> PathBuf {
        self.root.join("pool")
    }

    pub fn instances(&self) -> PathBuf {
        self.root.join("instances")
    }

    /// By what `instances/` is known again.
    pub fn instances_place(&self) -> PathBuf {
        self.root.join("instances-place.json")
    }

    pub fn instance(&self, database: DatabaseId) -> InstanceFolder {
        InstanceFolder::new(self.instances().join(database.to_string()))
    }

    /// What our own S3 server holds: the archives of databases.
    pub fn object_store(&self) -> PathBuf {
        self.root.join("object-store")
    }

    /// Folders on their way out: renamed here first, so that half a folder is never a database.
    pub fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// Mails, where they are not sent but shown.
    pub fn outbox(&self) -> PathBuf {
        self.root.join("outbox")
    }

    /// The ranges of user IDs that this folder holds, and the next ID that no instance has had.
    pub fn user_ids(&self) -> PathBuf {
        self.root.join("user-ids.json")
    }
}

/// The folder of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceFolder {
    root: PathBuf,
}

impl InstanceFolder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// PGDATA.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Sockets of the engine and of its helper.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// What the node keeps: the last spec, its incarnation, the spool of samples.
    pub fn node(&self) -> PathBuf {
        self.root.join("node")
    }

    pub fn node_run(&self) -> PathBuf {
        self.root.join("node-run")
    }

    /// Where an edge connects.
    pub fn node_socket(&self) -> PathBuf {
        self.root.join("node-run/node.sock")
    }

    /// What the runtime knows of the folder itself.
    pub fn record(&self) -> PathBuf {
        self.root.join("instance.json")
    }

    /// The certificate of the database's own host name, as last issued.
    pub fn certificate(&self) -> PathBuf {
        self.root.join("certificate.json")
    }

    /// Every cluster of PostgreSQL has it.
    pub fn control_file(&self) -> PathBuf {
        self.root.join("data/global/pg_control")
    }

    /// The engine's own record of its process.
    pub fn postmaster(&self) -> PathBuf {
        self.root.join("data/postmaster.pid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::id::ImportId;

    #[test]
    fn a_folder_that_fits_leaves_room_for_every_socket() {
        let longest = format!("/{}", "a".repeat(DATA_PATH_BYTES_MAX - 1));
        let folder = DataFolder::new(&longest);
        assert!(folder.path_fits());
        let database = DatabaseId::from_uuid(uuid::Uuid::max());
        let instance = folder.instance(database);
        for socket in [
            instance.node_socket(),
            instance.run().join("engine.sock"),
            instance.run().join(".s.PGSQL.5432"),
            folder.edge_sessions().join(".s.PGSQL.5432"),
            folder.parent_socket(),
            folder
                .imports()
                .join(ImportId::from_uuid(uuid::Uuid::max()).to_string())
                .join(".s.PGSQL.5432"),
        ] {
            assert!(
                socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX,
                "{}",
                socket.display()
            );
        }
        assert!(!DataFolder::new(format!("{longest}a")).path_fits());
    }
}
