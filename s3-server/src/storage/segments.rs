//! The files of an object that was uploaded in parts.

use super::Disk;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// The folder of the parts of one object. It is removed when the object is no more and nobody reads
/// it any longer.
#[derive(Debug)]
pub(crate) struct SegmentFolder {
    pub(super) path: PathBuf,
    doomed: AtomicBool,
}

impl SegmentFolder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            doomed: AtomicBool::new(false),
        }
    }

    /// No object refers to it any more, and the disk says so.
    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }
}

impl Drop for SegmentFolder {
    fn drop(&mut self) {
        if !self.doomed.load(Ordering::Acquire) {
            return;
        }
        let path = std::mem::take(&mut self.path);
        let remove = move || Disk::discard(&path);
        // The last to read it may be a task that must not block.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
