//! Why the storage did not do it.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("there is no such bucket")]
    NoSuchBucket,
    #[error("the bucket exists")]
    BucketExists,
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    #[error("there is no such object")]
    NoSuchKey,
    #[error("there is no such upload")]
    NoSuchUpload,
    #[error("a condition of the request does not hold")]
    ConditionFailed,
    #[error("part {0} was not uploaded, or is not the one that is named")]
    InvalidPart(u16),
    #[error("the parts are not in ascending order")]
    InvalidPartOrder,
    #[error("part {0} is smaller than a part may be that is not the last")]
    PartTooSmall(u16),
    #[error("the object differs from its checksum or size as given")]
    BadDigest,
    #[error("the disk is full: {doing} `{path}`")]
    Full {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{doing} `{path}`")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// What is there cannot be read: neither *there* nor *not there*.
    #[error("`{path}` is damaged: {why}")]
    Damaged { path: PathBuf, why: &'static str },
    /// A folder could not be synced: what it holds after a crash is not known any more.
    #[error("writes ended when a folder could not be synced; the next start looks again")]
    Stopped,
    #[error("`{0}` is in use by another server")]
    InUse(PathBuf),
    #[error("`{path}` has format `{found}`, which this version does not know")]
    UnknownFormat { path: PathBuf, found: String },
    #[error("`{0}` is no name of a bucket")]
    InvalidBucketName(String),
}

/// Says of a failed call what was tried, and tells a full disk from other faults.
pub(crate) fn io_error(
    doing: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> StorageError + use<> {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StorageError::Full {
                doing,
                path,
                source,
            }
        }
        _ => StorageError::Io {
            doing,
            path,
            source,
        },
    }
}
