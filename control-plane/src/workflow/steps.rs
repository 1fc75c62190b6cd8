//! Steps of an operation as the console shows them: derived from what was observed, never a
//! program of their own.

use crate::app::state::{OperationKind, OperationState, Step, StepState};
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

/// Moves the steps to where the operation is. `engine_known`: the engine has said its version.
pub(super) fn advance(
    kind: OperationKind,
    before: &[Step],
    state: OperationState,
    engine_known: bool,
    now: OffsetDateTime,
) -> Vec<Step> {
    let mut steps = before.to_vec();
    let done = match state {
        OperationState::Succeeded => steps.len(),
        _ if kind == OperationKind::DatabaseCreate && engine_known => 2,
        _ => 1,
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
        let started = advance(kind, &first, OperationState::Running, false, NOW);
        assert_eq!(states(&started), [Succeeded, Running, Pending, Pending]);
        let known = advance(kind, &started, OperationState::Running, true, NOW);
        assert_eq!(states(&known), [Succeeded, Succeeded, Running, Pending]);
        let failed = advance(kind, &known, OperationState::Failed, true, NOW);
        assert_eq!(states(&failed), [Succeeded, Succeeded, Failed, Pending]);
        let done = advance(kind, &known, OperationState::Succeeded, true, NOW);
        assert_eq!(states(&done), [Succeeded; 4]);
        assert!(done.iter().all(|step| step.ended_at.is_some()));
    }

    #[test]
    fn every_kind_has_steps() {
        for kind in OperationKind::ALL {
            assert!(initial(*kind, NOW).len() >= 2, "{kind:?}");
        }
    }
}
