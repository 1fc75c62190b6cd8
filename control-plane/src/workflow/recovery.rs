//! Databases whose content is lost come back from their archives by themselves.
//!
//! A part of the look at a database, under its claim. The runtime says that content is gone for
//! certain ([`RuntimeError::Gone`]); after a while it is asked again, because disks come back. Then
//! what is left of the instance ends ([`crate::runtime::Runtime::clear`]), and the instance is made
//! anew under its name as any that is restored: from the archive that it goes on writing, up to the
//! latest moment. Its node fences whoever wrote there before. Database, address, roles and backups
//! stay what they are; what it counts is another incarnation's.
//!
//! Each step is written with the look that took it, so a process that is killed anywhere leaves a row
//! that says what comes next. An attempt that fails is followed by others after growing pauses, by so
//! many at most; what is lost again and again counts as one loss.

use super::archive;
use super::decide::{self, Decision};
use super::steps;
use crate::app::Platform;
use crate::app::audit::AuditAction;
use crate::app::operation::RESTORE_DEADLINE;
use crate::app::state::{Observed, OperationKind, RecoveryPhase};
use crate::notify::content;
use crate::runtime::{Cleared, Observation, RuntimeError};
use crate::store::audit::{self, NewAuditEvent};
use crate::store::billing::customer;
use crate::store::desired::ClaimedDatabase;
use crate::store::recovery::{self, NewAttempt, NewRecovery, RecoveryRow};
use crate::store::{EitherTx, RegionTx, StoreError, outbox};
use lumadb_contract::id::{ArchiveId, AuditEventId, OperationId, OutboxId};
use serde_json::json;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, UtcOffset};

/// Attempts for one loss, at most.
const ATTEMPTS_MAX: i32 = 5;

/// Before an attempt, by how many there were: first to see whether the content is really gone.
const PAUSES: [Duration; 5] = [
    Duration::seconds(5),
    Duration::minutes(1),
    Duration::minutes(5),
    Duration::minutes(30),
    Duration::hours(2),
];

/// What is lost again within this counts as the same loss.
const SAME_LOSS: Duration = Duration::days(1);

/// What an operation says whose database needed none.
const ERROR_BACK: &str = "The database's data is there again; nothing was restored.";

/// What the runtime was asked, and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The desired state was applied.
    Applied,
    Cleared(Cleared),
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    /// What was noted before, also of a loss that is over.
    row: Option<&'a RecoveryRow>,
    asked: &'a Result<Asked, RuntimeError>,
    /// Whether its archive has what it takes; otherwise why not.
    archive: Result<(), &'a str>,
    /// Why its node says that it cannot be restored.
    refusal: Option<&'a str>,
    is_running: bool,
    is_in_place: bool,
    now: OffsetDateTime,
}

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// It is not lost, or nothing can be done about it.
    Nothing,
    Notice {
        attempts: i32,
    },
    Wait,
    /// Its content was there after all.
    Dismiss,
    Begin,
    Restore,
    Finish,
    Retry {
        attempts: i32,
        why: String,
    },
    /// With what its owner is told.
    GiveUp(String),
}

/// The open recovery of a database.
fn open(row: Option<&RecoveryRow>) -> Option<&RecoveryRow> {
    row.filter(|row| row.ended_at.is_none())
}

/// Whether the runtime is to be asked to clear the instance; and whether what is there of it is the
/// doing of an attempt before, and may go.
pub(super) fn clears(row: &ClaimedDatabase) -> Option<bool> {
    let row = row.recovery.as_ref().map(|row| &row.0);
    open(row)
        .filter(|row| row.phase == RecoveryPhase::Clearing)
        .map(|row| row.is_made)
}

fn pause(attempts: i32) -> Duration {
    let at = usize::try_from(attempts).unwrap_or_default();
    let [.., last] = PAUSES;
    PAUSES.get(at).copied().unwrap_or(last)
}

