//! Objects on one folder of a disk. Knows nothing of HTTP; every call blocks.
//!
//! ```text
//! lock, format
//! tmp/                                        drafts, and what is being removed
//! buckets/{bucket}/objects/{2 hex}/{sha256 of the key}
//! buckets/{bucket}/uploads/{id}/upload.json   while the upload goes on
//! buckets/{bucket}/uploads/{id}/{number:05}   its parts
//! ```
//!
//! Invariants:
//! - A name in `objects` is a whole object, synced before it was named. So a crash leaves drafts,
//!   which the next start removes, and nothing half.
//! - What was answered is on the disk: the file, and the folder that names it.
//! - Writes of one key are one after another: two that may not both happen do not.
//! - What cannot be read is neither there nor not there, but an error, also for a write that
//!   depends on which it is.
//! - After a folder could not be synced nothing is written any more: what a crash would leave is
//!   not known. The next start syncs all folders before it believes them.
//! - An object that was uploaded in parts stays in their files; its own file lists them. A folder
//!   of parts that neither an object nor an upload owns is removed at the next start.

mod bucket;
mod draft;
mod error;
mod header;
mod index;
mod load;
mod object;
mod segments;
mod upload;

pub(crate) use bucket::{Bucket, Condition};
pub(crate) use draft::Draft;
pub(crate) use error::{StorageError, io_error};
pub(crate) use header::{Content, Header};
pub(crate) use index::{Query, behind};
pub(crate) use object::Opened;
pub(crate) use upload::{CompletedPart, NewUpload, PART_NUMBER_MAX};

use crate::clock::Clock;
use draft::{sync_folder, write_file};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// What is written in `format`.
const FORMAT: &str = "1";

/// Shared by all that writes below one folder.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Where drafts lie.
    drafts: PathBuf,
    /// A folder could not be synced.
    stopped: AtomicBool,
    pub(crate) clock: Clock,
    /// Against a second server. Held until the last who may write is done.
    _lock: Lock,
}

/// The lock of a folder. Given up by name when dropped: a program that this process is just
/// starting has the file too for a moment, and closing one's own would not be the end of it.
#[derive(Debug)]
struct Lock(File);

impl Lock {
    fn take(folder: &Path) -> Result<Self, StorageError> {
        let path = folder.join("lock");
        let file = File::create(&path).map_err(io_error("opening", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StorageError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(io_error("locking", &path)(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "giving up the lock of the object store");
        }
    }
}

impl Disk {
    fn writable(&self) -> Result<(), StorageError> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(StorageError::Stopped);
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> Result<(), StorageError> {
        sync_folder(folder).inspect_err(|error| {
            self.stopped.store(true, Ordering::Release);
            tracing::error!(?error, "no more writes: a folder could not be synced");
        })
    }

    /// A name in the folder of drafts that nothing has.
    fn draft_path(&self) -> PathBuf {
        self.drafts.join(format!("{:032x}", rand::random::<u128>()))
    }

    /// Removes what nothing refers to any more; a rest is removed at the next start.
    fn discard(path: &Path) {
        if let Err(error) = fs::remove_dir_all(path) {
            tracing::warn!(path = %path.display(), %error, "removing what is not needed any more");
        }
    }
}

#[derive(Debug)]
pub(crate) struct Storage {
    folder: PathBuf,
    disk: Arc<Disk>,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
}

/// 3 to 63 of a-z, 0-9, `.` and `-`, as S3 has it; so a name is one plain path segment.
fn valid_bucket_name(name: &str) -> bool {
    s3s::path::check_bucket_name(name)
}

impl Storage {
    /// Opens a folder, or begins it, and reads what is there.
    pub(crate) fn open(folder: &Path, clock: Clock) -> Result<Self, StorageError> {
        fs::create_dir_all(folder).map_err(io_error("creating", folder))?;
        let lock = Lock::take(folder)?;
        Self::check_format(folder)?;
        let drafts = folder.join("tmp");
        if drafts.exists() {
            fs::remove_dir_all(&drafts).map_err(io_error("emptying", &drafts))?;
        }
        let buckets_folder = folder.join("buckets");
        for part in [&drafts, &buckets_folder] {
            fs::create_dir_all(part).map_err(io_error("creating", part))?;
        }
        sync_folder(folder)?;
        sync_folder(&buckets_folder)?;
        let disk = Arc::new(Disk {
            drafts,
            stopped: AtomicBool::new(false),
            clock,
            _lock: lock,
        });
        let mut buckets = BTreeMap::new();
        for name in load::names(&buckets_folder)? {
            let path = buckets_folder.join(&name);
            if !valid_bucket_name(&name) {
                tracing::warn!(path = %path.display(), "this is no bucket");
                continue;
            }
            buckets.insert(name, Arc::new(Bucket::load(&path, disk.clone())?));
        }
        Ok(Self {
            folder: folder.to_owned(),
            disk,
            buckets: RwLock::new(buckets),
        })
    }

    fn check_format(folder: &Path) -> Result<(), StorageError> {
        let path = folder.join("format");
        match fs::read_to_string(&path) {
            Ok(found) if found.trim() == FORMAT => Ok(()),
            // Made and not yet written when the first start was cut.
            Ok(found) if !found.is_empty() => Err(StorageError::UnknownFormat { path, found }),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io_error("reading", &path)(error))
            }
            _ => write_file(&path, FORMAT.as_bytes()),
        }
    }

    pub(crate) fn bucket(&self, name: &str) -> Result<Arc<Bucket>, StorageError> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.get(name).cloned().ok_or(StorageError::NoSuchBucket)
    }

    /// In order of their names.
    pub(crate) fn buckets(&self) -> Vec<Arc<Bucket>> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.values().cloned().collect()
    }

    pub(crate) fn bucket_create(&self, name: &str) -> Result<(), StorageError> {
        if !valid_bucket_name(name) {
            return Err(StorageError::InvalidBucketName(name.to_owned()));
        }
        self.disk.writable()?;
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        if buckets.contains_key(name) {
            return Err(StorageError::BucketExists);
        }
        let draft = self.disk.draft_path();
        let made = Bucket::prepare(&draft).and_then(|()| {
            let path = self.folder.join("buckets").join(name);
            fs::rename(&draft, &path).map_err(io_error("creating", &path))?;
            Ok(path)
        });
        let path = made.inspect_err(|_| Disk::discard(&draft))?;
        self.disk.sync_folder(&self.folder.join("buckets"))?;
        let bucket = Bucket::load(&path, self.disk.clone())?;
        buckets.insert(name.to_owned(), Arc::new(bucket));
        Ok(())
    }

    /// Removes a bucket that holds neither an object nor an upload.
    pub(crate) fn bucket_delete(&self, name: &str) -> Result<(), StorageError> {
        self.disk.writable()?;
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get(name).ok_or(StorageError::NoSuchBucket)?;
        let trash = self.disk.draft_path();
        bucket.close(|path| {
            fs::rename(path, &trash).map_err(io_error("removing", path))?;
            self.disk.sync_folder(&self.folder.join("buckets"))
        })?;
        buckets.remove(name);
        Disk::discard(&trash);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
