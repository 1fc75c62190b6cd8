//! Where clients connect, and what runs the databases that they reach.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PlaintextFrom {
    Nobody,
    /// Clients on this machine.
    Loopback,
    Everybody,
}

/// Where clients connect to databases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Edge {
    pub(crate) listen: SocketAddr,
    /// Host in connection strings and in certificates.
    pub(crate) host: String,
    /// Which clients may do without TLS.
    pub(crate) plaintext: PlaintextFrom,
    /// Whether the sockets of clients are handed over to nodes where that is possible.
    pub(crate) hand_over: bool,
    /// Sessions that pass through the edge at once.
    pub(crate) sessions_max: usize,
    /// Seconds for which it still takes clients after it was told to end, being not ready any more.
    pub(crate) leave_seconds: u64,
    /// Health and metrics of the edge; off unless set.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// For an edge away from the control plane: the folder in which the Secret `lumadb-edge` is mounted,
    /// which says how control plane and nodes are reached. It needs no data folder's keys then.
    pub(crate) control_dir: Option<PathBuf>,
    /// Certificate chain that clients see and its key, each PEM; one of the control plane's own
    /// authority unless they are named.
    pub(crate) certificate_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6432)),
            host: "localhost".into(),
            plaintext: PlaintextFrom::Nobody,
            hand_over: true,
            sessions_max: 10_000,
            leave_seconds: 0,
            metrics_listen: None,
            control_dir: None,
            certificate_file: None,
            key_file: None,
        }
    }
}

impl Edge {
    /// What is wrong, with the key at fault.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.certificate_file.is_some() == self.key_file.is_some() {
            return Ok(());
        }
        let why = "goes with edge.key_file: both or none";
        Err(("certificate_file", why.into()))
    }
}

/// What `region.edge_authority` says of one that clients know anyway.
pub(crate) const EDGE_AUTHORITY_PUBLIC: &str = "public";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Region {
    pub(crate) name: String,
    pub(crate) display_name: String,
    /// What runs the region's databases: `local`, this machine, or `kubernetes`, the operator of a
    /// cluster.
    pub(crate) runtime: RuntimeKind,
    /// Host and port of the edge that leads into the cluster, for connection strings; both or none.
    /// Without them strings name the edge of this machine, and databases do not fall asleep.
    pub(crate) edge_host: Option<String>,
    pub(crate) edge_port: Option<u16>,
    /// File with the authority, PEM, by which clients know the edges, to be shown to them;
    /// [`EDGE_AUTHORITY_PUBLIC`]: they know it anyway. Unless it is set, that of the data folder.
    pub(crate) edge_authority: Option<PathBuf>,
}

impl Default for Region {
    fn default() -> Self {
        Self {
            name: "local".into(),
            display_name: "This machine".into(),
            runtime: RuntimeKind::default(),
            edge_host: None,
            edge_port: None,
            edge_authority: None,
        }
    }
}

impl Region {
    /// Where clients of the region's databases connect, `own` being the edge of this machine.
    pub(crate) fn clients_connect_to(&self, own: (&str, u16)) -> (String, u16) {
        match (&self.edge_host, self.edge_port) {
            (Some(host), Some(port)) => (host.clone(), port),
            _ => (own.0.to_owned(), own.1),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuntimeKind {
    #[default]
    Local,
    Kubernetes,
}
