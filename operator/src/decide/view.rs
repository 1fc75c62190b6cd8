//! What is said of a database: phase, conditions, and what is in force.

use super::pod::{Instance, Pending};
use super::storage::{Storage, Trouble};
use crate::api::condition::{ALL, READY, RECONCILING, RESTART_PENDING, STALLED, STORAGE_LOW};
use crate::api::{Compute, DatabasePhase, LumaDatabase, LumaDatabaseStatus, StorageStatus};
use crate::build;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Longest message of a condition, characters.
const MESSAGE_MAX: usize = 1024;

/// How a database stands, before it is put into a status.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    phase: DatabasePhase,
    reason: String,
    message: String,
    /// What is under way beside the phase.
    under_way: Option<(&'static str, String)>,
    pending: Option<Pending>,
    low: Option<String>,
    address: String,
    compute: Option<Compute>,
    storage: Option<StorageStatus>,
}

impl View {
    pub(super) fn new(database: &LumaDatabase, instance: Instance, storage: Storage) -> Self {
        let mut view = Self {
            phase: instance.database_phase,
            reason: instance.reason,
            message: instance.message,
            under_way: instance.resizes.map(|text| ("Resizing", text)),
            pending: instance.pending,
            low: storage.low,
            address: build::address(database),
            compute: instance.compute,
            storage: (storage.status != StorageStatus::default()).then_some(storage.status),
        };
        if view.under_way.is_none() && storage.grows {
            view.under_way = Some(("VolumeGrows", "the volume is growing".into()));
        }
        match storage.trouble {
            Some(Trouble::Stalled(reason, message)) => {
                view.phase = DatabasePhase::Stalled;
                view.reason = reason.into();
                view.message = message;
            }
            Some(Trouble::Waiting(reason, message)) if view.phase == DatabasePhase::Pending => {
                view.reason = reason.into();
                view.message = message;
            }
            Some(Trouble::Waiting(reason, message)) => view.under_way = Some((reason, message)),
            None => {}
        }
        view
    }

    pub(super) fn pending(database: &LumaDatabase, reason: &str, message: String) -> Self {
        Self::only(database, DatabasePhase::Pending, reason, message)
    }

    /// One with which nothing goes on until a person does something.
    pub fn stalled(database: &LumaDatabase, reason: &str, message: String) -> Self {
        Self::only(database, DatabasePhase::Stalled, reason, message)
    }

    fn only(database: &LumaDatabase, phase: DatabasePhase, reason: &str, message: String) -> Self {
        let before = database.status.as_ref();
        Self {
            phase,
            reason: reason.into(),
            message,
            under_way: None,
            pending: None,
            low: None,
            address: build::address(database),
            compute: None,
            storage: before.and_then(|status| status.storage.clone()),
        }
    }

    pub fn phase(&self) -> DatabasePhase {
        self.phase
    }

    /// The status that says so. `refusal` is what the cluster answered to an action that it will not
    /// carry out. Conditions that are as they were keep their time.
    pub fn status(
        &self,
        database: &LumaDatabase,
        refusal: Option<&str>,
        now: Timestamp,
    ) -> LumaDatabaseStatus {
        let before = database.status.as_ref();
        let generation = database.metadata.generation;
        let conditions = ALL
            .iter()
            .map(|&kind| {
                let (is, reason, message) = self.condition(kind, refusal);
                let status = if is { "True" } else { "False" };
                let since = before
                    .and_then(|before| before.conditions.iter().find(|old| old.type_ == kind))
                    .filter(|old| old.status == status)
                    .map_or(Time(now), |old| old.last_transition_time.clone());
                Condition {
                    type_: kind.into(),
                    status: status.into(),
                    reason,
                    message: message.chars().take(MESSAGE_MAX).collect(),
                    last_transition_time: since,
                    observed_generation: generation,
                }
            })
            .collect();
        LumaDatabaseStatus {
            observed_generation: generation,
            phase: Some(self.phase),
            conditions,
            address: Some(self.address.clone()),
            compute: self.compute,
            storage: self.storage.clone(),
        }
    }

    fn condition(&self, kind: &str, refusal: Option<&str>) -> (bool, String, String) {
        let no = |reason: &str| (false, reason.to_owned(), String::new());
        match kind {
            READY => {
                let ready = self.phase == DatabasePhase::Ready;
                (ready, self.reason.clone(), self.message.clone())
            }
            RECONCILING => match (&self.under_way, self.phase) {
                (Some((reason, message)), _) => (true, (*reason).into(), message.clone()),
                (
                    None,
                    DatabasePhase::Pending | DatabasePhase::Starting | DatabasePhase::Stopping,
                ) => (true, self.reason.clone(), self.message.clone()),
                _ => no("AsDesired"),
            },
            STALLED => match (refusal, self.phase) {
                (Some(refusal), _) => (true, "Refused".into(), refusal.into()),
                (None, DatabasePhase::Stalled) => (true, self.reason.clone(), self.message.clone()),
                _ => no("NotStalled"),
            },
            RESTART_PENDING => match &self.pending {
                Some(pending) => {
                    let when = pending.opens.map_or_else(
                        || "no maintenance window comes".to_owned(),
                        |opens| format!("the maintenance window opens at {opens:.0}"),
                    );
                    let message = format!("{}; {when}", pending.message);
                    (true, pending.reason.into(), message)
                }
                None => no("NothingWaits"),
            },
            STORAGE_LOW => match &self.low {
                Some(low) => (true, "NearlyFull".into(), low.clone()),
                None => no("Ample"),
            },
            _ => no("Unknown"),
        }
    }
}
