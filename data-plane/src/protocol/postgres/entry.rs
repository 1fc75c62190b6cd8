//! The ways in, up to a client that may have a session.

use super::authenticate::authenticate;
use super::client::{
    self, ClientStream, HANDSHAKE_TIMEOUT, HandshakeError, Next, Opened, Request, first_contact,
};
use super::edge_door::EdgeDoor;
use super::handover::{self, HandoverError};
use super::hello::peek_hello;
use super::login::{Login, READY_WAIT};
use super::proof::{Proof, not_allowed};
use super::quiet::QuietStream;
use super::scram::{Credentials, NONCE_BYTES};
use super::server::{Label, Server};
use super::startup::Startup;
use super::target::{Target, target};
use super::tls::TlsServer;
use super::wire::{Fatal, sqlstate};
use crate::agent::{Refusal, Sessions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lumadb_contract::handoff::{self, Opening, SocketStage, Verdict};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::name::PgName;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;

impl Server {
    /// A connection of the edge: says what it is for, then is it.
    pub(super) async fn serve_edge(&self, mut stream: UnixStream) -> Result<(), HandoverError> {
        let reading = handover::read_opening(&mut stream);
        let (opening, socket) = tokio::time::timeout(HANDSHAKE_TIMEOUT, reading)
            .await
            .map_err(|_| HandoverError::Io(std::io::ErrorKind::TimedOut.into()))??;
        match (opening, socket) {
            (Opening::Session(session), _) => {
                let stream = ClientStream::Unix(QuietStream::new(stream)?);
                self.serve_session(stream, session).await
            }
            (Opening::Socket(opening), Some(socket)) => {
                self.serve_socket(stream, opening, socket).await
            }
            (Opening::Socket(_), None) => {
                Err(HandoverError::Io(std::io::ErrorKind::InvalidData.into()))
            }
            (Opening::Cancel(cancel), _) => {
                self.cancel_by(&cancel).await;
                answer(&mut stream, Verdict::Accepted).await
            }
        }
    }

    /// An edge on another machine, at the door that is meant for it.
    async fn serve_far_edge(
        &self,
        door: &EdgeDoor,
        socket: TcpStream,
        place: OwnedSemaphorePermit,
    ) -> Result<(), HandoverError> {
        let here = self.serves().host_label();
        let peer = socket.peer_addr()?;
        let mut stream = match door.open(socket, &here).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%peer, %error, "an edge was refused");
                return Ok(());
            }
        };
        let reading = handover::receive_opening(&mut stream);
        let opening = tokio::time::timeout(HANDSHAKE_TIMEOUT, reading)
            .await
            .map_err(|_| HandoverError::Io(std::io::ErrorKind::TimedOut.into()))??;
        drop(place);
        match opening {
            Opening::Session(session) => self.serve_session(stream, session).await,
            Opening::Cancel(cancel) => {
                self.cancel_by(&cancel).await;
                answer(&mut stream, Verdict::Accepted).await?;
                stream.close().await;
                Ok(())
            }
            // No socket travels from one machine to another.
            Opening::Socket(_) => answer(&mut stream, Verdict::Unsupported).await,
        }
    }

    async fn cancel_by(&self, cancel: &handoff::Cancel) {
        if let Ok(secret) = BASE64.decode(cancel.key.expose()) {
            self.cancel(&secret).await;
        }
    }

    /// The database whose clients come here.
    fn serves(&self) -> DatabaseId {
        let serving = self.state.serving();
        serving.database_id.unwrap_or(self.database_id)
    }

    /// A client that the edge has authenticated.
    async fn serve_session(
        &self,
        mut stream: ClientStream,
        session: handoff::Session,
    ) -> Result<(), HandoverError> {
        let admission = match self.state.admit_awaited(READY_WAIT).await {
            Ok(admission) => admission,
            Err(Refusal::NotReady) => return answer(&mut stream, Verdict::NotReady).await,
            Err(Refusal::TooManyConnections { .. }) => {
                return answer(&mut stream, Verdict::TooManyConnections).await;
            }
        };
        let greeting = handover::verdict_frame(Verdict::Accepted)?;
        let login = Login {
            label: Label::Role(session.role, None),
            minor: session.protocol_minor,
            parameters: session.parameters,
        };
        if let Err((mut client, error)) = self.run(stream, login, greeting, admission).await {
            tracing::debug!(%error, "the engine took no session");
            let verdict = handover::verdict_frame(Verdict::NotReady)?;
            client.write_all(&verdict).await?;
            client.flush().await?;
        }
        Ok(())
    }

    /// A service of the platform's own, at the door that is meant for it.
    pub(super) async fn serve_service(
        &self,
        stream: UnixStream,
        role: &str,
    ) -> Result<(), HandshakeError> {
        let stream = ClientStream::Unix(QuietStream::new(stream)?);
        let reading = client::read_request(stream);
        let (stream, request) = tokio::time::timeout(HANDSHAKE_TIMEOUT, reading)
            .await
            .map_err(|_| HandshakeError::Closed)??;
        let startup = match request {
            Request::Startup(startup) => startup,
            Request::Cancel(cancel) => {
                self.cancel(&cancel.secret).await;
                stream.close().await;
                return Ok(());
            }
        };
        let target = self.target(&startup, None).and_then(|target| {
            if target.role == role {
                return Ok(target);
            }
            let text = "this socket is for the platform's own services";
            Err(Fatal::new(sqlstate::INVALID_AUTHORIZATION, text))
        });
        let target = match target {
            Ok(target) => target,
            Err(fatal) => {
                stream.refuse(&fatal).await;
                return Err(HandshakeError::Refused(fatal));
            }
        };
        let login = Login {
            label: Label::Service(target.role),
            minor: startup.spoken_minor(),
            parameters: target.parameters,
        };
        if let Ok((stream, admission)) = self.admit(stream).await {
            self.run_or_refuse(stream, login, admission).await;
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
        let serving = self.state.serving();
        let socket = std::net::TcpStream::from(socket);
        // An edge hears of allowed networks first: whom it admits and this node does not yet, it serves
        // itself.
        let admits = (serving.allowed_networks).admit(socket.peer_addr()?.ip());
        if serving.sessions != Sessions::Accepted || !admits {
            return answer(&mut edge, Verdict::NotReady).await;
        }
        let next = match opening.stage {
            SocketStage::ClientHello { .. } if tls.is_none() => {
                return answer(&mut edge, Verdict::Unsupported).await;
            }
            SocketStage::ClientHello { direct } => Next::ClientHello { direct },
            SocketStage::Startup => Next::Packet,
        };
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
    pub(super) async fn serve_client(
        &self,
        mut socket: TcpStream,
        address: SocketAddr,
    ) -> Result<(), HandshakeError> {
        let Ok(place) = self.unauthenticated.clone().try_acquire_owned() else {
            return Err(HandshakeError::Closed);
        };
        let (tls, edges) = (self.tls(), self.edges());
        let contact = async {
            let next = first_contact(&mut socket, tls.is_some()).await?;
            let door = match (next, edges) {
                (Next::ClientHello { direct: true }, Some(door)) => peek_hello(&socket)
                    .await?
                    .filter(|hello| EdgeDoor::is_asked_for(&hello.client_hello()))
                    .map(|_| door),
                _ => None,
            };
            Ok::<_, HandshakeError>((next, door))
        };
        let (next, door) = tokio::time::timeout(HANDSHAKE_TIMEOUT, contact)
            .await
            .map_err(|_| HandshakeError::Closed)??;
        if let Some(door) = door {
            if let Err(error) = self.serve_far_edge(&door, socket, place).await {
                tracing::debug!(%error, "an edge's connection ended early");
            }
            return Ok(());
        }
        if next == Next::Packet && tls.is_some() && !address.ip().is_loopback() {
            let fatal = Fatal::new(sqlstate::INVALID_AUTHORIZATION, "connections must use TLS");
            ClientStream::Tcp(QuietStream::new_tcp(socket)?)
                .refuse(&fatal)
                .await;
            return Ok(());
        }
        match self.greet(socket, next, tls.as_deref()).await {
            Ok(Some((client, login))) => {
                if let Ok((client, admission)) = self.admit(client).await {
                    drop(place);
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
        let address = socket.peer_addr().map_err(HandshakeError::Io)?.ip();
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
        if !serving.allowed_networks.admit(address) {
            let fatal = not_allowed(self.serves(), address);
            stream.refuse(&fatal).await;
            return Err(HandshakeError::Refused(fatal).into());
        }
        let credentials = Credentials::find(&serving.roles, &target.role, &self.fallback_key);
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let dialogue = authenticate(&mut stream, credentials, &binding, &nonce);
        let Ok(outcome) = tokio::time::timeout(HANDSHAKE_TIMEOUT, dialogue).await else {
            return Err(HandshakeError::Closed.into());
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
        let verifier = serving.roles.get(&role).cloned();
        let verifier = verifier.ok_or(HandshakeError::Closed)?;
        let login = Login {
            label: Label::Role(role, Some(Proof { verifier, address })),
            minor: startup.spoken_minor(),
            parameters: target.parameters,
        };
        Ok(Some((stream, login)))
    }

    fn target(&self, startup: &Startup, server_name: Option<&str>) -> Result<Target, Fatal> {
        let target = target(startup, server_name)?;
        match target.database_id {
            Some(other) if other != self.serves() => Err(Fatal::new(
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

async fn answer(
    stream: &mut (impl AsyncWrite + Unpin),
    verdict: Verdict,
) -> Result<(), HandoverError> {
    stream.write_all(&handover::verdict_frame(verdict)?).await?;
    stream.flush().await?;
    Ok(())
}
