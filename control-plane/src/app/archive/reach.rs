//! How far into a database's past its archive reaches, and whether that is far enough. Pure.

use super::window::RestoreGap;
use crate::app::{AppError, ProblemType};
use crate::store::archive::ArchiveRow;
use lumadb_contract::archive::{Lsn, RestoreTarget};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// A position that lies further ahead than what was last heard of cannot have been written since,
/// bytes: more than a minute of the fastest disk.
const LSN_AHEAD_MAX: u64 = 1 << 38;

/// A stretch of time without a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    from: OffsetDateTime,
    until: OffsetDateTime,
}

/// What of an archive can be restored at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(super) stretches: Vec<Stretch>,
    /// Whether the last of them grows.
    is_open: bool,
    /// What was committed before it is archived.
    archived_until: Option<OffsetDateTime>,
    pub(super) first_lsn: Option<Lsn>,
    pub(super) archived_lsn: Option<Lsn>,
    flushed_lsn: Option<Lsn>,
}

/// Whether an archive reaches what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admitted {
    /// As the node is told it.
    Now(RestoreTarget),
    /// It is on its way to the archive, and waited for.
    Soon(RestoreTarget),
}

/// A moment at which a target is looked at, and whether its database goes on writing its archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    pub(super) now: OffsetDateTime,
    pub(super) goes_on: bool,
}

/// Moment before which the plan keeps nothing.
pub(crate) fn cutoff(archive: &ArchiveRow, now: OffsetDateTime) -> OffsetDateTime {
    now - Duration::days(i64::from(archive.restore_window_days))
}

