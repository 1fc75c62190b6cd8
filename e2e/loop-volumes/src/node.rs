//! Mounts volumes on this machine and lets their file systems grow, as kubelet asks.
//!
//! `mount -o loop` makes the loop device and ties it to the mount: the kernel frees it with the last
//! mount, so that nothing is left where the driver is killed between the two.

use crate::csi::{
    Node, NodeExpandVolumeRequest, NodeExpandVolumeResponse, NodeGetCapabilitiesRequest,
    NodeGetCapabilitiesResponse, NodeGetInfoRequest, NodeGetInfoResponse,
    NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, NodePublishVolumeRequest,
    NodePublishVolumeResponse, NodeRpc, NodeStageVolumeRequest, NodeStageVolumeResponse,
    NodeUnpublishVolumeRequest, NodeUnpublishVolumeResponse, NodeUnstageVolumeRequest,
    NodeUnstageVolumeResponse, ServiceCapability, UsageUnit, VolumeUsage,
};
use crate::folder::{Folder, failed};
use crate::mounts::device_at;
use crate::program::run;
use crate::volume::{FILE_SYSTEM, VolumeId, require_usable};
use nix::sys::statvfs::statvfs;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct NodeService {
    pub(crate) folder: Arc<Mutex<Folder>>,
    /// The machine's name, as kubelet calls it.
    pub(crate) name: String,
}

/// An absolute path of a request's.
fn place(text: &str) -> Result<&Path, Status> {
    let path = Path::new(text);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Status::invalid_argument(format!("{text:?} is no path")))
}

/// What is mounted at a place where a volume must be.
fn device_known(at: &Path) -> Result<PathBuf, Status> {
    let nothing = || Status::not_found(format!("nothing is mounted at {}", at.display()));
    device_at(at)?.ok_or_else(nothing)
}

/// Ends every mount at a place, and removes the place too.
async fn release(at: &Path) -> Result<(), Status> {
    while device_at(at)?.is_some() {
        run("umount", &[at]).await?;
    }
    match std::fs::remove_dir(at) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(at, &error)),
        _ => Ok(()),
    }
}

fn usage(total: u64, free: u64, available: u64, unit: UsageUnit) -> VolumeUsage {
    let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    VolumeUsage {
        available: signed(available),
        total: signed(total),
        used: signed(total.saturating_sub(free)),
        unit: unit.into(),
    }
}

#[tonic::async_trait]
impl Node for NodeService {
    async fn node_stage_volume(
        &self,
        request: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        let request = request.into_inner();
        let id = VolumeId::parse(&request.volume_id)?;
        let at = place(&request.staging_target_path)?;
        require_usable(request.volume_capability.as_ref())?;
        let folder = self.folder.lock().await;
        folder.size_known(&id)?;
        if device_at(at)?.is_none() {
            std::fs::create_dir_all(at).map_err(|error| failed(at, &error))?;
            let file = folder.file(&id);
            let [kind, what, options, loops] = ["-t", FILE_SYSTEM, "-o", "loop"].map(OsStr::new);
            let arguments = [kind, what, options, loops, file.as_os_str(), at.as_os_str()];
            run("mount", &arguments).await?;
            tracing::info!(%id, "mounted");
        }
        Ok(Response::new(NodeStageVolumeResponse {}))
    }

    async fn node_unstage_volume(
        &self,
        request: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        let request = request.into_inner();
        let id = VolumeId::parse(&request.volume_id)?;
        let at = place(&request.staging_target_path)?;
        let _alone = self.folder.lock().await;
        release(at).await?;
        tracing::info!(%id, "unmounted");
        Ok(Response::new(NodeUnstageVolumeResponse {}))
    }

    async fn node_publish_volume(
        &self,
        request: Request<NodePublishVolumeRequest>,
    ) -> Result<Response<NodePublishVolumeResponse>, Status> {
        let request = request.into_inner();
        let id = VolumeId::parse(&request.volume_id)?;
        let staged = place(&request.staging_target_path)?;
        let at = place(&request.target_path)?;
        require_usable(request.volume_capability.as_ref())?;
        let folder = self.folder.lock().await;
        folder.size_known(&id)?;
        let unstaged = || Status::failed_precondition(format!("volume {id} is not staged"));
        device_at(staged)?.ok_or_else(unstaged)?;
        if device_at(at)?.is_none() {
            std::fs::create_dir_all(at).map_err(|error| failed(at, &error))?;
            run("mount", &[Path::new("--bind"), staged, at]).await?;
        }
        if request.readonly {
            let options = ["-o", "remount,bind,ro"].map(Path::new);
            run("mount", &[options[0], options[1], at]).await?;
        }
        Ok(Response::new(NodePublishVolumeResponse {}))
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        VolumeId::parse(&request.volume_id)?;
        let at = place(&request.target_path)?;
        let _alone = self.folder.lock().await;
        release(at).await?;
        Ok(Response::new(NodeUnpublishVolumeResponse {}))
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<NodeGetVolumeStatsRequest>,
    ) -> Result<Response<NodeGetVolumeStatsResponse>, Status> {
        let request = request.into_inner();
        VolumeId::parse(&request.volume_id)?;
        let at = place(&request.volume_path)?;
        device_known(at)?;
        let found = statvfs(at).map_err(|error| failed(at, &error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.fragment_size());
        Ok(Response::new(NodeGetVolumeStatsResponse {
            usage: vec![
                usage(
                    bytes(found.blocks()),
                    bytes(found.blocks_free()),
                    bytes(found.blocks_available()),
                    UsageUnit::Bytes,
                ),
                usage(
                    found.files(),
                    found.files_free(),
                    found.files_available(),
                    UsageUnit::Inodes,
                ),
            ],
        }))
    }

    async fn node_expand_volume(
        &self,
        request: Request<NodeExpandVolumeRequest>,
    ) -> Result<Response<NodeExpandVolumeResponse>, Status> {
        let request = request.into_inner();
        let id = VolumeId::parse(&request.volume_id)?;
        let at = place(&request.volume_path)?;
        let folder = self.folder.lock().await;
        let bytes = folder.size_known(&id)?;
        let device = device_known(at)?;
        // The device learns how large its file is, and the file system how large its device.
        run("losetup", &[Path::new("--set-capacity"), &device]).await?;
        run("xfs_growfs", &[at]).await?;
        tracing::info!(%id, bytes, "the file system has grown");
        Ok(Response::new(NodeExpandVolumeResponse {
            capacity_bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        }))
    }

    async fn node_get_capabilities(
        &self,
        _request: Request<NodeGetCapabilitiesRequest>,
    ) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        let can = [
            NodeRpc::StageUnstageVolume,
            NodeRpc::GetVolumeStats,
            NodeRpc::ExpandVolume,
        ];
        Ok(Response::new(NodeGetCapabilitiesResponse {
            capabilities: can.map(ServiceCapability::of).into(),
        }))
    }

    async fn node_get_info(
        &self,
        _request: Request<NodeGetInfoRequest>,
    ) -> Result<Response<NodeGetInfoResponse>, Status> {
        Ok(Response::new(NodeGetInfoResponse {
            node_id: self.name.clone(),
        }))
    }
}
