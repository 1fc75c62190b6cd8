//! The way to the control plane: a unix socket of this machine, or TLS to where files say.

use crate::protocol::postgres::tls::authorities;
use hyper_util::rt::TokioIo;
use lumadb_contract::cluster::edge_secret;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

/// Longest time until a connection to another machine is there, TLS and all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A control plane on another machine that is silent for so long is asked whether it is there, and
/// has as long to answer.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Protocol of gRPC, as it is agreed upon in TLS.
const ALPN: &[u8] = b"h2";

/// A name that is never looked up: connectors know one place only.
const NAME: &str = "http://control-plane";

/// Connects when it is used: the control plane may be away now.
pub(super) fn here(socket: PathBuf) -> Channel {
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    Endpoint::from_static(NAME).connect_with_connector_lazy(connector)
}

/// The same, to where the files of `folder` say at that moment.
pub(super) fn elsewhere(folder: PathBuf) -> Channel {
    let connector = tower::service_fn(move |_| {
        let folder = folder.clone();
        async move { dial(&folder).await.map(TokioIo::new) }
    });
    Endpoint::from_static(NAME)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connector)
}

async fn dial(folder: &Path) -> io::Result<TlsStream<TcpStream>> {
    let place = Place::read(folder)?;
    let socket = TcpStream::connect((place.host.as_str(), place.port)).await?;
    socket.set_nodelay(true)?;
    place.connector.connect(place.name, socket).await
}

/// What the files say.
struct Place {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Place {
    fn read(folder: &Path) -> io::Result<Self> {
        let text = |file: &str| {
            let path = folder.join(file);
            std::fs::read_to_string(&path)
                .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))
        };
        let address = text(edge_secret::ADDRESS)?;
        let address = address.trim();
        let no_address = || wrong(format!("`{address}` is not of the form https://host:port"));
        let uri: http::Uri = address.parse().map_err(|_| no_address())?;
        if uri.scheme_str() != Some("https") {
            return Err(no_address());
        }
        let host = uri.host().ok_or_else(no_address)?.trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| no_address())?;
        let roots = authorities(&text(edge_secret::AUTHORITY)?).map_err(wrong)?;
        if roots.is_empty() {
            return Err(wrong(format!("{} is empty", edge_secret::AUTHORITY)));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(443),
            name,
            connector: TlsConnector::from(Arc::new(config)),
        })
    }
}

fn wrong(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &str| {
            std::fs::write(folder.path().join(file), text).expect("written");
        };
        let refusal = || match Place::read(folder.path()) {
            Ok(_) => String::from("none"),
            Err(error) => error.to_string(),
        };
        assert!(refusal().contains("address"), "{}", refusal());
        for address in ["", "http://x:1", "x"] {
            write(edge_secret::ADDRESS, address);
            assert!(refusal().contains("https://"), "{}", refusal());
        }
        write(edge_secret::ADDRESS, "https://region.example.com:8445\n");
        assert!(refusal().contains("ca.crt"), "{}", refusal());
        write(edge_secret::AUTHORITY, "");
        assert!(refusal().contains("empty"), "{}", refusal());
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["x".into()]).expect("valid");
        let pem = parameters.self_signed(&key).expect("signed").pem();
        write(edge_secret::AUTHORITY, &pem);
        let place = Place::read(folder.path()).expect("right");
        assert_eq!(
            (place.host.as_str(), place.port),
            ("region.example.com", 8445)
        );
    }
}
