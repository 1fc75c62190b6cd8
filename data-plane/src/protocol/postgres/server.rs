//! The node's own server: takes connections from the edge, and from clients on a port of its own.

use super::cancel::CancelKeys;
use super::edge_door::EdgeDoor;
use super::proof::{self, Proof};
use super::session::{Order, SessionTable};
use super::socket;
use super::tls::TlsServer;
use super::wire::{Fatal, sqlstate};
use crate::agent::{NodeState, Serving, Sessions};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::name::PgName;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

/// Connections that have not authenticated yet, at most.
const UNAUTHENTICATED_MAX: usize = 256;

/// How long sessions that were ordered to end may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a session hears when its database is suspended or deleted.
const STOPPED: &str = "terminating connection: the database is being stopped";

/// Where connections come from.
#[derive(Debug)]
pub struct Listeners {
    /// The edge's ([`socket::bind`]).
    pub node: UnixListener,
    /// Clients that come without an edge.
    pub clients: Option<TcpListener>,
    /// The platform's own services, where this is its own database.
    pub services: Option<Services>,
}

/// A way in without a password, for processes of the user that runs the platform.
#[derive(Debug)]
pub struct Services {
    pub listener: UnixListener,
    /// The one role that they may be; not one of the spec.
    pub role: String,
}

/// Whose a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Label {
    /// A role of the spec, and by what it was let in, if that was here. Whom the edge let in, the edge
    /// cuts.
    Role(PgName, Option<Proof>),
    /// That of [`Services`].
    Service(String),
}

impl Label {
    /// The role's name at the engine.
    pub(super) fn user(&self) -> &str {
        match self {
            Self::Role(role, _) => role.as_str(),
            Self::Service(role) => role,
        }
    }
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) state: Arc<NodeState>,
    pub(super) database_id: DatabaseId,
    pub(super) sessions: Arc<SessionTable<Label>>,
    pub(super) cancel_keys: Arc<CancelKeys>,
    tls: RwLock<Option<Arc<TlsServer>>>,
    edges: RwLock<Option<Arc<EdgeDoor>>>,
    pub(super) unauthenticated: Arc<tokio::sync::Semaphore>,
    /// Salt of roles that do not exist in a database that has none.
    pub(super) fallback_key: [u8; 32],
}

/// Serves until `shutdown`, then ends what is open. Every connection is a task of the current
/// runtime, which is meant to have one thread.
pub async fn serve(
    state: Arc<NodeState>,
    database_id: DatabaseId,
    listeners: Listeners,
    shutdown: CancellationToken,
) {
    let server = Arc::new(Server {
        state: state.clone(),
        database_id,
        sessions: Arc::default(),
        cancel_keys: Arc::default(),
        tls: RwLock::default(),
        edges: RwLock::default(),
        unauthenticated: Arc::new(tokio::sync::Semaphore::new(UNAUTHENTICATED_MAX)),
        fallback_key: rand::random(),
    });
    server.follow(&state.serving());
    let changes = async {
        let mut changes = state.subscribe();
        while changes.changed().await.is_ok() {
            let serving = changes.borrow_and_update().clone();
            server.follow(&serving);
        }
    };
    let more_room = async {
        loop {
            state.counters().quota().moved().await;
            server.sessions.wake_each();
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = changes => {}
        () = more_room => {}
        () = server.clone().accept_edges(&listeners.node) => {}
        () = server.clone().accept_clients(listeners.clients.as_ref()) => {}
        () = server.clone().accept_services(listeners.services.as_ref()) => {}
    }
    drop(listeners);
    let leaving = Fatal::new(
        sqlstate::ADMIN_SHUTDOWN,
        "terminating connection: the database's node is leaving",
    );
    server
        .sessions
        .end_each(|_| Some((Order::Now, leaving.clone())));
    let _ = tokio::time::timeout(LEAVE_TIMEOUT, server.sessions.emptied()).await;
}

impl Server {
    /// Brings certificate and open sessions in line with who is served.
    fn follow(&self, serving: &Serving) {
        let tls = serving.tls.as_ref().and_then(|identity| {
            TlsServer::new(identity)
                .inspect_err(|error| tracing::error!(%error, "the certificate is not usable"))
                .ok()
        });
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = tls.map(Arc::new);
        let edges = serving.tls.as_ref().zip(serving.edges.as_ref());
        let edges = edges.and_then(|(identity, trust)| {
            EdgeDoor::new(identity, trust)
                .inspect_err(|error| tracing::error!(%error, "no edge can come over the network"))
                .ok()
        });
        *self.edges.write().unwrap_or_else(PoisonError::into_inner) = edges.map(Arc::new);
        self.sessions.end_each(|label| objection(label, serving));
    }

    pub(super) fn tls(&self) -> Option<Arc<TlsServer>> {
        self.tls
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn edges(&self) -> Option<Arc<EdgeDoor>> {
        self.edges
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn accept_edges(self: Arc<Self>, listener: &UnixListener) {
        loop {
            let stream = socket::accept_trusted(listener).await;
            let server = self.clone();
            tokio::spawn(async move {
                if let Err(error) = server.serve_edge(stream).await {
                    tracing::debug!(%error, "an edge's connection ended early");
                }
            });
        }
    }

    async fn accept_services(self: Arc<Self>, services: Option<&Services>) {
        let Some(Services { listener, role }) = services else {
            return std::future::pending().await;
        };
        loop {
            let stream = socket::accept_trusted(listener).await;
            let (server, role) = (self.clone(), role.clone());
            tokio::spawn(async move {
                if let Err(error) = server.serve_service(stream, &role).await {
                    tracing::debug!(%error, "a service's connection ended early");
                }
            });
        }
    }

    async fn accept_clients(self: Arc<Self>, listener: Option<&TcpListener>) {
        let Some(listener) = listener else {
            return std::future::pending().await;
        };
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    socket::accept_failed(&error).await;
                    continue;
                }
            };
            socket::tune(&stream);
            let server = self.clone();
            tokio::spawn(async move {
                if let Err(error) = server.serve_client(stream, address).await {
                    tracing::debug!(%error, "a client's connection ended early");
                }
            });
        }
    }
}

/// Why no session may go on, whosever it is, and how long it still may.
pub(super) fn farewell(serving: &Serving) -> Option<(Order, Fatal)> {
    let (order, text) = match serving.sessions {
        Sessions::NotReady | Sessions::Awaited | Sessions::Accepted => return None,
        Sessions::Restarting => (
            Order::WhenIdle,
            "terminating connection: the database changes as its owner asked, connect again",
        ),
        Sessions::Leaving => (Order::WhenIdle, STOPPED),
        Sessions::Ended => (Order::Now, STOPPED),
    };
    Some((order, Fatal::new(sqlstate::ADMIN_SHUTDOWN, text)))
}

/// Why a session may not go on, and how long it still may.
pub(super) fn objection(label: &Label, serving: &Serving) -> Option<(Order, Fatal)> {
    let Label::Role(role, proof) = label else {
        return farewell(serving);
    };
    let current = serving.roles.get(role);
    match proof::objection(current, &serving.allowed_networks, proof.as_ref()) {
        Some(text) => Some((Order::Now, Fatal::new(sqlstate::ADMIN_SHUTDOWN, text))),
        None => farewell(serving),
    }
}
