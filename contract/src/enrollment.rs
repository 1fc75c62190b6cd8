//! How a node in a cluster comes by the certificate that its parent knows it by
//! (`lumadb.node.v1.NodeEnrollment/Enroll`).
//!
//! The node makes a key pair, whose private key stays with it, and shows once who it is: by the
//! token that the cluster gave its pod. From then on the certificate speaks for it, until shortly
//! before it ends another is asked for.

use crate::id::{DatabaseId, IncarnationId};
use crate::secret::Secret;
use serde::{Deserialize, Serialize};

/// Whom a pod's token is for: no other server takes it.
pub const TOKEN_AUDIENCE: &str = "lumadb-operator";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentRequest {
    pub database_id: DatabaseId,
    pub incarnation_id: IncarnationId,
    /// Token of the pod's service account, for [`TOKEN_AUDIENCE`] and bound to the pod.
    pub token: Secret,
    /// A point on P-256, uncompressed (SEC 1, section 2.3.3): 65 bytes in base64.
    pub public_key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrollment {
    /// For that key, PEM: names database, incarnation and pod.
    pub certificate_pem: String,
    /// How long it holds from now on, seconds.
    pub lifetime_seconds: u32,
}
