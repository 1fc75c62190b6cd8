//! The moments of its past that a database can be restored to.

use crate::app::{AppError, Caller, Platform, ProblemType, database};
use crate::store::archive::{self, ArchiveRow};
use crate::store::{EitherTx, TenantTx};
use lumadb_contract::archive::{Lsn, RestoreTarget};
use lumadb_contract::id::DatabaseId;
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// The moments that a database can be restored to, and how far its archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoreWindow {
    /// Null until the first backup is complete.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub earliest: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub latest: Option<OffsetDateTime>,
    /// WAL positions that can be restored to.
    #[schema(required = true)]
    pub earliest_lsn: Option<String>,
    #[schema(required = true)]
    pub latest_lsn: Option<String>,
    /// Moments between the two that cannot be restored to, oldest first.
    pub gaps: Vec<RestoreGap>,
    /// How far back the plan reaches, days.
    pub window_days: u32,
    /// How old what is not archived yet may be at most by the plan, milliseconds.
    pub lag_ms_max: u32,
    /// How old what is not archived yet was when last looked at, milliseconds; null: not known.
    #[schema(required = true)]
    pub lag_ms: Option<u64>,
    /// WAL that was not archived yet when last looked at, bytes; null: not known.
    #[schema(required = true)]
    pub lag_bytes: Option<u64>,
    /// Whether something keeps the archive from going on; the platform works on it.
    pub is_stuck: bool,
}

/// Moments that cannot be restored to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoreGap {
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

/// A stretch of time without a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    from: OffsetDateTime,
    until: OffsetDateTime,
}

/// What of an archive can be restored at a moment. Pure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct Reach {
    stretches: Vec<Stretch>,
    /// What was committed before it is archived.
    archived_until: Option<OffsetDateTime>,
    first_lsn: Option<Lsn>,
    archived_lsn: Option<Lsn>,
    flushed_lsn: Option<Lsn>,
}

/// Moment before which the plan keeps nothing.
pub(crate) fn cutoff(archive: &ArchiveRow, now: OffsetDateTime) -> OffsetDateTime {
    now - Duration::days(i64::from(archive.restore_window_days))
}

