//! Any life of a database ends as it is desired, whatever happened and wherever the operator died.

use crate::world::{World, requested};
use k8s_openapi::jiff::SignedDuration;
use lumadb_operator::api::condition::{READY, RECONCILING, RESTART_PENDING, STALLED};
use lumadb_operator::api::{
    Autogrow, ByteSize, CpuAmount, DatabaseClass, DatabasePhase, DeletionPolicy,
};
use lumadb_operator::decide::Why;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Event {
    Suspend(bool),
    Cpu(u32),
    Shared(bool),
    Grow(u32),
    Autogrow(u32),
    Keep(bool),
    Used(u64),
    /// A newer operator, or an older one.
    Operator(u8),
    Evicted,
    PodDeleted,
    ServiceDeleted,
    Hours(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<bool>().prop_map(Event::Suspend),
        (1_u32..64).prop_map(|count| Event::Cpu(count * 250)),
        any::<bool>().prop_map(Event::Shared),
        (1_u32..8).prop_map(Event::Grow),
        (20_u32..60).prop_map(Event::Autogrow),
        any::<bool>().prop_map(Event::Keep),
        (0_u64..=100).prop_map(Event::Used),
        (0_u8..3).prop_map(Event::Operator),
        Just(Event::Evicted),
        Just(Event::PodDeleted),
        Just(Event::ServiceDeleted),
        (1_i64..100).prop_map(Event::Hours),
    ]
}

fn happen(world: &mut World, event: Event) {
    match event {
        Event::Suspend(suspend) => world.change(|database| database.spec.suspend = suspend),
        Event::Cpu(milli) => {
            world.change(|database| database.spec.compute.cpu = CpuAmount::milli(milli));
        }
        Event::Shared(shared) => world.change(|database| {
            database.spec.class = if shared {
                DatabaseClass::Shared
            } else {
                DatabaseClass::Dedicated
            };
        }),
        Event::Grow(gib) => world.change(|database| {
            let size = database.spec.storage.size.bytes() + (u64::from(gib) << 30);
            database.spec.storage.size = ByteSize::gibibytes_over(size);
        }),
        Event::Autogrow(gib) => world.change(|database| {
            database.spec.storage.autogrow = Some(Autogrow {
                maximum: ByteSize::gibibytes(gib).max(database.spec.storage.size),
                threshold_percent: 75,
            });
        }),
        Event::Keep(keep) => world.change(|database| {
            database.spec.deletion_policy = if keep {
                DeletionPolicy::Retain
            } else {
                DeletionPolicy::Delete
            };
        }),
        Event::Used(percent) => world.report(percent),
        Event::Operator(version) => world.settings.image = format!("lumadb/instance:{version}"),
        Event::Evicted => world.evict(),
        Event::PodDeleted => world.pod = None,
        Event::ServiceDeleted => world.service = None,
        Event::Hours(hours) => world.wait(SignedDuration::from_hours(hours)),
    }
}

#[test]
fn nothing_empty_is_made_in_the_place_of_what_shall_be_restored() {
    let moment = serde_json::json!({ "lsn": "0/1" });
    let asked = [
        serde_json::json!({ "bootstrap": {
            "restore": { "archiveId": "arc_01jdk3x5v9e8rb6w4q2n7m0c1a", "to": moment },
        } }),
        serde_json::json!({ "bootstrap": {
            "branch": { "from": "db-01jdk3x5v9e8rb6w4q2n7m0c1b" },
        } }),
        serde_json::json!({ "archive": {
            "id": "arc_01jdk3x5v9e8rb6w4q2n7m0c1a", "bucket": "archives",
        } }),
    ];
    for asked in asked {
        let mut world = World::new();
        let mut spec = serde_json::to_value(&world.database.spec).expect("a spec");
        for (field, value) in asked.as_object().expect("an object") {
            spec[field] = value.clone();
        }
        world.change(|database| database.spec = serde_json::from_value(spec).expect("a spec"));
        let decision = world.decide();
        assert!(decision.actions.is_empty(), "{:?}", decision.actions);
        world.reconcile(usize::MAX);
        assert!(world.is(STALLED) && !world.is(READY));
        // With a control plane it is its Secret that is waited for.
        world.is_alone = false;
        assert!(!world.decide().actions.is_empty());
    }
}

fn assert_as_desired(world: &World) {
    let spec = &world.database.spec;
    let status = world.database.status.as_ref().expect("a status");
    assert_eq!(
        status.observed_generation,
        world.database.metadata.generation
    );
    assert!(!world.is(RECONCILING) && !world.is(STALLED), "{status:?}");
    if spec.suspend {
        assert!(world.pod.is_none() && !world.is(READY));
        assert_eq!(status.phase, Some(DatabasePhase::Suspended));
    } else {
        assert!(world.is(READY), "{status:?}");
        assert!(world.has_its_resources());
        assert_eq!(status.compute, Some(spec.compute));
        let pod = world.pod.as_ref().expect("a pod");
        let image = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.containers[0].image.clone());
        let current = image.as_deref() == Some(world.settings.image.as_str());
        assert_eq!(!current, world.is(RESTART_PENDING), "{image:?}");
    }
    let claim = world.claim.as_ref().expect("a claim");
    assert!(requested(claim) >= Some(spec.storage.size.bytes() >> 30));
    let owned = claim.metadata.owner_references.as_ref().map_or(0, Vec::len);
    assert_eq!(owned == 1, spec.deletion_policy == DeletionPolicy::Delete);
    assert_eq!(world.claims_made, 1);
    for part in [
        world.service.is_some(),
        world.service_account.is_some(),
        world.network_policy.is_some(),
        world.instance.is_some(),
    ] {
        assert!(part);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// After each event the operator looks a few times and dies after some write of each look;
    /// in the end it is left alone.
    #[test]
    fn every_life_comes_to_rest_as_desired(
        events in prop::collection::vec(
            (event(), prop::collection::vec((0_usize..8, any::<bool>()), 0..4)),
            1..12,
        ),
    ) {
        let mut world = World::new();
        for (event, looks) in events {
            happen(&mut world, event);
            for (writes_max, cluster_works) in looks {
                world.reconcile(writes_max);
                if cluster_works {
                    world.cluster();
                }
            }
        }
        world.settle();
        assert_as_desired(&world);
        let decision = world.decide();
        prop_assert!(decision.actions.is_empty(), "{:?}", decision.actions);
    }

    /// Without a change by its owner a database is restarted in the window alone.
    #[test]
    fn operators_come_and_go_and_nothing_restarts_before_the_window(
        versions in prop::collection::vec((0_u8..4, 0_i64..30), 1..20),
    ) {
        let mut world = World::new();
        world.settle();
        for (version, hours) in versions {
            happen(&mut world, Event::Operator(version));
            happen(&mut world, Event::Hours(hours));
            // The window itself is checked where a pod is deleted.
            world.settle();
            prop_assert!(world.is(READY));
        }
        prop_assert!(world.endings.iter().all(|why| *why == Why::Maintenance));
    }
}

#[test]
fn the_operator_may_die_after_every_write_of_a_creation() {
    for writes_max in 0..12 {
        let mut world = World::new();
        world.reconcile(writes_max);
        world.settle();
        assert_as_desired(&world);
        assert_eq!((world.claims_made, world.pods_made), (1, 1), "{writes_max}");
    }
}
