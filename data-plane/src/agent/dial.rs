//! How the parent is reached: over a unix socket of this machine, or in a cluster over TLS.
//!
//! In a cluster the node makes a key pair and has its parent certify it, by the token of its pod;
//! with that certificate it dials. It is renewed long before it ends, and kept over dials: a parent
//! that comes back is not asked for one by all of its nodes at once.

use crate::tries;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::rt::TokioIo;
use lumadb_contract::enrollment::EnrollmentRequest;
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::rpc::NodeEnrollmentClient;
use lumadb_contract::secret::Secret;
use rcgen::KeyPair;
use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// Longest time until the parent has taken a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time for a certificate: the parent asks its cluster.
const ENROLL_TIMEOUT: Duration = Duration::from_secs(20);

/// A parent on another machine that says nothing for so long is dialed anew, twice this.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// When a certificate that could not be renewed, and holds for a while yet, is tried again.
const RENEW_AGAIN: Duration = Duration::from_mins(1);

/// Where a node's parent listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParentAddress {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A server in the cluster.
    Https {
        host: String,
        port: u16,
        /// File with the token of this pod's service account; it is read again for each certificate.
        token: PathBuf,
        /// File with the authorities of the parent's certificate, PEM.
        authority: PathBuf,
    },
}

#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("the parent is not reachable")]
    Transport(#[from] tonic::transport::Error),
    #[error("reading {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} holds no certificate of an authority", .0.display())]
    Authority(PathBuf),
    #[error("the parent's host name `{0}` is none that a certificate has")]
    Host(String),
    #[error("a key pair was not made")]
    Key(#[from] rcgen::Error),
    #[error("the parent's certificate is not usable")]
    Tls(#[from] rustls::Error),
    #[error("the parent does not certify this node: {}", .0.message())]
    NotCertified(tonic::Status),
    #[error("the parent gave something else than a certificate")]
    NoCertificate,
    #[error("the parent gave no certificate in time")]
    Silent,
}

impl DialError {
    /// Whether it is likely to stay so until somebody has done something.
    pub(super) fn is_for_people(&self) -> bool {
        !matches!(self, Self::Transport(_) | Self::Silent)
    }
}

/// What speaks for this node.
struct Certified {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    renew_at: Instant,
    ends_at: Instant,
}

/// A way to the parent.
pub(super) struct Dialed {
    pub(super) channel: Channel,
    /// When to dial anew though all is well.
    pub(super) until: Option<Instant>,
}

pub(super) struct Dialer {
    address: ParentAddress,
    database_id: DatabaseId,
    incarnation_id: IncarnationId,
    certified: Option<Certified>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = out.debug_struct("Dialer");
        out.field("address", &self.address).finish_non_exhaustive()
    }
}

impl Dialer {
    pub(super) fn new(
        address: ParentAddress,
        database_id: DatabaseId,
        incarnation_id: IncarnationId,
    ) -> Self {
        Self {
            address,
            database_id,
            incarnation_id,
            certified: None,
        }
    }

    pub(super) async fn dial(&mut self) -> Result<Dialed, DialError> {
        match self.address.clone() {
            ParentAddress::Unix(socket) => {
                let channel = dial_unix(socket).await?;
                Ok(Dialed {
                    channel,
                    until: None,
                })
            }
            ParentAddress::Https {
                host,
                port,
                token,
                authority,
            } => {
                let server = Server::new(&host, port, &authority)?;
                let until = self.certify(&server, &token).await?;
                let certified = self.certified.as_ref().ok_or(DialError::NoCertificate)?;
                let config = server.trusting()?.with_client_auth_cert(
                    vec![certified.certificate.clone()],
                    PrivateKeyDer::Pkcs8(certified.key.clone_key()),
                )?;
                let channel = server.connect(config).await?;
                Ok(Dialed {
                    channel,
                    until: Some(until),
                })
            }
        }
    }

    /// The parent does not take the certificate: the next dial brings another.
    pub(super) fn forget(&mut self) {
        self.certified = None;
    }

    /// Sees to it that there is a certificate, and says when it is to be renewed.
    async fn certify(&mut self, server: &Server, token: &Path) -> Result<Instant, DialError> {
        let now = Instant::now();
        if let Some(certified) = &self.certified
            && now < certified.renew_at
        {
            return Ok(certified.renew_at);
        }
        match (self.enroll(server, token).await, &self.certified) {
            (Ok(certified), _) => {
                let renew_at = certified.renew_at;
                self.certified = Some(certified);
                Ok(renew_at)
            }
            (Err(error), Some(before)) if now + RENEW_AGAIN < before.ends_at => {
                tracing::warn!(error = %crate::errors::chain(&error), "the certificate was not renewed");
                Ok(now + RENEW_AGAIN)
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn enroll(&self, server: &Server, token: &Path) -> Result<Certified, DialError> {
        let text = std::fs::read_to_string(token).map_err(|source| DialError::File {
            path: token.to_owned(),
            source,
        })?;
        let key = KeyPair::generate()?;
        let request = EnrollmentRequest {
            database_id: self.database_id,
            incarnation_id: self.incarnation_id,
            token: Secret::new(text.trim()),
            public_key: STANDARD.encode(key.public_key_raw()),
        };
        let asked = Instant::now();
        let channel = server
            .connect(server.trusting()?.with_no_client_auth())
            .await?;
        let answered = timeout(
            ENROLL_TIMEOUT,
            NodeEnrollmentClient::new(channel).enroll(request),
        )
        .await
        .map_err(|_| DialError::Silent)?;
        let enrollment = answered.map_err(DialError::NotCertified)?.into_inner();
        let lifetime = Duration::from_secs(enrollment.lifetime_seconds.into());
        let certificate = CertificateDer::from_pem_slice(enrollment.certificate_pem.as_bytes())
            .map_err(|_| DialError::NoCertificate)?;
        Ok(Certified {
            certificate,
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
            renew_at: asked + lifetime / 2,
            ends_at: asked + lifetime,
        })
    }
}

async fn dial_unix(socket: PathBuf) -> Result<Channel, DialError> {
    let dial = tower::service_fn(move |_: http::Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    // The name is only for HTTP's sake; the connector goes to the socket.
    let endpoint = Endpoint::from_static("http://parent");
    Ok(endpoint.connect_with_connector(dial).await?)
}

/// A parent in the cluster, and whose word for who it is counts.
struct Server {
    host: String,
    port: u16,
    name: ServerName<'static>,
    authorities: Arc<RootCertStore>,
}

impl Server {
    fn new(host: &str, port: u16, authority: &Path) -> Result<Self, DialError> {
        let text = std::fs::read_to_string(authority).map_err(|source| DialError::File {
            path: authority.to_owned(),
            source,
        })?;
        let mut authorities = RootCertStore::empty();
        let found = CertificateDer::pem_slice_iter(text.as_bytes()).filter_map(Result::ok);
        authorities.add_parsable_certificates(found);
        if authorities.is_empty() {
            return Err(DialError::Authority(authority.to_owned()));
        }
        let name = ServerName::try_from(host.to_owned());
        Ok(Self {
            host: host.to_owned(),
            port,
            name: name.map_err(|_| DialError::Host(host.to_owned()))?,
            authorities: Arc::new(authorities),
        })
    }

    fn trusting(&self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        Ok(config.with_root_certificates(self.authorities.clone()))
    }

    async fn connect(&self, mut config: ClientConfig) -> Result<Channel, DialError> {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let (host, port, name) = (self.host.clone(), self.port, self.name.clone());
        let dial = tower::service_fn(move |_: http::Uri| {
            let (connector, host, name) = (connector.clone(), host.clone(), name.clone());
            async move {
                // An operator that waits to take over refuses, and its name is that of the one that works.
                let connect = || TcpStream::connect((host.as_str(), port));
                let socket = tries::past_refusals(connect).await?;
                socket.set_nodelay(true)?;
                connector.connect(name, socket).await.map(TokioIo::new)
            }
        });
        // TLS is the connector's matter.
        let endpoint = Endpoint::from_static("http://parent")
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true);
        Ok(endpoint.connect_with_connector(dial).await?)
    }
}
