//! The operator of a Kubernetes cluster.

use serde::{Deserialize, Serialize};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Running databases in a Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Operator {
    /// How the cluster is reached; without it by the service account of the pod, `KUBECONFIG` or
    /// `~/.kube/config`.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The namespace whose databases are run; all unless it is named.
    pub(crate) namespace: Option<String>,
    /// Name of this process among operators, in the lease; host and process ID unless it is given.
    /// In a pod: the pod's name, so that one that starts again there goes on at once.
    pub(crate) identity: Option<String>,
    /// Health and metrics of the operator.
    pub(crate) listen: SocketAddr,
    /// Databases that are worked on at once.
    pub(crate) concurrency: u16,
    /// Namespace of operator and edges, where the lease is.
    pub(crate) system_namespace: String,
    /// Namespace whose pods may read databases' metrics.
    pub(crate) monitoring_namespace: String,
    /// Image of databases' pods.
    pub(crate) image: String,
    /// Where databases' pods find the operator.
    pub(crate) parent: String,
    /// Where it listens for them.
    pub(crate) parent_listen: SocketAddr,
    /// Networks of the object store, for databases' pods; of `0.0.0.0/0` and `::/0` private ones are
    /// left out.
    pub(crate) object_store_networks: Vec<String>,
    pub(crate) object_store_port: u16,
}

impl Default for Operator {
    fn default() -> Self {
        let settings = lumadb_operator::Settings::default();
        Self {
            kubeconfig: None,
            namespace: None,
            identity: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            concurrency: 16,
            system_namespace: settings.system_namespace,
            monitoring_namespace: settings.monitoring_namespace,
            image: settings.image,
            parent: settings.parent,
            parent_listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8443)),
            object_store_networks: settings.object_store_networks,
            object_store_port: settings.object_store_port,
        }
    }
}
