//! What edges ask of the control plane: routes, and waking.
//!
//! An edge shows a token that names its region; it sees nothing of another. One on this machine signs
//! a short-lived one itself; one in a region's cluster shows what the control plane laid down there.

use crate::app::Platform;
use crate::app::database::wake;
use crate::clock::Clock;
use crate::identity::{ServiceTokenError, ServiceVerifier};
use crate::runtime::kubernetes::{LinkCertificate, LinkTls, LinkTlsError, link_accept};
use crate::store::{Signal, StoreError, route};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::route::{Resolve, Resolved, RouteUpdate, Wake, WatchRoutes};
use lumadb_contract::rpc::{EdgeControl, EdgeControlServer};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::Stream;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// Longest wait of one call for a database to wake.
const WAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// Changes that come together are sent together.
const GATHER: Duration = Duration::from_millis(2);
/// How often the feed is read without any signal.
const REREAD_INTERVAL: Duration = Duration::from_secs(10);
/// Calls of one edge elsewhere at once: each database that wakes is one.
const CALLS_MAX: u32 = 1024;
/// How often a silent edge elsewhere is tried, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the socket {path} for edges cannot be opened: {source}")]
    Socket {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("edges elsewhere cannot be listened for at {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("the certificate for edges elsewhere: {0}")]
    Tls(#[from] LinkTlsError),
    #[error("the service for edges ended: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves edges on a unix socket until it is told to stop.
pub async fn serve(
    platform: Platform,
    socket: &Path,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let failed = |source| ServeError::Socket {
        path: socket.to_owned(),
        source,
    };
    // A socket of a process that was killed stays behind and would refuse the address.
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let service = Service {
        platform,
        callers: Callers::OfThisMachine,
        shutdown: shutdown.clone(),
    };
    tonic::transport::Server::builder()
        .add_service(EdgeControlServer::new(service))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), shutdown.cancelled())
        .await?;
    Ok(())
}

/// The endpoint of edges that are in a region's cluster: TLS, where it was listened.
#[derive(Debug)]
pub struct Elsewhere {
    listener: TcpListener,
    tls: Arc<LinkTls>,
    verifier: ServiceVerifier,
}

impl Elsewhere {
    /// Listens. `verifier` knows the tokens that the control plane laid down in the cluster.
    pub async fn open(
        address: SocketAddr,
        certificate: LinkCertificate,
        verifier: ServiceVerifier,
        clock: Clock,
    ) -> Result<Self, ServeError> {
        let tls = LinkTls::open(certificate, clock)?;
        let listening = TcpListener::bind(address).await;
        let listener = listening.map_err(|source| ServeError::Listen { address, source })?;
        Ok(Self {
            listener,
            tls,
            verifier,
        })
    }

    /// Serves until it is told to stop.
    pub async fn serve(
        self,
        platform: Platform,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let renewing = tokio::spawn(self.tls.clone().renew());
        let connections = link_accept(self.listener, self.tls, shutdown.clone());
        let service = Service {
            platform,
            callers: Callers::Elsewhere(self.verifier),
            shutdown: shutdown.clone(),
        };
        let served = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .max_concurrent_streams(CALLS_MAX)
            .add_service(EdgeControlServer::new(service))
            .serve_with_incoming_shutdown(connections, shutdown.cancelled())
            .await;
        renewing.abort();
        Ok(served?)
    }
}

/// Whose tokens are believed.
#[derive(Debug)]
enum Callers {
    /// Those that the edge of this machine signs.
    OfThisMachine,
    /// Those that the control plane laid down in a cluster.
    Elsewhere(ServiceVerifier),
}

#[derive(Debug)]
struct Service {
    platform: Platform,
    callers: Callers,
    shutdown: CancellationToken,
}

impl Service {
    /// The region that the caller is an edge of.
    fn authenticate<T>(&self, request: &Request<T>, region: &str) -> Result<(), Status> {
        let token = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| Status::unauthenticated("a service token is missing"))?;
        let named = self
            .region_named(token)
            .map_err(|error| Status::unauthenticated(error.to_string()))?;
        if named == region {
            Ok(())
        } else {
            Err(Status::permission_denied("the token is for another region"))
        }
    }

    fn region_named(&self, token: &str) -> Result<String, ServiceTokenError> {
        let clock = &self.platform.clock;
        Ok(match &self.callers {
            Callers::OfThisMachine => self.platform.edge_verifier.edge(clock, token)?.region,
            Callers::Elsewhere(verifier) => verifier.region_edges(clock, token)?.region,
        })
    }
}

