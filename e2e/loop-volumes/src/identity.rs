//! Who the driver is, and what it can.

use crate::NAME;
use crate::csi::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest,
    GetPluginInfoResponse, Identity, PluginCapability, PluginCapabilityType, PluginService,
    PluginServiceType, ProbeRequest, ProbeResponse, VolumeExpansion, VolumeExpansionType,
};
use tonic::{Request, Response, Status};

#[derive(Debug)]
pub(crate) struct IdentityService;

#[tonic::async_trait]
impl Identity for IdentityService {
    async fn get_plugin_info(
        &self,
        _request: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        Ok(Response::new(GetPluginInfoResponse {
            name: NAME.into(),
            vendor_version: env!("CARGO_PKG_VERSION").into(),
        }))
    }

    async fn get_plugin_capabilities(
        &self,
        _request: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        let capabilities = [
            PluginCapabilityType::Service(PluginService {
                r#type: PluginServiceType::ControllerService.into(),
            }),
            PluginCapabilityType::VolumeExpansion(VolumeExpansion {
                r#type: VolumeExpansionType::Online.into(),
            }),
        ];
        Ok(Response::new(GetPluginCapabilitiesResponse {
            capabilities: capabilities
                .map(|kind| PluginCapability { r#type: Some(kind) })
                .into(),
        }))
    }

    async fn probe(
        &self,
        _request: Request<ProbeRequest>,
    ) -> Result<Response<ProbeResponse>, Status> {
        Ok(Response::new(ProbeResponse {}))
    }
}
