//! Why `up` does not come up: one sentence, and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    #[error(
        "another `lumadb-cloud up` is already running on {}: stop it (Ctrl-C where it runs), or choose another folder with --data-dir",
        .0.display()
    )]
    AlreadyRunning(PathBuf),
    #[error(
        "the data folder {} cannot be used ({source}): make it writable for this user, or choose another one with --data-dir",
        path.display()
    )]
    Folder { path: PathBuf, source: io::Error },
    #[error(
        "the path of the data folder {} is too long for the unix sockets in it: choose one of at most {bytes_max} bytes with --data-dir",
        path.display()
    )]
    PathTooLong { path: PathBuf, bytes_max: usize },
    #[error(
        "the databases' own users may not enter {}, which the data folder {} is below: choose a folder elsewhere with --data-dir, or `chmod o+x {}`",
        closed.display(), path.display(), closed.display()
    )]
    Closed { path: PathBuf, closed: PathBuf },
    #[error(
        "there is no space left on the disk of {}: make some, or choose another folder with --data-dir",
        .0.display()
    )]
    DiskFull(PathBuf),
    #[error(
        "the address {address} is in use by another program: stop that one, or set {setting} (in config.toml or as {variable}) to another address"
    )]
    PortInUse {
        address: SocketAddr,
        setting: &'static str,
        variable: &'static str,
    },
    #[error("cannot listen on {address} ({source}): set {setting} to another address")]
    Listen {
        address: SocketAddr,
        setting: &'static str,
        source: io::Error,
    },
    #[error(
        "there is no PostgreSQL 18 in {tried}: run `make engine`, or set LUMADB_ENGINE_DIR to a folder that holds bin/postgres"
    )]
    EngineMissing { tried: String },
    #[error(transparent)]
    EngineUnfit(#[from] lumadb_data_plane::engine::EngineDirError),
    #[error(
        "the program lumadb-node is not at {}: build it (`cargo build -p lumadb-node`), or set LUMADB_NODE_PROGRAM",
        .0.display()
    )]
    NodeMissing(PathBuf),
    #[error("{what} did not come up: {why}; see {}", log.display())]
    NotUp {
        what: String,
        why: String,
        log: PathBuf,
    },
    #[error(
        "the control plane's database is gone: {} is not there, but it was archived; bring it back with `lumadb-cloud restore-control`, or remove {} to begin with an empty one",
        folder.display(), record.display()
    )]
    ControlGone { folder: PathBuf, record: PathBuf },
    #[error(
        "the control plane's database is there: to restore another one in its place, move {} away first",
        .0.display()
    )]
    ControlThere(PathBuf),
    #[error(
        "the master key is not at {}: put the one there that the archive was written with",
        .0.display()
    )]
    MasterKeyMissing(PathBuf),
    #[error("{0}")]
    NotRestored(String),
    #[error("{0}")]
    Other(String),
    /// Ctrl-C before it was up.
    #[error("stopped before it was up")]
    Interrupted,
}

/// Longest text of somebody else's error in ours, bytes.
const CAUSE_BYTES_MAX: usize = 300;

impl UpError {
    /// Names the usual causes behind whatever went wrong in the data folder.
    pub(crate) fn explain(root: &Path, error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            if !text.contains(&inner_text) {
                text = format!("{text}: {inner_text}");
            }
            cause = inner.source();
        }
        Self::explain_text(root, &text)
    }

    pub(crate) fn explain_text(root: &Path, text: &str) -> Self {
        if text.contains("No space left on device") || text.contains("os error 28") {
            return Self::DiskFull(root.to_owned());
        }
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut end = one_line.len().min(CAUSE_BYTES_MAX);
        while !one_line.is_char_boundary(end) {
            end -= 1;
        }
        Self::Other(one_line[..end].to_owned())
    }

    pub(crate) fn folder(root: &Path, path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return Self::DiskFull(root.to_owned());
        }
        Self::Folder {
            path: path.to_owned(),
            source,
        }
    }
}
