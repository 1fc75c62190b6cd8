//! Where the control plane is: a Secret that it lays down in the operator's namespace.

use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Secret;
use lumadb_contract::cluster::link_secret;
use lumadb_contract::secret;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

/// Longest time until a connection is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A control plane that does not answer for so long, twice, is away.
const KEEPALIVE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    #[error("its key `{0}` is missing or no text")]
    Missing(&'static str),
    #[error("`{0}` is not an address of the form https://host:port")]
    Address(String),
    #[error("its `{}` holds no certificate", link_secret::AUTHORITY)]
    Authority,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("it is not reachable")]
    Transport(#[from] tonic::transport::Error),
}

/// What the Secret says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ControlPlane {
    host: String,
    port: u16,
    name: ServerName<'static>,
    authority: Vec<CertificateDer<'static>>,
    pub(super) token: secret::Secret,
}

impl ControlPlane {
    pub(super) fn read(found: &Secret) -> Result<Self, AddressError> {
        let text = |key: &'static str| {
            let data = found.data.as_ref().and_then(|data| data.get(key));
            let text = data.and_then(|data| String::from_utf8(data.0.clone()).ok());
            text.ok_or(AddressError::Missing(key))
        };
        let address = text(link_secret::ADDRESS)?;
        let wrong = || AddressError::Address(address.clone());
        let uri: http::Uri = address.trim().parse().map_err(|_| wrong())?;
        let host = uri.host().ok_or_else(wrong)?.trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong());
        }
        let authority = text(link_secret::AUTHORITY)?;
        let authority: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(authority.as_bytes()).collect();
        let authority = authority.ok().filter(|all| !all.is_empty());
        Ok(Self {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(443),
            name,
            authority: authority.ok_or(AddressError::Authority)?,
            token: secret::Secret::new(text(link_secret::TOKEN)?.trim()),
        })
    }

    /// Whether it is at the same place, whatever its token.
    pub(super) fn is_where(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port && self.authority == other.authority
    }

    pub(super) async fn dial(&self) -> Result<Channel, DialError> {
        let mut authorities = RootCertStore::empty();
        authorities.add_parsable_certificates(self.authority.clone());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let (host, port, name) = (self.host.clone(), self.port, self.name.clone());
        let dial = tower::service_fn(move |_: http::Uri| {
            let (connector, host, name) = (connector.clone(), host.clone(), name.clone());
            async move {
                let socket = TcpStream::connect((host.as_str(), port)).await?;
                socket.set_nodelay(true)?;
                connector.connect(name, socket).await.map(TokioIo::new)
            }
        });
        // TLS is the connector's matter.
        let endpoint = Endpoint::from_static("http://control-plane")
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true);
        Ok(endpoint.connect_with_connector(dial).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parent::authority::Kept;
    use k8s_openapi::ByteString;
    use time::OffsetDateTime;

    fn secret(address: &str, authority: &str) -> Secret {
        let fields = [
            (link_secret::ADDRESS, address),
            (link_secret::AUTHORITY, authority),
            (link_secret::TOKEN, "token\n"),
        ];
        let data =
            fields.map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())));
        Secret {
            data: Some(data.into()),
            ..Secret::default()
        }
    }

    #[test]
    fn it_is_read_or_what_is_wrong_is_said() {
        let kept = Kept::make(OffsetDateTime::UNIX_EPOCH).expect("made");
        let authority = &kept.certificate_pem;
        let read = ControlPlane::read(&secret("https://region.example.com:8444", authority));
        let read = read.expect("right");
        assert_eq!(
            (read.host.as_str(), read.port),
            ("region.example.com", 8444)
        );
        assert_eq!(read.token.expose(), "token");
        for (address, authority, wrong) in [
            ("http://x:1", authority.as_str(), "https://"),
            ("", authority, "https://"),
            ("https://x:1", "", "no certificate"),
        ] {
            let error = ControlPlane::read(&secret(address, authority)).expect_err("wrong");
            assert!(error.to_string().contains(wrong), "{error}");
        }
        let nothing = ControlPlane::read(&Secret::default()).expect_err("wrong");
        assert!(nothing.to_string().contains("address"), "{nothing}");
    }
}
