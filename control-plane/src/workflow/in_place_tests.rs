use super::*;
use crate::app::state::OperationKind;
use crate::workflow::steps::initial;
use lumadb_contract::id::{DatabaseId, OrganizationId};
use time::macros::datetime;
use uuid::Uuid;

const NOW: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);

fn side(number: u128, desired: Desired, observed: Observed) -> Side {
    let id = DatabaseId::from_uuid(Uuid::from_u128(number));
    Side {
        id,
        instance_id: id,
        generation: 3,
        desired,
        observed,
        observed_generation: 3,
        durability: Durability::Local,
        is_held: false,
        is_claimed: false,
    }
}

/// One whose content is there, and whose database serves.
fn prepared() -> OpenInPlace {
    OpenInPlace {
        operation_id: OperationId::from_uuid(Uuid::from_u128(7)),
        organization_id: OrganizationId::from_uuid(Uuid::from_u128(8)),
        phase: InPlacePhase::Preparing,
        is_made: true,
        stopping_since: None,
        database: side(1, Desired::Running, Observed::Running),
        kept: side(2, Desired::Running, Observed::Running),
        restore: Some(RestorePhase::Done),
        refusal: None,
        is_backed_up: false,
        kind: OperationKind::DatabaseRestoreInPlace,
        state: OperationState::Running,
        steps: initial(OperationKind::DatabaseRestoreInPlace, NOW),
        started_at: None,
        deadline_at: NOW + Duration::days(2),
    }
}

/// One of which both databases are at rest.
fn stopped() -> OpenInPlace {
    OpenInPlace {
        phase: InPlacePhase::Stopping,
        stopping_since: Some(NOW),
        database: side(1, Desired::Asleep, Observed::Asleep),
        kept: side(2, Desired::Asleep, Observed::Asleep),
        ..prepared()
    }
}

fn abandons(open: &OpenInPlace, now: OffsetDateTime) -> bool {
    matches!(next(open, now), Next::Abandon(_))
}

#[test]
fn nobody_is_cut_off_before_what_takes_the_place_is_there() {
    assert_eq!(next(&prepared(), NOW), Next::Stop);
    for phase in [
        None,
        Some(RestorePhase::Pending),
        Some(RestorePhase::Fetching),
        Some(RestorePhase::Replaying),
    ] {
        let mut open = prepared();
        open.restore = phase;
        assert_eq!(next(&open, NOW), Next::Wait, "{phase:?}");
    }
    let mut open = prepared();
    open.kept.observed = Observed::Failed;
    assert_eq!(next(&open, NOW), Next::Wait);
    // It may have fallen asleep since.
    open.kept.observed = Observed::Asleep;
    assert_eq!(next(&open, NOW), Next::Stop);
}

#[test]
fn where_commits_wait_for_the_archive_its_first_backup_comes_before_the_cut_over() {
    let mut open = prepared();
    open.database.durability = Durability::S3;
    assert_eq!(next(&open, NOW), Next::Wait);
    open.is_backed_up = true;
    assert_eq!(next(&open, NOW), Next::Stop);
}

#[test]
fn going_back_restores_nothing_first() {
    let mut open = prepared();
    open.is_made = false;
    // Of how the kept one came to be, long ago.
    for restore in [None, Some(RestorePhase::Refused)] {
        open.restore = restore;
        assert_eq!(next(&open, NOW), Next::Stop);
    }
}

#[test]
fn they_change_places_when_both_are_at_rest_and_nobody_looks_at_them() {
    assert_eq!(next(&stopped(), NOW), Next::Exchange);
    for of_kept in [false, true] {
        let waits = |spoil: &dyn Fn(&mut Side)| {
            let mut open = stopped();
            spoil(if of_kept {
                &mut open.kept
            } else {
                &mut open.database
            });
            assert_eq!(next(&open, NOW), Next::Wait);
        };
        waits(&|side| side.observed = Observed::Running);
        waits(&|side| side.observed = Observed::Pending);
        // What was seen is from before it was asked to stop.
        waits(&|side| side.observed_generation = 2);
        waits(&|side| side.is_claimed = true);
        waits(&|side| side.is_held = true);
        waits(&|side| side.desired = Desired::Suspended);
    }
}

#[test]
fn what_cannot_be_done_is_given_up_and_says_why() {
    let mut refused = prepared();
    refused.restore = Some(RestorePhase::Refused);
    refused.refusal = Some("The transaction 7 is not in the archive.".into());
    assert_eq!(
        next(&refused, NOW),
        Next::Abandon("The transaction 7 is not in the archive.".into())
    );
    let mut slow = prepared();
    slow.restore = Some(RestorePhase::Fetching);
    assert!(!abandons(&slow, slow.deadline_at - Duration::SECOND));
    assert!(abandons(&slow, slow.deadline_at));
    let mut stuck = stopped();
    stuck.database.observed = Observed::Running;
    assert!(!abandons(&stuck, NOW + STOP_LIMIT));
    assert!(abandons(&stuck, NOW + STOP_LIMIT + Duration::SECOND));
    // The deadline of a restore does not break off what has begun to stop.
    let mut late = stopped();
    late.deadline_at = NOW - Duration::SECOND;
    assert_eq!(next(&late, NOW), Next::Exchange);
    for open in [prepared(), stopped()] {
        let mut open = open;
        open.kept.desired = Desired::Deleted;
        assert!(abandons(&open, NOW));
    }
}

#[test]
fn a_held_database_is_waited_for() {
    let mut open = prepared();
    open.database.is_held = true;
    open.database.desired = Desired::Suspended;
    assert_eq!(next(&open, NOW), Next::Wait);
}
