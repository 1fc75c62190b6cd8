//! Makes one base backup.
//!
//! Three run side by side, each at most a few pieces ahead of the next: the engine sends, a thread
//! compresses and encrypts, the store takes. Memory is bounded by the parts on their way.

use super::catalogue::{BackupEntry, BackupPart, ENTRY_VERSION};
use super::claim::Claim;
use super::facts::{EngineFacts, Moment};
use super::pack::{PackError, PackOutput, Packer};
use super::source::{Names, Sent, read, source_open};
use crate::archive::layout::Layout;
use crate::archive::replication::{BaseBackup, ReplicationClient, ReplicationError};
use crate::archive::sealed::{self, ArchiveKey, SealedError};
use crate::archive::store::{
    MULTIPART_PART_BYTES, MultipartWriter, ObjectStore, PartBuffers, Put, StoreError,
};
use crate::archive::tar::TarError;
use crate::engine::{AdminError, AdminSession};
use lumadb_contract::archive::{BackupRequest, BackupState, BackupStatus, Lsn};
use lumadb_contract::name::PLATFORM_ROLE;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Of a part's upload, on the way at a time; another part may be ending beside it.
const PLACES: usize = 2;

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Replication(#[from] ReplicationError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sealed(#[from] SealedError),
    #[error("asking the engine what it is")]
    Engine(#[from] AdminError),
    #[error("the engine's archive cannot be read")]
    Tar(#[from] TarError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error("the thread that compresses could not be started")]
    Thread(#[source] io::Error),
    #[error("the thread that compresses went away")]
    ThreadEnded,
    #[error("the manifest of the backup {0} cannot be read")]
    ParentManifest(String, #[source] io::Error),
    #[error("the engine's manifest does not name the WAL that was read")]
    Manifest,
    #[error("the engine changed its timeline meanwhile")]
    Timeline,
    #[error("the object `{0}` is there already and holds something else")]
    Taken(String),
    #[error("the stream of WAL ended before it covered the backup")]
    WalEnded,
    #[error("the catalogue entry cannot be written")]
    Entry(#[source] serde_json::Error),
}

/// What a backup is made of, and where it goes.
#[derive(Debug)]
pub struct BackupJob {
    pub store: ObjectStore,
    pub layout: Layout,
    pub key: Arc<ArchiveKey>,
    /// PostgreSQL's own socket.
    pub engine_socket: PathBuf,
    /// Whose it is.
    pub claim: Claim,
    pub request: BackupRequest,
    /// The engine reads no faster, KiB a second.
    pub rate_kib: Option<u32>,
    /// WAL before this position is in the archive without a hole. It must have begun to be
    /// archived before the backup begins.
    pub archived: watch::Receiver<Lsn>,
    /// How far it is.
    pub status: watch::Sender<BackupStatus>,
}

impl BackupJob {
    /// The state before anything was done.
    pub fn status_begin(request: &BackupRequest, now: OffsetDateTime) -> BackupStatus {
        BackupStatus {
            backup_id: request.backup_id,
            kind: request.kind,
            state: BackupState::Running,
            started_at: now,
            ended_at: None,
            timeline: 0,
            start_lsn: Lsn(0),
            end_lsn: None,
            bytes_read: 0,
            bytes_expected: 0,
            bytes_stored: 0,
            parent: None,
            error: None,
        }
    }
}

/// Makes a backup and answers its catalogue entry. What a failed one wrote is removed as far as the
/// store lets us; the rest is for [`super::orphans_remove`].
pub async fn backup_run(mut job: BackupJob) -> Result<BackupEntry, BackupError> {
    let mut attempt = Attempt {
        prefix: job.claim.attempt(rand::random()),
        parts: Vec::new(),
        begun: Vec::new(),
    };
    let made = attempt.run(&mut job).await;
    if made.is_err() {
        let begun = std::mem::take(&mut attempt.begun);
        if let Err(error) = job.store.delete(begun).await {
            tracing::warn!(%error, "parts of a failed backup stay until the next is made");
        }
    }
    made
}

struct Attempt {
    prefix: String,
    parts: Vec<BackupPart>,
    /// Objects that may exist.
    begun: Vec<String>,
}

impl Attempt {
    async fn run(&mut self, job: &mut BackupJob) -> Result<BackupEntry, BackupError> {
        let session = AdminSession::open_socket(&job.engine_socket).await?;
        let engine = EngineFacts::ask(&session).await?;
        drop(session);
        let mut client = ReplicationClient::connect(&job.engine_socket, PLATFORM_ROLE).await?;
        let system_identifier = client.identify_system().await?.system_identifier;
        let wal_segment_bytes = client.wal_segment_bytes().await?;
        let source = source_open(job, client, system_identifier).await?;
        job.status.send_modify(|status| {
            status.kind = source.kind;
            status.parent = source.parent;
            status.timeline = source.start.timeline;
            status.start_lsn = source.start.start;
            status.bytes_expected = source.start.bytes_expected;
        });
        let (kind, parent, start) = (source.kind, source.parent, source.start.clone());
        let sent = self.transfer(job, source.backup).await?;
        if sent.timeline != start.timeline {
            return Err(BackupError::Timeline);
        }
        let wal_ranges = sent.tail.wal_ranges().ok_or(BackupError::Manifest)?;
        let named = wal_ranges.iter().any(|range| {
            range.timeline == start.timeline
                && range.start_lsn <= start.start
                && range.end_lsn == sent.end
        });
        if !named {
            return Err(BackupError::Manifest);
        }
        let moment = Moment::ask(&AdminSession::open_socket(&job.engine_socket).await?).await?;
        let manifest = self.parts.pop().ok_or(BackupError::Manifest)?;
        let reached = job.archived.wait_for(|archived| *archived >= sent.end);
        reached.await.map_err(|_| BackupError::WalEnded)?;
        let bytes = |bytes: fn(&BackupPart) -> u64| self.parts.iter().map(bytes).sum::<u64>();
        let entry = BackupEntry {
            version: ENTRY_VERSION,
            archive_id: job.layout.archive_id(),
            backup_id: job.request.backup_id,
            kind,
            parent,
            timeline: start.timeline,
            start_lsn: start.start,
            end_lsn: sent.end,
            started_at: job.status.borrow().started_at,
            ended_at: moment.at,
            transaction_next: moment.transaction_next,
            system_identifier,
            engine,
            wal_segment_bytes,
            wal_ranges,
            bytes_read: bytes(|part| part.bytes_read),
            bytes_stored: bytes(|part| part.bytes_stored) + manifest.bytes_stored,
            parts: std::mem::take(&mut self.parts),
            manifest,
        };
        entry_write(job, &entry).await?;
        job.status.send_replace(entry.status());
        Ok(entry)
    }

    /// Passes what the engine sends through the packer into the store.
    async fn transfer(&mut self, job: &BackupJob, backup: BaseBackup) -> Result<Sent, BackupError> {
        let buffers = PartBuffers::default();
        let packer = Packer::start(job.key.clone(), buffers.clone());
        let Packer { input, output } = packer.map_err(BackupError::Thread)?;
        let names = Names {
            layout: job.layout,
            backup_id: job.request.backup_id,
            attempt: self.prefix.clone(),
        };
        let reading = read(backup, input, names, &job.status);
        let writing = self.write(job, output, buffers);
        let (read, written) = tokio::join!(reading, writing);
        // Where the writer failed, the reader only says that nobody listens.
        match (read, written) {
            (Ok(sent), Ok(())) => Ok(sent),
            (Err(error), Ok(())) | (_, Err(error)) => Err(error),
        }
    }

    async fn write(
        &mut self,
        job: &BackupJob,
        mut output: mpsc::Receiver<Result<PackOutput, PackError>>,
        buffers: PartBuffers,
    ) -> Result<(), BackupError> {
        let folder = job.layout.backup(job.request.backup_id, "");
        let mut writer: Option<(String, MultipartWriter)> = None;
        let mut ending: JoinSet<(String, Result<Put, StoreError>)> = JoinSet::new();
        let mut result = Ok(());
        while let (Ok(()), Some(out)) = (&result, output.recv().await) {
            result = match out {
                Err(error) => Err(error.into()),
                Ok(PackOutput::Begin(name)) => {
                    self.begun.push(name.clone());
                    let (part_bytes, buffers) = (MULTIPART_PART_BYTES, buffers.clone());
                    let begun = job.store.multipart_with(&name, part_bytes, PLACES, buffers);
                    writer = Some((name, begun));
                    Ok(())
                }
                Ok(PackOutput::Part(part)) => match &mut writer {
                    Some((_, writer)) => {
                        let stored = part.len() as u64;
                        job.status
                            .send_modify(|status| status.bytes_stored += stored);
                        writer.write_part(part).await.map_err(Into::into)
                    }
                    None => Err(BackupError::ThreadEnded),
                },
                Ok(PackOutput::End(packed)) => match writer.take() {
                    Some((name, writer)) => {
                        self.parts.push(BackupPart {
                            name: name.strip_prefix(&folder).unwrap_or(&name).to_owned(),
                            bytes_read: packed.bytes_read,
                            bytes_stored: packed.bytes_stored,
                            sha256: packed.sha256,
                        });
                        let ended = end_one(&mut ending).await;
                        ending.spawn(async move { (name, writer.finish().await) });
                        ended
                    }
                    None => Err(BackupError::ThreadEnded),
                },
            };
        }
        drop(output);
        while result.is_ok() && !ending.is_empty() {
            result = end_one(&mut ending).await;
        }
        if let Some((name, writer)) = writer {
            // The reader failed in the middle of an object.
            if let Err(error) = writer.abort().await {
                tracing::warn!(%error, name, "an upload stays until the next backup is made");
            }
        }
        result
    }
}

async fn end_one(
    ending: &mut JoinSet<(String, Result<Put, StoreError>)>,
) -> Result<(), BackupError> {
    match ending.join_next().await {
        None | Some(Ok((_, Ok(Put::Created)))) => Ok(()),
        Some(Err(_)) => Err(BackupError::ThreadEnded),
        Some(Ok((_, Err(error)))) => Err(error.into()),
        Some(Ok((name, Ok(Put::AlreadyThere)))) => Err(BackupError::Taken(name)),
    }
}

async fn entry_write(job: &BackupJob, entry: &BackupEntry) -> Result<(), BackupError> {
    let object = job.layout.catalogue_entry(entry.backup_id);
    let plain = serde_json::to_vec(entry).map_err(BackupError::Entry)?;
    let sealed = sealed::seal(&job.key, &object, &plain)?;
    match job.store.put_new(&object, sealed.into()).await? {
        Put::Created => Ok(()),
        Put::AlreadyThere => Err(BackupError::Taken(object)),
    }
}
