//! Generates clients and servers of the services that this driver speaks, from the Rust types of
//! their messages: a compiler of protocol buffers need not be there.

use tonic_build::manual::{Builder, Method, Service};

const CODEC: &str = "tonic_prost::ProstCodec";

/// A service whose messages are named after its methods.
fn service(name: &str, package: &str, comment: &str, methods: &[[&str; 4]]) -> Service {
    let mut service = Service::builder()
        .name(name)
        .package(package)
        .comment(comment);
    for [name, route, input, output] in methods {
        service = service.method(
            Method::builder()
                .name(*name)
                .route_name(*route)
                .input_type(*input)
                .output_type(*output)
                .codec_path(CODEC)
                .build(),
        );
    }
    service.build()
}

macro_rules! method {
    ($name:literal, $route:literal) => {
        [
            $name,
            $route,
            concat!("crate::csi::", $route, "Request"),
            concat!("crate::csi::", $route, "Response"),
        ]
    };
}

fn main() {
    let identity = service(
        "Identity",
        "csi.v1",
        "Who the driver is.",
        &[
            method!("get_plugin_info", "GetPluginInfo"),
            method!("get_plugin_capabilities", "GetPluginCapabilities"),
            method!("probe", "Probe"),
        ],
    );
    let controller = service(
        "Controller",
        "csi.v1",
        "Makes, grows and removes volumes.",
        &[
            method!("create_volume", "CreateVolume"),
            method!("delete_volume", "DeleteVolume"),
            method!("validate_volume_capabilities", "ValidateVolumeCapabilities"),
            method!("controller_get_capabilities", "ControllerGetCapabilities"),
            method!("controller_expand_volume", "ControllerExpandVolume"),
        ],
    );
    let node = service(
        "Node",
        "csi.v1",
        "Mounts volumes on the machine where their pods run.",
        &[
            method!("node_stage_volume", "NodeStageVolume"),
            method!("node_unstage_volume", "NodeUnstageVolume"),
            method!("node_publish_volume", "NodePublishVolume"),
            method!("node_unpublish_volume", "NodeUnpublishVolume"),
            method!("node_get_volume_stats", "NodeGetVolumeStats"),
            method!("node_expand_volume", "NodeExpandVolume"),
            method!("node_get_capabilities", "NodeGetCapabilities"),
            method!("node_get_info", "NodeGetInfo"),
        ],
    );
    let registration = service(
        "Registration",
        "pluginregistration",
        "How kubelet learns of a driver.",
        &[
            [
                "get_info",
                "GetInfo",
                "crate::kubelet::InfoRequest",
                "crate::kubelet::PluginInfo",
            ],
            [
                "notify_registration_status",
                "NotifyRegistrationStatus",
                "crate::kubelet::RegistrationStatus",
                "crate::kubelet::RegistrationStatusResponse",
            ],
        ],
    );
    Builder::new().compile(&[identity, controller, node, registration]);
}