/// Decides. Pure.
fn next(seen: Seen<'_>) -> Next {
    let is_gone = matches!(seen.asked, Err(RuntimeError::Gone(_)));
    let Some(row) = open(seen.row) else {
        return if is_gone { notice(seen) } else { Next::Nothing };
    };
    let is_due = seen.now >= row.due_at;
    match row.phase {
        RecoveryPhase::Noticed => match (seen.asked, seen.archive) {
            (Ok(_), _) => Next::Dismiss,
            (Err(RuntimeError::Gone(_)), _) if !is_due => Next::Wait,
            (Err(RuntimeError::Gone(_)), Err(why)) => Next::GiveUp(why.to_owned()),
            (Err(RuntimeError::Gone(_)), Ok(())) if row.attempts >= ATTEMPTS_MAX => Next::GiveUp(
                format!("it was lost again after each of {ATTEMPTS_MAX} attempts"),
            ),
            // That one ends first: it may bring other content.
            (Err(RuntimeError::Gone(_)), Ok(())) if !seen.is_in_place => Next::Begin,
            (Err(_), _) => Next::Wait,
        },
        RecoveryPhase::Clearing => match seen.asked {
            Ok(Asked::Cleared(Cleared::Gone)) => Next::Restore,
            Ok(Asked::Cleared(Cleared::Back)) => Next::Dismiss,
            Ok(Asked::Applied) | Err(_) => Next::Wait,
        },
        RecoveryPhase::Restoring => match (seen.refusal, seen.asked) {
            (Some(why), _) => failed(row, why),
            (None, Err(RuntimeError::GiveUp(why))) => failed(row, why),
            _ if seen.is_running => Next::Finish,
            _ => Next::Wait,
        },
        RecoveryPhase::Waiting if is_due => Next::Begin,
        _ => Next::Wait,
    }
}

fn notice(seen: Seen<'_>) -> Next {
    let Some(before) = seen.row else {
        return Next::Notice { attempts: 0 };
    };
    let ended_at = before.ended_at.unwrap_or(before.noticed_at);
    let is_same = seen.now - ended_at < SAME_LOSS;
    match before.phase {
        // It was told then; what it lacks may have come since.
        RecoveryPhase::GivenUp if is_same || seen.archive.is_err() => Next::Nothing,
        _ => Next::Notice {
            attempts: if is_same { before.attempts } else { 0 },
        },
    }
}

fn failed(row: &RecoveryRow, why: &str) -> Next {
    if row.attempts >= ATTEMPTS_MAX {
        return Next::GiveUp(why.to_owned());
    }
    Next::Retry {
        attempts: row.attempts,
        why: why.to_owned(),
    }
}

/// What a look found, and what follows for the recovery of the database.
#[derive(Debug)]
pub(super) struct Recovery {
    next: Next,
    /// Which it has, and up to when that holds everything.
    archive: Option<(ArchiveId, Option<OffsetDateTime>)>,
    /// The last transaction that came back ended then.
    reached: Option<OffsetDateTime>,
}

impl Recovery {
    pub(super) fn of(
        row: &ClaimedDatabase,
        archive: Option<&archive::Loaded>,
        asked: &Result<Asked, RuntimeError>,
        observation: &Observation,
        now: OffsetDateTime,
    ) -> Self {
        let is_running = decide::record(row, observation, now).observed == Observed::Running;
        let seen = Seen {
            row: row.recovery.as_ref().map(|row| &row.0),
            asked,
            archive: archive.map_or(Err("it has no archive"), archive::Loaded::reaches_present),
            refusal: decide::refusal(observation),
            is_running,
            is_in_place: row.is_in_place,
            now,
        };
        Self {
            next: next(seen),
            archive: archive.map(|archive| (archive.id(), archive.archived_until())),
            reached: decide::restore_status(observation).and_then(|status| status.reached),
        }
    }

    /// What the answer of the runtime means to the database: one that is on its way back has not
    /// failed.
    pub(super) fn answer(
        &self,
        row: &ClaimedDatabase,
        asked: Result<Asked, RuntimeError>,
    ) -> Result<(), RuntimeError> {
        let lost = match asked {
            Ok(_) => return Ok(()),
            Err(RuntimeError::Gone(lost)) => lost,
            Err(error) => return Err(error),
        };
        match &self.next {
            Next::Nothing => {
                let why = row.error.clone().filter(|before| before.contains(&lost));
                Err(RuntimeError::GiveUp(why.unwrap_or(lost)))
            }
            Next::GiveUp(why) => Err(RuntimeError::GiveUp(format!(
                "{lost}, and it does not come back by itself: {why}"
            ))),
            _ => Err(RuntimeError::Retry(format!(
                "{lost}: it comes back from its archive"
            ))),
        }
    }

    /// Has the next look come when something is to be done.
    pub(super) fn hurry(
        &self,
        row: &ClaimedDatabase,
        decision: &mut Decision,
        now: OffsetDateTime,
    ) {
        let noted = row.recovery.as_ref().map(|row| &row.0);
        let due = match (&self.next, open(noted)) {
            (Next::Notice { attempts } | Next::Retry { attempts, .. }, _) => now + pause(*attempts),
            (Next::Wait, Some(row)) if row.due_at > now => row.due_at,
            _ => return,
        };
        decision.look_at = decision.look_at.min(due);
    }

