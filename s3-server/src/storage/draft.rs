//! A file that is being written and is nothing yet.
//!
//! Drafts lie in a folder of their own. A draft that is dropped is removed; one that a crash leaves
//! is removed at the next start.

use super::error::{StorageError, io_error};
use super::header::Header;
use bytes::Bytes;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    path: PathBuf,
    head_bytes: u32,
    written: u64,
    /// The file has another name now, or none.
    gone: bool,
}

impl Draft {
    /// Begins a file that `header` will describe when its body is known.
    pub(crate) fn create(drafts: &Path, header: &Header) -> Result<Self, StorageError> {
        let path = drafts.join(format!("{:032x}", rand::random::<u128>()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("creating", &path))?;
        let head_bytes = header.head_bytes();
        let body = SeekFrom::Start(u64::from(head_bytes));
        let sought = file.seek(body).map_err(io_error("seeking in", &path));
        let draft = Self {
            file,
            path,
            head_bytes,
            written: 0,
            gone: false,
        };
        sought.map(|_| draft)
    }

    /// Bytes of the body so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn write(&mut self, chunks: &[Bytes]) -> Result<(), StorageError> {
        for chunk in chunks {
            let done = self.file.write_all(chunk);
            done.map_err(io_error("writing", &self.path))?;
            self.written += chunk.len() as u64;
        }
        Ok(())
    }

    /// Writes the head and brings all to the disk.
    pub(crate) fn seal(&mut self, header: &Header) -> Result<(), StorageError> {
        let head = header
            .encode(self.head_bytes)
            .ok_or(StorageError::Damaged {
                path: self.path.clone(),
                why: "its description outgrew its head",
            })?;
        let done = self.file.write_all_at(&head, 0);
        done.map_err(io_error("writing", &self.path))?;
        let done = self.file.sync_data();
        done.map_err(io_error("syncing", &self.path))
    }

    /// Names the file if nothing has that name.
    pub(crate) fn link(self, to: &Path) -> Result<(), StorageError> {
        std::fs::hard_link(&self.path, to).map_err(io_error("creating", to))
    }

    /// Names the file, in place of what has that name.
    pub(crate) fn rename(mut self, to: &Path) -> Result<(), StorageError> {
        std::fs::rename(&self.path, to).map_err(io_error("replacing", to))?;
        self.gone = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.gone
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a draft stays until the next start");
        }
    }
}

/// Brings the names in a folder to the disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    let opened = File::open(folder).and_then(|folder| folder.sync_all());
    opened.map_err(io_error("syncing", folder))
}

/// Writes a small file and brings it to the disk; its name is the caller's to sync.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> Result<(), StorageError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(io_error("writing", path))
}
