//! The door of edges on other machines: TLS in which both ends show a certificate.
//!
//! It is on the port that clients come to, behind a protocol name of its own
//! ([`lumadb_contract::edge_link::ALPN`]): whoever does not ask for that never gets here.

use super::client::{ClientStream, HANDSHAKE_TIMEOUT};
use super::quiet::QuietStream;
use super::tls::{TlsError, authorities, parts};
use lumadb_contract::edge_link::{ALPN, EdgeTrust};
use lumadb_contract::instance::TlsIdentity;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, WebPkiClientVerifier};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Why an edge did not get in.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    #[error("the connection broke, or no certificate that is believed was shown: {0}")]
    Handshake(#[from] io::Error),
    #[error("the handshake took too long")]
    Timeout,
    #[error("the certificate that was shown is not of an edge of this region")]
    NoEdge,
    #[error("it asked for another database")]
    OtherDatabase,
}

/// Believes edges as a spec says.
pub(super) struct EdgeDoor {
    acceptor: TlsAcceptor,
    certificate_name: String,
}

impl std::fmt::Debug for EdgeDoor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "EdgeDoor({})", self.certificate_name)
    }
}

impl EdgeDoor {
    /// `identity` is the node's own, `trust` says whom it believes.
    pub(super) fn new(identity: &TlsIdentity, trust: &EdgeTrust) -> Result<Self, TlsError> {
        let (chain, key) = parts(identity)?;
        let roots = authorities(&trust.authority_pem)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A session that is resumed would outlive the certificate that it began with.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate_name: trust.certificate_name.clone(),
        })
    }

    /// Whether it is this door that a ClientHello asks for.
    pub(super) fn is_asked_for(hello: &ClientHello<'_>) -> bool {
        let mut names = hello.alpn().into_iter().flatten();
        names.any(|name| name == ALPN)
    }

    /// Lets an edge in that comes for the database of this host name.
    pub(super) async fn open(
        &self,
        socket: TcpStream,
        host_label: &str,
    ) -> Result<ClientStream, DoorError> {
        let shaking = self.acceptor.accept(QuietStream::new_tcp(socket)?);
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking)
            .await
            .map_err(|_| DoorError::Timeout)??;
        let (_, connection) = stream.get_ref();
        let shown = connection.peer_certificates().unwrap_or_default();
        if !shown.first().is_some_and(|shown| self.names_an_edge(shown)) {
            return Err(DoorError::NoEdge);
        }
        if connection.server_name() != Some(host_label) {
            return Err(DoorError::OtherDatabase);
        }
        Ok(ClientStream::Tls(Box::new(stream)))
    }

    /// Whether a certificate of the authority names an edge of the region and nothing else.
    fn names_an_edge(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else {
            return false;
        };
        let mut names = certificate.valid_dns_names();
        names.next() == Some(self.certificate_name.as_str()) && names.next().is_none()
    }
}
