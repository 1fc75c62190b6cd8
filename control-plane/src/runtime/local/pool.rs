//! Ready instance folders, so that creating a database is a rename.

use super::folder::{self, FolderError, Programs};
use super::layout::{DataFolder, InstanceFolder};
use super::process::Processes;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Folders made at once on demand, when the pool is empty.
const MAKING_MAX: usize = 2;

/// Wait after a folder could not be made.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Longest time for a process that makes a folder to end when it is told to.
const MAKER_GRACE: Duration = Duration::from_secs(2);

/// The pool of one data folder; one process owns it.
#[derive(Debug)]
pub struct Pool {
    data: DataFolder,
    programs: Programs,
    size: usize,
    ready: Mutex<Vec<PathBuf>>,
    taken: Notify,
    making: Semaphore,
}

impl Pool {
    /// Takes over what an earlier owner left: ready folders stay, half-made ones are removed with
    /// whatever still works on them.
    pub async fn open(data: DataFolder, programs: Programs, size: usize) -> Arc<Self> {
        makers_stop(&data).await;
        let mut ready = Vec::new();
        for entry in fs::read_dir(data.pool()).into_iter().flatten().flatten() {
            let path = entry.path();
            if InstanceFolder::new(&path).exists() && !is_half_made(&path) {
                ready.push(path);
            } else {
                folder::folder_destroy(path).await;
            }
        }
        for entry in fs::read_dir(data.trash()).into_iter().flatten().flatten() {
            folder::folder_destroy(entry.path()).await;
        }
        Arc::new(Self {
            data,
            programs,
            size,
            ready: Mutex::new(ready),
            taken: Notify::new(),
            making: Semaphore::new(MAKING_MAX),
        })
    }

    /// Folders that are ready now.
    pub fn len(&self) -> usize {
        self.ready.lock().map_or(0, |ready| ready.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Moves a ready folder to `target`, or makes one there. A target that exists is left alone.
    pub async fn take(&self, target: &InstanceFolder) -> Result<(), FolderError> {
        if target.exists() {
            return Ok(());
        }
        let ready = self.ready.lock().ok().and_then(|mut ready| ready.pop());
        self.taken.notify_one();
        if let Some(folder) = ready {
            let root = target.root();
            fs::rename(&folder, root).map_err(|source| FolderError::file(root, source))?;
            return folder::sync_parents(&folder, root);
        }
        let _permit = self.making.acquire().await;
        folder::folder_make(&self.data, &self.programs, target.root()).await
    }

    /// Stops whatever is being made. Nothing of it is kept; what is ready stays.
    pub async fn close(&self) {
        makers_stop(&self.data).await;
        for entry in fs::read_dir(self.data.pool())
            .into_iter()
            .flatten()
            .flatten()
        {
            if is_half_made(&entry.path()) {
                folder::folder_destroy(entry.path()).await;
            }
        }
    }

    /// Keeps the pool full, one folder at a time; runs until dropped.
    pub async fn fill(self: Arc<Self>) {
        loop {
            if self.len() >= self.size {
                self.taken.notified().await;
                continue;
            }
            let label = uuid::Uuid::from_bytes(rand::random()).simple();
            let target = self.data.pool().join(format!("ready-{label}"));
            match folder::folder_make(&self.data, &self.programs, &target).await {
                Ok(()) => {
                    if let Ok(mut ready) = self.ready.lock() {
                        ready.push(target);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "could not make a folder for the pool");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
    }
}

/// Ends every process of a data folder that makes an instance folder.
pub async fn makers_stop(data: &DataFolder) {
    let processes = Processes::new(data.clone());
    for name in processes.recorded() {
        if name.starts_with("prepare.") {
            if let Some((mut process, _)) = processes.find(&name) {
                process.stop_group(MAKER_GRACE).await;
            }
            processes.forget(&name);
        }
    }
    // Those of makers that were killed before they could be recorded, too.
    processes.forget_logs("prepare.");
}

fn is_half_made(path: &std::path::Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("making-"))
}