impl Reach {
    /// `at_rest_until`: until then nothing ran that could have written since the node spoke last, so
    /// that the database was as it was then.
    pub(in crate::app) fn of(
        archive: &ArchiveRow,
        at_rest_until: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Self {
        let lsn = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        let (archived_lsn, flushed_lsn) = (lsn(&archive.archived_lsn), lsn(&archive.flushed_lsn));
        let is_whole = archived_lsn.is_some() && archived_lsn >= flushed_lsn;
        let latest = match at_rest_until {
            Some(until) if is_whole => archive.archived_until.map(|_| until),
            _ => archive.archived_until,
        };
        let cutoff = cutoff(archive, now);
        let windows = &archive.windows.0;
        let stretches = windows.iter().filter_map(|window| {
            let from = window.from.max(cutoff);
            // What a complete backup needs is archived, whatever was heard of the archive since.
            let until = window
                .until
                .unwrap_or_else(|| latest.map_or(window.from, |latest| latest.max(window.from)));
            (from <= until).then_some(Stretch { from, until })
        });
        Self {
            stretches: stretches.collect(),
            archived_until: archive.archived_until,
            first_lsn: windows.iter().map(|window| window.from_lsn).min(),
            archived_lsn,
            flushed_lsn,
        }
    }

    fn gaps(&self) -> Vec<RestoreGap> {
        let neighbors = self.stretches.iter().zip(self.stretches.iter().skip(1));
        neighbors
            .filter(|(before, after)| before.until < after.from)
            .map(|(before, after)| RestoreGap {
                from: before.until,
                until: after.from,
            })
            .collect()
    }

    pub(in crate::app) fn earliest(&self) -> Option<OffsetDateTime> {
        self.stretches.first().map(|stretch| stretch.from)
    }

    pub(in crate::app) fn latest(&self) -> Option<OffsetDateTime> {
        self.stretches.last().map(|stretch| stretch.until)
    }

    /// Bytes of WAL that are not archived.
    fn lag_bytes(&self) -> Option<u64> {
        Some(self.flushed_lsn?.0.saturating_sub(self.archived_lsn?.0))
    }

    /// The target as the node is told it.
    pub(super) fn admit(&self, target: RestoreTarget) -> Result<RestoreTarget, AppError> {
        let (Some(earliest), Some(latest)) = (self.earliest(), self.latest()) else {
            return Err(AppError::rejected(
                ProblemType::RestoreTarget,
                "The database has no complete backup yet; there is nothing to restore.",
            ));
        };
        match target {
            RestoreTarget::Time(at) => self.admit_time(at, earliest, latest),
            RestoreTarget::Lsn(lsn) => self.admit_lsn(lsn),
            other => Ok(other),
        }
    }

    fn admit_time(
        &self,
        at: OffsetDateTime,
        earliest: OffsetDateTime,
        latest: OffsetDateTime,
    ) -> Result<RestoreTarget, AppError> {
        if at < earliest {
            let earliest = told(earliest);
            let text = format!("is before {earliest}, the earliest moment to restore to");
            return Err(outside("time", text));
        }
        if at > latest {
            let latest = told(latest);
            let text = format!("is after {latest}, the latest moment to restore to");
            return Err(outside("time", text));
        }
        if let Some(gap) = self
            .gaps()
            .iter()
            .find(|gap| gap.from < at && at < gap.until)
        {
            let (from, until) = (told(gap.from), told(gap.until));
            let text = format!("lies between {from} and {until}, of which nothing is archived");
            return Err(outside("time", text));
        }
        // Nothing was written since: no record of that moment would ever come.
        if self.archived_until.is_some_and(|until| at > until) {
            return Ok(RestoreTarget::Latest);
        }
        Ok(RestoreTarget::Time(at))
    }

    /// A restore point that was made at this moment.
    pub(super) fn admit_point(&self, made_at: OffsetDateTime) -> Result<(), AppError> {
        let inside = |stretch: &Stretch| stretch.from <= made_at && made_at <= stretch.until;
        if self.stretches.iter().any(inside) {
            return Ok(());
        }
        let made_at = told(made_at);
        let text = format!("was made at {made_at}, which cannot be restored to");
        Err(outside("restore_point", text))
    }

    fn admit_lsn(&self, lsn: Lsn) -> Result<RestoreTarget, AppError> {
        if let Some(first) = self.first_lsn.filter(|first| lsn < *first) {
            let text = format!("is before {first}, the earliest position to restore to");
            return Err(outside("lsn", text));
        }
        if let Some(last) = self.archived_lsn.filter(|last| lsn > *last) {
            let text = format!("is after {last}, the latest position that is archived");
            return Err(outside("lsn", text));
        }
        Ok(RestoreTarget::Lsn(lsn))
    }
}

fn told(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}

pub(super) fn outside(field: &str, message: impl Into<String>) -> AppError {
    AppError::field_of(ProblemType::RestoreTarget, field, message)
}

/// The archive that a database writes.
pub(in crate::app) async fn archive_of(
    tx: &mut TenantTx,
    database: DatabaseId,
) -> Result<ArchiveRow, AppError> {
    let organization = tx.organization();
    archive::of_database(&mut EitherTx::Tenant(tx), organization, database)
        .await?
        .ok_or_else(|| {
            AppError::rejected(ProblemType::Conflict, "This database is not archived yet.")
        })
}

pub async fn restore_window_get(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
) -> Result<RestoreWindow, AppError> {
    let (mut tx, row) = database::reading_past(platform, caller, id).await?;
    let archive = archive_of(&mut tx, id).await?;
    tx.commit().await?;
    let now = platform.clock.now();
    let reach = Reach::of(&archive, row.at_rest_until(now), now);
    let lag_bytes = reach.lag_bytes();
    let behind = archive
        .observed_at
        .zip(archive.archived_until)
        .map(|(observed, until)| (observed - until).whole_milliseconds());
    let lag_ms = match lag_bytes {
        Some(0) => Some(0),
        _ => behind.map(|behind| u64::try_from(behind).unwrap_or_default()),
    };
    let unsigned = |number: i32| u32::try_from(number).unwrap_or_default();
    let is_empty = reach.stretches.is_empty();
    let lsn = |lsn: Option<Lsn>| lsn.filter(|_| !is_empty).map(|lsn| lsn.to_string());
    Ok(RestoreWindow {
        earliest: reach.earliest(),
        latest: reach.latest(),
        earliest_lsn: lsn(reach.first_lsn),
        latest_lsn: lsn(reach.archived_lsn),
        gaps: reach.gaps(),
        window_days: unsigned(archive.restore_window_days),
        lag_ms_max: unsigned(archive.archive_lag_ms),
        lag_ms,
        lag_bytes,
        is_stuck: row.deleted_at.is_none() && archive.error.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::archive::RestoreWindow as Told;
    use lumadb_contract::id::{ArchiveId, OrganizationId};
    use sqlx::types::Json;
    use time::macros::datetime;
    use uuid::Uuid;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn stretch(from_hours: i64, until_hours: Option<i64>, from_lsn: u64) -> Told {
        Told {
            from: NOW - Duration::hours(from_hours),
            until: until_hours.map(|hours| NOW - Duration::hours(hours)),
            from_lsn: Lsn(from_lsn),
            timeline: 1,
        }
    }

    fn archive(windows: Vec<Told>) -> ArchiveRow {
        ArchiveRow {
            id: ArchiveId::from_uuid(Uuid::from_u128(1)),
            organization_id: OrganizationId::from_uuid(Uuid::from_u128(2)),
            database_id: DatabaseId::from_uuid(Uuid::from_u128(3)),
            wrapped_key: String::new(),
            master_key: String::new(),
            organization_key: String::new(),
            backup_due_at: NOW,
            archived_lsn: Some("0/5000".into()),
            flushed_lsn: Some("0/5000".into()),
            archived_until: Some(NOW - Duration::minutes(1)),
            windows: Json(windows),
            error: None,
            observed_at: Some(NOW),
            restore_window_days: 1,
            archive_lag_ms: 10_000,
            backup_interval_hours: 24,
            full_backup_interval_hours: 168,
        }
    }

    fn fault(result: Result<RestoreTarget, AppError>) -> (String, String) {
        match result {
            Err(AppError::Rejected {
                problem: ProblemType::RestoreTarget,
                errors,
                detail,
                ..
            }) => {
                let field = errors.first().map(|error| error.field.clone());
                (field.unwrap_or_default(), detail)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn moments_inside_are_admitted_and_others_are_told_what_is_wrong() {
        let row = archive(vec![
            stretch(20, Some(10), 0x1000),
            stretch(8, None, 0x3000),
        ]);
        let reach = Reach::of(&row, None, NOW);
        let at = |hours| RestoreTarget::Time(NOW - Duration::hours(hours));
        for hours in [20, 15, 10, 8, 1] {
            assert_eq!(reach.admit(at(hours)).expect("inside"), at(hours));
        }
        assert!(fault(reach.admit(at(21))).1.contains("is before"));
        assert!(fault(reach.admit(at(9))).1.contains("nothing is archived"));
        assert_eq!(fault(reach.admit(at(0))).0, "time");
        let lsn = |at| RestoreTarget::Lsn(Lsn(at));
        assert_eq!(reach.admit(lsn(0x5000)).expect("inside"), lsn(0x5000));
        assert_eq!(fault(reach.admit(lsn(0x5001))).0, "lsn");
        assert_eq!(fault(reach.admit(lsn(0xFFF))).0, "lsn");
        assert!(reach.admit(RestoreTarget::Latest).is_ok());
    }

    #[test]
    fn the_plan_cuts_the_window_and_without_a_backup_there_is_none() {
        let reach = Reach::of(&archive(vec![stretch(100, None, 1)]), None, NOW);
        assert_eq!(reach.earliest(), Some(NOW - Duration::days(1)));
        assert!(reach.gaps().is_empty());
        let reach = Reach::of(&archive(Vec::new()), Some(NOW), NOW);
        assert_eq!((reach.earliest(), reach.latest()), (None, None));
        assert!(
            fault(reach.admit(RestoreTarget::Latest))
                .1
                .contains("no complete backup")
        );
    }

    #[test]
    fn a_database_at_rest_is_now_as_it_was_when_it_was_archived() {
        let mut row = archive(vec![stretch(5, None, 1)]);
        let now = RestoreTarget::Time(NOW);
        let reach = Reach::of(&row, Some(NOW), NOW);
        assert_eq!(reach.latest(), Some(NOW));
        assert_eq!(
            reach.admit(now.clone()).expect("inside"),
            RestoreTarget::Latest
        );
        // A backup that was complete a moment before its database went away is there to restore.
        let mut late = row.clone();
        late.archived_until = Some(NOW - Duration::hours(6));
        late.flushed_lsn = Some("0/6000".into());
        let reach = Reach::of(&late, Some(NOW - Duration::hours(4)), NOW);
        assert_eq!(reach.latest(), Some(NOW - Duration::hours(5)));
        // So is the first of one of which nothing else was heard before.
        late.archived_until = None;
        let reach = Reach::of(&late, Some(NOW - Duration::hours(4)), NOW);
        assert_eq!(reach.latest(), Some(NOW - Duration::hours(5)));
        assert!(reach.admit(RestoreTarget::Latest).is_ok());
        // One that was deleted is not any more.
        let deleted_at = NOW - Duration::hours(2);
        let reach = Reach::of(&row, Some(deleted_at), NOW);
        assert_eq!(reach.latest(), Some(deleted_at));
        assert_eq!(fault(reach.admit(now.clone())).0, "time");
        let reach = Reach::of(&row, Some(deleted_at), deleted_at + Duration::days(1));
        assert_eq!(reach.latest(), Some(deleted_at), "to its last moment");
        let reach = Reach::of(&row, Some(deleted_at), NOW + Duration::days(1));
        assert_eq!(reach.latest(), None, "its time is over");
        row.archived_lsn = Some("0/4000".into());
        assert_eq!(fault(Reach::of(&row, Some(NOW), NOW).admit(now)).0, "time");
    }
}
