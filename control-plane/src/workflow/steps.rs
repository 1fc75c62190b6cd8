//! Steps of an operation as the console shows them: derived from what was observed, never a
//! program of their own.

use crate::app::state::{
    InPlacePhase, OperationKind, OperationState, RestorePhase, Step, StepState,
};
use time::OffsetDateTime;

/// Names of the steps, in order. The first is done in the transaction that makes the operation.
const fn names(kind: OperationKind) -> &'static [&'static str] {
    match kind {
        OperationKind::DatabaseCreate => &[
            "Reserve an address",
            "Start the engine",
            "Create role and database",
            "Accept connections",
        ],
        OperationKind::DatabaseRestore => &[
            "Reserve an address",
            "Fetch the backup",
            "Replay the changes",
            "Accept connections",
        ],
        OperationKind::DatabaseRestoreInPlace => &[
            "Reserve an address for what is kept",
            "Fetch the backup",
            "Replay the changes",
            "Cut connections and change places",
            "Accept connections",
        ],
        OperationKind::DatabaseRecover => &[
            "Find that the data is lost",
            "Fetch the backup",
            "Replay the changes",
            "Accept connections",
        ],
        OperationKind::DatabaseGoBack => &[
            "Find what was kept",
            "Cut connections and change places",
            "Accept connections",
        ],
        OperationKind::DatabaseUpdate => &["Save the settings", "Bring them into force"],
        OperationKind::DatabaseResize => &["Save the size", "Restart with it"],
        OperationKind::DatabaseSuspend => &["Refuse new connections", "Stop the engine"],
        OperationKind::DatabaseResume => &["Reserve compute", "Start the engine"],
        OperationKind::DatabaseDelete => &["Refuse new connections", "Remove the data"],
        OperationKind::RoleCreate => &["Save the role", "Create it in the engine"],
        OperationKind::RoleRotatePassword => &["Save the password", "Set it in the engine"],
        OperationKind::RoleDelete => &["Forget the role", "Drop it from the engine"],
        OperationKind::LogicalDatabaseCreate => &["Save the name", "Create it in the engine"],
        OperationKind::LogicalDatabaseDelete => &["Forget the name", "Drop it from the engine"],
    }
}

/// Steps of a new operation: the first is done.
pub fn initial(kind: OperationKind, now: OffsetDateTime) -> Vec<Step> {
    names(kind)
        .iter()
        .enumerate()
        .map(|(index, name)| Step {
            name: (*name).to_owned(),
            state: if index == 0 {
                StepState::Succeeded
            } else {
                StepState::Pending
            },
            started_at: (index == 0).then_some(now),
            ended_at: (index == 0).then_some(now),
        })
        .collect()
}

/// What was seen of an instance on its way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reached {
    /// The engine has said its version.
    pub(super) engine_known: bool,
    pub(super) restore: Option<RestorePhase>,
    /// Of a restore in place.
    pub(super) in_place: Option<InPlacePhase>,
}

/// Steps that are done while the operation runs.
const fn done(kind: OperationKind, reached: Reached) -> usize {
    use OperationKind::{
        DatabaseCreate, DatabaseGoBack, DatabaseRecover, DatabaseRestore, DatabaseRestoreInPlace,
    };
    let has_exchanged = matches!(reached.in_place, Some(InPlacePhase::Done));
    match (kind, reached.restore) {
        (DatabaseRestoreInPlace, _) if has_exchanged => 4,
        (DatabaseRestore | DatabaseRestoreInPlace | DatabaseRecover, Some(RestorePhase::Done)) => 3,
        (
            DatabaseRestore | DatabaseRestoreInPlace | DatabaseRecover,
            Some(RestorePhase::Replaying),
        ) => 2,
        (DatabaseGoBack, _) if has_exchanged => 2,
        (DatabaseCreate, _) if reached.engine_known => 2,
        _ => 1,
    }
}