impl Reach {
    /// `at_rest_until`: until then nothing ran that could have written since the node spoke last, so
    /// that the database was as it was then.
    pub(crate) fn of(
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
            is_open: windows.last().is_some_and(|window| window.until.is_none()),
            archived_until: archive.archived_until,
            first_lsn: windows.iter().map(|window| window.from_lsn).min(),
            archived_lsn,
            flushed_lsn,
        }
    }

    pub(super) fn gaps(&self) -> Vec<RestoreGap> {
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
    pub(super) fn lag_bytes(&self) -> Option<u64> {
        Some(self.flushed_lsn?.0.saturating_sub(self.archived_lsn?.0))
    }

    /// Whether a target can be restored to now, or soon. For a restore point it is its moment that
    /// counts: [`Self::admit_point`].
    pub(super) fn admit(
        &self,
        target: RestoreTarget,
        asking: Asking,
    ) -> Result<Admitted, AppError> {
        let (Some(earliest), Some(latest)) = (self.earliest(), self.latest()) else {
            return Err(AppError::rejected(
                ProblemType::RestoreTarget,
                "The database has no complete backup yet; there is nothing to restore.",
            ));
        };
        match target {
            RestoreTarget::Time(at) => self.admit_time(at, earliest, latest, asking),
            RestoreTarget::Lsn(lsn) => self.admit_lsn(lsn, asking),
            RestoreTarget::Latest | RestoreTarget::Transaction(_)
                if latest < asking.now && self.catches_up(asking) =>
            {
                Ok(Admitted::Soon(target))
            }
            other => Ok(Admitted::Now(other)),
        }
    }

    /// Whether what is committed now will be in the archive without a hole before it.
    fn catches_up(&self, asking: Asking) -> bool {
        asking.goes_on && self.is_open
    }

    fn admit_time(
        &self,
        at: OffsetDateTime,
        earliest: OffsetDateTime,
        latest: OffsetDateTime,
        asking: Asking,
    ) -> Result<Admitted, AppError> {
        if at < earliest {
            let earliest = told(earliest);
            let text = format!("is before {earliest}, the earliest moment to restore to");
            return Err(outside("time", text));
        }
        if at > latest && at <= asking.now && self.catches_up(asking) {
            return Ok(Admitted::Soon(RestoreTarget::Time(at)));
        }
        if at > latest {
            if at > asking.now {
                return Err(outside("time", "lies in the future"));
            }
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
        Ok(Admitted::Now(self.at_time(at)))
    }

    /// A moment that is archived, as the node is told it.
    fn at_time(&self, at: OffsetDateTime) -> RestoreTarget {
        // Nothing was written since: no record of that moment would ever come.
        if self.archived_until.is_some_and(|until| at > until) {
            return RestoreTarget::Latest;
        }
        RestoreTarget::Time(at)
    }

    /// A restore point that was made at this moment; `None`: that is still to be done.
    pub(super) fn admit_point(
        &self,
        name: String,
        made_at: Option<OffsetDateTime>,
        asking: Asking,
    ) -> Result<Admitted, AppError> {
        let target = RestoreTarget::Name(name);
        let is_ahead = made_at.is_none_or(|made_at| self.latest().is_none_or(|at| made_at > at));
        if is_ahead && self.catches_up(asking) {
            return Ok(Admitted::Soon(target));
        }
        let Some(made_at) = made_at else {
            return Err(outside("restore_point", "has not been made yet"));
        };
        let inside = |stretch: &Stretch| stretch.from <= made_at && made_at <= stretch.until;
        if self.stretches.iter().any(inside) {
            return Ok(Admitted::Now(target));
        }
        let made_at = told(made_at);
        let text = format!("was made at {made_at}, which cannot be restored to");
        Err(outside("restore_point", text))
    }

    fn admit_lsn(&self, lsn: Lsn, asking: Asking) -> Result<Admitted, AppError> {
        if let Some(first) = self.first_lsn.filter(|first| lsn < *first) {
            let text = format!("is before {first}, the earliest position to restore to");
            return Err(outside("lsn", text));
        }
        let target = RestoreTarget::Lsn(lsn);
        if let Some(last) = self.archived_lsn.filter(|last| lsn > *last) {
            let written = self.flushed_lsn.unwrap_or(last).max(last);
            if self.catches_up(asking) && lsn.0.saturating_sub(written.0) <= LSN_AHEAD_MAX {
                return Ok(Admitted::Soon(target));
            }
            let text = format!("is after {last}, the latest position that is archived");
            return Err(outside("lsn", text));
        }
        Ok(Admitted::Now(target))
    }

    /// What was waited for since `asked_at`, as the node is told it; `None` until the archive reaches
    /// it. `Latest` and a transaction name no moment: they wait for all that was committed by then, and
    /// only while the archive `catches_up`. What turns out not to be there, such as a position that was
    /// never written, is the node's to refuse. `point_made_at`: of a restore point, once it is made.
    pub(crate) fn arrived(
        &self,
        target: &RestoreTarget,
        asked_at: OffsetDateTime,
        point_made_at: Option<OffsetDateTime>,
        catches_up: bool,
    ) -> Option<RestoreTarget> {
        let needed = match target {
            RestoreTarget::Time(at) => *at,
            RestoreTarget::Name(_) => point_made_at?,
            RestoreTarget::Lsn(lsn) if self.archived_lsn >= Some(*lsn) => {
                return Some(target.clone());
            }
            RestoreTarget::Latest | RestoreTarget::Transaction(_) if !catches_up => {
                return Some(target.clone());
            }
            // All that was written until then.
            RestoreTarget::Lsn(_) | RestoreTarget::Latest | RestoreTarget::Transaction(_) => {
                asked_at
            }
        };
        (self.latest()? >= needed).then(|| match target {
            RestoreTarget::Time(at) => self.at_time(*at),
            other => other.clone(),
        })
    }
}

fn told(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}

pub(super) fn outside(field: &str, message: impl Into<String>) -> AppError {
    AppError::field_of(ProblemType::RestoreTarget, field, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::archive::RestoreWindow as Told;
    use lumadb_contract::id::{ArchiveId, DatabaseId, OrganizationId};
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

    const RUNS: Asking = Asking {
        now: NOW,
        goes_on: true,
    };
    const RESTS: Asking = Asking {
        now: NOW,
        goes_on: false,
    };

    fn fault(result: Result<Admitted, AppError>) -> (String, String) {
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
            let admitted = reach.admit(at(hours), RUNS).expect("inside");
            assert_eq!(admitted, Admitted::Now(at(hours)));
        }
        assert!(fault(reach.admit(at(21), RUNS)).1.contains("is before"));
        let gap = fault(reach.admit(at(9), RUNS));
        assert!(gap.1.contains("nothing is archived"));
        assert_eq!(fault(reach.admit(at(0), RESTS)).0, "time");
        let lsn = |at| RestoreTarget::Lsn(Lsn(at));
        let inside = reach.admit(lsn(0x5000), RESTS).expect("inside");
        assert_eq!(inside, Admitted::Now(lsn(0x5000)));
        assert_eq!(fault(reach.admit(lsn(0x5001), RESTS)).0, "lsn");
        assert_eq!(fault(reach.admit(lsn(0xFFF), RUNS)).0, "lsn");
        assert!(reach.admit(RestoreTarget::Latest, RESTS).is_ok());
    }

    #[test]
    fn what_was_written_just_now_is_waited_for_where_the_archive_goes_on() {
        let reach = Reach::of(&archive(vec![stretch(8, None, 1)]), None, NOW);
        let just_now = RestoreTarget::Time(NOW - Duration::seconds(2));
        let soon = Admitted::Soon(just_now.clone());
        assert_eq!(reach.admit(just_now.clone(), RUNS).expect("soon"), soon);
        let future = RestoreTarget::Time(NOW + Duration::seconds(1));
        assert_eq!(
            fault(reach.admit(future, RUNS)).1,
            "time: lies in the future"
        );
        let lsn = |at| RestoreTarget::Lsn(Lsn(at));
        let ahead = reach.admit(lsn(0x6000), RUNS).expect("soon");
        assert_eq!(ahead, Admitted::Soon(lsn(0x6000)));
        assert_eq!(fault(reach.admit(lsn(0xFF << 32), RUNS)).0, "lsn");
        let point = |made_at, asking| reach.admit_point("deploy".into(), made_at, asking);
        let name = RestoreTarget::Name("deploy".into());
        for made_at in [None, Some(NOW)] {
            let ahead = point(made_at, RUNS).expect("soon");
            assert_eq!(ahead, Admitted::Soon(name.clone()));
            assert_eq!(fault(point(made_at, RESTS)).0, "restore_point");
        }
        let inside = point(Some(NOW - Duration::hours(1)), RUNS).expect("inside");
        assert_eq!(inside, Admitted::Now(name));
        for open in [RestoreTarget::Latest, RestoreTarget::Transaction(7)] {
            let ahead = reach.admit(open.clone(), RUNS).expect("soon");
            assert_eq!(ahead, Admitted::Soon(open.clone()));
            let inside = reach.admit(open.clone(), RESTS).expect("inside");
            assert_eq!(inside, Admitted::Now(open));
        }
        // Behind a hole nothing is restored before there is another backup.
        let holed = Reach::of(&archive(vec![stretch(8, Some(1), 1)]), None, NOW);
        assert_eq!(fault(holed.admit(just_now, RUNS)).0, "time");
    }

    #[test]
    fn what_is_waited_for_has_arrived_when_the_archive_covers_it() {
        let asked_at = NOW - Duration::seconds(10);
        let until = |seconds| {
            let mut row = archive(vec![stretch(8, None, 1)]);
            row.archived_until = Some(asked_at + Duration::seconds(seconds));
            row
        };
        let arrived = |row: &ArchiveRow, rests, target: &RestoreTarget, point| {
            Reach::of(row, rests, NOW).arrived(target, asked_at, point, true)
        };
        let time = RestoreTarget::Time(asked_at - Duration::seconds(2));
        assert_eq!(arrived(&until(-3), None, &time, None), None);
        assert_eq!(arrived(&until(-2), None, &time, None), Some(time.clone()));
        // It fell asleep, and nothing was written since.
        let rests = Some(NOW);
        let latest = Some(RestoreTarget::Latest);
        assert_eq!(arrived(&until(-3), rests, &time, None), latest);
        let lsn = |at| RestoreTarget::Lsn(Lsn(at));
        assert_eq!(
            arrived(&until(-3), None, &lsn(0x5000), None),
            Some(lsn(0x5000))
        );
        assert_eq!(arrived(&until(-3), None, &lsn(0x6000), None), None);
        // It was never written: its node says so.
        assert_eq!(
            arrived(&until(0), None, &lsn(0x6000), None),
            Some(lsn(0x6000))
        );
        for open in [RestoreTarget::Latest, RestoreTarget::Transaction(7)] {
            assert_eq!(arrived(&until(-1), None, &open, None), None);
            let caught_up = arrived(&until(0), None, &open, None);
            assert_eq!(caught_up, Some(open.clone()));
            let reach = Reach::of(&until(-1), None, NOW);
            let given_up = reach.arrived(&open, asked_at, None, false);
            assert_eq!(given_up, Some(open));
        }
        let reach = Reach::of(&until(-3), None, NOW);
        assert_eq!(reach.arrived(&time, asked_at, None, false), None);
        let name = RestoreTarget::Name("deploy".into());
        assert_eq!(arrived(&until(0), None, &name, None), None);
        assert_eq!(arrived(&until(-3), None, &name, Some(asked_at)), None);
        let made = arrived(&until(0), None, &name, Some(asked_at));
        assert_eq!(made, Some(name));
    }

    #[test]
    fn the_plan_cuts_the_window_and_without_a_backup_there_is_none() {
        let reach = Reach::of(&archive(vec![stretch(100, None, 1)]), None, NOW);
        assert_eq!(reach.earliest(), Some(NOW - Duration::days(1)));
        assert!(reach.gaps().is_empty());
        let reach = Reach::of(&archive(Vec::new()), Some(NOW), NOW);
        assert_eq!((reach.earliest(), reach.latest()), (None, None));
        assert!(
            fault(reach.admit(RestoreTarget::Latest, RUNS))
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
            reach.admit(now.clone(), RESTS).expect("inside"),
            Admitted::Now(RestoreTarget::Latest)
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
        assert!(reach.admit(RestoreTarget::Latest, RESTS).is_ok());
        // One that was deleted is not any more.
        let deleted_at = NOW - Duration::hours(2);
        let reach = Reach::of(&row, Some(deleted_at), NOW);
        assert_eq!(reach.latest(), Some(deleted_at));
        assert_eq!(fault(reach.admit(now.clone(), RESTS)).0, "time");
        let reach = Reach::of(&row, Some(deleted_at), deleted_at + Duration::days(1));
        assert_eq!(reach.latest(), Some(deleted_at), "to its last moment");
        let reach = Reach::of(&row, Some(deleted_at), NOW + Duration::days(1));
        assert_eq!(reach.latest(), None, "its time is over");
        row.archived_lsn = Some("0/4000".into());
        let reach = Reach::of(&row, Some(NOW), NOW);
        assert_eq!(fault(reach.admit(now, RESTS)).0, "time");
    }
}
