//! Writing files so that a reader sees the old content or the new one, whatever fails between.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Replaces `path` by `content` with mode 0600, durable when it returns.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    write_private(&beside, content)?.sync_all()?;
    std::fs::rename(&beside, path)?;
    sync_parent(path)
}

/// Makes `path` hold `content` with mode 0600, without waiting for the disk: for what is made again
/// at each start.
pub(crate) fn refresh(path: &Path, content: &[u8]) -> io::Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    let beside = path.with_extension("new");
    write_private(&beside, content)?;
    std::fs::rename(&beside, path)
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    Ok(file)
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
