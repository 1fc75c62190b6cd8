//! Which kind of backup is made next. Pure.

use crate::app::state::{BackupKind, BackupState};
use crate::store::backup::EndedBackup;
use time::{Duration, OffsetDateTime};

/// Backups that one is built on at most, itself among them: a restore fetches all of them.
const CHAIN_MAX: usize = 14;

/// How often backups are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rhythm {
    pub(super) every: Duration,
    pub(super) full_every: Duration,
}

/// Incremental, unless there is nothing sound to build on, the chain is too long or too old, or the
/// last one failed. `has_hole`: WAL is missing, so that only a backup of everything is to be trusted.
pub(super) fn kind_next(
    ended: &[EndedBackup],
    has_hole: bool,
    rhythm: Rhythm,
    now: OffsetDateTime,
) -> BackupKind {
    let newest = ended.iter().max_by_key(|backup| backup.requested_at);
    let Some(newest) = newest.filter(|newest| newest.state == BackupState::Complete && !has_hole)
    else {
        return BackupKind::Full;
    };
    let Some((length, full)) = chain(ended, newest) else {
        return BackupKind::Full;
    };
    // The one that is nearest to its time: later ones would drift further with each week.
    let is_old = now - full.requested_at >= rhythm.full_every - rhythm.every / 2;
    if is_old || length >= CHAIN_MAX {
        BackupKind::Full
    } else {
        BackupKind::Incremental
    }
}

/// How many backups one is built on, itself among them, and the full one at the beginning. `None`:
/// something is missing.
fn chain<'a>(ended: &'a [EndedBackup], last: &'a EndedBackup) -> Option<(usize, &'a EndedBackup)> {
    let mut length = 1;
    let mut at = last;
    while let Some(parent) = at.parent_id {
        at = ended
            .iter()
            .find(|backup| backup.id == parent && backup.state == BackupState::Complete)?;
        length += 1;
        if length > ended.len() {
            return None;
        }
    }
    Some((length, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::id::BackupId;
    use uuid::Uuid;

    const DAILY: Rhythm = Rhythm {
        every: Duration::DAY,
        full_every: Duration::WEEK,
    };

    fn id(number: u32) -> BackupId {
        BackupId::from_uuid(Uuid::from_u128(number.into()))
    }

    fn day(number: u32) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::DAY * number
    }

    /// Of that day, built on the one of another day.
    fn made(number: u32, parent: Option<u32>) -> EndedBackup {
        EndedBackup {
            id: id(number),
            state: BackupState::Complete,
            requested_at: day(number),
            parent_id: parent.map(id),
        }
    }

    #[test]
    fn a_full_one_a_week_and_incremental_ones_between() {
        let mut ended = Vec::new();
        let mut kinds = String::new();
        let mut late = Duration::ZERO;
        for number in 0..22 {
            // Each is asked for a little later than the one before.
            late += Duration::minutes(3);
            let kind = kind_next(&ended, false, DAILY, day(number) + late);
            let parent = (kind == BackupKind::Incremental).then(|| number - 1);
            kinds.push(if parent.is_none() { 'F' } else { 'i' });
            let mut backup = made(number, parent);
            backup.requested_at += late;
            ended.push(backup);
        }
        assert_eq!(kinds, "FiiiiiiFiiiiiiFiiiiiiF");
    }

    #[test]
    fn a_plan_with_a_window_of_a_day_has_full_ones_alone() {
        let rhythm = Rhythm {
            full_every: Duration::DAY,
            ..DAILY
        };
        let kind = kind_next(&[made(1, None)], false, rhythm, day(2));
        assert_eq!(kind, BackupKind::Full);
    }

    #[test]
    fn without_something_sound_to_build_on_it_is_a_full_one() {
        let next = |ended: &[EndedBackup], has_hole| kind_next(ended, has_hole, DAILY, day(4));
        let sound = [made(1, None), made(2, Some(1)), made(3, Some(2))];
        assert_eq!(next(&sound, false), BackupKind::Incremental);
        assert_eq!(next(&sound, true), BackupKind::Full);
        assert_eq!(next(&[], false), BackupKind::Full);
        assert_eq!(
            next(&sound[1..], false),
            BackupKind::Full,
            "a parent is gone"
        );
        let mut failed = sound;
        failed[2].state = BackupState::Failed;
        assert_eq!(next(&failed, false), BackupKind::Full);
        let round = [made(1, Some(2)), made(2, Some(1))];
        assert_eq!(next(&round, false), BackupKind::Full, "no end");
        let rhythm = Rhythm {
            every: Duration::HOUR,
            ..DAILY
        };
        let mut long = vec![made(0, None)];
        for number in 1..14 {
            let mut backup = made(number, Some(number - 1));
            backup.requested_at = day(0) + Duration::HOUR * number;
            long.push(backup);
        }
        let soon = day(0) + Duration::HOUR * 14;
        assert_eq!(kind_next(&long, false, rhythm, soon), BackupKind::Full);
        long.pop();
        assert_eq!(
            kind_next(&long, false, rhythm, soon),
            BackupKind::Incremental
        );
    }
}
