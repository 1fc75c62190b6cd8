//! What an installation says once for all databases.

/// Where databases' pods find what they need, and who may reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Namespace of operator and edges.
    pub system_namespace: String,
    /// Namespace whose pods may read metrics.
    pub monitoring_namespace: String,
    /// Image of instances: node and engine.
    pub image: String,
    /// Where nodes find their parent, such as `https://lumadb-operator.lumadb-system.svc:8443`.
    pub parent: String,
    /// Host name in that address.
    pub parent_host: String,
    /// Port of the parent, for the network policies.
    pub parent_port: u16,
    /// What nodes verify their parent with, PEM; the operator fills it in when it begins to work.
    pub node_authority: String,
    /// Networks of the object store, such as `0.0.0.0/0`; of that and of `::/0`, private networks
    /// and the machines' metadata services are left out.
    pub object_store_networks: Vec<String>,
    pub object_store_port: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            system_namespace: "lumadb-system".into(),
            monitoring_namespace: "monitoring".into(),
            image: concat!("lumadb/instance:", env!("CARGO_PKG_VERSION")).into(),
            parent: "https://lumadb-operator.lumadb-system.svc:8443".into(),
            parent_host: "lumadb-operator.lumadb-system.svc".into(),
            parent_port: 8443,
            node_authority: String::new(),
            object_store_networks: vec!["0.0.0.0/0".into(), "::/0".into()],
            object_store_port: 443,
        }
    }
}
