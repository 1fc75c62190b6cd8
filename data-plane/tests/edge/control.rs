//! The control plane that is played.

use super::world::{DATABASE, REGION, ROUTE_NUMBER};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::network::AllowedNetworks;
use lumadb_contract::route::{
    Resolve, Resolved, Route, RouteRole, RouteState, RouteUpdate, Wake, WatchRoutes,
};
use lumadb_contract::rpc::{EdgeControl, EdgeControlServer};
use lumadb_contract::service_token::{EdgeClaims, audience, issuer};
use lumadb_data_plane::agent::{NodeState, Sessions};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

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
    /// Has one route in this state, and answers each wish to wake with `awake`.
    pub(super) fn new(
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
                    allowed_networks: AllowedNetworks::default(),
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

pub(super) fn control_socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// In a runtime of its own: dropping it ends open connections, too, as a killed process does.
pub(super) fn serve_control(path: &Path, control: Control) -> tokio::runtime::Runtime {
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
