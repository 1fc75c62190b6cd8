//! Unpacks a part of a backup into a folder, as its bytes come.

use super::fetch::PartSink;
use crate::archive::tar::{Member, MemberKind, TarEvent, TarReader};
use rustix::fs::{Advice, fadvise};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// PostgreSQL wants its folders and files for itself.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Bytes of a file that the disk begins with at a time.
const AT_A_TIME: u64 = 1 << 20;

/// Writes into a folder that only restores write into. Several may at a time: no two parts hold the
/// same file. Nothing waits for the disk: PostgreSQL makes everything durable before it replays.
#[derive(Debug)]
pub struct Unpacker {
    folder: PathBuf,
    tar: TarReader,
    file: Option<FileSink>,
}

impl Unpacker {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            tar: TarReader::default(),
            file: None,
        }
    }

    fn begin(&self, member: &Member) -> io::Result<Option<FileSink>> {
        // The reader gives no path that leaves the folder, and nothing in it is a link.
        let path = self.folder.join(&member.path);
        match member.kind {
            MemberKind::Folder => folder_make(&path).map(|()| None),
            MemberKind::File => FileSink::new(&path).map(Some),
        }
    }
}

impl PartSink for Unpacker {
    fn push(&mut self, mut data: &[u8]) -> io::Result<()> {
        while let Some(event) = self.tar.next(&mut data).map_err(malformed)? {
            match event {
                TarEvent::Member(member) => self.file = self.begin(&member)?,
                TarEvent::Data(data) => {
                    if let Some(file) = &mut self.file {
                        file.push(data)?;
                    }
                }
                TarEvent::MemberEnd => self.file = None,
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.tar.finish().map_err(malformed)
    }
}

/// Writes one file. The disk works on what has come while more comes.
#[derive(Debug)]
pub struct FileSink {
    file: File,
    length: u64,
    /// So much of it the disk has been given.
    begun: u64,
}

impl FileSink {
    /// Makes it; it must not exist.
    pub fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: file_make(path)?,
            length: 0,
            begun: 0,
        })
    }
}

impl PartSink for FileSink {
    fn push(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.write_all(data)?;
        self.length += data.len() as u64;
        let more = self.length - self.begun;
        if more >= AT_A_TIME {
            // Linux begins to write what is said not to be needed, and keeps it until then. That
            // it cannot be told is no harm: the disk begins later.
            let _ = fadvise(
                &self.file,
                self.begun,
                NonZeroU64::new(more),
                Advice::DontNeed,
            );
            self.begun = self.length;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn folder_make(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER_MODE).create(path)
}

/// Makes a file that does not exist, and its folder, which may lie in another part.
fn file_make(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map(folder_make).transpose()?;
            options.open(path)
        }
        opened => opened,
    }
}
