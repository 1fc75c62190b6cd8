//! What restarts a database, and what does not.

use crate::world::{Resizing, World};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use lumadb_operator::api::condition::{READY, RECONCILING, RESTART_PENDING, STALLED, STORAGE_LOW};
use lumadb_operator::api::{Autogrow, ByteSize, CpuAmount, DatabaseClass};
use lumadb_operator::decide::{Action, Why};

fn settled() -> World {
    let mut world = World::new();
    world.settle();
    assert!(world.is(READY), "{:?}", world.condition(READY));
    world
}

fn uid(pod: Option<&Pod>) -> Option<String> {
    pod.and_then(ResourceExt::uid)
}

/// Into the middle of the next window.
fn to_the_window(world: &mut World) {
    let window = &world.database.spec.maintenance_window;
    let middle = SignedDuration::from_hours(2);
    let opens = window.next(world.now, middle).expect("a window");
    world.now = opens;
}

#[test]
fn a_newer_operator_restarts_no_database_before_its_window() {
    let mut world = settled();
    let before = uid(world.pod.as_ref());
    world.settings.image = "lumadb/instance:next".into();
    world.settle();
    world.wait(SignedDuration::from_hours(12));
    world.settle();
    assert_eq!(uid(world.pod.as_ref()), before);
    assert!(world.is(READY) && world.is(RESTART_PENDING) && !world.is(RECONCILING));
    assert!(world.decide().look_at.is_some(), "it looks when it opens");

    to_the_window(&mut world);
    world.settle();
    assert_eq!(world.endings, [Why::Maintenance]);
    assert!(world.is(READY) && !world.is(RESTART_PENDING));
}

#[test]
fn a_field_that_a_newer_operator_added_restarts_nothing() {
    let mut world = settled();
    let pod = world.pod.as_mut().expect("a pod");
    let asked = pod
        .annotations_mut()
        .get_mut("lumadb.cloud/asked")
        .expect("what was asked");
    *asked = r#"{"class":"Dedicated","fieldOfBefore":1}"#.into();
    world.settle();
    assert!(world.endings.is_empty());
}

#[test]
fn compute_is_resized_in_place() {
    let mut world = settled();
    let before = uid(world.pod.as_ref());
    world.change(|database| database.spec.compute.cpu = CpuAmount::milli(4000));
    world.settle();
    assert_eq!(uid(world.pod.as_ref()), before);
    assert!(world.has_its_resources());
    let status = world.database.status.as_ref().expect("a status");
    assert_eq!(status.compute, Some(world.database.spec.compute));
    assert!(world.is(READY) && !world.is(RECONCILING));
}

#[test]
fn a_machine_without_room_restarts_in_the_window() {
    for resizing in [Resizing::Infeasible, Resizing::Refused] {
        let mut world = settled();
        world.resizing = resizing;
        world.change(|database| database.spec.compute.cpu = CpuAmount::milli(64_000));
        for _ in 0..5 {
            world.reconcile(usize::MAX);
            world.cluster();
        }
        assert!(world.endings.is_empty() && world.is(READY), "{resizing:?}");
        to_the_window(&mut world);
        world.reconcile(usize::MAX);
        assert_eq!(world.endings, [Why::Maintenance], "{resizing:?}");
        world.resizing = Resizing::InPlace;
        world.settle();
        assert!(world.has_its_resources());
    }
}

#[test]
fn a_resize_is_under_way_until_the_machine_says_that_it_is_granted() {
    let mut world = settled();
    world.change(|database| database.spec.compute.cpu = CpuAmount::milli(2_000));
    for _ in 0..2 {
        world.reconcile(usize::MAX);
        assert!(world.is(RECONCILING) && world.is(READY));
    }
    world.settle();
    assert!(world.endings.is_empty() && !world.is(RECONCILING));
}

#[test]
fn another_class_restarts_at_once() {
    let mut world = settled();
    world.change(|database| database.spec.class = DatabaseClass::Shared);
    world.settle();
    assert_eq!(world.endings, [Why::Changed("class".into())]);
    assert!(world.is(READY));
}

#[test]
fn a_pod_that_never_ran_is_replaced_at_once() {
    let mut world = World::new();
    world.reconcile(usize::MAX);
    assert!(world.pod.is_some());
    world.settings.image = "lumadb/instance:next".into();
    world.settle();
    assert_eq!(world.endings, [Why::Outdated]);
    assert!(world.is(READY));
}

#[test]
fn one_that_was_evicted_comes_back() {
    let mut world = settled();
    world.evict();
    world.settle();
    assert_eq!(world.endings, [Why::Ended]);
    assert!(world.is(READY));
}

