//! A restored data folder in an instance's folder that this process owns.

use super::collations;
use super::config;
use super::protocol::DataState;
use super::site::{Reached, Replay, Site, SiteError};
use crate::archive::restore::{FileSink, PartKind, PartSink, Unpacker, restore_command};
use crate::engine::{AdminSession, EngineDir, EngineEvent, InstanceDir, Postmaster, StopMode};
use crate::files;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Read from the end of PostgreSQL's log to say what went wrong, bytes.
const LOG_TAIL_BYTES: usize = 4096;

/// Time for each way of ending PostgreSQL, seconds: it writes a checkpoint.
const STOP_SECONDS: u64 = 600;

/// Stands in a data folder that is no database yet.
const MARK: &str = "lumadb.restoring";

/// Stands in one that a restore made.
pub(super) const RESTORED: &str = "lumadb.restored";

/// What a helper keeps in a data folder of the engine that it runs.
const STARTED_WITH: &str = "lumadb.started.json";

const LAST: &str = "select pg_last_wal_replay_lsn(), \
    (extract(epoch from pg_last_xact_replay_timestamp()) * 1000000)::int8";

/// Builds in the data folder itself, below a mark that stands there until it is a database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalSite<'site> {
    pub(crate) engine: &'site EngineDir,
    pub(crate) instance: &'site InstanceDir,
    /// This program, which PostgreSQL runs to ask for WAL.
    pub(crate) program: &'site Path,
}

impl LocalSite<'_> {
    fn mark(&self) -> PathBuf {
        self.instance.data().join(MARK)
    }

    fn backup(&self, number: usize) -> PathBuf {
        self.mark().join(format!("backup-{number}"))
    }

    pub(super) fn look(&self) -> Result<DataState, SiteError> {
        let data = self.instance.data();
        let there = |name: &str| {
            let path = data.join(name);
            path.try_exists().map_err(fault(&path))
        };
        Ok(if there(MARK)? {
            DataState::Restoring
        } else if there(RESTORED)? {
            DataState::Restored
        } else {
            DataState::Other
        })
    }

    /// Ends an engine that an earlier attempt left replaying.
    pub(super) async fn end_engine(&self) -> Result<(), SiteError> {
        let patience = Duration::from_secs(STOP_SECONDS);
        match Postmaster::adopt(self.instance) {
            Some(running) => Ok(running.stop(StopMode::Immediate, patience).await?),
            None => Ok(()),
        }
    }

    fn empty(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(self.instance.data())? {
            let entry = entry?;
            // The mark goes last: until then this is no database.
            if entry.file_name() == MARK {
                continue;
            }
            remove(&entry.path())?;
        }
        remove(&self.mark())
    }

    /// What was put together becomes the data folder's content.
    fn move_up(&self, from: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            // Who held a socket there says nothing of who may hold one here.
            if entry.file_name().to_string_lossy().starts_with(".s.PGSQL.") {
                remove(&entry.path())?;
                continue;
            }
            std::fs::rename(entry.path(), self.instance.data().join(entry.file_name()))?;
        }
        Ok(())
    }

    /// The files that make PostgreSQL replay.
    fn configure(&self, settings: &str) -> Result<(), SiteError> {
        let command = restore_command(self.program, &self.instance.wal_socket());
        let postgresql = config::while_replaying(&format!("{command}{settings}"));
        for (name, content) in [
            ("postgresql.conf", postgresql.as_str()),
            ("postgresql.auto.conf", ""),
            ("pg_hba.conf", config::PLAIN_HBA),
            ("pg_ident.conf", ""),
            ("recovery.signal", ""),
        ] {
            let path = self.instance.data().join(name);
            files::refresh(&path, content.as_bytes()).map_err(fault(&path))?;
        }
        Ok(())
    }

    async fn reached(&self) -> Result<Reached, SiteError> {
        let session = AdminSession::open(self.instance).await?;
        let rows = session.rows("asking how far it replayed", LAST).await?;
        let text = |column| rows.first().and_then(|row| row.get(column));
        Ok(Reached {
            lsn: text(0).and_then(|lsn| lsn.parse().ok()).unwrap_or_default(),
            last_transaction_us: text(1).and_then(|at| at.parse().ok()),
            collations_changed: collations::changed(&self.instance.engine_socket(), &session)
                .await?,
        })
    }
}

/// Whether an engine can run on this data folder.
pub(crate) fn is_database(data: &Path) -> bool {
    data.join("PG_VERSION").exists() && !data.join(MARK).exists()
}

