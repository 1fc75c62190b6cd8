//! `pg_dump` and `pg_restore`: where they are, as whom they run, and the folder of an import.

use super::relay::{SOURCE_PORT, TARGET_PORT};
use crate::runtime::local::folder::{FolderError, user_lend};
use crate::runtime::local::layout::DataFolder;
use lumadb_contract::id::ImportId;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// A user that nothing else runs as.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    pub(super) id: u32,
    pub(super) group: u32,
}

/// What imports run with.
#[derive(Debug, Clone)]
pub struct ImportPrograms {
    /// Folder that holds `bin/pg_dump`.
    pub engine: PathBuf,
    pub data: DataFolder,
}

/// The sockets of one import; removed when it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    engine: PathBuf,
    pub(super) user: Option<User>,
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum RoomError {
    #[error(transparent)]
    User(#[from] FolderError),
    #[error("the folder of an import cannot be made: {0}")]
    Folder(#[from] io::Error),
}

impl ImportPrograms {
    /// Makes the folder of an import anew, for a user of its own where we are root.
    pub(super) fn room(&self, id: ImportId) -> Result<Room, RoomError> {
        let folder = self.data.imports().join(id.to_string());
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let user = user_lend(&self.data)?.map(|(id, group)| User { id, group });
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let room = Room {
            folder,
            engine: self.engine.clone(),
            user,
        };
        if let Some(user) = user {
            chown(&room.folder, Some(user.id), Some(user.group))?;
        }
        Ok(room)
    }
}

impl Room {
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads everything of the source as one moment of it, but for what is the server's own or
    /// nobody's here. The moment is that of `snapshot`, or the one at which it begins.
    pub(super) fn dump(&self, snapshot: Option<&str>) -> Command {
        let mut command = self.command("pg_dump", SOURCE_PORT);
        if let Some(snapshot) = snapshot {
            command.arg(format!("--snapshot={snapshot}"));
        }
        command
            .args([
                "--format=custom",
                "--compress=none",
                "--encoding=UTF8",
                "--no-owner",
                "--no-privileges",
                "--no-publications",
                "--no-subscriptions",
                "--no-security-labels",
                "--no-tablespaces",
                "--lock-wait-timeout=60000",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }

    pub(super) fn restore(&self) -> Command {
        let mut command = self.command("pg_restore", TARGET_PORT);
        command
            .args([
                "--format=custom",
                "--no-owner",
                "--no-privileges",
                "--no-publications",
                "--no-subscriptions",
                "--no-security-labels",
                "--no-tablespaces",
                "--exit-on-error",
                "--verbose",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        command
    }

    fn command(&self, program: &str, port: u16) -> Command {
        let mut command = Command::new(self.engine.join("bin").join(program));
        command
            .env_clear()
            .env("PGHOST", &self.folder)
            .env("PGPORT", port.to_string())
            // The relay says who connects to what.
            .env("PGUSER", "import")
            .arg("--dbname=import")
            .env("LC_ALL", "C")
            .env("PGPASSFILE", "/dev/null")
            .current_dir("/")
            .process_group(0)
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(user) = self.user {
            command.uid(user.id).gid(user.group);
        }
        command
    }
}