/// Moves the steps to where the operation is.
pub(super) fn advance(
    kind: OperationKind,
    before: &[Step],
    state: OperationState,
    reached: Reached,
    now: OffsetDateTime,
) -> Vec<Step> {
    let mut steps = before.to_vec();
    let done = match state {
        OperationState::Succeeded => steps.len(),
        _ => done(kind, reached),
    };
    for (index, step) in steps.iter_mut().enumerate() {
        let to = match state {
            _ if index < done => StepState::Succeeded,
            OperationState::Failed if index == done => StepState::Failed,
            OperationState::Running if index == done => StepState::Running,
            _ => continue,
        };
        // What has ended stays ended, though the engine may have died since.
        if matches!(step.state, StepState::Succeeded | StepState::Failed) {
            continue;
        }
        step.state = to;
        step.started_at = step.started_at.or(Some(now));
        if to != StepState::Running {
            step.ended_at = Some(now);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn states(steps: &[Step]) -> Vec<StepState> {
        steps.iter().map(|step| step.state).collect()
    }

    #[test]
    fn steps_move_forward_only_and_all_end_with_the_operation() {
        use StepState::{Failed, Pending, Running, Succeeded};
        let kind = OperationKind::DatabaseCreate;
        let first = initial(kind, NOW);
        assert_eq!(states(&first), [Succeeded, Pending, Pending, Pending]);
        let (unknown, known) = (
            Reached::default(),
            Reached {
                engine_known: true,
                ..Reached::default()
            },
        );
        let started = advance(kind, &first, OperationState::Running, unknown, NOW);
        assert_eq!(states(&started), [Succeeded, Running, Pending, Pending]);
        let later = advance(kind, &started, OperationState::Running, known, NOW);
        assert_eq!(states(&later), [Succeeded, Succeeded, Running, Pending]);
        let failed = advance(kind, &later, OperationState::Failed, known, NOW);
        assert_eq!(states(&failed), [Succeeded, Succeeded, Failed, Pending]);
        let done = advance(kind, &later, OperationState::Succeeded, known, NOW);
        assert_eq!(states(&done), [Succeeded; 4]);
        assert!(done.iter().all(|step| step.ended_at.is_some()));
    }

    #[test]
    fn a_restore_goes_by_what_its_node_says() {
        use StepState::{Pending, Running, Succeeded};
        let kind = OperationKind::DatabaseRestore;
        let first = initial(kind, NOW);
        let at = |phase| Reached {
            engine_known: true,
            restore: Some(phase),
            in_place: None,
        };
        let go = |phase| {
            states(&advance(
                kind,
                &first,
                OperationState::Running,
                at(phase),
                NOW,
            ))
        };
        let fetching = go(RestorePhase::Fetching);
        assert_eq!(fetching, [Succeeded, Running, Pending, Pending]);
        let replaying = go(RestorePhase::Replaying);
        assert_eq!(replaying, [Succeeded, Succeeded, Running, Pending]);
        let done = go(RestorePhase::Done);
        assert_eq!(done, [Succeeded, Succeeded, Succeeded, Running]);
    }

    #[test]
    fn a_restore_in_place_ends_with_the_loop_that_runs_the_database() {
        use StepState::{Pending, Running, Succeeded};
        let go = |kind, in_place, restore| {
            let reached = Reached {
                engine_known: true,
                restore,
                in_place: Some(in_place),
            };
            let first = initial(kind, NOW);
            let state = OperationState::Running;
            states(&advance(kind, &first, state, reached, NOW))
        };
        let (kind, back) = (
            OperationKind::DatabaseRestoreInPlace,
            OperationKind::DatabaseGoBack,
        );
        let replaying = Some(RestorePhase::Replaying);
        let preparing = go(kind, InPlacePhase::Preparing, replaying);
        assert_eq!(preparing, [Succeeded, Succeeded, Running, Pending, Pending]);
        let stopping = go(kind, InPlacePhase::Stopping, Some(RestorePhase::Done));
        assert_eq!(
            stopping,
            [Succeeded, Succeeded, Succeeded, Running, Pending]
        );
        let done = go(kind, InPlacePhase::Done, None);
        assert_eq!(done, [Succeeded, Succeeded, Succeeded, Succeeded, Running]);
        let stopping = go(back, InPlacePhase::Stopping, None);
        assert_eq!(stopping, [Succeeded, Running, Pending]);
        let done = go(back, InPlacePhase::Done, None);
        assert_eq!(done, [Succeeded, Succeeded, Running]);
    }

    #[test]
    fn every_kind_has_steps() {
        for kind in OperationKind::ALL {
            assert!(initial(*kind, NOW).len() >= 2, "{kind:?}");
        }
    }
}
