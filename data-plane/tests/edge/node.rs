//! What the node's server is told: whom it serves, and who it is.

use super::world::{DATABASE, PASSWORD, ROUTE_NUMBER};
use lumadb_contract::edge_link::EdgeTrust;
use lumadb_contract::instance::TlsIdentity;
use lumadb_contract::name::PgName;
use lumadb_contract::network::AllowedNetworks;
use lumadb_contract::route::NodeAddress;
use lumadb_contract::scram::ScramVerifier;
use lumadb_contract::secret::Secret;
use lumadb_data_plane::agent::{Serving, Sessions};
use std::net::SocketAddr;

pub(super) fn verifier(password: &str) -> ScramVerifier {
    let text = postgres_protocol::password::scram_sha_256(password.as_bytes());
    ScramVerifier::parse(&text).expect("valid")
}

pub(super) fn app() -> PgName {
    "app".parse().expect("valid")
}

pub(super) fn cluster_address(address: SocketAddr) -> NodeAddress {
    NodeAddress::Cluster {
        host: address.ip().to_string(),
        port: address.port(),
    }
}

pub(super) fn serving(
    tls: Option<TlsIdentity>,
    edges: Option<EdgeTrust>,
    accepting: bool,
) -> Serving {
    Serving {
        sessions: if accepting {
            Sessions::Accepted
        } else {
            Sessions::NotReady
        },
        connections_max: 250,
        database_id: None,
        route_number: ROUTE_NUMBER,
        roles: [(app(), verifier(PASSWORD))].into(),
        allowed_networks: AllowedNetworks::default(),
        tls,
        edges,
        gated: false,
    }
}

/// A certificate that speaks for itself, and its PEM.
pub(super) fn identity() -> (TlsIdentity, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let host = format!("{}.localhost", DATABASE.replace('_', "-"));
    let names = vec!["localhost".to_owned(), host];
    let parameters = rcgen::CertificateParams::new(names).expect("valid");
    let pem = parameters.self_signed(&key).expect("signed").pem();
    let identity = TlsIdentity {
        certificate_chain_pem: pem.clone(),
        private_key_pem: Secret::new(key.serialize_pem()),
    };
    (identity, pem)
}
