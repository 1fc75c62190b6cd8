//! The authority by which an edge and nodes on other machines know each other.

use super::world::REGION;
use lumadb_contract::edge_link::{EdgeTrust, certificate_name};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::TlsIdentity;
use lumadb_contract::secret::Secret;
use lumadb_data_plane::clock;
use lumadb_data_plane::edge::{NodeTls, Source};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::Duration;

pub(super) struct FarAuthority {
    pub(super) certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl FarAuthority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).expect("signed");
        Self {
            certificate_pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate that ends at a time from now.
    pub(super) fn issue(
        &self,
        names: &[&str],
        purpose: ExtendedKeyUsagePurpose,
        left: Duration,
    ) -> TlsIdentity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.extended_key_usages.push(purpose);
        let now = clock::now();
        (params.not_before, params.not_after) = (now - Duration::days(2), now + left);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        TlsIdentity {
            certificate_chain_pem: certificate.pem(),
            private_key_pem: Secret::new(key.serialize_pem()),
        }
    }

    pub(super) fn node(&self, database: &str) -> TlsIdentity {
        let id: DatabaseId = database.parse().expect("an ID");
        let label = id.host_label();
        let host = format!("{label}.localhost");
        let purpose = ExtendedKeyUsagePurpose::ServerAuth;
        self.issue(&[&label, &host], purpose, Duration::days(1))
    }

    pub(super) fn edge(&self, region: &str) -> TlsIdentity {
        let purpose = ExtendedKeyUsagePurpose::ClientAuth;
        self.issue(&[&certificate_name(region)], purpose, Duration::days(1))
    }

    /// What a node is told.
    pub(super) fn trust(&self) -> EdgeTrust {
        EdgeTrust {
            authority_pem: self.certificate_pem.clone(),
            certificate_name: certificate_name(REGION),
        }
    }

    /// What an edge is told.
    pub(super) fn for_edge(&self) -> Source<NodeTls> {
        let tls = NodeTls {
            authority_pem: self.certificate_pem.clone(),
            identity: self.edge(REGION),
        };
        Source::new(move || Ok(tls.clone()))
    }
}
