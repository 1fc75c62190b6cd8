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
    /// How the control plane's own sessions come in, if they do.
    pub sql: Option<SqlDoor>,
    /// How the control plane's `EdgeControl` service is reached.
    pub control: ControlPlane,
    /// The edge's own certificate; without it no TLS is offered.
    pub tls: Option<Source<TlsIdentity>>,
    /// What nodes on other machines are dialed with; without it they are not reached.
    pub nodes: Option<Source<NodeTls>>,
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

/// How the control plane's own sessions come in: those of the SQL editor and of imports.
#[derive(Debug, Clone)]
pub struct SqlDoor {
    pub entrance: SqlEntrance,
    /// Ed25519 public key (PEM) of whoever may open sessions; asked for at each session.
    pub token_key: Source<String>,
}

#[derive(Debug, Clone)]
pub enum SqlEntrance {
    /// A unix socket of their own, such as `…/.s.PGSQL.5432`.
    Socket(PathBuf),
    /// Where clients connect, over TLS.
    WithClients,
}

/// Where the control plane is, and what it knows this edge by.
#[derive(Debug, Clone)]
pub enum ControlPlane {
    Here {
        /// Unix socket of its service for edges.
        socket: PathBuf,
        /// Ed25519 private key (PKCS #8 PEM); the edge signs a token for each call.
        signing_key_pem: Secret,
    },
    /// On another machine, as the files of this folder say
    /// ([`edge_secret`](lumadb_contract::cluster::edge_secret)). Address and authority are read for
    /// each connection, the token for each call: all of them may be replaced.
    Elsewhere { folder: PathBuf },
}

/// How an edge and nodes on other machines know each other ([`lumadb_contract::edge_link`]).
#[derive(Debug, Clone)]
pub struct NodeTls {
    /// The authority of nodes' certificates, PEM.
    pub authority_pem: String,
    /// The certificate that nodes know this edge by.
    pub identity: TlsIdentity,
}

/// Where certificates come from. It is asked at the start, and again each day: certificates end.
#[derive(Clone)]
pub struct Source<C>(Arc<dyn Fn() -> io::Result<C> + Send + Sync>);

impl<C> Source<C> {
    pub fn new(source: impl Fn() -> io::Result<C> + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// Reads or makes them anew.
    pub fn read(&self) -> io::Result<C> {
        (self.0)()
    }
}

impl<C> std::fmt::Debug for Source<C> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Source(…)")
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
    /// How long clients are still taken after the edge was told to end, and `/health/ready` says so
    /// already: whoever leads clients here learns it from that, and takes a moment.
    pub leave_delay: Duration,
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
            leave_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(10),
        }
    }
}
