use super::*;
use crate::app::state::{Durability, OperationKind, Step};
use crate::workflow::steps::initial;
use lumadb_contract::id::{DatabaseId, IncarnationId, OperationId, OrganizationId};
use lumadb_contract::instance::InstanceStatus;
use lumadb_contract::route::NodeAddress;
use proptest::prelude::*;
use time::macros::datetime;
use uuid::Uuid;

const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

fn row(desired: Desired, generation: i64) -> ClaimedDatabase {
    ClaimedDatabase {
        id: DatabaseId::from_uuid(Uuid::from_u128(1)),
        instance_id: DatabaseId::from_uuid(Uuid::from_u128(1)),
        organization_id: OrganizationId::from_uuid(Uuid::from_u128(2)),
        engine_version: 18,
        route_number: 1,
        revision: 1,
        generation,
        desired,
        milli_vcpu: 250,
        memory_mib: 1024,
        connections_max: 100,
        allowed_networks: Vec::new(),
        idle_timeout_seconds: Some(300),
        durability: Durability::Local,
        observed_generation: 0,
        observed: Observed::Pending,
        incarnation_id: None,
        node_address: None,
        engine_minor: None,
        system_identifier: None,
        idle_since: None,
        error: None,
        attempt: 0,
        backup_due_at: None,
        has_backup: false,
        is_halted: false,
        is_in_place: false,
        recovery: None,
    }
}

fn attached(phase: InstancePhase, observed_generation: u64) -> Observation {
    Observation::Attached {
        status: InstanceStatus {
            incarnation_id: IncarnationId::from_uuid(Uuid::from_u128(3)),
            observed_generation,
            phase,
            error: None,
            engine_version: Some("18.6".into()),
            system_identifier: Some(7),
            connections: 0,
            idle_since: Some(NOW),
            storage_bytes: 1,
            volume: lumadb_contract::instance::VolumeStage::Ample,
            room: None,
            archive: None,
            restore: None,
        },
        node_address: NodeAddress::Unix("/run/node.sock".into()),
    }
}

fn operation(generation: i64) -> OpenOperation {
    OpenOperation {
        id: OperationId::from_uuid(Uuid::from_u128(4)),
        kind: OperationKind::DatabaseCreate,
        state: OperationState::Pending,
        generation,
        steps: Json(initial(OperationKind::DatabaseCreate, NOW)),
        started_at: None,
        deadline_at: NOW + Duration::minutes(5),
    }
}

fn decide_at(row: &ClaimedDatabase, observation: &Observation, now: OffsetDateTime) -> Decision {
    decide(row, &[operation(1)], &Ok(()), observation, None, now, 0.5)
}

#[test]
fn an_operation_ends_when_its_generation_is_in_force_and_no_sooner() {
    let row = row(Desired::Running, 2);
    let early = decide_at(&row, &attached(InstancePhase::Ready, 0), NOW);
    assert_eq!(early.operations[0].state, OperationState::Running);
    let starting = decide_at(&row, &attached(InstancePhase::Starting, 2), NOW);
    assert_eq!(starting.operations[0].state, OperationState::Running);
    let ready = decide_at(&row, &attached(InstancePhase::Ready, 2), NOW);
    assert_eq!(ready.operations[0].state, OperationState::Succeeded);
    assert_eq!(ready.record.observed, Observed::Running);
    assert_eq!(ready.record.system_identifier.as_deref(), Some("7"));
}

#[test]
fn an_operation_fails_at_its_deadline_in_words_for_its_caller() {
    let row = row(Desired::Running, 1);
    let late = NOW + Duration::minutes(5);
    let decision = decide_at(&row, &attached(InstancePhase::Failed, 0), late);
    assert_eq!(decision.record.observed, Observed::Failed);
    assert_eq!(decision.operations[0].state, OperationState::Failed);
    assert!(decision.operations[0].error.is_some());
}

#[test]
fn what_was_not_heard_of_stays_as_it_was() {
    let mut row = row(Desired::Running, 1);
    row.observed = Observed::Running;
    row.observed_generation = 1;
    let decision = decide_at(&row, &Observation::Unknown, NOW);
    assert_eq!(decision.record.observed, Observed::Running);
    let decision = decide_at(&row, &Observation::Absent, NOW);
    assert_eq!(decision.record.observed, Observed::Pending);
}

#[test]
fn what_was_suspended_on_its_way_back_is_not_back() {
    let row = row(Desired::Suspended, 1);
    let recover = OpenOperation {
        kind: OperationKind::DatabaseRecover,
        ..operation(1)
    };
    let absent = Observation::Absent;
    let decision = decide(
        &row,
        &[recover, operation(1)],
        &Ok(()),
        &absent,
        None,
        NOW,
        0.5,
    );
    assert_eq!(decision.operations[0].state, OperationState::Running);
    assert_eq!(decision.operations[1].state, OperationState::Succeeded);
}

