//! The engine's end of a backup: begun, and cut into objects.

use super::catalogue::{BackupEntry, catalogue_read};
use super::manifest::ManifestTail;
use super::pack::PackInput;
use super::run::{BackupError, BackupJob};
use crate::archive::layout::Layout;
use crate::archive::replication::{
    BackupEvent, BackupOptions, BackupStart, BaseBackup, ReplicationClient,
};
use crate::archive::sealed;
use crate::archive::tar::{TarError, TarEvent, TarReader};
use bytes::Bytes;
use lumadb_contract::archive::{BackupKind, BackupStatus, Lsn};
use lumadb_contract::id::BackupId;
use lumadb_contract::name::PLATFORM_ROLE;
use std::io::{self, Read};
use tokio::sync::{mpsc, watch};

/// A part ends with the first member that makes it so large, before compression, bytes.
const PART_BYTES: u64 = 64 * 1024 * 1024;

/// SQLSTATE of an engine that cannot build on the manifest it was told.
const CANNOT_BUILD_ON: &str = "55000";

/// What the engine began to send.
pub(super) struct Source {
    pub(super) kind: BackupKind,
    pub(super) parent: Option<BackupId>,
    pub(super) start: BackupStart,
    pub(super) backup: BaseBackup,
}

/// Begins the backup: an incremental one where that was asked for and the engine can.
pub(super) async fn source_open(
    job: &BackupJob,
    client: ReplicationClient,
    system_identifier: u64,
) -> Result<Source, BackupError> {
    let options = |incremental| BackupOptions {
        label: job.request.backup_id.to_string(),
        incremental,
        rate_kib: job.rate_kib,
    };
    if job.request.kind == BackupKind::Incremental {
        let catalogue = catalogue_read(&job.store, &job.layout, &job.key).await?;
        if let Some(base) = catalogue.newest_base(system_identifier) {
            // Of its own: an engine that refuses makes the connection useless.
            let own = ReplicationClient::connect(&job.engine_socket, PLATFORM_ROLE).await?;
            match incremental(job, own, base, &options(true)).await {
                Ok((start, backup)) => {
                    return Ok(Source {
                        kind: BackupKind::Incremental,
                        parent: Some(base.backup_id),
                        start,
                        backup,
                    });
                }
                // Its summaries of WAL are gone, or the timeline is another's.
                Err(BackupError::Replication(error)) if error.is_code(CANNOT_BUILD_ON) => {
                    tracing::warn!(%error, "a full backup is made instead of an incremental one");
                }
                Err(error) => return Err(error),
            }
        }
    }
    let (start, backup) = client.base_backup(&options(false)).await?;
    Ok(Source {
        kind: BackupKind::Full,
        parent: None,
        start,
        backup,
    })
}

async fn incremental(
    job: &BackupJob,
    client: ReplicationClient,
    base: &BackupEntry,
    options: &BackupOptions,
) -> Result<(BackupStart, BaseBackup), BackupError> {
    let object = job.layout.backup(base.backup_id, &base.manifest.name);
    let unreadable = |error| BackupError::ParentManifest(object.clone(), error);
    let stored = job.store.get(&object).await?;
    let stored = stored.ok_or_else(|| unreadable(io::ErrorKind::NotFound.into()))?;
    let plain = sealed::open(&job.key, &object, &stored)?;
    let mut manifest = zstd::Decoder::new(&plain[..]).map_err(unreadable)?;
    let mut upload = client.manifest_upload().await?;
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = manifest.read(&mut piece).map_err(unreadable)?;
        if length == 0 {
            break;
        }
        upload.write(&piece[..length]).await?;
    }
    let client = upload.finish().await?;
    Ok(client.base_backup(options).await?)
}

/// What the objects of one attempt are called.
pub(super) struct Names {
    pub(super) layout: Layout,
    pub(super) backup_id: BackupId,
    pub(super) attempt: String,
}

impl Names {
    fn part(&self, number: u32) -> String {
        let part = format!("{}-{number:05}.tar.zst", self.attempt);
        self.layout.backup(self.backup_id, &part)
    }

    fn manifest(&self) -> String {
        let part = format!("{}-manifest.zst", self.attempt);
        self.layout.backup(self.backup_id, &part)
    }
}

/// What was known when the engine had sent everything.
pub(super) struct Sent {
    pub(super) end: Lsn,
    pub(super) timeline: u32,
    pub(super) tail: ManifestTail,
}

/// Reads what the engine sends and cuts it into objects.
pub(super) async fn read(
    mut backup: BaseBackup,
    input: mpsc::Sender<PackInput>,
    names: Names,
    status: &watch::Sender<BackupStatus>,
) -> Result<Sent, BackupError> {
    let give = async |piece| {
        let given: Result<(), _> = input.send(piece).await;
        given.map_err(|_| BackupError::ThreadEnded)
    };
    let mut tar = TarReader::default();
    let mut tail = ManifestTail::default();
    let mut number = 0;
    let mut in_part: Option<u64> = None;
    let mut in_manifest = false;
    loop {
        match backup.next().await? {
            BackupEvent::Archive => {}
            BackupEvent::Progress(read) => status.send_modify(|status| {
                status.bytes_read = status.bytes_read.max(read);
            }),
            BackupEvent::Manifest => {
                tar.finish()?;
                if in_part.take().is_some() {
                    give(PackInput::End).await?;
                }
                in_manifest = true;
                give(PackInput::Begin(names.manifest())).await?;
            }
            BackupEvent::Data(data) if in_manifest => {
                tail.push(&data);
                give(PackInput::Data(data)).await?;
            }
            BackupEvent::Data(mut data) => {
                while !data.is_empty() {
                    if in_part.is_none() {
                        give(PackInput::Begin(names.part(number))).await?;
                        number += 1;
                    }
                    let filled = in_part.unwrap_or_default();
                    let (piece, cut) = piece_cut(&mut tar, &mut data, filled)?;
                    in_part = Some(filled + piece.len() as u64);
                    give(PackInput::Data(piece)).await?;
                    if cut {
                        in_part = None;
                        give(PackInput::End).await?;
                    }
                }
            }
            BackupEvent::End { end, timeline } => {
                if in_manifest {
                    give(PackInput::End).await?;
                }
                return Ok(Sent {
                    end,
                    timeline,
                    tail,
                });
            }
        }
    }
}

/// Takes what still belongs to the part that holds `filled` bytes, and says whether the part ends
/// there.
fn piece_cut(
    tar: &mut TarReader,
    data: &mut Bytes,
    filled: u64,
) -> Result<(Bytes, bool), TarError> {
    let mut rest = &data[..];
    while let Some(event) = tar.next(&mut rest)? {
        let taken = data.len() - rest.len();
        if event == TarEvent::MemberEnd && filled + taken as u64 >= PART_BYTES {
            return Ok((data.split_to(taken), true));
        }
    }
    Ok((std::mem::take(data), false))
}