    /// Writes what follows, with the rest of the look.
    pub(super) async fn carry_out(
        &self,
        platform: &Platform,
        tx: &mut RegionTx,
        row: &ClaimedDatabase,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        match &self.next {
            Next::Nothing | Next::Wait => return Ok(()),
            Next::Notice { attempts } => {
                let new = NewRecovery {
                    database: row.id,
                    organization: row.organization_id,
                    archived_until: self.archive.and_then(|(_, until)| until),
                    attempts: *attempts,
                    due_at: now + pause(*attempts),
                    now,
                };
                recovery::notice(tx, &new).await?;
            }
            Next::Dismiss => {
                let operation = row.recovery.as_ref().and_then(|row| row.0.operation());
                if let Some(operation) = operation {
                    recovery::cancel(tx, operation, ERROR_BACK, now).await?;
                }
                recovery::end(tx, row.id, RecoveryPhase::FalseAlarm, now).await?;
            }
            Next::Begin => begin(platform, tx, row, now).await?,
            Next::Restore => {
                let Some((archive, _)) = self.archive else {
                    return Ok(());
                };
                recovery::restore(tx, row.id, row.organization_id, archive, now).await?;
            }
            Next::Finish => {
                recovery::end(tx, row.id, RecoveryPhase::Done, now).await?;
                self.tell(platform, tx, row, None, now).await?;
            }
            Next::Retry { attempts, .. } => {
                recovery::retry(tx, row.id, now + pause(*attempts)).await?;
            }
            Next::GiveUp(why) => {
                recovery::end(tx, row.id, RecoveryPhase::GivenUp, now).await?;
                self.tell(platform, tx, row, Some(why), now).await?;
            }
        }
        tracing::warn!(database = %row.id, next = ?self.next, "the content of a database was lost");
        Ok(())
    }

    /// Tells the owners how it ended, and writes it into the audit log.
    async fn tell(
        &self,
        platform: &Platform,
        tx: &mut RegionTx,
        row: &ClaimedDatabase,
        failure: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let noted = row.recovery.as_ref().map(|row| &row.0);
        let archived = noted.and_then(|row| row.archived_until);
        let until = self.reached.max(archived);
        let name = recovery::name(tx, row.id).await?;
        let url = format!("{}/databases/{}", platform.links.console_url, row.id);
        let either = &mut EitherTx::Region(tx);
        for (email, person) in customer::owners(either, row.organization_id).await? {
            let until = until.map(moment);
            let mail = match failure {
                None => content::recovered(&email, &person, &name, until.as_deref(), &url),
                Some(why) => content::recovery_failed(&email, &person, &name, why, &url),
            };
            let payload = serde_json::to_value(mail)
                .map_err(|error| StoreError::Corrupt(format!("a mail: {error}")))?;
            let id = OutboxId::from_uuid(platform.clock.new_uuid());
            outbox::insert_mail_of(either, id, &payload, now).await?;
        }
        let details = json!({
            "noticed_at": noted.map(|row| moment(row.noticed_at)),
            "archived_until": archived.map(moment),
            "reached": self.reached.map(moment),
            "failure": failure,
        });
        let action = match failure {
            None => AuditAction::DatabaseRecoveryEnd,
            Some(_) => AuditAction::DatabaseRecoveryFail,
        };
        audit(platform, tx, row, action, details, now).await
    }
}

async fn begin(
    platform: &Platform,
    tx: &mut RegionTx,
    row: &ClaimedDatabase,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let new = NewAttempt {
        operation: OperationId::from_uuid(platform.clock.new_uuid()),
        database: row.id,
        organization: row.organization_id,
        steps: steps::initial(OperationKind::DatabaseRecover, now),
        now,
        deadline_at: now + RESTORE_DEADLINE,
    };
    recovery::begin(tx, &new).await?;
    let noted = row.recovery.as_ref().map(|row| &row.0);
    let details = json!({
        "operation": new.operation,
        "attempt": noted.map_or(1, |row| row.attempts + 1),
        "noticed_at": noted.map(|row| moment(row.noticed_at)),
        "archived_until": noted.and_then(|row| row.archived_until).map(moment),
    });
    audit(
        platform,
        tx,
        row,
        AuditAction::DatabaseRecoveryBegin,
        details,
        now,
    )
    .await
}

async fn audit(
    platform: &Platform,
    tx: &mut RegionTx,
    row: &ClaimedDatabase,
    action: AuditAction,
    details: serde_json::Value,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let event = NewAuditEvent {
        id: AuditEventId::from_uuid(platform.clock.new_uuid()),
        actor: "system".to_owned(),
        action,
        resource: row.id.to_string(),
        details,
        client_address: None,
        created_at: now,
    };
    audit::insert_as_region(tx, row.organization_id, &event).await
}

/// For people, to the second.
fn moment(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    at.to_offset(UtcOffset::UTC)
        .format(&form)
        .unwrap_or_default()
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
