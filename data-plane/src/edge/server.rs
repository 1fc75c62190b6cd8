//! An edge as a program runs it: bind, serve, drain.

use super::config::{EdgeConfig, SqlEntrance};
use super::connection::{Shared, leaving};
use super::control::Control;
use super::follow;
use super::health::{self, Health};
use super::limits::{FailureLimit, HalfOpenLimit};
use super::locate::{Label, Locator};
use super::metrics::{Metrics, Outcome};
use super::node::Dialer;
use super::renewed::{RenewalError, Renewed};
use super::routes::RouteTable;
use super::sql_token::SqlTokens;
use crate::protocol::postgres::session::{Order, SessionTable};
use crate::protocol::postgres::socket;
use crate::protocol::postgres::tls::TlsServer;
use futures::future::select_all;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long sessions that are ended at the end of draining may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Sessions of the control plane at once.
const SQL_SESSIONS_MAX: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error("the address {address} cannot be listened on: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the socket {path} cannot be made: {source}")]
    Socket { path: PathBuf, source: io::Error },
    #[error("the certificates for dialing nodes: {0}")]
    Nodes(#[source] RenewalError),
    #[error("the edge's certificate: {0}")]
    Tls(#[source] RenewalError),
    #[error("the edge's key is not Ed25519 in PEM: {0}")]
    Key(#[from] jsonwebtoken::errors::Error),
}

/// An edge that listens and does not serve yet.
#[must_use = "it serves when it runs"]
pub struct Edge {
    config: EdgeConfig,
    clients: Vec<TcpListener>,
    sql: Option<UnixListener>,
    metrics_listener: Option<TcpListener>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Edge({:?})", self.addresses())
    }
}

impl Edge {
    /// Binds every address; connects to nothing.
    pub async fn bind(config: EdgeConfig) -> Result<Self, EdgeError> {
        raise_descriptor_limit();
        let mut clients = Vec::with_capacity(config.listen.len());
        for address in &config.listen {
            clients.push(listen(*address).await?);
        }
        let metrics_listener = match config.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let sql = match config.sql.as_ref().map(|door| &door.entrance) {
            Some(SqlEntrance::Socket(path)) => {
                Some(socket::bind(path).map_err(|source| EdgeError::Socket {
                    path: path.clone(),
                    source,
                })?)
            }
            Some(SqlEntrance::WithClients) | None => None,
        };
        let shared = Arc::new(share(&config)?);
        Ok(Self {
            config,
            clients,
            sql,
            metrics_listener,
            shared,
        })
    }

    /// Where clients connect, with the ports that were taken.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let address = |listener: &TcpListener| listener.local_addr().ok();
        self.clients.iter().filter_map(address).collect()
    }

    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_listener.as_ref()?.local_addr().ok()
    }

    /// Serves until `shutdown`; then says that it leaves, after a while takes nobody new, lets sessions end between transactions, and
    /// ends what is left when the time is over. Every connection is a task of the current runtime,
    /// which is meant to have one thread.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            config,
            clients,
            sql,
            metrics_listener,
            shared,
        } = self;
        let background = CancellationToken::new();
        let spawn = |task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let stopped = background.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = task => {}
                }
            });
        };
        let locator = shared.locator.clone();
        spawn(Box::pin(follow::follow(
            locator.clone(),
            shared.metrics.clone(),
        )));
        if let Some(path) = config.routes_file.clone() {
            let (locator, region) = (locator.clone(), config.region.clone());
            spawn(Box::pin(async move {
                follow::save(locator, &path, &region).await;
            }));
        }
        if let Some(listener) = metrics_listener {
            let health = Arc::new(Health {
                metrics: shared.metrics.clone(),
                locator: locator.clone(),
                sessions: shared.sessions.clone(),
            });
            spawn(Box::pin(health::serve(listener, health)));
        }
        let half_open = HalfOpenLimit::new(
            config.limits.half_open_per_address_max,
            config.limits.half_open_max,
        );
        let mut accepting: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
        for listener in clients {
            let accept = accept_clients(listener, shared.clone(), half_open.clone());
            accepting.push(Box::pin(accept));
        }
        if let Some(listener) = sql {
            accepting.push(Box::pin(accept_sql(listener, shared.clone())));
        }
        if accepting.is_empty() {
            accepting.push(Box::pin(std::future::pending()));
        }
        let leave = async {
            shutdown.cancelled().await;
            shared.metrics.leaving.store(true, Relaxed);
            tokio::time::sleep(config.limits.leave_delay).await;
        };
        tokio::select! {
            () = leave => {}
            _ = select_all(&mut accepting) => {}
        }
        // Closes the ports.
        drop(accepting);
        drain(&shared).await;
        background.cancel();
        if let Some(path) = &config.routes_file {
            follow::save_now(&locator, path, &config.region).await;
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, EdgeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| EdgeError::Listen { address, source })
}

