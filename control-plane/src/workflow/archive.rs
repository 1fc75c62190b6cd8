//! What a node is told of its archive, and what of its answer is kept.
//!
//! The schedule is here: a database that runs is backed up soon after its creation, then as often as
//! its plan says, and at once where its archive has a hole; [`schedule`] says of which kind. What is being restored from is held
//! fast: nothing of it expires until every restore has ended.

use super::decide::restore_status;
use super::schedule::{self, Rhythm};
use crate::app::Platform;
use crate::app::archive::reach::{self, Reach};
use crate::app::archive::{self, ArchiveKeyError, Archives, Rights};
use crate::app::state::{BackupOrigin, BackupState, Desired, Durability, Observed, RestorePhase};
use crate::runtime::Observation;
use crate::store::archive::{self as store, ArchiveRow};
use crate::store::backup::{self, NewBackup, OpenBackup};
use crate::store::desired::{ClaimedDatabase, Record};
use crate::store::restore::{self, OpenRestores, RestoreRow};
use crate::store::{EitherTx, RegionTx, StoreError, restore_point};
use lumadb_contract::archive::{
    self as contract, ArchiveSpec, BackupRequest, RestorePointRequest, RestoreSpec, RestoreTarget,
};
use lumadb_contract::id::{ArchiveId, BackupId, DatabaseId};
use lumadb_contract::instance::InstancePhase;
use time::{Duration, OffsetDateTime};

/// A backup keeps its database from falling asleep for at most this long.
pub(super) const AWAKE_FOR_BACKUP: Duration = Duration::hours(1);

/// A scheduled backup that failed is tried again after this.
const BACKUP_RETRY: Duration = Duration::minutes(10);

/// While a restore waits for what was written just now, it leaves for the archive within this,
/// milliseconds.
const HURRIED_LAG_MS: u32 = 200;

/// A restore to no certain moment waits no longer than this for what was written just now: then it
/// takes what is archived.
const CATCH_UP_LIMIT: Duration = Duration::seconds(30);

/// A restore to a certain moment, position or point waits this long for it to be archived. Then its
/// source is taken for lost, or the store for away.
const WAIT_LIMIT: Duration = Duration::hours(1);

/// What is said then.
const NEVER_ARCHIVED: &str = "What was asked for did not reach the archive within an hour. Restore to a moment before it, or to the latest.";

/// `expire_before` moves in steps, so that a node is not told something new all the time.
const EXPIRY_STEP_SECONDS: i64 = 3600;

/// What the tables know of a database's archive and of the restore that made it.
#[derive(Debug)]
pub(super) struct Loaded {
    row: ArchiveRow,
    durability: Durability,
    open: Vec<OpenBackup>,
    pinned: Vec<BackupId>,
    restores: OpenRestores,
    restore_points: Vec<RestorePointRequest>,
    /// How the database came to be, and the archive that it came from.
    restore: Option<(RestoreRow, ArchiveRow)>,
}

/// Reads it, and asks for a backup if one is due; `observe` tells of other instances. `None`: nothing
/// is archived here.
pub(super) async fn load(
    platform: &Platform,
    tx: &mut RegionTx,
    row: &mut ClaimedDatabase,
    observe: impl Fn(DatabaseId) -> Observation,
) -> Result<Option<Loaded>, ArchiveKeyError> {
    let Some(archives) = &platform.archives else {
        row.backup_due_at = None;
        return Ok(None);
    };
    let Some(archive) = find_or_make(platform, archives, tx, row).await? else {
        return Ok(None);
    };
    let mut open = backup::open(tx, archive.id).await?;
    let now = platform.clock.now();
    let has_hole = has_hole(&archive);
    if is_due(row, &archive, &open, has_hole, now) {
        open.push(schedule(platform, tx, &archive, has_hole, now).await?);
        row.backup_due_at = None;
    }
    let restores = restore::open(tx, archive.id).await?;
    let pinned = match restores.since {
        Some(_) => {
            let ended = backup::ended(tx, archive.id).await?.into_iter();
            let complete = ended.filter(|backup| backup.state == BackupState::Complete);
            complete.map(|backup| backup.id).collect()
        }
        None => Vec::new(),
    };
    let restore = origin(tx, row, observe, now).await?;
    Ok(Some(Loaded {
        restore_points: restore_point::open(tx, archive.id).await?,
        row: archive,
        durability: row.durability,
        open,
        pinned,
        restores,
        restore,
    }))
}

