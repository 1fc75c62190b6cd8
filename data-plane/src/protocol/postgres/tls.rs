//! TLS of a server: its certificate, and the certificate's hash for channel binding.

use super::scram::Binding;
use lumadb_contract::instance::TlsIdentity;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Protocol name by which a client asks for PostgreSQL in TLS (ALPN).
pub const ALPN: &[u8] = b"postgresql";

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the certificate chain or the private key is not PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("the certificate chain is empty")]
    NoCertificate,
    #[error("the certificate and its private key are not usable: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("the authority of edges is not usable: {0}")]
    Authority(#[from] VerifierBuilderError),
}

/// A server's certificate, ready to take connections.
#[derive(Clone)]
pub struct TlsServer {
    acceptor: TlsAcceptor,
    binding: Binding,
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("TlsServer(…)")
    }
}

impl TlsServer {
    pub fn new(identity: &TlsIdentity) -> Result<Self, TlsError> {
        let (chain, key) = parts(identity)?;
        let binding = end_point_hash(&chain[0]).map_or(Binding::None, Binding::ServerEndPoint);
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // PostgreSQL's clients never resume a session: tickets would be memory and bytes for naught.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            binding,
        })
    }

    pub fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    pub fn binding(&self) -> &Binding {
        &self.binding
    }
}

/// Authorities to believe, from their certificates one after the other.
pub(crate) fn authorities(pem: &str) -> Result<RootCertStore, TlsError> {
    let mut authorities = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        authorities.add(authority?)?;
    }
    Ok(authorities)
}

/// A chain that has a leaf, and its key.
pub(crate) fn parts(
    identity: &TlsIdentity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate_chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(identity.private_key_pem.expose().as_bytes())?;
    Ok((chain, key))
}

/// 1.2.840.113549.1.1, RSA's PKCS #1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// 1.2.840.10045.4.3, ECDSA with SHA-2.
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];

/// `tls-server-end-point` (RFC 5929): the certificate hashed by the hash of its own signature, by
/// SHA-256 where that is older. `None` where the signature names no hash (Ed25519, RSA-PSS).
fn end_point_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID … } … }
    let (outer, _) = der_content(certificate, 0x30)?;
    let (_, behind_tbs) = der_content(outer, 0x30)?;
    let (algorithm, _) = der_content(behind_tbs, 0x30)?;
    let (oid, _) = der_content(algorithm, 0x06)?;
    let (family, last) = oid.split_at(oid.len().checked_sub(1)?);
    match (family, last) {
        (RSA, [4 | 5 | 11]) | (ECDSA, [2]) => Some(Sha256::digest(certificate).to_vec()),
        (RSA, [12]) | (ECDSA, [3]) => Some(Sha384::digest(certificate).to_vec()),
        (RSA, [13]) | (ECDSA, [4]) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// Content of the DER element that `bytes` starts with, and what is behind it.
fn der_content(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        let length = digits
            .iter()
            .fold(0, |length, digit| (length << 8) | usize::from(*digit));
        (length, rest)
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::secret::Secret;

    fn identity(algorithm: &'static rcgen::SignatureAlgorithm) -> TlsIdentity {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let parameters = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("valid");
        let certificate = parameters.self_signed(&key).expect("signed");
        TlsIdentity {
            certificate_chain_pem: certificate.pem(),
            private_key_pem: Secret::new(key.serialize_pem()),
        }
    }

    #[test]
    fn the_certificate_is_hashed_as_its_signature_is() {
        let length = |algorithm| {
            let server = TlsServer::new(&identity(algorithm)).expect("usable");
            match server.binding {
                Binding::ServerEndPoint(hash) => Some(hash.len()),
                Binding::None => None,
            }
        };
        assert_eq!(length(&rcgen::PKCS_ECDSA_P256_SHA256), Some(32));
        assert_eq!(length(&rcgen::PKCS_ECDSA_P384_SHA384), Some(48));
        assert_eq!(length(&rcgen::PKCS_ED25519), None);
    }

    #[test]
    fn an_unusable_identity_is_an_error() {
        let mut mixed = identity(&rcgen::PKCS_ECDSA_P256_SHA256);
        mixed.private_key_pem = identity(&rcgen::PKCS_ECDSA_P256_SHA256).private_key_pem;
        assert!(matches!(TlsServer::new(&mixed), Err(TlsError::Unusable(_))));
        mixed.certificate_chain_pem.clear();
        assert!(matches!(
            TlsServer::new(&mixed),
            Err(TlsError::NoCertificate)
        ));
    }
}