fn share(config: &EdgeConfig) -> Result<Shared, EdgeError> {
    let metrics = Arc::new(Metrics::default());
    let loaded = config.routes_file.as_ref().and_then(|path| {
        RouteTable::load(path, &config.region).unwrap_or_else(|error| {
            tracing::warn!(%error, path = %path.display(), "the file of routes is not readable");
            None
        })
    });
    metrics.has_routes.store(loaded.is_some(), Relaxed);
    let sessions: Arc<SessionTable<Label>> = Arc::default();
    let tls = config.tls.clone().map(|source| {
        let now = Instant::now();
        Renewed::new("for clients", source, TlsServer::new, now).map_err(EdgeError::Tls)
    });
    Ok(Shared {
        region: config.region.clone(),
        limits: config.limits,
        plaintext: config.plaintext,
        hand_over: config.hand_over,
        tls: tls.transpose()?,
        locator: Locator::new(
            Control::new(config)?,
            loaded.unwrap_or_default(),
            sessions.clone(),
            metrics.clone(),
            config.limits.wake_timeout,
        ),
        dialer: Dialer::new(config.nodes.as_ref()).map_err(EdgeError::Nodes)?,
        sessions,
        failures: FailureLimit::new(config.limits.login_failures_per_minute),
        metrics,
        sql_tokens: config.sql.clone().map(SqlTokens::new),
        clock: config.clock,
        fallback_key: rand::random(),
        draining: AtomicBool::new(false),
    })
}

async fn accept_clients(listener: TcpListener, shared: Arc<Shared>, half_open: Arc<HalfOpenLimit>) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                socket::accept_failed(&error).await;
                continue;
            }
        };
        shared.metrics.accepted();
        let Some(place) = half_open.enter(address.ip()) else {
            shared.metrics.count(Outcome::HalfOpenLimit);
            continue;
        };
        socket::tune(&stream);
        tokio::spawn(shared.clone().serve_tcp(stream, address, place));
    }
}

async fn accept_sql(listener: UnixListener, shared: Arc<Shared>) {
    let places = Arc::new(tokio::sync::Semaphore::new(SQL_SESSIONS_MAX));
    loop {
        let stream = socket::accept_trusted(&listener).await;
        let Ok(place) = places.clone().try_acquire_owned() else {
            shared.metrics.count(Outcome::HalfOpenLimit);
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            shared.serve_sql(stream).await;
            drop(place);
        });
    }
}

async fn drain(shared: &Shared) {
    shared.draining.store(true, Release);
    let end = |order: Order| {
        shared.sessions.end_each(|_| Some((order, leaving())));
        shared.sessions.emptied()
    };
    let gentle = tokio::time::timeout(shared.limits.drain_timeout, end(Order::WhenIdle));
    if gentle.await.is_err() {
        tracing::info!(
            sessions = shared.sessions.len(),
            "the time to drain is over: open sessions end now"
        );
        let _ = tokio::time::timeout(LEAVE_TIMEOUT, end(Order::Now)).await;
    }
}

/// Every client is a descriptor: takes as many as the system grants.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
