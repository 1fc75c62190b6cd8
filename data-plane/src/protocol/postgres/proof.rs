//! By what clients are let in, and when that is not so any more: edge and node decide alike.

use super::wire::{Fatal, sqlstate};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::network::AllowedNetworks;
use lumadb_contract::scram::ScramVerifier;
use std::net::IpAddr;

/// By what a client was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub verifier: ScramVerifier,
    pub address: IpAddr,
}

/// Why a session may not go on. `current` is its role's verifier of now; without a proof it is
/// somebody else's to know whether what let it in holds.
pub fn objection(
    current: Option<&ScramVerifier>,
    allowed: &AllowedNetworks,
    proof: Option<&Proof>,
) -> Option<&'static str> {
    let Some(current) = current else {
        return Some("terminating connection: the role was removed");
    };
    let proof = proof?;
    if *current != proof.verifier {
        Some("terminating connection: the role's password was changed")
    } else if !allowed.admit(proof.address) {
        Some("terminating connection: its address is not in the allowed networks any more")
    } else {
        None
    }
}

/// What a client hears whose address is not allowed.
pub fn not_allowed(id: DatabaseId, address: IpAddr) -> Fatal {
    let address = address.to_canonical();
    let text = format!("{address} is not in the allowed networks of database {id}");
    Fatal::new(sqlstate::INVALID_AUTHORIZATION, text)
}
