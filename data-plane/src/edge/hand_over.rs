//! Giving a client's socket to the node of its database, so that no byte of the session passes
//! through the edge.
//!
//! Possible where the client names a database that is awake on this machine before it proves who
//! it is: in the host name of TLS, or in a start-up packet in the clear. What the client sent is
//! only looked at, never read: the node sees it from the first byte. A database that sleeps is not
//! woken for it; the edge serves such a client itself.

use super::connection::{Refused, Shared};
use super::metrics::Outcome;
use super::node::{self, NodeError};
use crate::protocol::postgres::client::{HandshakeError, Next, peek_packet};
use crate::protocol::postgres::hello::peek_hello;
use crate::protocol::postgres::startup::FirstPacket;
use crate::protocol::postgres::target::{database_of_host, target};
use lumadb_contract::handoff::{self, Opening, SocketStage, Verdict};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::route::{NodeAddress, RouteState};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use tokio::net::TcpStream;
use tokio::time::Instant;

impl Shared {
    /// Hands the socket over if it can be; gives it back, untouched, if the edge serves it itself.
    pub(super) async fn try_hand_over(
        &self,
        socket: TcpStream,
        next: Next,
        address: SocketAddr,
    ) -> Result<Option<TcpStream>, Refused> {
        if !self.hand_over || self.failures.wait(address.ip(), Instant::now()).is_some() {
            return Ok(Some(socket));
        }
        let (id, stage) = match next {
            Next::ClientHello { direct } => {
                let id = self.in_time(database_of_hello(&socket)).await?;
                (id, SocketStage::ClientHello { direct })
            }
            Next::Packet if self.admits_plaintext(address) => {
                let id = self.in_time(database_of_packet(&socket)).await?;
                (id, SocketStage::Startup)
            }
            Next::Packet => (None, SocketStage::Startup),
        };
        let known = id.and_then(|id| self.locator.cached(id));
        // Whom the database does not allow is refused here, where the owner's last word is known first.
        let known = known.filter(|known| known.route.allowed_networks.admit(address.ip()));
        match known.as_ref().map(|known| &known.route.state) {
            Some(RouteState::Awake {
                node: NodeAddress::Unix(path),
            }) => self.hand_over_to(path, socket, stage, address).await,
            _ => Ok(Some(socket)),
        }
    }

    async fn hand_over_to(
        &self,
        node: &Path,
        socket: TcpStream,
        stage: SocketStage,
        address: SocketAddr,
    ) -> Result<Option<TcpStream>, Refused> {
        let opening = Opening::Socket(handoff::Socket {
            stage,
            client_address: Some(address),
        });
        // Out of this process's event loop before another one has it.
        let socket = socket.into_std().map_err(HandshakeError::Io)?;
        let outcome = match node::dial_unix(node, &opening, Some(socket.as_fd())).await {
            Ok((_, Verdict::NotReady | Verdict::Unsupported)) | Err(NodeError::Unreachable(_)) => {
                let socket = TcpStream::from_std(socket).map_err(HandshakeError::Io)?;
                return Ok(Some(socket));
            }
            Ok((_, Verdict::Accepted)) => Outcome::HandedOver,
            Ok((_, Verdict::TooManyConnections)) => Outcome::TooManyConnections,
            Ok((_, Verdict::AuthenticationFailed)) => {
                self.failures.failed(address.ip(), Instant::now());
                Outcome::WrongPassword
            }
            Err(error) => {
                tracing::debug!(%error, "a socket that was handed over ended early");
                Outcome::Handshake
            }
        };
        self.metrics.count(outcome);
        Ok(None)
    }
}

/// The database that a ClientHello names by its host name, without reading it.
async fn database_of_hello(socket: &TcpStream) -> Result<Option<DatabaseId>, HandshakeError> {
    // A hello in several records, or one that is wrong, is the edge's own to answer.
    let Some(accepted) = peek_hello(socket).await? else {
        return Ok(None);
    };
    let hello = accepted.client_hello();
    Ok(hello.server_name().and_then(database_of_host))
}

/// The database that a start-up packet in the clear names, without reading it.
async fn database_of_packet(socket: &TcpStream) -> Result<Option<DatabaseId>, HandshakeError> {
    match peek_packet(socket).await {
        Ok(FirstPacket::Startup(startup)) => Ok(target(&startup, None)
            .ok()
            .and_then(|target| target.database_id)),
        // Whatever else it is, or whatever is wrong with it, is answered where it is read.
        Ok(_) | Err(HandshakeError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
