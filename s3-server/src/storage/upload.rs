//! Uploads in parts. They outlive a restart; one that nobody finishes ends by itself.

use super::bucket::{Bucket, Condition};
use super::draft::{Draft, write_file};
use super::error::{StorageError, io_error};
use super::header::{Content, Header, Segments};
use super::segments::SegmentFolder;
use super::{Disk, load};
use crate::checksum::{Algorithm, Checksum, Kind};
use data_encoding::HEXLOWER;
use s3s::crypto::{Checksum as _, Md5};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Highest number of a part: S3's.
pub(crate) const PART_NUMBER_MAX: u16 = 10_000;

/// Smallest part but the last, bytes: S3's.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// After so many milliseconds an upload that is not complete is dropped: 7 days.
const UPLOAD_MS_MAX: i64 = 7 * 24 * 3600 * 1000;

/// Marks a folder of parts as an upload that goes on.
pub(super) const MARK: &str = "upload.json";

pub(super) fn part_name(number: u16) -> String {
    format!("{number:05}")
}

/// As in `upload.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NewUpload {
    pub(crate) key: String,
    pub(crate) content: Content,
    pub(crate) checksum: Option<(Algorithm, Kind)>,
    /// Milliseconds since 1970.
    pub(crate) initiated_ms: i64,
}

/// A part that is there: its header's `key` is the object's.
type Part = Header;

#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) about: NewUpload,
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Neither complete nor aborted.
    open: bool,
    parts: BTreeMap<u16, Part>,
}

/// A part as whoever completes an upload names it.
#[derive(Debug, Clone)]
pub(crate) struct CompletedPart {
    pub(crate) number: u16,
    pub(crate) etag: Option<String>,
    pub(crate) checksum: Option<(Algorithm, String)>,
}

impl Upload {
    /// Reads an upload that a start finds.
    pub(super) fn load(folder: &Path, id: &str) -> Result<Self, StorageError> {
        let mark = folder.join(MARK);
        let text = fs::read(&mark).map_err(io_error("reading", &mark))?;
        let about = serde_json::from_slice(&text).map_err(|_| StorageError::Damaged {
            path: mark,
            why: "it is not understood",
        })?;
        Ok(Self::new(id, about, folder, load::parts(folder)?))
    }