/// How the database came to be, and the archive that it came from, where that is not done yet.
async fn origin(
    tx: &mut RegionTx,
    row: &ClaimedDatabase,
    observe: impl Fn(DatabaseId) -> Observation,
    now: OffsetDateTime,
) -> Result<Option<(RestoreRow, ArchiveRow)>, StoreError> {
    let made = restore::of_database(tx, row.id).await?;
    let Some(mut made) = made.filter(|made| made.phase != RestorePhase::Done) else {
        return Ok(None);
    };
    let Some(archive) = made.source_archive() else {
        return Ok(None);
    };
    let mut rests_until = None;
    let mut catches_up = false;
    let mut gives_up = now >= made.created_at + WAIT_LIMIT;
    if made.phase == RestorePhase::Waiting
        && let Some(source) = restore::source(tx, &made).await?
    {
        let observation = observe(source.instance_id);
        catches_up = now < made.created_at + CATCH_UP_LIMIT && still_archives(&observation);
        gives_up &= !matches!(observation, Observation::Unknown);
        // What its node says is written only now and then.
        if let Observation::Attached { status, .. } = observation
            && let Some(told) = status
                .archive
                .filter(|told| told.archive_id == Some(archive))
        {
            store::record(tx, archive, &told, now).await?;
        }
        rests_until = source.at_rest_until(now);
    }
    let either = &mut EitherTx::Region(tx);
    let Some(source) = store::find(either, row.organization_id, archive).await? else {
        return Ok(None);
    };
    if made.phase == RestorePhase::Waiting {
        let reach = Reach::of(&source, rests_until, now);
        if let Some(target) = arrived(tx, &made, archive, &reach, catches_up).await? {
            restore::arrived(tx, row.id, &target, now).await?;
            made.target = target;
            made.phase = RestorePhase::Pending;
        } else if gives_up {
            restore::abandon(tx, row.id, NEVER_ARCHIVED, now).await?;
            made.phase = RestorePhase::Refused;
            made.refusal = Some(NEVER_ARCHIVED.to_owned());
        }
    }
    Ok(Some((made, source)))
}

/// Whether more of a database may reach its archive, as far as is known.
fn still_archives(observation: &Observation) -> bool {
    match observation {
        Observation::Unknown => true,
        Observation::Absent => false,
        Observation::Attached { status, .. } => {
            let archive = status.archive.as_ref();
            status.phase == InstancePhase::Ready && archive.is_some_and(|told| told.error.is_none())
        }
    }
}

/// What a restore waited for, as its node is told it; `None`: it is not archived yet.
async fn arrived(
    tx: &mut RegionTx,
    made: &RestoreRow,
    archive: ArchiveId,
    reach: &Reach,
    catches_up: bool,
) -> Result<Option<RestoreTarget>, StoreError> {
    let point_made_at = match &made.target {
        RestoreTarget::Name(name) => {
            let either = &mut EitherTx::Region(tx);
            let point = restore_point::find_by_name(either, archive, name).await?;
            point.and_then(|point| point.made_at)
        }
        _ => None,
    };
    Ok(reach.arrived(&made.target, made.created_at, point_made_at, catches_up))
}

/// A database that is older than archives gets one now, unless it goes away.
async fn find_or_make(
    platform: &Platform,
    archives: &Archives,
    tx: &mut RegionTx,
    row: &ClaimedDatabase,
) -> Result<Option<ArchiveRow>, ArchiveKeyError> {
    let (organization, database) = (row.organization_id, row.id);
    let found = store::of_database(&mut EitherTx::Region(tx), organization, database).await?;
    if found.is_some() || row.desired == Desired::Deleted {
        return Ok(found);
    }
    let either = EitherTx::Region(tx);
    let (clock, durability) = (&platform.clock, row.durability);
    archive::make(archives, clock, either, organization, database, durability).await?;
    Ok(store::of_database(&mut EitherTx::Region(tx), organization, database).await?)
}

/// Whether the schedule asks for a backup now.
fn is_due(
    row: &ClaimedDatabase,
    archive: &ArchiveRow,
    open: &[OpenBackup],
    has_hole: bool,
    now: OffsetDateTime,
) -> bool {
    let runs = row.desired == Desired::Running && row.observed == Observed::Running;
    runs && open.is_empty() && (has_hole || now >= archive.backup_due_at)
}

/// Whether nothing of the present can be restored.
fn has_hole(archive: &ArchiveRow) -> bool {
    let last = archive.windows.last();
    last.is_some_and(|window| window.until.is_some())
}

async fn schedule(
    platform: &Platform,
    tx: &mut RegionTx,
    archive: &ArchiveRow,
    has_hole: bool,
    now: OffsetDateTime,
) -> Result<OpenBackup, StoreError> {
    let rhythm = Rhythm {
        every: Duration::hours(i64::from(archive.backup_interval_hours)),
        full_every: Duration::hours(i64::from(archive.full_backup_interval_hours)),
    };
    let ended = backup::ended(tx, archive.id).await?;
    let kind = schedule::kind_next(&ended, has_hole, rhythm, now);
    let new = NewBackup {
        id: BackupId::from_uuid(platform.clock.new_uuid()),
        organization: archive.organization_id,
        archive: archive.id,
        database: archive.database_id,
        name: None,
        origin: BackupOrigin::Scheduled,
        kind,
        now,
    };
    backup::schedule(tx, &new).await?;
    store::backup_due_set(tx, archive.id, now + rhythm.every).await?;
    Ok(OpenBackup {
        id: new.id,
        kind,
        requested_at: now,
    })
}

