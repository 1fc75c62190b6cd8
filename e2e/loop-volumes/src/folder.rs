//! The files that volumes are, in one folder.

use crate::program::run;
use crate::volume::{Sizes, VolumeId};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use tonic::Status;

/// Where volumes are made, grown and removed. One call at a time may change one: whoever holds this
/// sees to that.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Takes a folder, made where it is not there, and removes what was begun and never named.
    ///
    /// # Errors
    ///
    /// Where it cannot be read or written.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&path)?;
        for entry in std::fs::read_dir(&path)? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "new") {
                std::fs::remove_file(path)?;
            }
        }
        Ok(Self(path))
    }

    pub(crate) fn file(&self, id: &VolumeId) -> PathBuf {
        self.0.join(format!("{id}.img"))
    }

    /// A volume's size, bytes; `None` where it is not there.
    ///
    /// # Errors
    ///
    /// `INTERNAL` where that cannot be told.
    pub(crate) fn size(&self, id: &VolumeId) -> Result<Option<u64>, Status> {
        match std::fs::metadata(self.file(id)) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&self.file(id), &error)),
        }
    }

    /// [`Self::size`] of one that must be there.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` where it is not.
    pub(crate) fn size_known(&self, id: &VolumeId) -> Result<u64, Status> {
        self.size(id)?
            .ok_or_else(|| Status::not_found(format!("there is no volume {id}")))
    }

    /// Makes a volume, or finds it, and gives its size, bytes.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` where one of that name is there in another size; `INTERNAL`.
    pub(crate) async fn create(&self, id: &VolumeId, sizes: Sizes) -> Result<u64, Status> {
        if let Some(bytes) = self.size(id)? {
            let other =
                || Status::already_exists(format!("volume {id} is there with {bytes} bytes"));
            return sizes.contains(bytes).then_some(bytes).ok_or_else(other);
        }
        let new = self.0.join(format!("{id}.new"));
        let make = || {
            let file = File::create(&new)?;
            file.set_len(sizes.least)
        };
        make().map_err(|error| failed(&new, &error))?;
        run("mkfs.xfs", &[OsStr::new("-q"), new.as_os_str()]).await?;
        let name = || {
            File::open(&new)?.sync_all()?;
            std::fs::rename(&new, self.file(id))?;
            File::open(&self.0)?.sync_all()
        };
        name().map_err(|error| failed(&new, &error))?;
        Ok(sizes.least)
    }

    /// Lets a volume grow, and gives its size, bytes. It never shrinks.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`; `OUT_OF_RANGE` where it is larger already than it may be; `INTERNAL`.
    pub(crate) fn grow(&self, id: &VolumeId, sizes: Sizes) -> Result<u64, Status> {
        let bytes = self.size_known(id)?;
        if bytes > sizes.most {
            let text = format!("volume {id} has {bytes} bytes, and does not shrink");
            return Err(Status::out_of_range(text));
        }
        if bytes >= sizes.least {
            return Ok(bytes);
        }
        let grow = || {
            let file = OpenOptions::new().write(true).open(self.file(id))?;
            file.set_len(sizes.least)?;
            file.sync_all()
        };
        grow().map_err(|error| failed(&self.file(id), &error))?;
        Ok(sizes.least)
    }

    /// Removes a volume that may be gone already.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` while it is mounted; `INTERNAL`.
    pub(crate) async fn delete(&self, id: &VolumeId) -> Result<(), Status> {
        let file = self.file(id);
        if self.size(id)?.is_none() {
            return Ok(());
        }
        let attached = run("losetup", &[OsStr::new("--associated"), file.as_os_str()]).await?;
        if !attached.is_empty() {
            let text = format!("volume {id} is in use: {}", attached.trim());
            return Err(Status::failed_precondition(text));
        }
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&file, &error)),
            _ => Ok(()),
        }
    }
}

pub(crate) fn failed(path: &Path, error: &io::Error) -> Status {
    Status::internal(format!("{}: {error}", path.display()))
}
