//! Drills of the control plane's own archive: each week it is restored beside the database that
//! serves, compared with its manifest, started and checked, as tenants' archives are, and removed.
//!
//! What was found is kept in `control-drill.json` of the data folder. A process that is killed in the
//! middle of a drill leaves a folder and a node: the next `up` removes both and begins again, since
//! the record still says that a drill is due.

use super::super::error::UpError;
use super::super::folder::{read_optional, replace};
use super::super::say;
use super::restore::{end, refusal};
use super::{Attached, Control, Place, archive, is_ready, status_of};
use crate::config::Config;
use lumadb_contract::archive::{
    ArchiveStatus, BackupState, RestoreSpec, RestoreStatus, RestoreTarget,
};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::InstanceSpec;
use lumadb_control_plane::app::archive::{Archives, Rights};
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::runtime::Observation;
use lumadb_control_plane::runtime::local::folder::{Programs, folder_destroy, folder_make};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

/// How the processes of a drill are called.
const SUFFIX: &str = "control-drill";

/// From the first look at a data folder to its first drill.
const FIRST: Duration = Duration::days(1);

/// From the end of one that succeeded, and of one that failed, to the next.
const INTERVAL: Duration = Duration::days(7);
const RETRY: Duration = Duration::days(1);

/// Longest drill: what is not restored and checked by then has failed.
const LIMIT: std::time::Duration = std::time::Duration::from_hours(12);

/// Between two looks at whether one is due.
const LOOK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);

/// What is kept of drills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) due_at: OffsetDateTime,
    /// `None`: there was none yet.
    pub(crate) last: Option<Drill>,
}

/// What one found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Drill {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) ended_at: OffsetDateTime,
    /// How much time of changes a lost machine had lost at the start (RPO), milliseconds.
    pub(crate) rpo_ms: u64,
    /// From the start until the restored database took connections (RTO), milliseconds; `None`: it
    /// did not.
    pub(crate) rto_ms: Option<u64>,
    /// The last transaction that was restored ended at this moment.
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) reached: Option<OffsetDateTime>,
    /// Checked with `amcheck`.
    pub(crate) tables_checked: u64,
    pub(crate) indexes_checked: u64,
    /// What is wrong; `None`: it succeeded.
    pub(crate) fault: Option<String>,
}

impl Record {
    /// `None`: no drill was ever thought of.
    ///
    /// # Errors
    /// A file that cannot be read, or is no record.
    pub(crate) fn read(data: &DataFolder) -> std::io::Result<Option<Self>> {
        let text = read_optional(&path(data))?;
        text.map(|text| serde_json::from_slice(&text).map_err(Into::into))
            .transpose()
    }

    fn write(&self, data: &DataFolder) -> Result<(), UpError> {
        let path = path(data);
        let failed = |source| UpError::folder(data.root(), &path, source);
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        replace(&path, &text).map_err(failed)
    }
}

fn path(data: &DataFolder) -> PathBuf {
    data.root().join("control-drill.json")
}

/// Carries them out.
pub(crate) struct Drills {
    data: DataFolder,
    config: Config,
    programs: Programs,
    archives: Archives,
    clock: Clock,
    /// Of the database that serves.
    serving: watch::Receiver<Observation>,
    spec: InstanceSpec,
}

impl Drills {
    pub(super) fn of(
        control: &Control,
        config: &Config,
        programs: &Programs,
        archives: Archives,
    ) -> Self {
        Self {
            data: control.data.clone(),
            config: config.clone(),
            programs: programs.clone(),
            archives,
            clock: control.clock.clone(),
            serving: control.attached.instance.observation(),
            spec: control.spec.spec().clone(),
        }
    }