impl Loaded {
    /// Whether nothing is to be made yet: what it is made from is not archived.
    pub(super) fn waits(&self) -> bool {
        let restore = self.restore.as_ref();
        restore.is_some_and(|(made, _)| made.phase == RestorePhase::Waiting)
    }

    /// Why what it should be made from was refused.
    pub(super) fn refusal(&self) -> Option<&str> {
        let (made, _) = self.restore.as_ref()?;
        let is_refused = made.phase == RestorePhase::Refused;
        made.refusal.as_deref().filter(|_| is_refused)
    }

    /// Whose archive it is, by its ID.
    pub(super) fn id(&self) -> ArchiveId {
        self.row.id
    }

    /// Everything that was committed before it is archived.
    pub(super) fn archived_until(&self) -> Option<OffsetDateTime> {
        self.row.archived_until
    }

    /// Whether the present can be restored from it; otherwise says why not.
    pub(super) fn reaches_present(&self) -> Result<(), &'static str> {
        match self.row.windows.last() {
            None => Err("it has no complete backup"),
            Some(window) if window.until.is_some() => {
                Err("its archive has a hole behind the last backup")
            }
            Some(_) => Ok(()),
        }
    }

    /// What the node is told. The keys are opened here, for it alone.
    pub(super) fn specs(
        &self,
        archives: &Archives,
        now: OffsetDateTime,
    ) -> Result<(ArchiveSpec, Option<RestoreSpec>), ArchiveKeyError> {
        let chain = Archives::key_chain(&self.row);
        let archive = ArchiveSpec {
            access: archives.access(&self.row, Rights::Write)?,
            wrapped_key: serde_json::to_value(chain).unwrap_or_default(),
            durability: match self.durability {
                Durability::S3 => contract::Durability::S3,
                Durability::Local => contract::Durability::Lag {
                    lag_ms: self.lag_ms(),
                },
            },
            backups: self.open.iter().map(request).collect(),
            expire_before: Some(self.expire_before(now)),
            pinned: self.pinned.clone(),
            restore_points: self.restore_points.clone(),
        };
        let restore = match &self.restore {
            Some((made, source)) => Some(RestoreSpec {
                source: archives.access(source, Rights::Read)?,
                target: made.target.clone(),
                verify: false,
            }),
            None => None,
        };
        Ok((archive, restore))
    }

    fn lag_ms(&self) -> u32 {
        let lag_ms = u32::try_from(self.row.archive_lag_ms).unwrap_or_default();
        if self.restores.is_waited_for {
            return lag_ms.min(HURRIED_LAG_MS);
        }
        lag_ms
    }

    /// The window's beginning, at a full hour; it stands still while something is being restored.
    fn expire_before(&self, now: OffsetDateTime) -> OffsetDateTime {
        let until = self.restores.since.map_or(now, |since| since.min(now));
        let cutoff = reach::cutoff(&self.row, until);
        let into = cutoff.unix_timestamp().rem_euclid(EXPIRY_STEP_SECONDS);
        let hour = cutoff - Duration::seconds(into);
        hour.replace_nanosecond(0).unwrap_or(hour)
    }

    /// Keeps what the node said.
    pub(super) async fn record(
        &self,
        tx: &mut RegionTx,
        observation: &Observation,
        record: &Record,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        if !matches!(observation, Observation::Attached { .. }) {
            return Ok(());
        }
        self.record_archive(tx, observation, now).await?;
        if self.restore.is_some() {
            let told = restore_status(observation);
            // An engine that serves as asked has been restored, whatever was last said on the way.
            let phase = if record.observed == Observed::Running {
                Some(RestorePhase::Done)
            } else {
                told.map(|told| told.phase.into())
                    .filter(|phase| *phase != RestorePhase::Done)
            };
            if let Some(phase) = phase {
                restore::record(tx, self.row.database_id, phase, told, now).await?;
            }
        }
        Ok(())
    }

    /// Keeps what the node said of its archive.
    pub(super) async fn record_archive(
        &self,
        tx: &mut RegionTx,
        observation: &Observation,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let Observation::Attached { status, .. } = observation else {
            return Ok(());
        };
        if let Some(told) = &status.archive
            && told.archive_id == Some(self.row.id)
        {
            store::record(tx, self.row.id, told, now).await?;
            let failed = backup::record(tx, self.row.id, &told.backups, now).await?;
            if failed && self.row.backup_due_at > now + BACKUP_RETRY {
                store::backup_due_set(tx, self.row.id, now + BACKUP_RETRY).await?;
            }
            restore_point::record(tx, self.row.id, &told.restore_points).await?;
            let before = self.expire_before(now);
            if !told.backups.is_empty() {
                backup::expire(tx, self.row.id, &told.backups, before).await?;
            }
            restore_point::expire(tx, self.row.id, before).await?;
        }
        Ok(())
    }
}

fn request(open: &OpenBackup) -> BackupRequest {
    BackupRequest {
        backup_id: open.id,
        kind: open.kind.into(),
    }
}
