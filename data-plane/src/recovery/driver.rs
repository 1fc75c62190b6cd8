//! Plan, fetch, replay.

use super::site::{Reached, Replay, Site, SiteError};
use super::suits::{Here, suits};
use crate::archive::backup::{Catalogue, catalogue_read};
use crate::archive::layout::Layout;
use crate::archive::restore::{
    ArchivedWal, FetchError, Fetcher, Plan, RecoveryTarget, Refusal, WalFiles, Wish, archived_wal,
    recovery_settings, restore_plan, wal_files_serve,
};
use crate::archive::sealed::ArchiveKey;
use crate::archive::store::{ObjectStore, StoreError};
use crate::archive::wal::{WalError, WalReader};
use lumadb_contract::archive::{Lsn, RestorePhase, RestoreStatus, RestoreTarget};
use lumadb_contract::id::BackupId;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::time::interval;
use tokio_util::task::AbortOnDropHandle;

/// What PostgreSQL says when WAL ended before its target came.
const NOT_REACHED: &str = "recovery ended before configured recovery target was reached";

/// Between two words on how far it is, milliseconds.
const WORD_MS: u64 = 250;

#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// It cannot be done as asked, today or later.
    #[error("{0}")]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Wal(#[from] WalError),
    #[error(transparent)]
    Fetch(FetchError),
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error("nobody can ask for WAL")]
    Listen(#[source] io::Error),
    #[error("PostgreSQL did not replay up to the target: {0}")]
    Replay(String),
    /// It takes WAL that it does not understand for the end.
    #[error("PostgreSQL ended replaying at {at}, and there is WAL up to {until}")]
    EndedEarly { at: Lsn, until: Lsn },
}

/// What is restored from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) store: ObjectStore,
    pub(crate) layout: Layout,
    pub(crate) key: Arc<ArchiveKey>,
}

/// What shall be restored.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) target: RestoreTarget,
    /// `None`: the newest.
    pub(crate) timeline: Option<u32>,
    /// Also where text is sorted otherwise here: whoever asks makes the indexes anew.
    pub(crate) other_collations: bool,
    /// Each backup is compared with its manifest before it is used, and no older one takes the place
    /// of one that is damaged.
    pub(crate) verify: bool,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    pub base: BackupId,
    /// When that was complete.
    pub base_ended_at: OffsetDateTime,
    /// Replayed up to here.
    pub lsn: Lsn,
    /// When the last transaction in it ended; `None`: none was replayed.
    pub last_transaction: Option<OffsetDateTime>,
    /// Objects that were damaged and could be done without.
    pub damaged: Vec<String>,
    /// Collations by which indexes are to be sorted anew before they are used, in words.
    pub collations_changed: Vec<String>,
}

/// What the archive holds.
struct Found {
    fetcher: Fetcher,
    catalogue: Catalogue,
    wal: ArchivedWal,
    reader: WalReader,
}

/// Restores into `site`. PostgreSQL asks for WAL at `socket`, which is made here. It may be called
/// again after any error.
pub(crate) async fn recover(
    source: &Source,
    asked: Asked,
    site: &impl Site,
    socket: &Path,
    here: &Here,
    status: &watch::Sender<RestoreStatus>,
) -> Result<Restored, RecoveryError> {
    let found = look(source).await?;
    let mut wish = Wish {
        target: asked.target,
        timeline: asked.timeline,
        damaged: Vec::new(),
    };
    let mut damaged: Vec<String> = Vec::new();
    for entry in &found.catalogue.damaged {
        tracing::error!(object = entry.object, error = %entry.error, "a catalogue entry is damaged");
        damaged.push(entry.object.clone());
    }
    if asked.verify
        && let Some(object) = damaged.first()
    {
        let said = format!("{object} is damaged");
        return Err(RecoveryError::Refused(Refusal::Unsound(said)));
    }
    for fault in found.reader.faults() {
        tracing::error!(object = fault.name, what = fault.what, "WAL is damaged");
    }
    let plan = loop {
        let plan = restore_plan(&found.catalogue, &found.wal, &wish);
        let plan = plan.map_err(RecoveryError::Refused)?;
        for entry in plan
            .chain
            .iter()
            .filter_map(|id| found.catalogue.entry(*id))
        {
            suits(&entry.engine, here).map_err(RecoveryError::Refused)?;
        }
        tracing::info!(backups = ?plan.chain, bytes = plan.bytes, "fetching");
        match fetch(&found, &plan, site, status).await? {
            None => break plan,
            // An older backup in its place would hide what a drill is there to find.
            Some((_, object)) if asked.verify => {
                let said = format!("{object} is damaged");
                return Err(RecoveryError::Refused(Refusal::Unsound(said)));
            }
            Some((backup_id, object)) => {
                damaged.push(object);
                wish.damaged.push(backup_id);
            }
        }
    };
    if asked.verify
        && let Some(said) = site.verify(plan.chain.len()).await?
    {
        return Err(RecoveryError::Refused(Refusal::Unsound(said)));
    }
    site.combine(plan.chain.len()).await?;
    let files = Arc::new(WalFiles::new(found.reader, &found.wal, &plan));
    let reached = replay(&plan, site, socket, &files, status).await?;
    let changed = &reached.collations_changed;
    if !changed.is_empty() && !asked.other_collations {
        let changed = changed.join("; ");
        return Err(RecoveryError::Refused(Refusal::OtherCollations(changed)));
    }
    site.finish().await?;
    let base = plan.chain.last().copied();
    let base = base.and_then(|base| found.catalogue.entry(base));
    let base = base.ok_or(RecoveryError::Refused(Refusal::NoBackup))?;
    let last = reached.last_transaction_us.map(i128::from);
    let last = last.and_then(|at| OffsetDateTime::from_unix_timestamp_nanos(at * 1000).ok());
    status.send_modify(|status| {
        status.phase = RestorePhase::Done;
        status.replayed_lsn = Some(reached.lsn);
        status.reached = last;
    });
    Ok(Restored {
        base: base.backup_id,
        base_ended_at: base.ended_at,
        lsn: reached.lsn,
        last_transaction: last,
        damaged,
        collations_changed: reached.collations_changed,
    })
}

