//! Volumes are made, grown and removed.

use crate::world::{MIB, World, mounted};
use lumadb_loop_volumes::NAME;
use lumadb_loop_volumes::csi::{
    AccessType, BlockVolume, ControllerGetCapabilitiesRequest, GetPluginCapabilitiesRequest,
    GetPluginInfoRequest, PluginCapabilityType, ProbeRequest, ValidateVolumeCapabilitiesRequest,
    VolumeCapability,
};
use lumadb_loop_volumes::kubelet::InfoRequest;
use std::os::unix::fs::MetadataExt;
use tonic::Code;

#[tokio::test]
async fn kubelet_finds_the_driver_and_learns_what_it_can() {
    let mut world = World::begin().await;
    for _ in 0..2 {
        let found = world.registration().await.get_info(InfoRequest {}).await;
        let found = found.expect("answers").into_inner();
        assert_eq!(
            (found.r#type.as_str(), found.name.as_str()),
            ("CSIPlugin", NAME)
        );
        assert_eq!(
            found.endpoint,
            world.driver().socket().display().to_string()
        );
        assert_eq!(found.supported_versions, ["1.0.0"]);
        // Its sockets are there again when it was killed.
        world.killed().await;
    }
    let mut identity = world.identity().await;
    identity.probe(ProbeRequest {}).await.expect("is ready");
    let named = identity.get_plugin_info(GetPluginInfoRequest {}).await;
    assert_eq!(named.expect("answers").into_inner().name, NAME);
    let can = identity
        .get_plugin_capabilities(GetPluginCapabilitiesRequest {})
        .await
        .expect("answers")
        .into_inner();
    assert!(can.capabilities.iter().any(|capability| matches!(
        capability.r#type,
        Some(PluginCapabilityType::VolumeExpansion(expansion)) if expansion.r#type == 1
    )));
    let mut controller = world.controller().await;
    let can = controller
        .controller_get_capabilities(ControllerGetCapabilitiesRequest {})
        .await
        .expect("answers")
        .into_inner();
    let can = can.capabilities.iter();
    let can: Vec<i32> = can.filter_map(|can| Some(can.rpc?.r#type)).collect();
    assert_eq!(can, [1, 9]);
}

#[tokio::test]
async fn a_volume_is_made_grown_and_removed_and_each_call_may_come_twice() {
    let mut world = World::begin().await;
    for _ in 0..2 {
        assert_eq!(
            world.create("pvc-1", 512 * MIB).await.expect("made"),
            512 * MIB
        );
        world.killed().await;
    }
    let found = std::fs::metadata(world.file("pvc-1")).expect("there");
    assert_eq!(found.len(), 512 << 20);
    // It takes what is in it, and not its size.
    assert!(
        found.blocks() * 512 < 128 << 20,
        "{} blocks",
        found.blocks()
    );
    let other = world.create("pvc-1", 768 * MIB).await.expect_err("another");
    assert_eq!(other.code(), Code::AlreadyExists);
    for _ in 0..2 {
        assert_eq!(
            world.grow("pvc-1", 768 * MIB).await.expect("grown"),
            768 * MIB
        );
    }
    // It does not shrink.
    assert_eq!(world.grow("pvc-1", 512 * MIB).await.expect("is"), 768 * MIB);
    for _ in 0..2 {
        world.delete("pvc-1").await.expect("removed");
        assert!(!world.file("pvc-1").exists());
    }
    let gone = world.grow("pvc-1", 768 * MIB).await.expect_err("gone");
    assert_eq!(gone.code(), Code::NotFound);
    let path = world.create("../pvc", MIB).await.expect_err("a path");
    assert_eq!(path.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_was_begun_when_the_driver_was_killed_is_no_volume() {
    let mut world = World::begin().await;
    let begun = world.path("volumes/pvc-1.new");
    std::fs::write(&begun, "half").expect("written");
    world.killed().await;
    assert!(!begun.exists());
    assert_eq!(
        world.create("pvc-1", 512 * MIB).await.expect("made"),
        512 * MIB
    );
}

#[tokio::test]
async fn only_what_volumes_can_do_is_confirmed() {
    let world = World::begin().await;
    world.create("pvc-1", 300 * MIB).await.expect("made");
    let block = VolumeCapability {
        access_type: Some(AccessType::Block(BlockVolume {})),
        ..mounted()
    };
    let mut controller = world.controller().await;
    for (capability, confirmed) in [(mounted(), true), (block, false)] {
        let request = ValidateVolumeCapabilitiesRequest {
            volume_id: "pvc-1".into(),
            volume_capabilities: vec![capability],
        };
        let answer = controller.validate_volume_capabilities(request).await;
        let answer = answer.expect("answers").into_inner();
        assert_eq!(answer.confirmed.is_some(), confirmed);
        assert_eq!(answer.message.is_empty(), confirmed);
    }
}
