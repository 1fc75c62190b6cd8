//! One connection of a node: its handshake, and HTTP/2 on it.
//!
//! There are thousands, and each takes tens of kilobytes. So hyper serves them, and not tonic's server,
//! which keeps a protocol to be found out, and whoever dialed, a second time beside each connection.

use super::names::NodeNames;
use super::nodes::Nodes;
use futures::FutureExt;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::service::Routes;
use tower::Service;

/// Longest time of a handshake.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest life of a connection on which no certificate was shown: time to ask for one.
const STRANGER_LIFETIME: Duration = Duration::from_secs(30);

/// A node that does not answer for so long, twice, is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// What a connection shows of whoever dialed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// Whom its certificate names, if it has one of a node.
    pub(super) names: Option<NodeNames>,
    /// Where it comes from.
    pub(super) address: Option<IpAddr>,
}

impl Shown {
    fn of(stream: &TlsStream<TcpStream>) -> Self {
        let (socket, session) = stream.get_ref();
        let certificates = session.peer_certificates();
        Self {
            names: certificates.and_then(|chain| NodeNames::of(chain.first()?)),
            address: socket.peer_addr().ok().map(|peer| peer.ip().to_canonical()),
        }
    }
}

/// A connection in TLS.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    /// When a stranger's ends.
    ends: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// Shakes hands; `None`: it came to nothing.
    pub(super) async fn accept(
        acceptor: &TlsAcceptor,
        socket: TcpStream,
        nodes: &Nodes,
    ) -> Option<(Self, Shown)> {
        let peer = socket.peer_addr().ok()?;
        socket.set_nodelay(true).ok()?;
        match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => {
                let shown = Shown::of(&stream);
                let is_stranger = shown.names.is_none();
                let ends = is_stranger.then(|| Box::pin(sleep(STRANGER_LIFETIME)));
                Some((Self { stream, ends }, shown))
            }
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

    /// Serves whoever dialed, until the connection ends.
    // An `async fn` would keep the connection twice: as it was given, and as it is served.
    pub(super) fn serve(
        self,
        shown: Shown,
        services: Routes,
    ) -> impl Future<Output = ()> + Send + use<> {
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(shown.clone());
            services.clone().call(request)
        });
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .serve_connection(TokioIo::new(self), service)
            .map(|ended| {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a node's connection ended");
                }
            })
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
