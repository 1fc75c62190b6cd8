//! The host name of an instance. Without an address of the cluster's own: edges go to the pod.

use super::{METRICS_PORT, SQL_PORT, database_name, metadata, selector, stamp};
use crate::api::LumaDatabase;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

/// The service of a database.
pub fn service(database: &LumaDatabase) -> Service {
    stamp(Service {
        metadata: metadata(database, database_name(database)),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".into()),
            selector: Some(selector(database)),
            // A node takes sessions while its engine still starts.
            publish_not_ready_addresses: Some(true),
            ports: Some(vec![port("sql", SQL_PORT), port("metrics", METRICS_PORT)]),
            ..ServiceSpec::default()
        }),
        status: None,
    })
}

/// Host of a database inside of the cluster.
pub fn address(database: &LumaDatabase) -> String {
    let namespace = database.namespace().unwrap_or_default();
    format!("{}.{namespace}.svc", database_name(database))
}

fn port(name: &str, number: u16) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port: number.into(),
        protocol: Some("TCP".into()),
        target_port: Some(IntOrString::String(name.into())),
        ..ServicePort::default()
    }
}
