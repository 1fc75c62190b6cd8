//! A region in one process: a real PostgreSQL, a node's server in front of it, an edge in front of
//! that, and a control plane that is played.

use super::control::{Control, control_socket, serve_control};
use super::engine::Engine;
use super::far_authority::FarAuthority;
use super::node::{cluster_address, identity, serving};
use lumadb_contract::route::{NodeAddress, RouteState};
use lumadb_contract::secret::Secret;
use lumadb_data_plane::agent::NodeState;
use lumadb_data_plane::edge::{
    ControlPlane, Edge, EdgeConfig, EdgeLimits, Plaintext, Source, SqlDoor, SqlEntrance,
};
use lumadb_data_plane::protocol::postgres::{self, Listeners, Services, socket};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(super) const DATABASE: &str = "db_01jd8k2m9n0000000000000001";
pub(super) const ROUTE_NUMBER: u32 = 77;
pub(super) const PASSWORD: &str = "pencil";
pub(super) const REGION: &str = "test-1";

/// A role that the engine has and the spec does not.
pub(super) const SERVICE_ROLE: &str = "lumadb_admin";

/// The moment at which everything here happens.
pub(super) fn now() -> OffsetDateTime {
    time::macros::datetime!(2026-01-01 0:00 UTC)
}

/// Whether sockets are handed over, and whether the node is on another machine.
pub(super) const WAYS: [(bool, bool); 3] = [(false, false), (true, false), (true, true)];

/// What a test may choose.
pub(super) struct Wishes {
    pub(super) hand_over: bool,
    pub(super) plaintext: Plaintext,
    pub(super) node_tls: bool,
    /// The edge reaches the node over the network.
    pub(super) far: bool,
    /// Where the control plane's own sessions come in, if not at a socket of theirs.
    pub(super) entrance: Option<SqlEntrance>,
    pub(super) state: Option<RouteState>,
    pub(super) limits: EdgeLimits,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            hand_over: false,
            plaintext: Plaintext::Allowed,
            node_tls: true,
            far: false,
            entrance: None,
            state: None,
            limits: EdgeLimits::default(),
        }
    }
}

pub(super) struct World {
    /// Ends when the world does.
    _engine: Engine,
    pub(super) folder: TempDir,
    pub(super) state: Arc<NodeState>,
    pub(super) control: Control,
    /// Where the edge takes clients, and where the node does on its own.
    pub(super) edge: SocketAddr,
    pub(super) node: SocketAddr,
    pub(super) metrics: SocketAddr,
    pub(super) certificate_pem: String,
    pub(super) authority: FarAuthority,
    pub(super) config: EdgeConfig,
    pub(super) sql_key_pem: String,
    pub(super) edge_shutdown: CancellationToken,
    pub(super) edge_task: tokio::task::JoinHandle<()>,
    control_runtime: Option<tokio::runtime::Runtime>,
}

fn services(folder: &Path) -> Services {
    let folder = folder.join("services");
    std::fs::create_dir(&folder).expect("made");
    Services {
        listener: socket::bind(&folder.join(".s.PGSQL.5432")).expect("a socket"),
        role: SERVICE_ROLE.to_owned(),
    }
}

/// A runtime may not be dropped within another one's task.
impl Drop for World {
    fn drop(&mut self) {
        if let Some(runtime) = self.control_runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl World {
    pub(super) async fn new(wishes: Wishes) -> Self {
        let engine = Engine::start();
        let folder = tempfile::Builder::new()
            .prefix("w")
            .tempdir_in("/tmp")
            .expect("a folder");
        let (identity, certificate_pem) = identity();
        let node_socket = folder.path().join("node.sock");
        let clients = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let node = clients.local_addr().expect("an address");
        let awake = RouteState::Awake {
            node: if wishes.far {
                cluster_address(node)
            } else {
                NodeAddress::Unix(node_socket.clone())
            },
        };
        let route_state = wishes.state.unwrap_or_else(|| awake.clone());

        let state = NodeState::new(engine.socket());
        let authority = FarAuthority::new();
        let node_tls = if wishes.far {
            Some(authority.node(DATABASE))
        } else {
            wishes.node_tls.then(|| identity.clone())
        };
        let edges = wishes.far.then(|| authority.trust());
        let accepting = route_state == awake;
        state.serve(serving(node_tls, edges, accepting));
        let listeners = Listeners {
            node: socket::bind(&node_socket).expect("a socket"),
            clients: Some(clients),
            services: Some(services(folder.path())),
        };
        let id = DATABASE.parse().expect("valid");
        tokio::spawn(postgres::serve(
            state.clone(),
            id,
            listeners,
            CancellationToken::new(),
        ));

        let edge_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let sql_key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let (public, sql_public) = (edge_key.public_key_pem(), sql_key.public_key_pem());
        let control = Control::new(&state, route_state, awake, public.as_bytes());
        let config = EdgeConfig {
            region: REGION.into(),
            listen: vec!["127.0.0.1:0".parse().expect("valid")],
            sql: Some(SqlDoor {
                entrance: (wishes.entrance)
                    .unwrap_or_else(|| SqlEntrance::Socket(folder.path().join(".s.PGSQL.5432"))),
                token_key: Source::new(move || Ok(sql_public.clone())),
            }),
            control: ControlPlane::Here {
                socket: control_socket(folder.path()),
                signing_key_pem: Secret::new(edge_key.serialize_pem()),
            },
            tls: Some(Source::new(move || Ok(identity.clone()))),
            nodes: wishes.far.then(|| authority.for_edge()),
            plaintext: wishes.plaintext,
            hand_over: wishes.hand_over,
            routes_file: Some(folder.path().join("routes.json")),
            metrics_listen: Some("127.0.0.1:0".parse().expect("valid")),
            limits: wishes.limits,
            clock: now,
        };
        let control_runtime = Some(serve_control(
            &control_socket(folder.path()),
            control.clone(),
        ));
        let (edge, metrics, edge_shutdown, edge_task) = start_edge(config.clone()).await;
        let world = Self {
            _engine: engine,
            folder,
            state,
            control,
            edge,
            node,
            metrics,
            certificate_pem,
            authority,
            config,
            sql_key_pem: sql_key.serialize_pem(),
            edge_shutdown,
            edge_task,
            control_runtime,
        };
        world
            .until(|text| text.contains("lumadb_edge_routes 1\n"))
            .await;
        world
    }

    /// The folder of the socket that services come by, as [`SERVICE_ROLE`].
    pub(super) fn services(&self) -> PathBuf {
        self.folder.path().join("services")
    }

    pub(super) fn stop_control(&mut self) {
        if let Some(runtime) = self.control_runtime.take() {
            runtime.shutdown_background();
        }
        std::fs::remove_file(control_socket(self.folder.path())).expect("removed");
    }

    pub(super) async fn restart_edge(&mut self) {
        self.edge_shutdown.cancel();
        (&mut self.edge_task).await.expect("it ends");
        (self.edge, self.metrics, self.edge_shutdown, self.edge_task) =
            start_edge(self.config.clone()).await;
    }
}

async fn start_edge(
    config: EdgeConfig,
) -> (
    SocketAddr,
    SocketAddr,
    CancellationToken,
    tokio::task::JoinHandle<()>,
) {
    let edge = Edge::bind(config).await.expect("bound");
    let address = edge.addresses()[0];
    let metrics = edge.metrics_address().expect("an address");
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(edge.run(shutdown.clone()));
    (address, metrics, shutdown, task)
}
