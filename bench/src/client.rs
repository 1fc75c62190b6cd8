//! One query over a fresh connection, as a customer's driver makes it: TCP, SSLRequest, TLS, SCRAM.
//!
//! In this process, so that starting a client program is not part of what is timed.

use lumadb_e2e::account::Database;
use lumadb_e2e::{Failure, Outcome};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;
use tokio_postgres::config::{Config, SslMode};
use tokio_rustls::TlsConnector;

/// `SSLRequest`: its length and its code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A client that trusts the certificate authority that a database's page shows.
#[derive(Clone)]
pub(crate) struct Client {
    tls: TlsConnector,
}

impl Client {
    pub(crate) fn trusting(ca_certificate_pem: &str) -> Outcome<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(
            ca_certificate_pem.as_bytes(),
        )?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Connects, asks `select 1` and has its answer.
    pub(crate) async fn first_answer(&self, database: &Database) -> Outcome<()> {
        tokio::time::timeout(PATIENCE, self.ask(database)).await?
    }

    async fn ask(&self, database: &Database) -> Outcome<()> {
        let mut stream = TcpStream::connect((database.host.as_str(), database.port)).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&SSL_REQUEST).await?;
        if stream.read_u8().await? != b'S' {
            return Err("the server does not take TLS".into());
        }
        let name = ServerName::try_from(database.host.clone())?;
        let stream = self.tls.connect(name, stream).await?;
        let mut config = Config::new();
        config
            .user(&database.user)
            .password(&database.password)
            .dbname(&database.logical_database)
            // The stream is encrypted already.
            .ssl_mode(SslMode::Disable);
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        let asking = async {
            client.simple_query("select 1").await?;
            Ok::<_, Failure>(())
        };
        tokio::select! {
            asked = asking => asked,
            ended = connection => Err(ended.err().map_or_else(
                || "the server closed the connection".into(),
                Failure::from,
            )),
        }
    }
}
