//! The archive of the control plane's own database: its keys, and which backups it gets.
//!
//! It is an archive like a customer's, of an organization that nobody can make: by that it is found
//! again in the bucket when nothing else is left. Its chain of keys is kept beside the other keys.

use super::super::error::UpError;
use super::super::folder::{read_optional, replace};
use super::super::say;
use crate::config::{Config, ControlDurability};
use crate::keys::KeyFiles;
use crate::service::object_store;
use lumadb_contract::archive::{
    ArchiveSpec, ArchiveStatus, BackupKind, BackupRequest, BackupState, Durability,
};
use lumadb_contract::id::{ArchiveId, BackupId, DatabaseId, OrganizationId};
use lumadb_contract::key_chain::KeyChain;
use lumadb_control_plane::app::archive::{Archives, Rights};
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_data_plane::archive::identity::{IdentityError, identity_read};
use lumadb_data_plane::archive::layout::Layout;
use lumadb_data_plane::archive::store::{ObjectStore, StoreError};
use std::net::SocketAddr;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Whose the control plane's archives are. Its IDs carry the time of their making: none has this.
pub(super) const ORGANIZATION: OrganizationId = OrganizationId::from_uuid(Uuid::nil());

/// A full backup is made when the last one is so old.
const BACKUP_INTERVAL: Duration = Duration::hours(24);

/// Next try after one that failed.
const BACKUP_RETRY: Duration = Duration::minutes(10);

/// The past that stays restorable.
const RETENTION: Duration = Duration::days(14);

/// Longest wait of WAL for the built-in object store, milliseconds. That lies on the disk of the
/// database itself, so a shorter one wins nothing.
const BUILT_IN_LAG_MS: u32 = 200;

/// The same for another one, as databases of paid plans have it.
const LAG_MS: u32 = 1000;

/// Where archives lie while `up` runs: its own server where it listens now.
pub(super) fn archives(
    data: &DataFolder,
    config: &Config,
    built_in: SocketAddr,
) -> Result<Archives, UpError> {
    let store = crate::config::ObjectStore {
        listen: built_in,
        ..config.object_store.clone()
    };
    object_store::archives(&KeyFiles::new(data.keys()), &store, &config.kms)
        .map_err(|error| UpError::explain(data.root(), &error))
}

/// The keys of the archive in use; `None`: there was none yet.
pub(super) fn chain(data: &DataFolder) -> Result<Option<KeyChain>, UpError> {
    let path = KeyFiles::new(data.keys()).control_archive();
    let failed = |source| UpError::folder(data.root(), &path, source);
    let text = read_optional(&path).map_err(failed)?;
    text.map(|text| serde_json::from_slice(&text).map_err(|error| failed(error.into())))
        .transpose()
}

/// The same as the node is told it.
pub(super) fn wrapped_key(data: &DataFolder) -> Result<Option<serde_json::Value>, UpError> {
    let value = chain(data)?.map(serde_json::to_value).transpose();
    value.map_err(|error| UpError::explain(data.root(), &error))
}

/// Begins an archive of its own for what is written from now on.
pub(super) fn chain_make(
    data: &DataFolder,
    archives: &Archives,
    clock: &Clock,
) -> Result<KeyChain, UpError> {
    let path = KeyFiles::new(data.keys()).control_archive();
    let failed = |source| UpError::folder(data.root(), &path, source);
    let id = ArchiveId::from_uuid(clock.new_uuid());
    let chain = archives
        .key_chain_new(ORGANIZATION, id)
        .map_err(|error| UpError::explain(data.root(), &error))?;
    let text = serde_json::to_vec_pretty(&chain).map_err(|error| failed(error.into()))?;
    replace(&path, &text).map_err(failed)?;
    Ok(chain)
}

/// Of which database an archive is, and what opens it. `None`: nobody's yet, or it does not say so
/// legibly: one such archive does not stand in the way of the others.
pub(super) async fn chain_read(
    store: &ObjectStore,
    id: ArchiveId,
) -> Result<Option<(DatabaseId, KeyChain)>, StoreError> {
    let identity = match identity_read(store, &Layout::new(id)).await {
        Ok(Some(identity)) => identity,
        Ok(None) => return Ok(None),
        Err(IdentityError::Store(error)) => return Err(error),
        Err(error) => {
            say::line(&format!("The archive {id} is passed over: {error}"));
            return Ok(None);
        }
    };
    let chain = serde_json::from_value(identity.wrapped_key);
    Ok(chain.ok().map(|chain| (identity.database_id, chain)))
}

/// What the node is told of it.
pub(super) fn spec(
    data: &DataFolder,
    archives: &Archives,
    chain: &KeyChain,
    config: &Config,
) -> Result<ArchiveSpec, UpError> {
    let explain = |error: &dyn std::error::Error| UpError::explain(data.root(), error);
    Ok(ArchiveSpec {
        access: archives
            .access_by(chain, Rights::Write)
            .map_err(|error| explain(&error))?,
        wrapped_key: serde_json::to_value(chain).map_err(|error| explain(&error))?,
        durability: match config.control_durability() {
            ControlDurability::S3 => Durability::S3,
            ControlDurability::Lag if config.object_store.is_built_in() => Durability::Lag {
                lag_ms: BUILT_IN_LAG_MS,
            },
            ControlDurability::Lag => Durability::Lag { lag_ms: LAG_MS },
        },
        backups: Vec::new(),
        expire_before: None,
        pinned: Vec::new(),
        restore_points: Vec::new(),
    })
}

