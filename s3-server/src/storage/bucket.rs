//! One bucket: its index, and the order of writes.

use super::draft::{Draft, sync_folder};
use super::error::{StorageError, io_error};
use super::header::Header;
use super::index::{self, Index, Page, Query};
use super::segments::SegmentFolder;
use super::upload::Upload;
use super::{Disk, Opened};
use s3s::crypto::{Checksum as _, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// Folders that objects lie in; each is a shard of its own: writes in it are one after another.
const SHARDS: usize = 256;

/// What is known of an object without reading it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    /// Milliseconds since 1970.
    pub(crate) modified_ms: i64,
    pub(super) segments: Option<Arc<SegmentFolder>>,
}

impl Entry {
    pub(super) fn new(header: &Header, segments: Option<Arc<SegmentFolder>>) -> Arc<Self> {
        Arc::new(Self {
            size: header.size,
            etag: header.etag.clone(),
            modified_ms: header.modified_ms,
            segments,
        })
    }
}

/// What must hold for a write to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    None,
    /// There is no such object.
    Absent,
    /// There is one.
    Present,
    /// There is one with this etag.
    Etag(String),
}

impl Condition {
    fn check(&self, current: Option<&Entry>) -> Result<(), StorageError> {
        match (self, current) {
            (Self::None, _) | (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::Etag(etag), Some(entry)) if *etag == entry.etag => Ok(()),
            (Self::Etag(_) | Self::Present, None) => Err(StorageError::NoSuchKey),
            (Self::Absent | Self::Etag(_), Some(_)) => Err(StorageError::ConditionFailed),
        }
    }
}

/// What the file of an object is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ObjectName([u8; 32]);

impl ObjectName {
    pub(super) fn of(key: &str) -> Self {
        Self(Sha256::checksum(key.as_bytes()))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    pub(super) fn path(&self, objects: &Path) -> PathBuf {
        let name = data_encoding::HEXLOWER.encode(&self.0);
        objects.join(&name[..2]).join(&name)
    }

    fn shard(&self) -> usize {
        usize::from(self.0[0])
    }
}

type Uploads = BTreeMap<(String, String), Arc<Upload>>;

#[derive(Debug)]
pub(crate) struct Bucket {
    pub(super) path: PathBuf,
    pub(crate) created_ms: i64,
    pub(super) disk: Arc<Disk>,
    /// `false`: deleted. Held to read by every write, before any other lock.
    alive: RwLock<bool>,
    shards: Vec<RwLock<()>>,
    index: RwLock<Index<Arc<Entry>>>,
    /// Files that cannot be read: what is called so is neither there nor not there.
    damaged: Mutex<HashSet<ObjectName>>,
    /// By key and ID.
    uploads: Mutex<Uploads>,
}

impl Bucket {
    /// Makes the folders of an empty bucket and brings them to the disk.
    pub(super) fn prepare(path: &Path) -> Result<(), StorageError> {
        let objects = path.join("objects");
        let make = |folder: &Path| fs::create_dir(folder).map_err(io_error("creating", folder));
        make(path)?;
        make(&objects)?;
        make(&path.join("uploads"))?;
        for shard in 0..SHARDS {
            make(&objects.join(format!("{shard:02x}")))?;
        }
        sync_folder(&objects)?;
        sync_folder(path)
    }

    pub(super) fn assemble(
        path: &Path,
        disk: Arc<Disk>,
        index: Index<Arc<Entry>>,
        damaged: HashSet<ObjectName>,
        uploads: Uploads,
    ) -> Self {
        Self {
            path: path.to_owned(),
            created_ms: super::load::changed_ms(path),
            disk,
            alive: RwLock::new(true),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            index: RwLock::new(index),
            damaged: Mutex::new(damaged),
            uploads: Mutex::new(uploads),
        }
    }

    pub(crate) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    pub(super) fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }

    /// Holds the bucket open for a write.
    pub(super) fn alive(&self) -> Result<RwLockReadGuard<'_, bool>, StorageError> {
        self.disk.writable()?;
        let alive = self.alive.read().unwrap_or_else(PoisonError::into_inner);
        if *alive {
            Ok(alive)
        } else {
            Err(StorageError::NoSuchBucket)
        }
    }

    /// Ends the bucket if it is empty; `remove` does so on the disk.
    pub(super) fn close(
        &self,
        remove: impl FnOnce(&Path) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mut alive = self.alive.write().unwrap_or_else(PoisonError::into_inner);
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        if !index.is_empty() || !self.uploads().is_empty() || !self.damaged().is_empty() {
            return Err(StorageError::BucketNotEmpty);
        }
        remove(&self.path)?;
        *alive = false;
        Ok(())
    }

    pub(super) fn uploads(&self) -> MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn damaged(&self) -> MutexGuard<'_, HashSet<ObjectName>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_damaged(&self, name: &ObjectName) -> Result<(), StorageError> {
        if !self.damaged().contains(name) {
            return Ok(());
        }
        Err(StorageError::Damaged {
            path: name.path(&self.objects()),
            why: "it could not be read at the last start",
        })
    }

    pub(crate) fn list(&self, query: &Query<'_>) -> Page<Arc<Entry>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index::list(&index, query)
    }

    fn entry(&self, key: &str) -> Option<Arc<Entry>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.get(key.as_bytes()).cloned()
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.disk.clock.now_ms()
    }

    /// A draft for an object, or a part, that `header` begins to describe.
    pub(crate) fn draft(&self, header: &Header) -> Result<Draft, StorageError> {
        self.disk.writable()?;
        Draft::create(&self.disk.drafts, header)
    }

    /// Opens an object to read it: what is opened stays as it is, whatever becomes of the key.
    pub(crate) fn open(&self, key: &str) -> Result<Opened, StorageError> {
        let name = ObjectName::of(key);
        let shard = &self.shards[name.shard()];
        let _shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = self.entry(key) else {
            self.refuse_damaged(&name)?;
            return Err(StorageError::NoSuchKey);
        };
        Opened::open(key, &name.path(&self.objects()), entry)
    }

    /// Gives a sealed draft the name of its key.
    pub(crate) fn publish(
        &self,
        draft: Draft,
        header: &Header,
        condition: &Condition,
    ) -> Result<(), StorageError> {
        let alive = self.alive()?;
        self.publish_in(&alive, draft, header, condition, None)
    }

    pub(super) fn publish_in(
        &self,
        _alive: &RwLockReadGuard<'_, bool>,
        draft: Draft,
        header: &Header,
        condition: &Condition,
        segments: Option<Arc<SegmentFolder>>,
    ) -> Result<(), StorageError> {
        let name = ObjectName::of(&header.key);
        let path = name.path(&self.objects());
        let folder = path.parent().unwrap_or(&path);
        let shard = &self.shards[name.shard()];
        let _shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever waited for the shard may have waited for a failure.
        self.disk.writable()?;
        if *condition != Condition::None {
            self.refuse_damaged(&name)?;
        }
        condition.check(self.entry(&header.key).as_deref())?;
        match condition {
            Condition::Absent => draft.link(&path)?,
            _ => draft.rename(&path)?,
        }
        self.disk.sync_folder(folder)?;
        self.damaged().remove(&name);
        let entry = Entry::new(header, segments);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let before = index.insert(header.key.as_bytes().into(), entry);
        drop(index);
        doom(before.as_ref());
        Ok(())
    }

    /// Removes an object. One that is not there is removed already.
    pub(crate) fn delete(&self, key: &str, condition: &Condition) -> Result<(), StorageError> {
        let _alive = self.alive()?;
        let name = ObjectName::of(key);
        let path = name.path(&self.objects());
        let shard = &self.shards[name.shard()];
        let _shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        self.disk.writable()?;
        let entry = self.entry(key);
        if *condition != Condition::None {
            self.refuse_damaged(&name)?;
            condition.check(entry.as_deref())?;
        }
        if entry.is_none() && !self.damaged().contains(&name) {
            return Ok(());
        }
        match fs::remove_file(&path) {
            // Taken away by somebody else: then it is gone as was asked for.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io_error("removing", &path)(error));
            }
            _ => {}
        }
        self.disk.sync_folder(path.parent().unwrap_or(&path))?;
        self.damaged().remove(&name);
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let before = index.remove(key.as_bytes());
        drop(index);
        doom(before.as_ref());
        Ok(())
    }
}

/// The parts of an object that is no more go with the last who reads them.
fn doom(entry: Option<&Arc<Entry>>) {
    if let Some(segments) = entry.and_then(|entry| entry.segments.as_ref()) {
        segments.doom();
    }
}