impl Site for LocalSite<'_> {
    async fn begin(&self, backups: usize) -> Result<(), SiteError> {
        self.end_engine().await?;
        let data = self.instance.data();
        self.empty().map_err(fault(&data))?;
        let mark = self.mark();
        folder_make(&mark)?;
        files::sync_parent(&mark).map_err(fault(&data))?;
        for number in 0..backups {
            folder_make(&self.backup(number))?;
        }
        Ok(())
    }

    fn part(&self, number: usize, kind: PartKind) -> io::Result<Box<dyn PartSink>> {
        let folder = self.backup(number);
        Ok(match kind {
            PartKind::Files => Box::new(Unpacker::new(&folder)),
            PartKind::Manifest => Box::new(FileSink::new(&folder.join("backup_manifest"))?),
        })
    }

    async fn verify(&self, backups: usize) -> Result<Option<String>, SiteError> {
        for number in 0..backups {
            let folder = self.backup(number);
            // WAL is not in the folder: that it is there was found out before.
            let checking = Command::new(self.engine.program("pg_verifybackup"))
                .args(["--exit-on-error", "--quiet", "--no-parse-wal"])
                .arg(&folder)
                .env_clear()
                .env("LC_ALL", "C")
                .kill_on_drop(true)
                .output();
            let output = checking.await.map_err(fault(&folder))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                return Ok(Some(said.trim().replace('\n', "; ")));
            }
        }
        Ok(None)
    }

    async fn combine(&self, backups: usize) -> Result<(), SiteError> {
        let mut whole = self.backup(0);
        if backups > 1 {
            whole = self.mark().join("whole");
            let output = Command::new(self.engine.program("pg_combinebackup"))
                .args((0..backups).map(|number| self.backup(number)))
                .arg("--output")
                .arg(&whole)
                // PostgreSQL makes everything durable before it replays.
                .arg("--no-sync")
                .env_clear()
                .env("LC_ALL", "C")
                .output()
                .await
                .map_err(fault(&whole))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(SiteError::Program {
                    program: "pg_combinebackup".to_owned(),
                    said: said.trim().replace('\n', "; "),
                });
            }
        }
        let manifest = whole.join("backup_manifest");
        std::fs::remove_file(&manifest).map_err(fault(&manifest))?;
        self.move_up(&whole).map_err(fault(&whole))?;
        for number in 0..backups {
            let folder = self.backup(number);
            remove(&folder).map_err(fault(&folder))?;
        }
        Ok(())
    }

    async fn replay(&self, settings: &str) -> Result<Replay, SiteError> {
        self.configure(settings)?;
        let log = self.mark().join("postgresql.log");
        remove(&log).map_err(fault(&log))?;
        let stream = || {
            let file = File::options().append(true).create(true).open(&log);
            file.map(Stdio::from).map_err(fault(&log))
        };
        let streams = [stream()?, stream()?];
        let mut running = Postmaster::start_printing(self.engine, self.instance, streams)?;
        match running.event().await {
            EngineEvent::Ready => {
                let reached = self.reached().await;
                let patience = Duration::from_secs(STOP_SECONDS);
                running.stop(StopMode::Fast, patience).await?;
                Ok(Replay::Reached(reached?))
            }
            EngineEvent::Ended(how) => {
                let log = std::fs::read(&log).unwrap_or_default();
                let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
                let said = String::from_utf8_lossy(tail);
                let said = said.lines().filter(|line| !line.contains("LOG: "));
                let said = said.collect::<Vec<_>>().join("; ");
                Ok(Replay::Failed(format!("{how}: {said}")))
            }
        }
    }

    async fn finish(&self) -> Result<(), SiteError> {
        let data = self.instance.data();
        let started_with = data.join(STARTED_WITH);
        remove(&started_with).map_err(fault(&started_with))?;
        let restored = data.join(RESTORED);
        files::replace(&restored, b"").map_err(fault(&restored))?;
        let mark = self.mark();
        remove(&mark).map_err(fault(&mark))?;
        files::sync_parent(&mark).map_err(fault(&data))
    }
}

fn fault(path: &Path) -> impl Fn(io::Error) -> SiteError + use<> {
    let path = path.to_owned();
    move |source| SiteError::Folder {
        path: path.clone(),
        source,
    }
}

fn folder_make(path: &Path) -> Result<(), SiteError> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.map_err(fault(path))
}

/// Removes a file or a folder, if it is there. A link is removed, not followed.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