/// Which backup is wanted, and what may expire.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    asked: Option<(BackupId, OffsetDateTime)>,
}

impl Schedule {
    /// Looks at what the node says of its archive; `new_id` names a backup if one is due. Answers
    /// the backups to ask for.
    pub(super) fn look(
        &mut self,
        status: &ArchiveStatus,
        now: OffsetDateTime,
        new_id: BackupId,
    ) -> Vec<BackupRequest> {
        let state_of = |id: BackupId| {
            let mut all = status.backups.iter();
            all.find(|backup| backup.backup_id == id)
                .map(|backup| backup.state)
        };
        let complete = |backup: &&lumadb_contract::archive::BackupStatus| {
            backup.state == BackupState::Complete
        };
        let newest = status.backups.iter().filter(complete);
        let newest = newest.map(|backup| backup.started_at).max();
        // One that runs was asked for before `up` began: it counts once it is complete.
        let runs = status.backups.iter();
        let runs = runs
            .map(|it| it.state)
            .any(|state| state == BackupState::Running);
        let is_due = !runs && newest.is_none_or(|newest| newest + BACKUP_INTERVAL <= now);
        self.asked = match self.asked {
            Some((id, at)) => match state_of(id) {
                Some(BackupState::Complete) => None,
                // Its time is over; the next look asks for another one.
                Some(BackupState::Failed) if at + BACKUP_RETRY <= now => None,
                _ => Some((id, at)),
            },
            None if is_due => Some((new_id, now)),
            None => None,
        };
        let asked = self.asked.iter().map(|(id, _)| BackupRequest {
            backup_id: *id,
            kind: BackupKind::Full,
        });
        asked.collect()
    }
}

/// What is older may expire. Moves once a day, so that the spec does not change each second.
pub(super) fn expire_before(now: OffsetDateTime) -> OffsetDateTime {
    (now - RETENTION).replace_time(time::Time::MIDNIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::archive::{BackupStatus, Lsn};

    const START: OffsetDateTime = time::macros::datetime!(2026-11-27 12:00 UTC);

    fn id(number: u128) -> BackupId {
        BackupId::from_uuid(Uuid::from_u128(number))
    }

    fn status(backups: &[(u128, BackupState, OffsetDateTime)]) -> ArchiveStatus {
        let backups = backups.iter().map(|(number, state, at)| BackupStatus {
            backup_id: id(*number),
            kind: BackupKind::Full,
            state: *state,
            started_at: *at,
            ended_at: None,
            timeline: 1,
            start_lsn: Lsn(0),
            end_lsn: None,
            bytes_read: 0,
            bytes_expected: 0,
            bytes_stored: 0,
            parent: None,
            error: None,
        });
        ArchiveStatus {
            backups: backups.collect(),
            ..ArchiveStatus::default()
        }
    }

    fn ids(requests: &[BackupRequest]) -> Vec<BackupId> {
        requests.iter().map(|request| request.backup_id).collect()
    }

    #[test]
    fn a_backup_is_made_at_once_and_then_each_day() {
        let mut schedule = Schedule::default();
        let asked = schedule.look(&status(&[]), START, id(1));
        assert_eq!(ids(&asked), [id(1)]);
        // The wish stays until it is fulfilled.
        let running = status(&[(1, BackupState::Running, START)]);
        let later = START + Duration::minutes(30);
        assert_eq!(ids(&schedule.look(&running, later, id(2))), [id(1)]);
        let complete = status(&[(1, BackupState::Complete, START)]);
        assert!(schedule.look(&complete, later, id(3)).is_empty());
        let almost = START + BACKUP_INTERVAL - Duration::seconds(1);
        assert!(schedule.look(&complete, almost, id(4)).is_empty());
        let due = START + BACKUP_INTERVAL;
        assert_eq!(ids(&schedule.look(&complete, due, id(5))), [id(5)]);
    }

    #[test]
    fn one_that_runs_already_is_not_doubled() {
        let mut schedule = Schedule::default();
        let running = status(&[(1, BackupState::Running, START)]);
        assert!(schedule.look(&running, START, id(2)).is_empty());
        let failed = status(&[(1, BackupState::Failed, START)]);
        assert_eq!(ids(&schedule.look(&failed, START, id(3))), [id(3)]);
    }

    #[test]
    fn one_that_failed_is_tried_again_after_a_while() {
        let mut schedule = Schedule::default();
        schedule.look(&status(&[]), START, id(1));
        let failed = status(&[(1, BackupState::Failed, START)]);
        let soon = START + Duration::minutes(1);
        assert_eq!(ids(&schedule.look(&failed, soon, id(2))), [id(1)]);
        let later = START + BACKUP_RETRY;
        assert!(schedule.look(&failed, later, id(3)).is_empty());
        assert_eq!(ids(&schedule.look(&failed, later, id(4))), [id(4)]);
    }
}
