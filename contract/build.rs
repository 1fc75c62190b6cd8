//! Generates the clients and servers of the internal services from the Rust types that travel
//! on them, so that no second definition of a message exists.

use tonic_build::manual::{Builder, Method, Service};

const CODEC: &str = "crate::rpc::JsonCodec";

fn method(
    name: &str,
    route: &str,
    input: &str,
    output: &str,
) -> tonic_build::manual::MethodBuilder {
    Method::builder()
        .name(name)
        .route_name(route)
        .input_type(input)
        .output_type(output)
        .codec_path(CODEC)
}

fn main() {
    let node_parent = Service::builder()
        .name("NodeParent")
        .package("lumadb.node.v1")
        .comment("The stream between a node and its parent.")
        .method(
            method(
                "attach",
                "Attach",
                "crate::stream::NodeMessage",
                "crate::stream::ParentMessage",
            )
            .client_streaming()
            .server_streaming()
            .build(),
        )
        .build();
    let node_enrollment = Service::builder()
        .name("NodeEnrollment")
        .package("lumadb.node.v1")
        .comment("How a node in a cluster comes by its certificate.")
        .method(
            method(
                "enroll",
                "Enroll",
                "crate::enrollment::EnrollmentRequest",
                "crate::enrollment::Enrollment",
            )
            .build(),
        )
        .build();
    let edge_control = Service::builder()
        .name("EdgeControl")
        .package("lumadb.edge.v1")
        .comment("What an edge asks of the control plane.")
        .method(
            method(
                "watch_routes",
                "WatchRoutes",
                "crate::route::WatchRoutes",
                "crate::route::RouteUpdate",
            )
            .server_streaming()
            .build(),
        )
        .method(
            method(
                "resolve",
                "Resolve",
                "crate::route::Resolve",
                "crate::route::Resolved",
            )
            .build(),
        )
        .method(
            method(
                "wake",
                "Wake",
                "crate::route::Wake",
                "crate::route::Resolved",
            )
            .build(),
        )
        .build();
    let region_link = Service::builder()
        .name("RegionLink")
        .package("lumadb.region.v1")
        .comment("The stream between the operator of a cluster and the control plane.")
        .method(
            method(
                "attach",
                "Attach",
                "crate::cluster::RegionMessage",
                "crate::cluster::ControlMessage",
            )
            .client_streaming()
            .server_streaming()
            .build(),
        )
        .build();
    Builder::new().compile(&[node_parent, node_enrollment, edge_control, region_link]);
}
