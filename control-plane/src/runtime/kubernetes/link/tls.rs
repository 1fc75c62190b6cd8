//! TLS of the link, and of the endpoint of edges beside it: the certificate, and the connections that
//! come in.

use super::super::super::local::authority::{
    Authority, AuthorityError, CERTIFICATE_LIFETIME, CERTIFICATE_RENEWAL,
};
use crate::clock::Clock;
use futures::Stream;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

/// Protocol of gRPC, as it is agreed upon in TLS.
const ALPN: &[u8] = b"h2";

/// Longest handshake, and how many there may be at once.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HANDSHAKES_MAX: usize = 32;

/// Pause after a connection that was not taken: the process has no more files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often certificates are looked at.
const LOOK_INTERVAL: Duration = Duration::from_hours(1);

#[derive(Debug, thiserror::Error)]
pub enum LinkTlsError {
    #[error("could not read {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("the certificate of the link or its key is not PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("the certificate of the link and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Where the link's certificate comes from.
#[derive(Debug, Clone)]
pub enum LinkCertificate {
    /// Issued by the authority in this folder for the host of the link's address.
    Issued { folder: PathBuf, host: String },
    /// Given. The files may be replaced while we run.
    Files {
        certificate: PathBuf,
        key: PathBuf,
        /// What the operator verifies the certificate with.
        authority: PathBuf,
    },
}

/// A certificate, and what it is verified with.
struct Loaded {
    config: Arc<ServerConfig>,
    authority_pem: String,
    made_at: OffsetDateTime,
}

/// The certificate in use.
pub(crate) struct LinkTls {
    source: LinkCertificate,
    clock: Clock,
    loaded: RwLock<Loaded>,
}

impl std::fmt::Debug for LinkTls {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("LinkTls")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl LinkTls {
    pub(crate) fn open(source: LinkCertificate, clock: Clock) -> Result<Arc<Self>, LinkTlsError> {
        let loaded = load(&source, clock.now())?;
        Ok(Arc::new(Self {
            source,
            clock,
            loaded: RwLock::new(loaded),
        }))
    }

    /// What the operator verifies the certificate with, PEM.
    pub(crate) fn authority_pem(&self) -> String {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.authority_pem.clone()
    }

    fn acceptor(&self) -> TlsAcceptor {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(loaded.config.clone())
    }

    /// Issues the certificate anew before it ends, or reads it again; forever. One that cannot be
    /// had leaves the last in use.
    pub(crate) async fn renew(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let now = self.clock.now();
            if !self.is_due(now) {
                continue;
            }
            match load(&self.source, now) {
                Ok(loaded) => {
                    *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                }
                Err(error) => {
                    tracing::error!(%error, "the certificate of the region link was not renewed");
                }
            }
        }
    }

    fn is_due(&self, now: OffsetDateTime) -> bool {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        match self.source {
            LinkCertificate::Issued { .. } => {
                now >= loaded.made_at + CERTIFICATE_LIFETIME - CERTIFICATE_RENEWAL
            }
            LinkCertificate::Files { .. } => true,
        }
    }
}

fn load(source: &LinkCertificate, now: OffsetDateTime) -> Result<Loaded, LinkTlsError> {
    let (chain, key, authority_pem) = match source {
        LinkCertificate::Issued { folder, host } => {
            let authority = Authority::open(folder, now)?;
            let identity = authority.issue(std::slice::from_ref(host), now)?;
            let key = identity.private_key_pem.expose().to_owned();
            let authority_pem = authority.certificate_pem().to_owned();
            (identity.certificate_chain_pem, key, authority_pem)
        }
        LinkCertificate::Files {
            certificate,
            key,
            authority,
        } => (read(certificate)?, read(key)?, read(authority)?),
    };
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Loaded {
        config: Arc::new(config),
        authority_pem,
        made_at: now,
    })
}

fn read(path: &Path) -> Result<String, LinkTlsError> {
    std::fs::read_to_string(path).map_err(|source| LinkTlsError::File {
        path: path.to_owned(),
        source,
    })
}

/// Connections whose handshake is done, until `shutdown`.
pub(crate) fn accept(
    listener: TcpListener,
    tls: Arc<LinkTls>,
    shutdown: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> {
    let (sender, connections) = mpsc::channel(1);
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => return,
            };
            let socket = match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!(%error, "a connection out of a cluster was not taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (acceptor, sender) = (tls.acceptor(), sender.clone());
            tokio::spawn(async move {
                let _ = socket.set_nodelay(true);
                let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await;
                drop(place);
                match shaken {
                    Ok(Ok(stream)) => {
                        let _ = sender.send(Ok(Connection(Box::new(stream)))).await;
                    }
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "no TLS on a connection out of a cluster");
                    }
                    Err(_) => tracing::debug!("a handshake out of a cluster took too long"),
                }
            });
        }
    });
    ReceiverStream::new(connections)
}

/// A connection as the server takes it.
#[derive(Debug)]
pub(crate) struct Connection(Box<TlsStream<TcpStream>>);

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(context)
    }
}