    /// For as long as it is polled.
    pub(crate) async fn keep(&self) {
        loop {
            if let Err(error) = self.look().await {
                tracing::error!(%error, "no drill of the control plane's archive");
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Does the one that is due, if the archive holds a backup.
    async fn look(&self) -> Result<(), UpError> {
        let now = self.clock.now();
        let failed = |source| UpError::folder(self.data.root(), &path(&self.data), source);
        let Some(record) = Record::read(&self.data).map_err(failed)? else {
            let due_at = now + FIRST;
            return Record { due_at, last: None }.write(&self.data);
        };
        let Some(archived) = self.archived().filter(|_| record.due_at <= now) else {
            return Ok(());
        };
        sweep(&self.data).await;
        let mut drill = Drill::begun(&archived, now);
        if let Err(error) = self.restore(&mut drill).await {
            drill.fault = Some(error.to_string());
        }
        sweep(&self.data).await;
        let ended_at = self.clock.now();
        let pause = match &drill.fault {
            None => INTERVAL,
            Some(fault) => {
                tracing::error!(fault, "a drill of the control plane's archive failed");
                say::line(&format!(
                    "The control plane's archive is not restorable: {fault}"
                ));
                RETRY
            }
        };
        Record {
            due_at: ended_at + pause,
            last: Some(Drill { ended_at, ..drill }),
        }
        .write(&self.data)
    }

    /// What the serving database's node says of its archive; `None` before there is a backup.
    fn archived(&self) -> Option<ArchiveStatus> {
        let archived = status_of(&self.serving.borrow())?.archive.clone()?;
        let mut backups = archived.backups.iter();
        let is_there = backups.any(|backup| backup.state == BackupState::Complete);
        is_there.then_some(archived)
    }

    async fn restore(&self, drill: &mut Drill) -> Result<(), UpError> {
        let explain = |error: &dyn std::error::Error| UpError::explain(self.data.root(), error);
        let chain = archive::chain(&self.data)?
            .ok_or_else(|| UpError::NotRestored("its archive's keys are gone".into()))?;
        let source = self.archives.access_by(&chain, Rights::Read);
        let place = Place {
            folder: self.data.control_drill(),
            suffix: SUFFIX,
            parent: self.data.control_drill_parent_socket(),
        };
        folder_make(&self.data, &self.programs, place.folder.root())
            .await
            .map_err(|error| explain(&error))?;
        let spec = InstanceSpec {
            // Two instances are never the same one.
            database_id: DatabaseId::from_uuid(self.clock.new_uuid()),
            generation: 1,
            archive: None,
            restore: Some(RestoreSpec {
                source: source.map_err(|error| explain(&error))?,
                target: RestoreTarget::Latest,
                verify: true,
            }),
            ..self.spec.clone()
        };
        let generation = spec.generation;
        let attached = Attached::new(
            &self.data,
            &self.config,
            &self.programs,
            &place,
            Arc::new(spec),
        )?;
        let mut observation = attached.instance.observation();
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let observed = observation.borrow_and_update().clone();
            if is_ready(&observed, generation) && drill.rto_ms.is_none() {
                drill.rto_ms = Some(milliseconds(self.clock.now() - drill.started_at));
            }
            if drill.take(&observed) {
                break;
            }
            match tokio::time::timeout_at(deadline, observation.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(_) => {
                    drill.fault = Some("not restored and checked within 12 hours".into());
                    break;
                }
            }
        }
        attached.end().await;
        Ok(())
    }
}

impl Drill {
    fn begun(archived: &ArchiveStatus, now: OffsetDateTime) -> Self {
        let lost = archived
            .archived_until
            .filter(|_| archived.archived_lsn < archived.flushed_lsn)
            .map_or(Duration::ZERO, |until| now - until);
        Self {
            started_at: now,
            ended_at: now,
            rpo_ms: milliseconds(lost),
            rto_ms: None,
            reached: None,
            tables_checked: 0,
            indexes_checked: 0,
            // Until it is known better: the node may end without a word.
            fault: Some("its node ended before everything was checked".into()),
        }
    }

    /// Takes over what the node of a drill says. True: that is the end.
    fn take(&mut self, observed: &Observation) -> bool {
        if let Some(refusal) = refusal(observed) {
            self.fault = Some(refusal);
            return true;
        }
        let restore = status_of(observed).and_then(|status| status.restore.as_ref());
        restore.is_some_and(|restore| self.take_restore(restore))
    }

    fn take_restore(&mut self, restore: &RestoreStatus) -> bool {
        self.reached = restore.reached;
        let Some(found) = &restore.verification else {
            return false;
        };
        self.tables_checked = found.tables;
        self.indexes_checked = found.indexes;
        if found.has_ended {
            let mut faults = found.faults.clone();
            faults.extend(found.error.clone());
            self.fault = (!faults.is_empty()).then(|| faults.join("; "));
        }
        found.has_ended
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.whole_milliseconds()).unwrap_or_default()
}

/// Removes what a drill left that ended or was killed.
pub(super) async fn sweep(data: &DataFolder) {
    end(data, SUFFIX).await;
    let left = data.control_drill();
    if left.root().exists() {
        folder_destroy(left.root().to_owned()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::archive::{Lsn, RestorePhase, Verification};
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-28 12:00 UTC);

    fn archived(archived: u64, flushed: u64) -> ArchiveStatus {
        ArchiveStatus {
            archived_lsn: Lsn(archived),
            flushed_lsn: Lsn(flushed),
            archived_until: Some(NOW - Duration::seconds(2)),
            ..ArchiveStatus::default()
        }
    }

    #[test]
    fn what_is_whole_would_lose_nothing() {
        assert_eq!(Drill::begun(&archived(7, 7), NOW).rpo_ms, 0);
        assert_eq!(Drill::begun(&archived(6, 7), NOW).rpo_ms, 2000);
    }

    #[test]
    fn it_has_failed_until_everything_is_checked() {
        let mut drill = Drill::begun(&archived(7, 7), NOW);
        assert!(!drill.take(&Observation::Unknown));
        assert!(drill.fault.is_some());
    }

    #[test]
    fn faults_and_errors_are_kept() {
        let said = |verification| {
            let mut drill = Drill::begun(&archived(7, 7), NOW);
            let ended = drill.take_restore(&RestoreStatus {
                phase: RestorePhase::Done,
                reached: Some(NOW),
                verification: Some(verification),
                ..RestoreStatus::default()
            });
            (ended, drill)
        };
        let (ended, drill) = said(Verification {
            tables: 3,
            ..Verification::default()
        });
        assert!(!ended && drill.fault.is_some());
        let (ended, drill) = said(Verification {
            has_ended: true,
            tables: 30,
            indexes: 40,
            ..Verification::default()
        });
        assert!(ended);
        assert_eq!((drill.tables_checked, drill.indexes_checked), (30, 40));
        assert_eq!((drill.reached, drill.fault), (Some(NOW), None));
        let (ended, drill) = said(Verification {
            has_ended: true,
            faults: vec!["a page is torn".into()],
            ..Verification::default()
        });
        assert!(ended);
        assert_eq!(drill.fault.as_deref(), Some("a page is torn"));
    }

    #[test]
    fn a_record_reads_back() {
        let record = Record {
            due_at: NOW,
            last: Some(Drill::begun(&archived(6, 7), NOW)),
        };
        let text = serde_json::to_vec(&record).expect("JSON");
        let read: Record = serde_json::from_slice(&text).expect("a record");
        assert_eq!(read, record);
    }
}