#[test]
fn a_database_falls_asleep_after_its_time_and_not_while_something_is_open() {
    let mut row = row(Desired::Running, 1);
    row.observed = Observed::Running;
    let ready = attached(InstancePhase::Ready, 1);
    let before = NOW + Duration::seconds(299);
    assert_eq!(decide_at(&row, &ready, before).turn, None);
    assert!(decide_at(&row, &ready, NOW).look_at <= NOW + Duration::seconds(300));
    let after = NOW + Duration::seconds(300);
    let turn = decide_at(&row, &ready, after).turn;
    assert_eq!(turn.map(|turn| turn.to), Some(Desired::Asleep));
    row.generation = 2;
    assert_eq!(decide_at(&row, &ready, after).turn, None);
    row.generation = 1;
    row.idle_timeout_seconds = None;
    assert_eq!(decide_at(&row, &ready, after).turn, None);
}

#[test]
fn a_database_that_is_heard_of_late_waits_its_time_for_those_who_waited_for_it() {
    let mut row = row(Desired::Running, 1);
    let ready = attached(InstancePhase::Ready, 1);
    let heard = NOW + Duration::seconds(310);
    let decision = decide_at(&row, &ready, heard);
    assert_eq!(decision.turn, None);
    assert_eq!(decision.record.idle_since, Some(heard));
    row.observed = Observed::Running;
    row.idle_since = decision.record.idle_since;
    let turn_at = |seconds| decide_at(&row, &ready, heard + Duration::seconds(seconds)).turn;
    assert_eq!(turn_at(299), None);
    assert_eq!(turn_at(300).map(|turn| turn.to), Some(Desired::Asleep));
}

#[test]
fn a_client_that_came_while_it_fell_asleep_keeps_it_awake() {
    let row = row(Desired::Asleep, 2);
    let Observation::Attached {
        mut status,
        node_address,
    } = attached(InstancePhase::Ready, 1)
    else {
        panic!("attached");
    };
    status.connections = 1;
    status.idle_since = None;
    let observation = Observation::Attached {
        status,
        node_address,
    };
    let turn = decide_at(&row, &observation, NOW).turn;
    assert_eq!(turn.map(|turn| turn.to), Some(Desired::Running));
}

#[test]
fn what_is_stopped_has_reached_the_generation_that_stopped_it() {
    for (desired, observed) in [
        (Desired::Asleep, Observed::Asleep),
        (Desired::Suspended, Observed::Suspended),
    ] {
        for observation in [Observation::Absent, attached(InstancePhase::Stopped, 3)] {
            let decision = decide_at(&row(desired, 9), &observation, NOW);
            assert_eq!(decision.record.observed, observed);
            assert_eq!(decision.record.observed_generation, 9);
            assert_eq!(decision.operations[0].state, OperationState::Succeeded);
        }
    }
}

#[test]
fn a_runtime_that_gives_up_fails_the_operation_at_once() {
    let asked = Err(RuntimeError::GiveUp("secret path /x".into()));
    let row = row(Desired::Running, 1);
    let decision = decide(
        &row,
        &[operation(1)],
        &asked,
        &Observation::Absent,
        None,
        NOW,
        0.5,
    );
    assert_eq!(decision.operations[0].state, OperationState::Failed);
    let told = decision.operations[0].error.clone().unwrap_or_default();
    assert!(!told.contains("secret"), "{told}");
    assert_eq!(decision.record.error.as_deref(), Some("secret path /x"));
}

#[test]
fn retries_come_later_and_later_up_to_a_minute() {
    let waits: Vec<_> = (1..20).map(|attempt| backoff(attempt, 0.0)).collect();
    assert_eq!(waits[0], BACKOFF_FIRST);
    assert!(waits.is_sorted());
    assert_eq!(waits[18], BACKOFF_MAX);
    assert_eq!(backoff(i32::MAX, 0.0), BACKOFF_MAX);
    assert_eq!(backoff(1, 0.999).whole_milliseconds(), 125);
}

fn phases() -> impl Strategy<Value = InstancePhase> {
    prop_oneof![
        Just(InstancePhase::Starting),
        Just(InstancePhase::Ready),
        Just(InstancePhase::Stopping),
        Just(InstancePhase::Stopped),
        Just(InstancePhase::Failed),
    ]
}

proptest! {
    /// Whatever is seen: a look is followed by another one, soon while something is open; nothing
    /// is observed beyond what was desired; and steps that ended stay ended.
    #[test]
    fn no_look_is_the_last_one(
        desired in prop_oneof![Just(Desired::Running), Just(Desired::Asleep), Just(Desired::Suspended)],
        phase in phases(),
        generation in 1i64..9,
        reached in 0u64..12,
        attempt in 0i32..40,
        fails in any::<bool>(),
        jitter in 0.0f64..1.0,
    ) {
        let mut row = row(desired, generation);
        row.attempt = attempt;
        let asked = if fails { Err(RuntimeError::Retry("busy".into())) } else { Ok(()) };
        let before = operation(generation);
        let decision = decide(&row, std::slice::from_ref(&before), &asked, &attached(phase, reached), None, NOW, jitter);
        prop_assert!(decision.look_at > NOW);
        prop_assert!(decision.look_at <= NOW + Duration::minutes(7));
        prop_assert!(decision.record.observed_generation <= generation);
        let open = !decision.operations[0].state.is_final();
        if open && !fails {
            prop_assert!(decision.look_at <= NOW + Duration::seconds(3));
        }
        prop_assert!(!(fails && decision.operations[0].state == OperationState::Succeeded));
        let ended = |steps: &[Step]| steps.iter().filter(|step| step.ended_at.is_some()).count();
        prop_assert!(ended(&decision.operations[0].steps) >= ended(&before.steps));
    }
}
