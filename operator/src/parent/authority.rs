//! The certificate authority of a cluster: values in, values out, but for the keys, which are random.
//!
//! It certifies the operator to nodes and nodes to the operator, and nobody else. ECDSA on P-256.

use super::names::NodeNames;
use lumadb_contract::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

/// Life of the authority's own certificate. It is renewed for the same key when half of it has
/// passed, so what it has signed goes on being believed.
const AUTHORITY_LIFETIME: Duration = Duration::days(3650);

/// Life of the operator's certificate; another is made when half of it has passed.
pub(super) const SERVER_LIFETIME: Duration = Duration::days(7);

/// Life of a node's certificate, and of a stream that was begun by it.
pub(super) const NODE_LIFETIME: Duration = Duration::hours(1);

/// A certificate is valid from a while before it was made: clocks differ.
const CLOCK_SKEW: Duration = Duration::minutes(10);

/// An uncompressed point on P-256, bytes.
const POINT_BYTES: usize = 65;

#[derive(Debug, thiserror::Error)]
pub(super) enum AuthorityError {
    #[error("a certificate was not made")]
    Certificate(#[from] rcgen::Error),
    #[error("that is no point on P-256 in uncompressed form")]
    NotAPoint,
}

/// What is kept of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) certificate_pem: String,
    pub(super) private_key_pem: Secret,
    /// Its certificate ends then.
    pub(super) ends_at: OffsetDateTime,
}

impl Kept {
    pub(super) fn make(now: OffsetDateTime) -> Result<Self, AuthorityError> {
        Self::of(&KeyPair::generate()?, now)
    }

    /// The same key, certified anew; `None` while less than half of its life has passed.
    pub(super) fn renewed(&self, now: OffsetDateTime) -> Result<Option<Self>, AuthorityError> {
        if self.ends_at - now > AUTHORITY_LIFETIME / 2 {
            return Ok(None);
        }
        let key = KeyPair::from_pem(self.private_key_pem.expose())?;
        Ok(Some(Self::of(&key, now)?))
    }

    fn of(key: &KeyPair, now: OffsetDateTime) -> Result<Self, AuthorityError> {
        let ends_at = now + AUTHORITY_LIFETIME;
        let mut params = authority_params();
        params.not_before = now - CLOCK_SKEW;
        params.not_after = ends_at;
        Ok(Self {
            certificate_pem: params.self_signed(key)?.pem(),
            private_key_pem: Secret::new(key.serialize_pem()),
            ends_at,
        })
    }
}

/// Certificate and private key of a server.
pub(super) struct ServerIdentity {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivatePkcs8KeyDer<'static>,
}

/// Issues certificates.
#[derive(Debug)]
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new(kept: &Kept) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(kept.private_key_pem.expose())?;
        Ok(Self {
            issuer: Issuer::new(authority_params(), key),
        })
    }

    /// A certificate for a server of this name.
    pub(super) fn server(
        &self,
        name: &str,
        now: OffsetDateTime,
    ) -> Result<ServerIdentity, AuthorityError> {
        let mut params = leaf(vec![name.to_owned()], now, SERVER_LIFETIME)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        Ok(ServerIdentity {
            certificate: params.signed_by(&key, &self.issuer)?.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        })
    }

    /// A certificate for a node, PEM. `point` is its public key.
    pub(super) fn node(
        &self,
        names: &NodeNames,
        point: &[u8],
        now: OffsetDateTime,
    ) -> Result<String, AuthorityError> {
        if point.len() != POINT_BYTES || point.first() != Some(&4) {
            return Err(AuthorityError::NotAPoint);
        }
        let mut params = leaf(vec![names.to_string()], now, NODE_LIFETIME)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(&Point(point), &self.issuer)?.pem())
    }
}

fn leaf(
    names: Vec<String>,
    now: OffsetDateTime,
    lifetime: Duration,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new(names)?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + lifetime;
    Ok(params)
}

/// The same for every certificate of an authority: what an issuer needs of them is the name and the
/// usages.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params
        .distinguished_name
        .push(DnType::CommonName, "LumaDB operator and nodes");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A public key whose private key is elsewhere.
struct Point<'a>(&'a [u8]);

impl PublicKeyData for Point<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::pem::PemObject;

    fn now() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
    }

    fn names() -> NodeNames {
        "inc-00000000000000000000000002.6d1f.db-01jdk3x5v9e8rb6w4q2n7m0c1a.node.lumadb.internal"
            .parse()
            .expect("names")
    }

    #[test]
    fn a_certificate_names_its_node() {
        let kept = Kept::make(now()).expect("made");
        let authority = Authority::new(&kept).expect("read");
        let key = KeyPair::generate().expect("a key");
        let pem = authority
            .node(&names(), key.public_key_raw(), now())
            .expect("issued");
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("one");
        assert_eq!(NodeNames::of(&certificate), Some(names()));
    }

    #[test]
    fn what_is_no_key_is_not_certified() {
        let kept = Kept::make(now()).expect("made");
        let authority = Authority::new(&kept).expect("read");
        for bad in [&[][..], &[4; 64], &[2; 65]] {
            let issued = authority.node(&names(), bad, now());
            assert!(matches!(issued, Err(AuthorityError::NotAPoint)));
        }
    }

    #[test]
    fn an_authority_is_renewed_at_half_of_its_life_and_keeps_its_key() {
        let kept = Kept::make(now()).expect("made");
        let early = kept.renewed(now() + Duration::days(1800));
        assert_eq!(early.expect("looked"), None);
        let late = kept.renewed(now() + Duration::days(1900));
        let late = late.expect("looked").expect("renewed");
        assert_eq!(late.private_key_pem, kept.private_key_pem);
        assert!(late.ends_at > kept.ends_at);
        assert_ne!(late.certificate_pem, kept.certificate_pem);
    }
}
