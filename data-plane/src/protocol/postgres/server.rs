//! The node's own server: takes connections from the edge, and from clients on a port of its own.

use super::authenticate::authenticate;
use super::cancel::CancelKeys;
use super::client::{
    self, ClientStream, HANDSHAKE_TIMEOUT, HandshakeError, Next, Opened, Request, first_contact,
};
use super::engine::{Answer, EngineError, open_session};
use super::handover::{self, HandoverError};
use super::relay::Relay;
use super::scram::{Credentials, NONCE_BYTES};
use super::session::{Order, SessionTable};
use super::socket;
use super::startup::Startup;
use super::target::{Target, target};
use super::tls::TlsServer;
use super::wire::{self, Fatal, sqlstate};
use crate::agent::{Admission, NodeState, Refusal, Serving, Sessions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lumadb_contract::handoff::{self, Opening, SocketStage, Verdict};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::name::PgName;
use lumadb_contract::scram::ScramVerifier;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// Connections that have not authenticated yet, at most.
const UNAUTHENTICATED_MAX: usize = 256;

/// How long sessions that were ordered to end may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Where connections come from.
#[derive(Debug)]
pub struct Listeners {
    /// The edge's ([`socket::bind`]).
    pub node: UnixListener,
    /// Clients that come without an edge.
    pub clients: Option<TcpListener>,
}

/// Whose a session is: its role, and the verifier if the role authenticated here. What the edge
/// authenticated, the edge cuts.
type Label = (PgName, Option<ScramVerifier>);

#[derive(Debug)]
struct Server {
    state: Arc<NodeState>,
    database_id: DatabaseId,
    sessions: Arc<SessionTable<Label>>,
    cancel_keys: Arc<CancelKeys>,
    tls: RwLock<Option<Arc<TlsServer>>>,
    unauthenticated: Arc<tokio::sync::Semaphore>,
    /// Salt of roles that do not exist in a database that has none.
    fallback_key: [u8; 32],
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
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = changes => {}
        () = server.clone().accept_edges(&listeners.node) => {}
        () = server.clone().accept_clients(listeners.clients.as_ref()) => {}
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
        self.sessions.end_each(|(role, verifier)| {
            let current = serving.roles.get(role);
            let text = if serving.sessions == Sessions::Ended {
                "terminating connection: the database is being stopped"
            } else if current.is_none() {
                "terminating connection: the role was removed"
            } else if verifier.is_some() && verifier.as_ref() != current {
                "terminating connection: the role's password was changed"
            } else {
                return None;
            };
            Some((Order::Now, Fatal::new(sqlstate::ADMIN_SHUTDOWN, text)))
        });
    }

    fn tls(&self) -> Option<Arc<TlsServer>> {
        self.tls
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn accept_edges(self: Arc<Self>, listener: &UnixListener) {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    socket::accept_failed(&error).await;
                    continue;
                }
            };
            if !socket::is_trusted(&stream) {
                tracing::warn!("a connection from another user was refused");
                continue;
            }
            let server = self.clone();
            tokio::spawn(async move {
                if let Err(error) = server.serve_edge(stream).await {
                    tracing::debug!(%error, "an edge's connection ended early");
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

    async fn serve_edge(&self, mut stream: UnixStream) -> Result<(), HandoverError> {
        let reading = handover::read_opening(&mut stream);
        let (opening, socket) = tokio::time::timeout(HANDSHAKE_TIMEOUT, reading)
            .await
            .map_err(|_| HandoverError::Io(std::io::ErrorKind::TimedOut.into()))??;
        match (opening, socket) {
            (Opening::Session(session), _) => self.serve_session(stream, session).await,
            (Opening::Socket(opening), Some(socket)) => {
                self.serve_socket(stream, opening, socket).await
            }
            (Opening::Socket(_), None) => {
                Err(HandoverError::Io(std::io::ErrorKind::InvalidData.into()))
            }
            (Opening::Cancel(cancel), _) => {
                if let Ok(secret) = BASE64.decode(cancel.key.expose()) {
                    self.cancel(&secret).await;
                }
                answer(&mut stream, Verdict::Accepted).await
            }
        }
    }

    /// A client that the edge has authenticated.
    async fn serve_session(
        &self,
        mut stream: UnixStream,
        session: handoff::Session,
    ) -> Result<(), HandoverError> {
        let admission = match self.state.admit() {
            Ok(admission) => admission,
            Err(Refusal::NotReady) => return answer(&mut stream, Verdict::NotReady).await,
            Err(Refusal::TooManyConnections { .. }) => {
                return answer(&mut stream, Verdict::TooManyConnections).await;
            }
        };
        let greeting = handover::verdict_frame(Verdict::Accepted)?;
        let login = Login {
            role: session.role,
            verifier: None,
            minor: session.protocol_minor,
            parameters: session.parameters,
        };
        let client = ClientStream::Unix(stream);
        if let Err((mut client, error)) = self.run(client, login, greeting, admission).await {
            tracing::debug!(%error, "the engine took no session");
            let verdict = handover::verdict_frame(Verdict::NotReady)?;
            client.write_all(&verdict).await?;
        }
        Ok(())
    }

    /// A client's own socket, handed over by the edge.
    async fn serve_socket(
        &self,
        mut edge: UnixStream,
        opening: handoff::Socket,
        socket: OwnedFd,
    ) -> Result<(), HandoverError> {
        let tls = self.tls();
        if self.state.serving().sessions != Sessions::Accepted {
            return answer(&mut edge, Verdict::NotReady).await;
        }
        let next = match opening.stage {
            SocketStage::ClientHello { .. } if tls.is_none() => {
                return answer(&mut edge, Verdict::Unsupported).await;
            }
            SocketStage::ClientHello { direct } => Next::ClientHello { direct },
            SocketStage::Startup => Next::Packet,
        };
        let socket = std::net::TcpStream::from(socket);
        socket.set_nonblocking(true)?;
        let socket = TcpStream::from_std(socket)?;
        match self.greet(socket, next, tls.as_deref()).await {
            Ok(Some((client, login))) => match self.admit(client).await {
                Ok((client, admission)) => {
                    answer(&mut edge, Verdict::Accepted).await?;
                    drop(edge);
                    self.run_or_refuse(client, login, admission).await;
                    Ok(())
                }
                Err(verdict) => answer(&mut edge, verdict).await,
            },
            Ok(None) => answer(&mut edge, Verdict::Accepted).await,
            Err(Failure::WrongPassword) => answer(&mut edge, Verdict::AuthenticationFailed).await,
            Err(Failure::Handshake(error)) => {
                tracing::debug!(%error, "a socket that was handed over ended early");
                Ok(())
            }
        }
    }

    /// A client on this node's own port.
    async fn serve_client(
        &self,
        mut socket: TcpStream,
        address: SocketAddr,
    ) -> Result<(), HandshakeError> {
        let Ok(_permit) = self.unauthenticated.clone().try_acquire_owned() else {
            return Err(HandshakeError::Closed);
        };
        let tls = self.tls();
        let contact = first_contact(&mut socket, tls.is_some());
        let next = tokio::time::timeout(HANDSHAKE_TIMEOUT, contact)
            .await
            .map_err(|_| HandshakeError::Closed)??;
        if next == Next::Packet && tls.is_some() && !address.ip().is_loopback() {
            let fatal = Fatal::new(sqlstate::INVALID_AUTHORIZATION, "connections must use TLS");
            ClientStream::Tcp(socket).refuse(&fatal).await;
            return Ok(());
        }
        match self.greet(socket, next, tls.as_deref()).await {
            Ok(Some((client, login))) => {
                if let Ok((client, admission)) = self.admit(client).await {
                    drop(_permit);
                    self.run_or_refuse(client, login, admission).await;
                }
                Ok(())
            }
            Ok(None) | Err(Failure::WrongPassword) => Ok(()),
            Err(Failure::Handshake(error)) => Err(error),
        }
    }

    /// TLS, first packet, authentication. `None`: it was a cancel request.
    async fn greet(
        &self,
        socket: TcpStream,
        next: Next,
        tls: Option<&TlsServer>,
    ) -> Result<Option<(ClientStream, Login)>, Failure> {
        let opening = client::open(socket, next, tls);
        let opened = tokio::time::timeout(HANDSHAKE_TIMEOUT, opening)
            .await
            .map_err(|_| HandshakeError::Closed)??;
        let Opened {
            mut stream,
            request,
            server_name,
            binding,
        } = opened;
        let startup = match request {
            Request::Startup(startup) => startup,
            Request::Cancel(cancel) => {
                self.cancel(&cancel.secret).await;
                stream.close().await;
                return Ok(None);
            }
        };
        let target = match self.target(&startup, server_name.as_deref()) {
            Ok(target) => target,
            Err(fatal) => {
                stream.refuse(&fatal).await;
                return Err(HandshakeError::Refused(fatal).into());
            }
        };
        let serving = self.state.serving();
        let credentials = Credentials::find(&serving.roles, &target.role, &self.fallback_key);
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let dialogue = authenticate(&mut stream, credentials, &binding, &nonce);
        let outcome = match tokio::time::timeout(HANDSHAKE_TIMEOUT, dialogue).await {
            Ok(outcome) => outcome,
            Err(_) => return Err(HandshakeError::Closed.into()),
        };
        if let Err(error) = outcome {
            if let Some(fatal) = error.fatal(&target.role) {
                stream.refuse(&fatal).await;
            }
            return Err(if error.is_wrong_password() {
                Failure::WrongPassword
            } else {
                HandshakeError::Closed.into()
            });
        }
        // Whoever authenticated has a checked name.
        let role: PgName = target.role.parse().map_err(|_| HandshakeError::Closed)?;
        let login = Login {
            verifier: serving.roles.get(&role).cloned(),
            role,
            minor: startup.spoken_minor(),
            parameters: target.parameters,
        };
        Ok(Some((stream, login)))
    }

    fn target(&self, startup: &Startup, server_name: Option<&str>) -> Result<Target, Fatal> {
        let target = target(startup, server_name)?;
        match target.database_id {
            Some(other) if other != self.database_id => Err(Fatal::new(
                sqlstate::INVALID_CATALOG_NAME,
                format!("database {other} is not served here"),
            )),
            _ => Ok(target),
        }
    }

    async fn cancel(&self, secret: &[u8]) {
        let Some(engine_key) = self.cancel_keys.find(secret) else {
            return;
        };
        if let Err(error) = engine_key.cancel(self.state.engine_socket()).await {
            tracing::debug!(%error, "a cancel request did not reach the engine");
        }
    }

    /// Counts an authenticated client in, or tells it why not.
    async fn admit(&self, client: ClientStream) -> Result<(ClientStream, Admission), Verdict> {
        let refusal = match self.state.admit() {
            Ok(admission) => return Ok((client, admission)),
            Err(refusal) => refusal,
        };
        let (sqlstate, verdict) = match refusal {
            Refusal::TooManyConnections { .. } => {
                (sqlstate::TOO_MANY_CONNECTIONS, Verdict::TooManyConnections)
            }
            // The socket was read from: the edge cannot serve it any more.
            Refusal::NotReady => (sqlstate::CANNOT_CONNECT_NOW, Verdict::Accepted),
        };
        client
            .refuse(&Fatal::new(sqlstate, refusal.to_string()))
            .await;
        Err(verdict)
    }

    async fn run_or_refuse(&self, client: ClientStream, login: Login, admission: Admission) {
        if let Err((client, error)) = self.run(client, login, Vec::new(), admission).await {
            tracing::debug!(%error, "the engine took no session");
            let fatal = Fatal::new(sqlstate::CANNOT_CONNECT_NOW, Refusal::NotReady.to_string());
            client.refuse(&fatal).await;
        }
    }

    /// Opens the session at the engine and relays it to its end. `greeting` goes to the client in
    /// front of the engine's answer. An error gives the client back, to be told in its own way.
    async fn run(
        &self,
        mut client: ClientStream,
        login: Login,
        mut greeting: Vec<u8>,
        admission: Admission,
    ) -> Result<(), (ClientStream, EngineError)> {
        let session = self
            .sessions
            .enter((login.role.clone(), login.verifier.clone()));
        let startup = login.startup();
        let (engine, engine_key) = match open_session(self.state.engine_socket(), &startup).await {
            Ok(Answer::Session {
                stream,
                before_key,
                engine_key,
                after_key,
            }) => {
                let given = self.cancel_keys.give(login.minor, engine_key.clone());
                let process_id = self.state.serving().route_number.cast_signed();
                greeting.extend(before_key);
                greeting.extend(wire::backend_key_data(process_id, given.secret()));
                greeting.extend(after_key);
                (stream, (engine_key, given))
            }
            Ok(Answer::Refused(refusal)) => {
                greeting.extend(refusal);
                let telling = async {
                    client.write_all(&greeting).await?;
                    client.shutdown().await
                };
                let _ = tokio::time::timeout(HANDSHAKE_TIMEOUT, telling).await;
                return Ok(());
            }
            Err(error) => return Err((client, error)),
        };
        let counters = Some(self.state.counters());
        let relay = Relay::new(client, engine, greeting, counters, session.control());
        let end = relay.run().await;
        let (engine_key, _given) = engine_key;
        if end.abandoned {
            // What the session was running must not run on for nobody.
            let _ = engine_key.cancel(self.state.engine_socket()).await;
        }
        drop(admission);
        Ok(())
    }
}

/// Who is logged in, and how the session starts.
struct Login {
    role: PgName,
    verifier: Option<ScramVerifier>,
    minor: u16,
    parameters: Vec<(String, String)>,
}

impl Login {
    fn startup(&self) -> Startup {
        let mut parameters = vec![("user".to_owned(), self.role.to_string())];
        parameters.extend(self.parameters.iter().cloned());
        Startup {
            minor: self.minor,
            parameters,
        }
    }
}

/// Why a client did not get in. It has been told.
enum Failure {
    WrongPassword,
    Handshake(HandshakeError),
}

impl<E: Into<HandshakeError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Handshake(error.into())
    }
}

async fn answer(stream: &mut UnixStream, verdict: Verdict) -> Result<(), HandoverError> {
    stream.write_all(&handover::verdict_frame(verdict)?).await?;
    Ok(())
}
