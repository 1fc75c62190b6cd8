//! TLS for tokio-postgres, with channel binding.

use sha2::{Digest, Sha256};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_postgres::tls::{ChannelBinding, NoTls, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, Error};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, client};

#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    hash: Vec<u8>,
}

impl Tls {
    /// Trusts this certificate and calls the server by this name.
    pub(super) fn new(certificate_pem: &str, name: &str) -> Self {
        let certificate =
            CertificateDer::from_pem_slice(certificate_pem.as_bytes()).expect("a certificate");
        let hash = Sha256::digest(&certificate).to_vec();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("usable");
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            connector: TlsConnector::from(Arc::new(config)),
            name: ServerName::try_from(name.to_owned()).expect("a name"),
            hash,
        }
    }
}

pub(super) struct Stream(client::TlsStream<TcpStream>, Vec<u8>);

impl TlsConnect<TcpStream> for Tls {
    type Stream = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        Box::pin(async move {
            let stream = self.connector.connect(self.name, stream).await?;
            Ok(Stream(stream, self.hash))
        })
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::tls_server_end_point(self.1.clone())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Connects in the clear.
pub(super) async fn plain(address: SocketAddr, config: &Config) -> Result<Client, Error> {
    let stream = TcpStream::connect(address).await.expect("open");
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Connects within TLS; channel binding is used where the server offers it.
pub(super) async fn encrypted(
    address: SocketAddr,
    config: &Config,
    tls: &Tls,
) -> Result<Client, Error> {
    let mut config = config.clone();
    config.ssl_mode(tokio_postgres::config::SslMode::Require);
    let stream = TcpStream::connect(address).await.expect("open");
    let (client, connection) = config.connect_raw(stream, tls.clone()).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The SQLSTATE and text of the error that PostgreSQL, node or edge sent.
pub(super) fn told(error: &Error) -> (String, String) {
    let Some(error) = error.as_db_error() else {
        return (String::new(), error.to_string());
    };
    (error.code().code().to_owned(), error.message().to_owned())
}
