//! What an edge is told by the program that runs it.

use lumadb_contract::instance::TlsIdentity;
use lumadb_contract::secret::Secret;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct EdgeConfig {
    pub region: String,
    /// Where clients connect; port 0 takes a free one ([`crate::edge::Edge::addresses`]).
    pub listen: Vec<SocketAddr>,
    /// Unix socket for the control plane's SQL sessions, such as `…/.s.PGSQL.5432`.
    pub sql_socket: Option<PathBuf>,
    /// Unix socket of the control plane's `EdgeControl` service.
    pub control_socket: PathBuf,
    /// Ed25519 private key (PKCS #8 PEM) by which the control plane knows this edge.
    pub signing_key_pem: Secret,
    /// Ed25519 public key (PEM) of whoever may open SQL sessions.
    pub sql_token_key_pem: String,
    /// The edge's own certificate; without it no TLS is offered.
    pub tls: Option<TlsIdentity>,
    /// What nodes on other machines are dialed with; without it they are not reached.
    pub nodes: Option<NodeTlsSource>,
    pub plaintext: Plaintext,
    /// Hand the sockets of clients over to nodes on this machine where that is possible.
    pub hand_over: bool,
    /// Where the routes are kept for a start without a control plane; mode 0600.
    pub routes_file: Option<PathBuf>,
    /// Where `/metrics`, `/health/live` and `/health/ready` answer.
    pub metrics_listen: Option<SocketAddr>,
    pub limits: EdgeLimits,
    /// The wall clock; tokens have a time.
    pub clock: fn() -> OffsetDateTime,
}

/// How an edge and nodes on other machines know each other ([`lumadb_contract::edge_link`]).
#[derive(Debug, Clone)]
pub struct NodeTls {
    /// The authority of nodes' certificates, PEM.
    pub authority_pem: String,
    /// The certificate that nodes know this edge by.
    pub identity: TlsIdentity,
}

/// Where [`NodeTls`] comes from. It is asked at the start, and again each day: certificates end.
#[derive(Clone)]
pub struct NodeTlsSource(Arc<dyn Fn() -> io::Result<NodeTls> + Send + Sync>);

impl NodeTlsSource {
    pub fn new(source: impl Fn() -> io::Result<NodeTls> + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// Reads or makes it anew.
    pub(super) fn read(&self) -> io::Result<NodeTls> {
        (self.0)()
    }
}

impl std::fmt::Debug for NodeTlsSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("NodeTlsSource(…)")
    }
}

/// Which clients may do without TLS. Cancel requests always may: older clients send them so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plaintext {
    Refused,
    FromLoopback,
    Allowed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeLimits {
    /// Sessions that pass through this edge. Sockets that were handed over do not count.
    pub sessions_max: usize,
    /// Connections that have not authenticated yet.
    pub half_open_max: usize,
    /// Those of them from one address (one /64 of IPv6).
    pub half_open_per_address_max: u32,
    /// Failed log-ins of one address in a minute.
    pub login_failures_per_minute: u32,
    /// Longest time to the end of authentication, for each of its stages.
    pub handshake_timeout: Duration,
    /// Longest time for a database to wake.
    pub wake_timeout: Duration,
    /// How long open sessions may take to end when the edge shuts down.
    pub drain_timeout: Duration,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            sessions_max: 10_000,
            half_open_max: 4_096,
            half_open_per_address_max: 1_024,
            login_failures_per_minute: 20,
            handshake_timeout: Duration::from_secs(10),
            wake_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
