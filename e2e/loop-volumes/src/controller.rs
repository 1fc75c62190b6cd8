//! Makes, grows and removes volumes, as the external provisioner and resizer ask.

use crate::csi::{
    ConfirmedCapabilities, Controller, ControllerExpandVolumeRequest,
    ControllerExpandVolumeResponse, ControllerGetCapabilitiesRequest,
    ControllerGetCapabilitiesResponse, ControllerRpc, CreateVolumeRequest, CreateVolumeResponse,
    DeleteVolumeRequest, DeleteVolumeResponse, ServiceCapability,
    ValidateVolumeCapabilitiesRequest, ValidateVolumeCapabilitiesResponse, Volume,
};
use crate::folder::Folder;
use crate::volume::{Sizes, VolumeId, require_usable, usable};
use std::sync::Arc;
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct ControllerService {
    pub(crate) folder: Arc<Mutex<Folder>>,
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[tonic::async_trait]
impl Controller for ControllerService {
    async fn create_volume(
        &self,
        request: Request<CreateVolumeRequest>,
    ) -> Result<Response<CreateVolumeResponse>, Status> {
        let request = request.into_inner();
        let id = VolumeId::parse(&request.name)?;
        let sizes = Sizes::parse(request.capacity_range)?;
        if request.volume_content_source.is_some() {
            return Err(Status::invalid_argument("a volume begins empty here"));
        }
        require_usable(request.volume_capabilities.first())?;
        for capability in &request.volume_capabilities {
            require_usable(Some(capability))?;
        }
        let bytes = self.folder.lock().await.create(&id, sizes).await?;
        tracing::info!(%id, bytes, "made");
        Ok(Response::new(CreateVolumeResponse {
            volume: Some(Volume {
                capacity_bytes: signed(bytes),
                volume_id: id.to_string(),
            }),
        }))
    }

    async fn delete_volume(
        &self,
        request: Request<DeleteVolumeRequest>,
    ) -> Result<Response<DeleteVolumeResponse>, Status> {
        let request = request.into_inner();
        if request.volume_id.is_empty() {
            return Err(Status::invalid_argument("no volume is named"));
        }
        // What could not have been made is not there.
        if let Ok(id) = VolumeId::parse(&request.volume_id) {
            self.folder.lock().await.delete(&id).await?;
            tracing::info!(%id, "removed");
        }
        Ok(Response::new(DeleteVolumeResponse {}))
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<ValidateVolumeCapabilitiesResponse>, Status> {
        let request = request.into_inner();
        let id = VolumeId::parse(&request.volume_id)?;
        self.folder.lock().await.size_known(&id)?;
        if request.volume_capabilities.is_empty() {
            return Err(Status::invalid_argument("no capability"));
        }
        let refused = request
            .volume_capabilities
            .iter()
            .find_map(|capability| usable(capability).err());
        let volume_capabilities = request.volume_capabilities;
        Ok(Response::new(ValidateVolumeCapabilitiesResponse {
            confirmed: refused.is_none().then_some(ConfirmedCapabilities {
                volume_capabilities,
            }),
            message: refused.unwrap_or_default(),
        }))
    }

    async fn controller_get_capabilities(
        &self,
        _request: Request<ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<ControllerGetCapabilitiesResponse>, Status> {
        let can = [
            ControllerRpc::CreateDeleteVolume,
            ControllerRpc::ExpandVolume,
        ];
        Ok(Response::new(ControllerGetCapabilitiesResponse {
            capabilities: can.map(ServiceCapability::of).into(),
        }))
    }

    async fn controller_expand_volume(
        &self,
        request: Request<ControllerExpandVolumeRequest>,
    ) -> Result<Response<ControllerExpandVolumeResponse>, Status> {
        let request = request.into_inner();
        let id = VolumeId::parse(&request.volume_id)?;
        if request.capacity_range.is_none() {
            return Err(Status::invalid_argument("no size is asked for"));
        }
        let sizes = Sizes::parse(request.capacity_range)?;
        let bytes = self.folder.lock().await.grow(&id, sizes)?;
        tracing::info!(%id, bytes, "the file has grown");
        Ok(Response::new(ControllerExpandVolumeResponse {
            capacity_bytes: signed(bytes),
            node_expansion_required: true,
        }))
    }
}
