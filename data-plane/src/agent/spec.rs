//! The spec on disk.

use crate::files;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::InstanceSpec;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    #[error("{doing} the spec {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the spec {} is not understood", path.display())]
    Malformed {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("the spec {} is of {found}, not of {expected}", path.display())]
    Foreign {
        path: PathBuf,
        found: DatabaseId,
        expected: DatabaseId,
    },
}

/// A spec and whether it is known to be the parent's present wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownSpec {
    pub(crate) spec: InstanceSpec,
    pub(crate) confirmed: bool,
}

/// Reads the spec of `expected` from `path`; `None` if there is no such file.
pub(crate) fn spec_read(
    path: &Path,
    expected: DatabaseId,
) -> Result<Option<InstanceSpec>, SpecError> {
    let path_owned = || path.to_owned();
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(SpecError::Io {
                doing: "reading",
                path: path_owned(),
                source,
            });
        }
    };
    let spec: InstanceSpec =
        serde_json::from_slice(&text).map_err(|source| SpecError::Malformed {
            path: path_owned(),
            source,
        })?;
    if spec.database_id != expected {
        return Err(SpecError::Foreign {
            path: path_owned(),
            found: spec.database_id,
            expected,
        });
    }
    Ok(Some(spec))
}

/// Writes the spec, mode 0600, durable when it returns.
pub(crate) fn spec_write(path: &Path, spec: &InstanceSpec) -> Result<(), SpecError> {
    let written = serde_json::to_vec(spec)
        .map_err(io::Error::from)
        .and_then(|text| files::replace(path, &text));
    written.map_err(|source| SpecError::Io {
        doing: "writing",
        path: path.to_owned(),
        source,
    })
}
