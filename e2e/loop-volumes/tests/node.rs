//! Volumes are mounted, filled and grown, by root alone.

use crate::world::{MACHINE, MIB, World, mounted};
use lumadb_loop_volumes::csi::{
    NodeExpandVolumeRequest, NodeGetInfoRequest, NodeGetVolumeStatsRequest,
    NodePublishVolumeRequest, NodeStageVolumeRequest, NodeUnpublishVolumeRequest,
    NodeUnstageVolumeRequest, VolumeUsage,
};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tonic::{Code, Status};

/// A volume's places, as kubelet names them.
struct Places {
    staged: PathBuf,
    published: PathBuf,
}

fn text(path: &Path) -> String {
    path.to_str().expect("text").into()
}

async fn stage(world: &World, at: &Path) -> Result<(), Status> {
    let request = NodeStageVolumeRequest {
        volume_id: "pvc-1".into(),
        staging_target_path: text(at),
        volume_capability: Some(mounted()),
    };
    world.node().await.node_stage_volume(request).await?;
    Ok(())
}

async fn publish(world: &World, places: &Places) -> Result<(), Status> {
    let request = NodePublishVolumeRequest {
        volume_id: "pvc-1".into(),
        staging_target_path: text(&places.staged),
        target_path: text(&places.published),
        volume_capability: Some(mounted()),
        readonly: false,
    };
    world.node().await.node_publish_volume(request).await?;
    Ok(())
}

async fn release(world: &World, places: &Places) {
    let request = NodeUnpublishVolumeRequest {
        volume_id: "pvc-1".into(),
        target_path: text(&places.published),
    };
    let mut node = world.node().await;
    node.node_unpublish_volume(request).await.expect("done");
    let request = NodeUnstageVolumeRequest {
        volume_id: "pvc-1".into(),
        staging_target_path: text(&places.staged),
    };
    node.node_unstage_volume(request).await.expect("done");
}

async fn bytes(world: &World, at: &Path) -> VolumeUsage {
    let request = NodeGetVolumeStatsRequest {
        volume_id: "pvc-1".into(),
        volume_path: text(at),
    };
    let stats = world.node().await.node_get_volume_stats(request).await;
    stats.expect("answers").into_inner().usage[0]
}

/// The loop devices of the volume's file.
fn devices(world: &World) -> String {
    let output = Command::new("losetup")
        .env("PATH", "/usr/sbin:/sbin")
        .arg("--associated")
        .arg(world.file("pvc-1"))
        .output()
        .expect("runs");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn a_volume_that_is_full_grows_while_it_is_mounted_and_leaves_no_device() {
    if !nix::unistd::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
        eprintln!("skipped: only root has loop devices");
        return;
    }
    let mut world = World::begin().await;
    let node = world
        .node()
        .await
        .node_get_info(NodeGetInfoRequest {})
        .await;
    assert_eq!(node.expect("answers").into_inner().node_id, MACHINE);
    let places = Places {
        staged: world.path("staged"),
        published: world.path("pods/1/mount"),
    };
    let missing = stage(&world, &places.staged).await.expect_err("missing");
    assert_eq!(missing.code(), Code::NotFound);
    world.create("pvc-1", 300 * MIB).await.expect("made");
    let early = publish(&world, &places).await.expect_err("not staged");
    assert_eq!(early.code(), Code::FailedPrecondition);
    for _ in 0..2 {
        stage(&world, &places.staged).await.expect("staged");
        world.killed().await;
        publish(&world, &places).await.expect("published");
        world.killed().await;
    }
    assert_eq!(devices(&world).lines().count(), 1);
    let used = world.delete("pvc-1").await.expect_err("in use");
    assert_eq!(used.code(), Code::FailedPrecondition);

    let kept = places.published.join("kept");
    let mut file = std::fs::File::create(&kept).expect("made");
    let piece = vec![7; 1 << 20];
    let error = loop {
        match file.write_all(&piece).and_then(|()| file.sync_all()) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    let full = bytes(&world, &places.published).await;
    assert!(full.available < MIB, "{full:?}");
    world.grow("pvc-1", 400 * MIB).await.expect("grown");
    world.killed().await;
    for _ in 0..2 {
        let request = NodeExpandVolumeRequest {
            volume_id: "pvc-1".into(),
            volume_path: text(&places.published),
        };
        let grown = world.node().await.node_expand_volume(request).await;
        assert_eq!(grown.expect("grown").into_inner().capacity_bytes, 400 * MIB);
    }
    let grown = bytes(&world, &places.published).await;
    assert!(grown.available > 90 * MIB, "{grown:?}");
    assert!(grown.total > full.total + 90 * MIB, "{grown:?}");
    file.write_all(&piece).expect("there is room");
    file.sync_all().expect("kept");
    let length = file.metadata().expect("there").len();
    drop(file);

    for _ in 0..2 {
        release(&world, &places).await;
        assert_eq!(devices(&world), "");
        world.killed().await;
    }
    // What it held is there in its next place.
    stage(&world, &places.staged).await.expect("staged");
    let found = std::fs::metadata(places.staged.join("kept")).expect("there");
    assert_eq!(found.len(), length);
    release(&world, &places).await;
    world.delete("pvc-1").await.expect("removed");
}
