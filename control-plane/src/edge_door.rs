//! How the control plane opens sessions of its own in databases: at an edge, as any client, with a
//! token in the place of a password.

use crate::app::Settings;
use crate::import::authorities;
use crate::store::route::RegionEdges;
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// Whoever is at the other end and goes silent is given up after all of these.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// Name of PostgreSQL's protocol where TLS begins at once.
const ALPN: &[u8] = b"postgresql";

/// Bytes both ways, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An edge that takes the control plane's sessions.
#[derive(Debug, Clone)]
pub(crate) enum EdgeDoor {
    /// Beside us: its unix socket.
    Here(PathBuf),
    /// In a region's cluster: where clients connect, over TLS.
    Elsewhere {
        name: ServerName<'static>,
        address: (String, u16),
        tls: Arc<ClientConfig>,
    },
}

impl EdgeDoor {
    /// That of a region; `None`: no edge takes sessions here. The error says why those of the region
    /// cannot be told from others.
    pub(crate) fn of(settings: &Settings, region: RegionEdges) -> Result<Option<Self>, String> {
        if !region.edges_elsewhere {
            let folder = settings.edge_socket_folder.as_ref();
            return Ok(folder.map(|folder| Self::Here(folder.join(".s.PGSQL.5432"))));
        }
        let own = settings.ca_certificate_pem.as_deref();
        let authority = edge_authority(region.edge_authority_pem.as_deref(), own);
        let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(authorities(authority)?)
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let name = ServerName::try_from(region.host.clone());
        Ok(Some(Self::Elsewhere {
            name: name.map_err(|error| error.to_string())?,
            // The schema admits ports alone.
            address: (region.host, u16::try_from(region.port).unwrap_or_default()),
            tls: Arc::new(tls),
        }))
    }

    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Here(socket) => Ok(Box::new(UnixStream::connect(socket).await?)),
            Self::Elsewhere { name, address, tls } => {
                let (host, port) = address;
                let socket = TcpStream::connect((host.as_str(), *port)).await?;
                keep_alive(&socket)?;
                let connector = TlsConnector::from(Arc::clone(tls));
                Ok(Box::new(connector.connect(name.clone(), socket).await?))
            }
        }
    }
}

/// By which authority a region's edges are known, PEM, `own` being that of the data folder; `None`: by one
/// that clients know anyway.
pub(crate) fn edge_authority<'a>(theirs: Option<&'a str>, own: Option<&'a str>) -> Option<&'a str> {
    match theirs {
        None => own,
        Some("") => None,
        theirs => theirs,
    }
}

/// Sends all of it: what is encrypted is gathered first.
pub(crate) async fn send(stream: &mut dyn Stream, packet: &[u8]) -> io::Result<()> {
    stream.write_all(packet).await?;
    stream.flush().await
}

/// Has the system find out when nobody is at the other end any more.
pub(crate) fn keep_alive(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)?;
    Ok(())
}
