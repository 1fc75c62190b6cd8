//! What a start finds on the disk.

use super::Disk;
use super::bucket::{Bucket, Entry, ObjectName};
use super::draft::sync_folder;
use super::error::{StorageError, io_error};
use super::header::Header;
use super::index::Index;
use super::segments::SegmentFolder;
use super::upload::{MARK, PART_NUMBER_MAX, Upload, part_name};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Threads that read heads at the same time: a start waits for the disk, not for the processor.
const READERS: usize = 8;

/// The names in a folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, StorageError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_error("reading", folder))? {
        let entry = entry.map_err(io_error("reading", folder))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// When the entries of a folder last changed, milliseconds since 1970. Those of a bucket are made
/// with it, once.
pub(super) fn changed_ms(folder: &Path) -> i64 {
    let changed = fs::metadata(folder).and_then(|about| about.modified());
    let since = changed.map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default());
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// The parts in the folder of an upload. One that cannot be read counts as not uploaded.
pub(super) fn parts(folder: &Path) -> Result<BTreeMap<u16, Header>, StorageError> {
    sync_folder(folder)?;
    let mut parts = BTreeMap::new();
    for name in names(folder)? {
        let number = name
            .parse()
            .ok()
            .filter(|number| part_name(*number) == name);
        let Some(number) = number.filter(|number| (1..=PART_NUMBER_MAX).contains(number)) else {
            continue;
        };
        match read_whole(&folder.join(&name)) {
            Ok(header) => drop(parts.insert(number, header)),
            Err(error) => tracing::error!(%error, "a part of an upload counts as not uploaded"),
        }
    }
    Ok(parts)
}

/// Reads the head of a file, which must be as long as that says.
fn read_whole(path: &Path) -> Result<Header, StorageError> {
    let file = File::open(path).map_err(io_error("opening", path))?;
    let (header, head_bytes) = Header::read(&file, path)?;
    let length = file.metadata().map_err(io_error("reading", path))?.len();
    let body = match header.segments {
        Some(_) => 0,
        None => header.size,
    };
    if u64::from(head_bytes).checked_add(body) != Some(length) {
        return Err(StorageError::Damaged {
            path: path.to_owned(),
            why: "it is not as long as it was",
        });
    }
    Ok(header)
}

/// An object's file, and the files of its parts.
fn read_object(bucket: &Path, path: &Path, name: &str) -> Result<Header, StorageError> {
    let header = read_whole(path)?;
    let damaged = |path: &Path, why| StorageError::Damaged {
        path: path.to_owned(),
        why,
    };
    if ObjectName::parse(name) != Some(ObjectName::of(&header.key)) {
        return Err(damaged(path, "its name is not that of its key"));
    }
    if let Some(segments) = &header.segments {
        let folder = segment_folder(bucket, &segments.upload);
        for (number, bytes) in &segments.parts {
            let part = folder.join(part_name(*number));
            if read_whole(&part)?.size != *bytes {
                return Err(damaged(&part, "it is not the part that it was"));
            }
        }
    }
    Ok(header)
}

fn segment_folder(bucket: &Path, upload: &str) -> PathBuf {
    bucket.join("uploads").join(upload)
}

/// What the files of one shard, or of several, say.
#[derive(Default)]
struct Found {
    index: Index<Arc<Entry>>,
    damaged: HashSet<ObjectName>,
    /// Folders of parts that objects refer to, by the upload's ID.
    owned: HashMap<String, Arc<SegmentFolder>>,
}

fn read_shard(bucket: &Path, shard: &Path, found: &mut Found) -> Result<(), StorageError> {
    // What was named when the last run ended may not have been brought to the disk.
    sync_folder(shard)?;
    for name in names(shard)? {
        let path = shard.join(&name);
        let Some(object) = ObjectName::parse(&name) else {
            tracing::warn!(path = %path.display(), "this is no object");
            continue;
        };
        let header = match read_object(bucket, &path, &name) {
            Ok(header) => header,
            Err(error) => {
                tracing::error!(%error, "an object cannot be read");
                found.damaged.insert(object);
                continue;
            }
        };
        let segments = header.segments.as_ref().map(|segments| {
            let folder = segment_folder(bucket, &segments.upload);
            let folder = Arc::new(SegmentFolder::new(folder));
            found.owned.insert(segments.upload.clone(), folder.clone());
            folder
        });
        let key = header.key.as_bytes().into();
        found.index.insert(key, Entry::new(&header, segments));
    }
    Ok(())
}

fn read_objects(bucket: &Path) -> Result<Found, StorageError> {
    let objects = bucket.join("objects");
    let shards = names(&objects)?;
    let share = shards.len().div_ceil(READERS).max(1);
    let results: Vec<Result<Found, StorageError>> = std::thread::scope(|scope| {
        let readers: Vec<_> = shards
            .chunks(share)
            .map(|share| {
                let objects = &objects;
                scope.spawn(move || {
                    let mut found = Found::default();
                    for shard in share {
                        read_shard(bucket, &objects.join(shard), &mut found)?;
                    }
                    Ok(found)
                })
            })
            .collect();
        let ended = readers.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended
            .map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all = Found::default();
    for found in results {
        let found = found?;
        all.index.extend(found.index);
        all.damaged.extend(found.damaged);
        all.owned.extend(found.owned);
    }
    Ok(all)
}

impl Bucket {
    /// Reads what is there, and removes what a crash left.
    pub(super) fn load(path: &Path, disk: Arc<Disk>) -> Result<Self, StorageError> {
        let found = read_objects(path)?;
        let folder = path.join("uploads");
        sync_folder(&folder)?;
        let mut uploads = BTreeMap::new();
        for id in names(&folder)? {
            let upload = folder.join(&id);
            let marked = upload.join(MARK).exists();
            if found.owned.contains_key(&id) {
                // Complete: the crash came before the mark was gone.
                if marked {
                    let mark = upload.join(MARK);
                    fs::remove_file(&mark).map_err(io_error("removing", &mark))?;
                }
            } else if marked {
                match Upload::load(&upload, &id) {
                    Ok(upload) => {
                        let name = (upload.about.key.clone(), id);
                        uploads.insert(name, Arc::new(upload));
                    }
                    Err(error) => tracing::error!(%error, "an upload cannot be read"),
                }
            } else if found.damaged.is_empty() {
                Disk::discard(&upload);
            } else {
                // An object that cannot be read may refer to it.
                tracing::warn!(path = %upload.display(), "parts that no object refers to are kept");
            }
        }
        Ok(Self::assemble(
            path,
            disk,
            found.index,
            found.damaged,
            uploads,
        ))
    }
}
