//! What is observed, stream by stream.

use super::*;
use crate::clock::Clock;
use lumadb_contract::id::IncarnationId;
use lumadb_contract::instance::{Compute, VolumeStage};
use lumadb_contract::network::AllowedNetworks;
use time::macros::datetime;
use uuid::Uuid;

struct World {
    states: Arc<States>,
    clock: Clock,
    file: std::path::PathBuf,
}

impl World {
    fn new(name: &str) -> Self {
        let file = format!("lumadb-states-{name}-{}.json", std::process::id());
        let file = std::env::temp_dir().join(file);
        let clock = Clock::manual(datetime!(2026-11-23 12:00 UTC));
        Self {
            states: States::new(SpanBook::open(file.clone(), clock.clone())),
            clock,
            file,
        }
    }

    /// Spans of compute: size, and whether it lasts.
    fn spans(&self) -> Vec<(u32, bool)> {
        let spans = self.states.spans.spans();
        spans
            .iter()
            .map(|span| (span.milli_vcpu, span.ended_at.is_none()))
            .collect()
    }

    fn says(&self, stream: u64, phase: InstancePhase, generation: u64) {
        self.states
            .status(stream, database(), status(phase, generation), address());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

fn database() -> DatabaseId {
    DatabaseId::from_uuid(Uuid::from_u128(1))
}

fn address() -> NodeAddress {
    NodeAddress::Cluster {
        host: "db.tenants.svc".into(),
        port: 5432,
    }
}

fn status(phase: InstancePhase, observed_generation: u64) -> InstanceStatus {
    InstanceStatus {
        incarnation_id: IncarnationId::from_uuid(Uuid::from_u128(2)),
        observed_generation,
        phase,
        error: None,
        engine_version: None,
        system_identifier: None,
        connections: 0,
        idle_since: None,
        storage_bytes: 0,
        volume: VolumeStage::Ample,
        room: None,
        archive: None,
        restore: None,
    }
}

fn spec(generation: u64, run: RunState, milli_vcpu: u32) -> InstanceSpec {
    InstanceSpec {
        database_id: database(),
        serves_database_id: None,
        generation,
        engine_version: 18,
        run,
        compute: Compute {
            milli_vcpu,
            memory_mib: 1024,
        },
        connections_max: 10,
        route_number: 1,
        roles: Vec::new(),
        logical_databases: Vec::new(),
        allowed_networks: AllowedNetworks::default(),
        tls: None,
        edges: None,
        archive: None,
        restore: None,
    }
}

fn phase(observation: &Observation) -> Option<InstancePhase> {
    match observation {
        Observation::Attached { status, .. } => Some(status.phase),
        Observation::Unknown | Observation::Absent => None,
    }
}

#[test]
fn what_was_not_named_is_unknown_until_all_were_named_and_then_absent() {
    let world = World::new("complete");
    let states = &world.states;
    assert_eq!(states.observe(database()), Observation::Unknown);
    let stream = states.begin();
    assert_eq!(states.observe(database()), Observation::Unknown);
    states.complete(stream);
    assert_eq!(states.observe(database()), Observation::Absent);
    world.says(stream, InstancePhase::Ready, 1);
    assert_eq!(
        phase(&states.observe(database())),
        Some(InstancePhase::Ready)
    );
    states.absent(stream, database());
    assert_eq!(states.observe(database()), Observation::Absent);
}

#[test]
fn a_stream_that_ends_or_is_superseded_leaves_nothing_known() {
    let world = World::new("end");
    let states = &world.states;
    let mut changes = states.changes();
    let first = states.begin();
    states.complete(first);
    world.says(first, InstancePhase::Ready, 1);
    assert_eq!(changes.try_recv(), Ok(database()));
    states.end(first);
    assert_eq!(changes.try_recv(), Ok(database()));
    assert_eq!(states.observe(database()), Observation::Unknown);
    let second = states.begin();
    world.says(first, InstancePhase::Ready, 1);
    assert_eq!(
        states.observe(database()),
        Observation::Unknown,
        "an old stream"
    );
    world.says(second, InstancePhase::Ready, 1);
    states.end(first);
    assert_eq!(
        phase(&states.observe(database())),
        Some(InstancePhase::Ready)
    );
}

#[test]
fn one_that_stopped_as_told_keeps_what_it_said_at_last() {
    let world = World::new("stopped");
    let states = &world.states;
    let stream = states.begin();
    states.complete(stream);
    world.says(stream, InstancePhase::Stopped, 1);
    states.absent(stream, database());
    assert_eq!(
        states.observe(database()),
        Observation::Absent,
        "nobody told it"
    );
    states.wish(&spec(2, RunState::Stopped, 250));
    assert_eq!(
        phase(&states.observe(database())),
        Some(InstancePhase::Stopped)
    );
    states.forget(database());
    assert_eq!(states.observe(database()), Observation::Absent);
}

#[test]
fn compute_is_counted_from_the_generation_that_grants_it_and_ends_with_the_engine() {
    let world = World::new("spans");
    let states = &world.states;
    let stream = states.begin();
    states.wish(&spec(1, RunState::Running, 250));
    world.says(stream, InstancePhase::Starting, 0);
    assert_eq!(world.spans(), []);
    world.says(stream, InstancePhase::Ready, 1);
    assert_eq!(world.spans(), [(250, true)]);
    states.wish(&spec(2, RunState::Running, 500));
    world.says(stream, InstancePhase::Ready, 1);
    assert_eq!(world.spans(), [(250, true)], "not resized yet");
    world.says(stream, InstancePhase::Ready, 2);
    assert_eq!(world.spans(), [(250, false), (500, true)]);
    states.absent(stream, database());
    assert_eq!(world.spans(), [(250, false), (500, false)]);
}

#[test]
fn compute_goes_on_over_a_stream_that_broke_and_ends_when_it_was_last_seen() {
    let world = World::new("broke");
    let states = &world.states;
    states.wish(&spec(1, RunState::Running, 250));
    let first = states.begin();
    world.says(first, InstancePhase::Ready, 1);
    world.clock.advance(time::Duration::seconds(30));
    states.end(first);
    world.clock.advance(time::Duration::seconds(30));
    let second = states.begin();
    world.says(second, InstancePhase::Ready, 1);
    states.complete(second);
    assert_eq!(world.spans(), [(250, true)], "the same one lasts");
    world.clock.advance(time::Duration::seconds(30));
    let seen_until = world.clock.now();
    states.end(second);
    world.clock.advance(time::Duration::minutes(10));
    let third = states.begin();
    states.complete(third);
    let spans = states.spans.spans();
    assert_eq!(spans[0].ended_at, Some(seen_until), "nobody saw its end");
}
