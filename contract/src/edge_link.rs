//! How an edge and a node that share no machine know each other: both ends show a certificate of one
//! authority, and agree on a protocol of their own in TLS. What follows is [`crate::handoff`].
//!
//! The edge dials the port at which the node takes clients, with the name of the database
//! ([`DatabaseId::host_label`](crate::id::DatabaseId::host_label)) as the host name of TLS: the
//! node's certificate has to name it, and a node that serves another one refuses.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Protocol name (ALPN) by which an edge asks for [`crate::handoff`] in TLS. A node that does not
/// know it, or trusts no edge, refuses the handshake.
pub const ALPN: &[u8] = b"lumadb-edge/1";

/// What follows them; `internal` is kept free of public names (ICANN, 2024).
const SUFFIX: &str = "edge.lumadb.internal";

/// Which edges a node believes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeTrust {
    /// The authority of their certificates, PEM.
    pub authority_pem: String,
    /// The one host name that such a certificate holds ([`certificate_name`]).
    pub certificate_name: String,
}

/// The host name in the certificate by which nodes know an edge of this region. No machine has it.
/// A region's name is written as bytes, since not each is a label of a host name.
pub fn certificate_name(region: &str) -> String {
    let mut name = String::new();
    // A label has at most 63 characters.
    for part in region.as_bytes().chunks(30) {
        for byte in part {
            let _ = write!(name, "{byte:02x}");
        }
        name.push('.');
    }
    name + SUFFIX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_has_a_name_that_is_a_host_name() {
        assert_eq!(certificate_name("eu"), "6575.edge.lumadb.internal");
        let long = certificate_name(&"Ö_".repeat(15));
        assert!(long.split('.').all(|label| label.len() <= 63), "{long}");
        assert_ne!(certificate_name("eu1"), certificate_name("eu"));
    }
}