#[test]
fn pods_that_end_at_once_are_not_made_at_once() {
    let mut world = settled();
    let pod = world.pod.as_mut().expect("a pod");
    pod.metadata.creation_timestamp = Some(Time(world.now));
    world.evict();
    world.settle();
    assert!(world.endings.is_empty());
    let look_at = world.decide().look_at.expect("a look");
    world.now = look_at;
    world.settle();
    assert_eq!(world.endings, [Why::Ended]);
    assert!(world.is(READY));
}

#[test]
fn a_pod_that_cannot_end_is_not_joined_by_a_second() {
    let mut world = settled();
    let pod = world.pod.as_ref().expect("a pod").uid().expect("a UID");
    world.change(|database| database.spec.class = DatabaseClass::Shared);
    world.reconcile(usize::MAX);
    // The machine is out of reach: the pod stays, and time passes.
    for _ in 0..5 {
        world.wait(SignedDuration::from_hours(1));
        world.reconcile(usize::MAX);
    }
    assert_eq!(uid(world.pod.as_ref()), Some(pod));
    assert_eq!(world.pods_made, 1);
    assert!(!world.is(READY) && world.is(RECONCILING));
}

#[test]
fn a_lost_volume_is_not_replaced_by_an_empty_one() {
    let mut world = settled();
    world.claim = None;
    world.pod = None;
    world.settle();
    assert!(world.claim.is_none() && world.pod.is_none());
    assert_eq!(world.claims_made, 1);
    let stalled = world.condition(STALLED).expect("a condition");
    assert_eq!(stalled, ("True".into(), "VolumeLost".into()));
    assert!(!world.is(READY) && !world.is(RECONCILING));
}

#[test]
fn a_pod_that_holds_a_deleted_claim_is_not_ended() {
    let mut world = settled();
    let claim = world.claim.as_mut().expect("a claim");
    claim.metadata.deletion_timestamp = Some(Time(world.now));
    world.change(|database| database.spec.class = DatabaseClass::Shared);
    world.settle();
    world.change(|database| database.spec.suspend = true);
    world.settle();
    assert!(world.pod.is_some() && world.endings.is_empty());
    assert!(world.is(RECONCILING));
}

#[test]
fn a_volume_that_fills_up_grows_until_its_maximum() {
    let mut world = settled();
    world.change(|database| {
        database.spec.storage.autogrow = Some(Autogrow {
            maximum: ByteSize::gibibytes(20),
            threshold_percent: 75,
        });
    });
    let mut sizes = Vec::new();
    for _ in 0..6 {
        // Full, and the report of before is still there when the volume has grown.
        world.report(100);
        world.settle();
        sizes.push(crate::world::requested(
            world.claim.as_ref().expect("a claim"),
        ));
    }
    assert_eq!(
        sizes,
        [Some(13), Some(17), Some(20), Some(20), Some(20), Some(20)]
    );
    assert!(world.is(STORAGE_LOW) && world.is(READY));
    assert!(world.endings.is_empty());
    assert_eq!(world.marks, 3, "the machine is told once of each growth");
    world.report(50);
    world.settle();
    assert!(!world.is(STORAGE_LOW));
}

#[test]
fn what_a_database_of_before_left_is_waited_for() {
    let mut world = settled();
    world.database.metadata.uid = Some("another".into());
    world.database.status = None;
    world.settle();
    let (status, reason) = world.condition(RECONCILING).expect("a condition");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("True", "LeftoverObject")
    );
    // The garbage collector comes; the volume was retained and is taken over.
    world.pod = None;
    world.instance = None;
    world.service = None;
    world.service_account = None;
    world.network_policy = None;
    world.settle();
    assert!(world.is(READY));
    assert_eq!(world.claims_made, 1);
}

#[test]
fn a_database_that_is_being_deleted_gets_nothing_new() {
    let mut world = World::new();
    world.database.metadata.deletion_timestamp = Some(Time(world.now));
    let decision = world.decide();
    assert!(decision.actions.is_empty() && decision.view.is_none());
}

#[test]
fn somebody_elses_change_is_undone() {
    let mut world = settled();
    let service = world
        .service
        .as_mut()
        .and_then(|service| service.spec.as_mut());
    service.expect("a spec").publish_not_ready_addresses = Some(false);
    let actions = world.decide().actions;
    assert!(
        matches!(actions.as_slice(), [Action::ApplyService(_)]),
        "{actions:?}"
    );
}
