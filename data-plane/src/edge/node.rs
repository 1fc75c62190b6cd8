//! Reaching a node from the edge: by its unix socket on this machine, by TLS on another.

use super::config::{NodeTls, Source};
use super::renewed::{RenewalError, Renewed};
use crate::protocol::postgres::handover::{
    HandoverError, read_verdict, send_opening, write_opening,
};
use crate::protocol::postgres::quiet::QuietStream;
use crate::protocol::postgres::socket;
use crate::protocol::postgres::tls::{TlsError, authorities, parts};
use crate::tries;
use lumadb_contract::edge_link::ALPN;
use lumadb_contract::handoff::{Opening, Verdict};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::route::NodeAddress;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest time for a node's verdict on a session: the engine starts a process for it.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(40);

/// Longest time in which a node on another machine, once it has taken a connection, shakes hands: it is
/// in the same cluster, or not to be reached at all.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub(super) enum NodeError {
    /// Nobody is there: the route is older than the node's end.
    #[error("the node cannot be reached: {0}")]
    Unreachable(io::Error),
    /// Nothing answers from there. The node's machine may be gone, or no way leads to it.
    #[error("nothing answers where the node is: {0}")]
    Silent(io::Error),
    /// Somebody is there who is not the node, does not take this edge for one, or knows no edges.
    #[error("the node and this edge do not believe each other: {0}")]
    Disbelief(io::Error),
    #[error("this edge has no certificate that nodes on other machines ask for")]
    NoIdentity,
    #[error(transparent)]
    Handover(#[from] HandoverError),
    #[error("the node gave no verdict in time")]
    Timeout,
}

/// A connection to a node that has taken what it was opened for.
pub(super) enum NodeStream {
    Unix(QuietStream),
    Tls(Box<TlsStream<QuietStream>>),
}

/// Dials nodes.
pub(super) struct Dialer(Option<Renewed<NodeTls, TlsConnector>>);

impl Dialer {
    /// Without a source it reaches the nodes of this machine alone.
    pub(super) fn new(source: Option<&Source<NodeTls>>) -> Result<Self, RenewalError> {
        let renewed = source.cloned().map(|source| {
            let now = Instant::now();
            Renewed::new("for dialing nodes", source, connector, now)
        });
        Ok(Self(renewed.transpose()?))
    }

    /// Opens a connection to a database's node, says what it is for and hears the verdict.
    pub(super) async fn dial(
        &self,
        address: &NodeAddress,
        database: DatabaseId,
        opening: &Opening,
    ) -> Result<(NodeStream, Verdict), NodeError> {
        match address {
            NodeAddress::Unix(path) => {
                let (stream, verdict) = dial_unix(path, opening, None).await?;
                let stream = QuietStream::new(stream).map_err(HandoverError::Io)?;
                Ok((NodeStream::Unix(stream), verdict))
            }
            NodeAddress::Cluster { host, port } => {
                let mut stream = self.shake_hands(host, *port, database).await?;
                let exchange = async {
                    send_opening(&mut stream, opening).await?;
                    read_verdict(&mut stream).await
                };
                let verdict = timeout(VERDICT_TIMEOUT, exchange)
                    .await
                    .map_err(|_| NodeError::Timeout)?
                    .map_err(disbelief)?;
                Ok((NodeStream::Tls(Box::new(stream)), verdict))
            }
        }
    }

    async fn shake_hands(
        &self,
        host: &str,
        port: u16,
        database: DatabaseId,
    ) -> Result<TlsStream<QuietStream>, NodeError> {
        let renewed = self.0.as_ref().ok_or(NodeError::NoIdentity)?;
        let connector = renewed.at(Instant::now());
        let name = ServerName::try_from(database.host_label())
            .map_err(|error| NodeError::Disbelief(io::Error::other(error)))?;
        let socket = tries::staggered(|| TcpStream::connect((host, port)))
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                    NodeError::Unreachable(error)
                }
                _ => NodeError::Silent(error),
            })?;
        socket::tune(&socket);
        let socket = QuietStream::new_tcp(socket).map_err(HandoverError::Io)?;
        timeout(HANDSHAKE_TIMEOUT, connector.connect(name, socket))
            .await
            .map_err(|_| NodeError::Silent(io::ErrorKind::TimedOut.into()))?
            .map_err(NodeError::Disbelief)
    }
}

/// In TLS 1.3 a node says what it thinks of our certificate after its own handshake is done: a
/// connection that ends without a verdict may mean that.
fn disbelief(error: HandoverError) -> NodeError {
    match error {
        HandoverError::Io(error) => NodeError::Disbelief(error),
        error => NodeError::Handover(error),
    }
}

fn connector(tls: &NodeTls) -> Result<TlsConnector, TlsError> {
    let (chain, key) = parts(&tls.identity)?;
    let roots = authorities(&tls.authority_pem)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The same by a node's unix socket, with a client's socket beside the opening.
pub(super) async fn dial_unix(
    path: &Path,
    opening: &Opening,
    socket: Option<BorrowedFd<'_>>,
) -> Result<(UnixStream, Verdict), NodeError> {
    let mut stream = UnixStream::connect(path)
        .await
        .map_err(NodeError::Unreachable)?;
    let exchange = async {
        write_opening(&mut stream, opening, socket).await?;
        read_verdict(&mut stream).await
    };
    let verdict = timeout(VERDICT_TIMEOUT, exchange)
        .await
        .map_err(|_| NodeError::Timeout)??;
    Ok((stream, verdict))
}