fn unavailable(error: &StoreError) -> Status {
    tracing::warn!(%error, "an edge was not answered");
    Status::unavailable("the control plane's database is away")
}

type Updates = Pin<Box<dyn Stream<Item = Result<RouteUpdate, Status>> + Send>>;

#[tonic::async_trait]
impl EdgeControl for Service {
    type WatchRoutesStream = Updates;

    async fn watch_routes(
        &self,
        request: Request<WatchRoutes>,
    ) -> Result<Response<Updates>, Status> {
        self.authenticate(&request, &request.get_ref().region)?;
        let watch = request.into_inner();
        let updates = updates(self.platform.clone(), watch, self.shutdown.clone());
        Ok(Response::new(Box::pin(updates)))
    }

    async fn resolve(&self, request: Request<Resolve>) -> Result<Response<Resolved>, Status> {
        self.authenticate(&request, &request.get_ref().region)?;
        let Resolve {
            region,
            database_id,
        } = request.into_inner();
        let route = wake::resolve(&self.platform, &region, database_id)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(Response::new(Resolved { route }))
    }

    async fn wake(&self, request: Request<Wake>) -> Result<Response<Resolved>, Status> {
        self.authenticate(&request, &request.get_ref().region)?;
        let Wake {
            region,
            database_id,
        } = request.into_inner();
        let route = wake::wake(&self.platform, &region, database_id, WAKE_TIMEOUT)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(Response::new(Resolved { route }))
    }
}

/// The feed of a region's routes: first everything, or what changed since the cursor, then each
/// change.
fn updates(
    platform: Platform,
    watch: WatchRoutes,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<RouteUpdate, Status>> {
    async_stream::try_stream! {
        let mut signals = platform.store.signals().subscribe();
        let mut cursor = watch.cursor;
        let mut sent: HashMap<DatabaseId, u64> = HashMap::new();
        let mut is_first = true;
        loop {
            let update = read(&platform, &watch.region, cursor, &mut sent)
                .await
                .map_err(|error| unavailable(&error))?;
            cursor = Some(update.cursor);
            if std::mem::take(&mut is_first) || update.complete || !is_empty(&update) {
                yield update;
            }
            let changed = async {
                loop {
                    if matches!(signals.next().await, Signal::Database(_) | Signal::Missed) {
                        break;
                    }
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = tokio::time::timeout(REREAD_INTERVAL, changed) => {}
            }
            tokio::time::sleep(GATHER).await;
            while signals.try_next().is_some() {}
        }
    }
}

fn is_empty(update: &RouteUpdate) -> bool {
    update.routes.is_empty() && update.removed.is_empty()
}

/// One read of the feed. While a transaction is open the cursor stands still and the same rows come
/// again: those that this edge was sent are left out.
async fn read(
    platform: &Platform,
    region: &str,
    cursor: Option<u64>,
    sent: &mut HashMap<DatabaseId, u64>,
) -> Result<RouteUpdate, StoreError> {
    let mut tx = platform.store.region().await?;
    let next = route::cursor(&mut tx).await?;
    // A cursor from the future is of another database: start over.
    let from = cursor.filter(|cursor| *cursor <= next);
    let mut found = match from {
        Some(from) => route::since(&mut tx, region, from).await?,
        None => route::all(&mut tx, region).await?,
    };
    tx.commit().await?;
    if from.is_none() {
        sent.clear();
    }
    found
        .routes
        .retain(|route| sent.insert(route.database_id, route.revision) != Some(route.revision));
    // Zero is no revision: a removed database is told once and never routed again.
    found.removed.retain(|id| sent.insert(*id, 0) != Some(0));
    Ok(RouteUpdate {
        cursor: next,
        routes: found.routes,
        removed: found.removed,
        complete: from.is_none(),
    })
}
