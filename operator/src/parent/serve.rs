//! The endpoint that nodes dial: TLS, by the cluster's own authority on both sides.
//!
//! Whoever shows no certificate may ask for one and nothing else, and is soon cut off.

use super::authority::{Authority, AuthorityError, Kept, SERVER_LIFETIME};
use super::connection::{Connection, HANDSHAKE_TIMEOUT, Shown};
use super::enroll::Enroller;
use super::keep::{self, KeepError};
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
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;

/// Handshakes under way at once; others wait.
const HANDSHAKES_MAX: usize = 64;

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
    #[error("no thread can be started for connections of nodes: {0}")]
    Thread(io::Error),
    #[error("the authority of nodes is not usable: {0}")]
    Authority(#[from] AuthorityProblem),
}

/// What is wrong with certificates.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AuthorityProblem(String);

fn problem(error: impl std::fmt::Display) -> AuthorityProblem {
    AuthorityProblem(error.to_string())
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
        let services = Routes::new(NodeParentServer::new(nodes.parent().clone()))
            .add_service(NodeEnrollmentServer::new(enroller))
            .prepare();
        let (begun, beginning) = mpsc::channel(HANDSHAKES_MAX);
        begin_elsewhere(beginning, services)?;
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
            let (acceptor, begun, nodes) = (acceptor.clone(), begun.clone(), nodes.clone());
            tokio::spawn(async move {
                let accepted = Connection::accept(&acceptor, socket, &nodes).await;
                if let Some(accepted) = accepted {
                    let _ = begun.send(accepted).await;
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

/// Begins to serve connections that were accepted, in a thread that does nothing else: what they keep for
/// good is then in a heap of its own. It ends with its channel.
fn begin_elsewhere(
    mut accepted: mpsc::Receiver<(Connection, Shown)>,
    services: Routes,
) -> Result<(), EndpointError> {
    let runtime = Handle::current();
    let begin = move || {
        while let Some((connection, shown)) = accepted.blocking_recv() {
            let _within = runtime.enter();
            runtime.spawn(connection.serve(shown, services.clone()));
        }
    };
    let started = thread::Builder::new()
        .name("connections".into())
        .spawn(begin);
    started.map(|_| ()).map_err(EndpointError::Thread)
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