    fn new(id: &str, about: NewUpload, folder: &Path, parts: BTreeMap<u16, Part>) -> Self {
        Self {
            id: id.to_owned(),
            about,
            folder: folder.to_owned(),
            state: Mutex::new(State { open: true, parts }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, StorageError> {
        let state = self.state();
        if state.open {
            Ok(state)
        } else {
            Err(StorageError::NoSuchUpload)
        }
    }

    /// At most `max` parts behind number `after`, and whether there are more.
    pub(crate) fn parts(
        &self,
        after: u16,
        max: usize,
    ) -> Result<(Vec<(u16, Part)>, bool), StorageError> {
        let state = self.open()?;
        let mut behind = state.parts.range(after.saturating_add(1)..);
        let page = behind.by_ref().take(max);
        let page = page.map(|(number, part)| (*number, part.clone())).collect();
        Ok((page, max > 0 && behind.next().is_some()))
    }

    /// Ends the upload on the disk; what is left of it belongs to nobody.
    fn unmark(&self, disk: &Disk) -> Result<(), StorageError> {
        let mark = self.folder.join(MARK);
        fs::remove_file(&mark).map_err(io_error("removing", &mark))?;
        disk.sync_folder(&self.folder)
    }
}

/// Checks what is named against what is there, and describes the object.
fn assemble(
    upload: &Upload,
    parts: &BTreeMap<u16, Part>,
    named: &[CompletedPart],
) -> Result<Header, StorageError> {
    if !named.is_sorted_by(|one, next| one.number < next.number) {
        return Err(StorageError::InvalidPartOrder);
    }
    let mut header = Header::new(&upload.about.key, upload.about.content.clone());
    let mut segments = Vec::with_capacity(named.len());
    let mut digests = Md5::new();
    let mut sums = Vec::with_capacity(named.len());
    for (at, name) in named.iter().enumerate() {
        let invalid = StorageError::InvalidPart(name.number);
        let Some(part) = parts.get(&name.number) else {
            return Err(invalid);
        };
        let same_sum = |(algorithm, value): &(Algorithm, String)| {
            let mine = part.checksum.as_ref();
            mine.is_none_or(|mine| mine.algorithm != *algorithm || mine.is(value))
        };
        let etag = name.etag.as_ref();
        if etag.is_some_and(|etag| *etag != part.etag) || !name.checksum.iter().all(same_sum) {
            return Err(invalid);
        }
        if part.size < PART_BYTES_MIN && at + 1 < named.len() {
            return Err(StorageError::PartTooSmall(name.number));
        }
        let digest = HEXLOWER.decode(part.etag.as_bytes());
        digests.update(&digest.map_err(|_| StorageError::InvalidPart(name.number))?);
        if let Some(sum) = &part.checksum {
            sums.push((sum.value.as_str(), part.size));
        }
        header.size += part.size;
        segments.push((name.number, part.size));
    }
    header.etag = format!("{}-{}", HEXLOWER.encode(&digests.finalize()), named.len());
    header.checksum = match upload.about.checksum {
        Some((algorithm, kind)) if sums.len() == named.len() => algorithm.of_parts(kind, &sums),
        _ => None,
    };
    header.segments = Some(Segments {
        upload: upload.id.clone(),
        parts: segments,
    });
    Ok(header)
}

impl Bucket {
    pub(crate) fn upload_create(&self, about: NewUpload) -> Result<String, StorageError> {
        let _alive = self.alive()?;
        let id = format!("{:032x}", rand::random::<u128>());
        let uploads = self.path.join("uploads");
        let (draft, folder) = (self.disk.draft_path(), uploads.join(&id));
        let text = serde_json::to_vec(&about).unwrap_or_default();
        let made = fs::create_dir(&draft)
            .map_err(io_error("creating", &draft))
            .and_then(|()| write_file(&draft.join(MARK), &text))
            .and_then(|()| super::draft::sync_folder(&draft))
            .and_then(|()| fs::rename(&draft, &folder).map_err(io_error("creating", &folder)));
        made.inspect_err(|_| Disk::discard(&draft))?;
        self.disk.sync_folder(&uploads)?;
        let upload = Upload::new(&id, about, &folder, BTreeMap::new());
        let name = (upload.about.key.clone(), id.clone());
        self.uploads().insert(name, Arc::new(upload));
        Ok(id)
    }

    pub(crate) fn upload(&self, key: &str, id: &str) -> Result<Arc<Upload>, StorageError> {
        let uploads = self.uploads();
        let upload = uploads.get(&(key.to_owned(), id.to_owned()));
        upload.cloned().ok_or(StorageError::NoSuchUpload)
    }

    /// Uploads whose key begins with `prefix`, behind a key and ID: at most `max` of them, and
    /// whether there are more.
    pub(crate) fn upload_list(
        &self,
        prefix: &str,
        after: Option<(&str, &str)>,
        max: usize,
    ) -> (Vec<Arc<Upload>>, bool) {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = match after {
            Some((key, id)) if key >= prefix => Excluded((key.to_owned(), id.to_owned())),
            _ => Included((prefix.to_owned(), String::new())),
        };
        let uploads = self.uploads();
        let mut found = uploads
            .range((from, Unbounded))
            .take_while(|((key, _), _)| key.starts_with(prefix))
            .map(|(_, upload)| upload.clone());
        let page = found.by_ref().take(max).collect();
        (page, max > 0 && found.next().is_some())
    }

    /// Adds a sealed draft to an upload, in place of an earlier one of its number.
    pub(crate) fn part_publish(
        &self,
        upload: &Upload,
        number: u16,
        draft: Draft,
        header: Part,
    ) -> Result<(), StorageError> {
        let _alive = self.alive()?;
        let mut state = upload.open()?;
        draft.rename(&upload.folder.join(part_name(number)))?;
        self.disk.sync_folder(&upload.folder)?;
        state.parts.insert(number, header);
        Ok(())
    }

    /// Makes the object of an upload appear. After a failed condition the upload goes on.
    pub(crate) fn upload_complete(
        &self,
        upload: &Upload,
        named: &[CompletedPart],
        condition: &Condition,
        expected: impl FnOnce(u64, Option<&Checksum>) -> bool,
    ) -> Result<Header, StorageError> {
        let alive = self.alive()?;
        let mut state = upload.open()?;
        let mut header = assemble(upload, &state.parts, named)?;
        if !expected(header.size, header.checksum.as_ref()) {
            return Err(StorageError::BadDigest);
        }
        header.modified_ms = self.now_ms();
        let mut draft = self.draft(&header)?;
        draft.seal(&header)?;
        let folder = Arc::new(SegmentFolder::new(upload.folder.clone()));
        self.publish_in(&alive, draft, &header, condition, Some(folder))?;
        state.open = false;
        let key = (upload.about.key.clone(), upload.id.clone());
        self.uploads().remove(&key);
        // The object is there, whatever becomes of the rest: a start does it again.
        if let Err(error) = upload.unmark(&self.disk) {
            tracing::warn!(?error, "an upload that is complete keeps its mark");
        }
        let used = |number: &u16| named.iter().any(|part| part.number == *number);
        for number in state.parts.keys().filter(|number| !used(number)) {
            let path = upload.folder.join(part_name(*number));
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "removing a part that is not used");
            }
        }
        Ok(header)
    }

    pub(crate) fn upload_abort(&self, upload: &Upload) -> Result<(), StorageError> {
        let _alive = self.alive()?;
        let mut state = upload.open()?;
        upload.unmark(&self.disk)?;
        state.open = false;
        let key = (upload.about.key.clone(), upload.id.clone());
        self.uploads().remove(&key);
        drop(state);
        Disk::discard(&upload.folder);
        Ok(())
    }

    /// Drops uploads that were begun too long ago.
    pub(crate) fn uploads_expire(&self) {
        let oldest_ms = self.now_ms() - UPLOAD_MS_MAX;
        let stale: Vec<_> = {
            let uploads = self.uploads();
            let stale = uploads
                .values()
                .filter(|upload| upload.about.initiated_ms < oldest_ms);
            stale.cloned().collect()
        };
        for upload in stale {
            if let Err(error) = self.upload_abort(&upload) {
                tracing::warn!(
                    ?error,
                    id = upload.id,
                    "dropping an upload that nobody finished"
                );
            }
        }
    }
}
