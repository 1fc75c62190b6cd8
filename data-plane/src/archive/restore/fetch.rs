//! Fetches a backup, several parts at a time: the store sends, and a thread for each part decrypts,
//! decompresses and writes. Memory is bounded by the pieces on their way.

use crate::archive::backup::{BackupEntry, BackupPart, hexadecimal};
use crate::archive::layout::Layout;
use crate::archive::sealed::{ArchiveKey, Opener, SealedError};
use crate::archive::store::{ObjectStore, StoreError};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Parts fetched at the same time.
const PARTS_AT_ONCE: usize = 4;

/// Pieces between the store and the thread, as the network gives them.
const QUEUE: usize = 32;

/// Largest window that is decompressed, as a power of two, bytes.
const WINDOW_LOG_MAX: u32 = 23;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The object is not what was written; another backup may do.
    #[error("`{object}` is damaged")]
    Damaged {
        object: String,
        #[source]
        source: DamageError,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the backup cannot be written")]
    Write(#[source] io::Error),
    #[error("the thread that writes could not be started or went away")]
    Thread,
}

#[derive(Debug, thiserror::Error)]
pub enum DamageError {
    #[error("it is missing")]
    Missing,
    #[error(transparent)]
    Sealed(#[from] SealedError),
    #[error("it has another hash than the catalogue says")]
    Hash,
    #[error("its content is not understood")]
    Content(#[source] io::Error),
}

/// Where backups are fetched from.
#[derive(Debug, Clone)]
pub struct Fetcher {
    pub store: ObjectStore,
    pub layout: Layout,
    pub key: Arc<ArchiveKey>,
    /// Bytes written, for whoever watches.
    pub written: Arc<AtomicU64>,
}

/// What an object of a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// A tar archive with some of the files.
    Files,
    /// The engine's manifest.
    Manifest,
}

/// Where the content of one object goes. Called on a thread that may wait.
pub trait PartSink: Send {
    /// An error of kind `InvalidData` is the content's fault, any other the disk's.
    fn push(&mut self, data: &[u8]) -> io::Result<()>;

    /// Everything was pushed.
    fn finish(&mut self) -> io::Result<()>;
}

/// Opens the place for an object.
pub type SinkOpen<'site> = &'site (dyn Fn(PartKind) -> io::Result<Box<dyn PartSink>> + Sync);

impl Fetcher {
    /// Gives every object of a backup to a place that `open` opens for it. When it answers, nothing is
    /// written any more.
    pub async fn fetch(&self, entry: &BackupEntry, open: SinkOpen<'_>) -> Result<(), FetchError> {
        // Held by each thread, also of a part whose fetching broke off with another's.
        let (working, mut all_ended) = mpsc::channel::<()>(1);
        let manifest = [(PartKind::Manifest, &entry.manifest)].into_iter();
        let files = entry.parts.iter().map(|part| (PartKind::Files, part));
        let parts = manifest
            .chain(files)
            .map(|(kind, part)| self.part(entry, part, kind, open, working.clone()));
        let parts = stream::iter(parts).buffer_unordered(PARTS_AT_ONCE);
        let fetched = parts.try_collect().await;
        drop(working);
        while all_ended.recv().await.is_some() {}
        fetched
    }

    async fn part(
        &self,
        entry: &BackupEntry,
        part: &BackupPart,
        kind: PartKind,
        open: SinkOpen<'_>,
        working: mpsc::Sender<()>,
    ) -> Result<(), FetchError> {
        let object = self.layout.backup(entry.backup_id, &part.name);
        let damaged = |source| FetchError::Damaged {
            object: object.clone(),
            source,
        };
        let reader = self.store.get_stream(&object, 0).await?;
        let mut reader = reader.ok_or_else(|| damaged(DamageError::Missing))?;
        let sink = open(kind).map_err(FetchError::Write)?;
        let (pieces, pieces_end) = mpsc::channel(QUEUE);
        let (done, done_end) = oneshot::channel();
        let work = Work {
            key: self.key.clone(),
            object: object.clone(),
            sha256: part.sha256.clone(),
            written: self.written.clone(),
        };
        let thread = std::thread::Builder::new().name("restore".to_owned());
        let started = thread.spawn(move || {
            let _ = done.send(work.run(sink, pieces_end));
            drop(working);
        });
        started.map_err(|_| FetchError::Thread)?;
        while let Some(piece) = reader.next().await? {
            // The thread says why it takes no more.
            if pieces.send(Some(piece)).await.is_err() {
                break;
            }
        }
        // The end is said: a sender that merely went away means that fetching broke off.
        let _ = pieces.send(None).await;
        match done_end.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(WorkError::Damage(source))) => Err(damaged(source)),
            Ok(Err(WorkError::Write(source))) => Err(FetchError::Write(source)),
            Err(_) => Err(FetchError::Thread),
        }
    }
}

enum WorkError {
    Damage(DamageError),
    Write(io::Error),
}

impl From<SealedError> for WorkError {
    fn from(error: SealedError) -> Self {
        Self::Damage(error.into())
    }
}

/// What a part's thread does.
struct Work {
    key: Arc<ArchiveKey>,
    object: String,
    sha256: String,
    written: Arc<AtomicU64>,
}

impl Work {
    fn run(
        self,
        sink: Box<dyn PartSink>,
        mut pieces: mpsc::Receiver<Option<Bytes>>,
    ) -> Result<(), WorkError> {
        let mut hash = Context::new(&SHA256);
        let mut opener = Opener::begin(&self.key, &self.object);
        let counted = Counted {
            sink,
            written: self.written,
            failed: None,
        };
        let content = |error| WorkError::Damage(DamageError::Content(error));
        let mut decoder = zstd::stream::write::Decoder::new(counted).map_err(content)?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(content)?;
        let mut plain = Vec::new();
        while let Some(piece) = pieces.blocking_recv() {
            let last = piece.is_none();
            if let Some(piece) = piece {
                hash.update(&piece);
                opener.push(&piece, &mut plain)?;
            } else {
                opener = {
                    opener.finish(&mut plain)?;
                    Opener::begin(&self.key, &self.object)
                };
            }
            let written = decoder.write_all(&plain);
            plain.clear();
            let written = match (written, last) {
                (Ok(()), true) => decoder.flush().and_then(|()| decoder.get_mut().finish()),
                (written, _) => written,
            };
            if let Err(error) = written {
                let failed = decoder.get_mut().failed.take();
                return Err(failed.map_or_else(|| content(error), WorkError::Write));
            }
            if last {
                let same = hexadecimal(hash.finish().as_ref()) == self.sha256;
                return same
                    .then_some(())
                    .ok_or(WorkError::Damage(DamageError::Hash));
            }
        }
        // Fetching broke off, and says why itself.
        Ok(())
    }
}

/// The end of the pipe: keeps an error of the disk apart from one of the content.
struct Counted {
    sink: Box<dyn PartSink>,
    written: Arc<AtomicU64>,
    failed: Option<io::Error>,
}

impl Counted {
    fn kept(&mut self, result: io::Result<()>) -> io::Result<()> {
        result.map_err(|error| {
            let kind = error.kind();
            if kind == io::ErrorKind::InvalidData {
                return error;
            }
            self.failed = Some(error);
            kind.into()
        })
    }

    fn finish(&mut self) -> io::Result<()> {
        let finished = self.sink.finish();
        self.kept(finished)
    }
}

impl Write for Counted {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let pushed = self.sink.push(data);
        self.kept(pushed)?;
        self.written.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
