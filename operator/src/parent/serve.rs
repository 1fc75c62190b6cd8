//! The endpoint that nodes dial: TLS, by the cluster's own authority on both sides.
//!
//! Whoever shows no certificate may ask for one and nothing else, and is soon cut off.

use super::authority::{Authority, AuthorityError, Kept, SERVER_LIFETIME};
use super::enroll::Enroller;
use super::keep::{self, KeepError};
use super::names::NodeNames;
use super::nodes::Nodes;
use super::{link, report};
use crate::clock;
use kube::Client;
use lumadb_contract::rpc::{NodeEnrollmentServer, NodeParentServer};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, Sleep, interval_at, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// Handshakes under way at once; others wait.
const HANDSHAKES_MAX: usize = 64;

/// Longest time of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest life of a connection on which no certificate was shown: time to ask for one.
const STRANGER_LIFETIME: Duration = Duration::from_secs(30);

/// A node that does not answer for so long, twice, is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// When no connection can be taken, such as for want of file descriptors, another try comes later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Pause before the API server is asked again for the authority: the first, and the longest.
const OPEN_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Longest time in which it answers.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("nodes cannot be listened for at {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the authority of nodes is not usable: {0}")]
    Authority(#[from] AuthorityProblem),
    #[error("the endpoint of nodes ended: {0}")]
    Serve(#[from] tonic::transport::Error),
}

/// What is wrong with certificates.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AuthorityProblem(String);

fn problem(error: impl std::fmt::Display) -> AuthorityProblem {
    AuthorityProblem(error.to_string())
}

/// What a connection shows of whoever dialed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// Whom its certificate names, if it has one of a node.
    pub(super) names: Option<NodeNames>,
    /// Where it comes from.
    pub(super) address: Option<IpAddr>,
}

/// The endpoint of the operator that works.
pub(crate) struct Endpoint {
    kept: Kept,
    authority: Arc<Authority>,
    listener: TcpListener,
    /// Host name by which nodes call it.
    host: String,
}

impl Endpoint {
    /// Listens, and reads the authority, which is made where there is none. While the cluster does
    /// not answer, this waits.
    pub(crate) async fn open(
        client: &Client,
        namespace: &str,
        address: SocketAddr,
        host: &str,
    ) -> Result<Self, EndpointError> {
        let listening = TcpListener::bind(address).await;
        let listener = listening.map_err(|source| EndpointError::Listen { address, source })?;
        let mut pause = OPEN_AGAIN.0;
        let kept = loop {
            let opening = keep::open(client, namespace, clock::utc());
            match timeout(OPEN_TIMEOUT, opening).await {
                Ok(Ok(kept)) => break kept,
                Ok(Err(KeepError::Authority(error))) => return Err(problem(error).into()),
                Ok(Err(error)) => tracing::error!(%error, "nodes have no parent yet"),
                Err(_) => tracing::error!("the API server is silent: nodes have no parent yet"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(OPEN_AGAIN.1);
        };
        let authority = Authority::new(&kept).map_err(problem)?;
        Ok(Self {
            kept,
            authority: Arc::new(authority),
            listener,
            host: host.to_owned(),
        })
    }

    /// What nodes verify the endpoint with.
    pub(crate) fn authority_pem(&self) -> &str {
        &self.kept.certificate_pem
    }

    /// Serves nodes, and hands on what they say, until it is dropped.
    pub(crate) async fn serve(
        self,
        client: Client,
        namespace: String,
        nodes: Arc<Nodes>,
    ) -> Result<(), EndpointError> {
        let linking = link::run(client.clone(), namespace, nodes.clone());
        let reporting = report::run(client.clone(), nodes.clone());
        tokio::select! {
            served = self.listen(client, nodes) => served,
            () = linking => Ok(()),
            () = reporting => Ok(()),
        }
    }

    async fn listen(self, client: Client, nodes: Arc<Nodes>) -> Result<(), EndpointError> {
        let enroller = Enroller::new(client, nodes.clone(), self.authority.clone());
        let parent = NodeParentServer::new(nodes.parent().clone());
        let (connections, incoming) = mpsc::channel(HANDSHAKES_MAX);
        let serving = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .add_service(parent)
            .add_service(NodeEnrollmentServer::new(enroller))
            .serve_with_incoming(ReceiverStream::new(incoming));
        tokio::select! {
            served = serving => Ok(served?),
            accepted = self.accept(connections, nodes) => accepted,
        }
    }

    async fn accept(
        self,
        connections: mpsc::Sender<io::Result<Connection>>,
        nodes: Arc<Nodes>,
    ) -> Result<(), EndpointError> {
        let mut acceptor = self.acceptor()?;
        let half = Duration::try_from(SERVER_LIFETIME / 2).unwrap_or(HANDSHAKE_TIMEOUT);
        let mut renewal = interval_at(Instant::now() + half, half);
        let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else {
                return Ok(());
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = renewal.tick() => {
                    acceptor = self.acceptor()?;
                    continue;
                }
            };
            let socket = match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::debug!(%error, "a node's connection was not taken");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (acceptor, connections, nodes) =
                (acceptor.clone(), connections.clone(), nodes.clone());
            tokio::spawn(async move {
                if let Some(connection) = shake_hands(&acceptor, socket, &nodes).await {
                    let _ = connections.send(Ok(connection)).await;
                }
                drop(place);
            });
        }
    }

    /// Takes connections with a certificate that was made just now.
    fn acceptor(&self) -> Result<TlsAcceptor, AuthorityProblem> {
        let config = self.config().map_err(problem)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn config(&self) -> Result<ServerConfig, ConfigError> {
        let mut roots = RootCertStore::empty();
        let text = self.kept.certificate_pem.as_bytes();
        for certificate in CertificateDer::pem_slice_iter(text) {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .allow_unauthenticated()
                .build()?;
        let server = self.authority.server(&self.host, clock::utc())?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![server.certificate], PrivateKeyDer::Pkcs8(server.key))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A session that is resumed would outlive the certificate that it began with.
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

#[derive(Debug, thiserror::Error)]
enum ConfigError {
    #[error(transparent)]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Verifier(#[from] VerifierBuilderError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

async fn shake_hands(
    acceptor: &TlsAcceptor,
    socket: TcpStream,
    nodes: &Nodes,
) -> Option<Connection> {
    let peer = socket.peer_addr().ok()?;
    socket.set_nodelay(true).ok()?;
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Some(Connection::new(stream)),
        Ok(Err(error)) => {
            // Whoever only looks whether the port is open is no node.
            if matches!(error.get_ref(), Some(cause) if cause.is::<rustls::Error>()) {
                nodes.counters().refused("handshake");
                tracing::warn!(%peer, %error, "a node was refused");
            }
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "a handshake took too long");
            None
        }
    }
}

/// A connection in TLS, and who is at its other end.
struct Connection {
    stream: TlsStream<TcpStream>,
    shown: Shown,
    /// When a stranger's ends.
    ends: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        let (socket, session) = stream.get_ref();
        let certificates = session.peer_certificates();
        let shown = Shown {
            names: certificates.and_then(|chain| NodeNames::of(chain.first()?)),
            address: socket.peer_addr().ok().map(|peer| peer.ip().to_canonical()),
        };
        let ends = shown
            .names
            .is_none()
            .then(|| Box::pin(sleep(STRANGER_LIFETIME)));
        Self {
            stream,
            shown,
            ends,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Shown;

    fn connect_info(&self) -> Shown {
        self.shown.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(ends) = &mut self.ends
            && ends.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