async fn look(source: &Source) -> Result<Found, RecoveryError> {
    let (store, layout, key) = (source.store.clone(), source.layout, source.key.clone());
    let reader = WalReader::open(store.clone(), layout, key.clone()).await?;
    Ok(Found {
        catalogue: catalogue_read(&store, &layout, &key).await?,
        wal: archived_wal(&reader).await?,
        fetcher: Fetcher {
            store,
            layout,
            key,
            written: Arc::default(),
        },
        reader,
    })
}

/// Fetches every backup of the chain; answers one that is damaged, and its object.
async fn fetch(
    found: &Found,
    plan: &Plan,
    site: &impl Site,
    status: &watch::Sender<RestoreStatus>,
) -> Result<Option<(BackupId, String)>, RecoveryError> {
    site.begin(plan.chain.len()).await?;
    found.fetcher.written.store(0, Ordering::Relaxed);
    let telling = async {
        let mut words = interval(Duration::from_millis(WORD_MS));
        loop {
            words.tick().await;
            let done = found.fetcher.written.load(Ordering::Relaxed);
            status.send_modify(|status| {
                status.phase = RestorePhase::Fetching;
                status.bytes_done = done.min(plan.bytes);
                status.bytes_total = plan.bytes;
            });
        }
    };
    let fetching = async {
        for (number, backup_id) in plan.chain.iter().enumerate() {
            let Some(entry) = found.catalogue.entry(*backup_id) else {
                continue;
            };
            let open = |kind| site.part(number, kind);
            match found.fetcher.fetch(entry, &open).await {
                Ok(()) => {}
                Err(FetchError::Damaged { object, source }) => {
                    tracing::error!(object, error = %source, "a backup is damaged: doing without it");
                    return Ok(Some((*backup_id, object)));
                }
                Err(error) => return Err(RecoveryError::Fetch(error)),
            }
        }
        Ok(None)
    };
    tokio::select! {
        fetched = fetching => fetched,
        () = telling => Ok(None),
    }
}

async fn replay(
    plan: &Plan,
    site: &impl Site,
    socket: &Path,
    files: &Arc<WalFiles>,
    status: &watch::Sender<RestoreStatus>,
) -> Result<Reached, RecoveryError> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(RecoveryError::Listen(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(RecoveryError::Listen)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o660);
    std::fs::set_permissions(socket, mode).map_err(RecoveryError::Listen)?;
    let serving = wal_files_serve(files.clone(), listener);
    let _serving = AbortOnDropHandle::new(tokio::spawn(serving));
    let telling = async {
        let mut words = interval(Duration::from_millis(WORD_MS));
        loop {
            words.tick().await;
            status.send_modify(|status| {
                status.phase = RestorePhase::Replaying;
                status.bytes_done = plan.bytes;
                status.replayed_lsn = Some(files.given()).filter(|given| *given > Lsn(0));
            });
        }
    };
    let replaying = async {
        let mut target = RecoveryTarget::AsPlanned;
        loop {
            match site.replay(&recovery_settings(plan, target)).await? {
                Replay::Reached(reached) => {
                    let to_end =
                        target == RecoveryTarget::End || plan.target == RestoreTarget::Latest;
                    if to_end && ends_early(plan, reached.lsn) {
                        return Err(RecoveryError::EndedEarly {
                            at: reached.lsn,
                            until: plan.wal_until,
                        });
                    }
                    return Ok(reached);
                }
                Replay::Failed(said) if said.contains(NOT_REACHED) => {
                    if target == RecoveryTarget::End || !may_end(plan) {
                        return Err(RecoveryError::Refused(missing(plan)));
                    }
                    target = RecoveryTarget::End;
                }
                Replay::Failed(said) => {
                    return Err(match files.damaged() {
                        Some(what) => RecoveryError::Refused(Refusal::WalDamaged(what.to_owned())),
                        None => RecoveryError::Replay(said),
                    });
                }
            }
        }
    };
    tokio::select! {
        replayed = replaying => replayed,
        () = telling => Err(RecoveryError::Replay(String::new())),
    }
}

/// Whether more is missing than a record that had not arrived whole.
fn ends_early(plan: &Plan, at: Lsn) -> bool {
    at.0.saturating_add(plan.wal_segment_bytes) < plan.wal_until.0
}

/// Whether replaying may go on to the end of WAL where it met nothing behind the target: all that
/// there is lies before it then.
fn may_end(plan: &Plan) -> bool {
    match &plan.target {
        RestoreTarget::Time(_) => plan.reaches_end,
        RestoreTarget::Lsn(lsn) => plan.wal_until >= *lsn,
        RestoreTarget::Latest | RestoreTarget::Transaction(_) | RestoreTarget::Name(_) => false,
    }
}

fn missing(plan: &Plan) -> Refusal {
    match &plan.target {
        RestoreTarget::Transaction(id) => Refusal::TransactionMissing(*id),
        RestoreTarget::Name(name) => Refusal::NameMissing(name.clone()),
        RestoreTarget::Lsn(_) => Refusal::PositionMissing {
            until: plan.wal_until,
        },
        RestoreTarget::Latest | RestoreTarget::Time(_) => Refusal::Hole {
            from: plan.wal_until,
        },
    }
}
