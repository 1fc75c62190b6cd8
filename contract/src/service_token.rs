//! Claims of the short-lived tokens (JWT, EdDSA) that our own services show each other.

use crate::id::DatabaseId;
use crate::name::PgName;
use serde::{Deserialize, Serialize};

/// Longest life of a token, seconds.
pub const LIFETIME_SECONDS_MAX: u64 = 300;

/// Longest life of a token that is laid down in a cluster, seconds: it is renewed long before.
pub const REGION_LIFETIME_SECONDS_MAX: u64 = 3600;

/// Who a token is for.
pub mod audience {
    /// The control plane's endpoint for edges.
    pub const EDGE_CONTROL: &str = "lumadb-edge-control";
    /// The control plane's endpoint for the operators of clusters.
    pub const REGION_LINK: &str = "lumadb-region-link";
    /// An edge, for the control plane's own sessions.
    pub const EDGE_SQL: &str = "lumadb-edge-sql";
}

/// Names of the services, as they stand in `iss`.
pub mod issuer {
    pub const API: &str = "lumadb-api";
    pub const EDGE: &str = "lumadb-edge";
}

/// Start-up parameter in which a session of the control plane carries its token. An edge on the same
/// machine takes it on a unix socket only, one in a region's cluster over TLS only; none hands it on.
pub const SQL_TOKEN_PARAMETER: &str = "lumadb.token";

/// An edge asks the control plane for the routes of its region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeClaims {
    pub iss: String,
    pub aud: String,
    /// Seconds since 1970.
    pub iat: u64,
    /// Seconds since 1970.
    pub exp: u64,
    pub region: String,
}

/// The operator of a cluster hands in what the nodes of its region said, or an edge there asks for
/// routes; the audience tells one from the other. The control plane signs this token itself and lays
/// it down in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionClaims {
    pub iss: String,
    pub aud: String,
    /// Seconds since 1970.
    pub iat: u64,
    /// Seconds since 1970.
    pub exp: u64,
    pub region: String,
}

/// The control plane opens a session of one role of one database: for the SQL editor, or an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlClaims {
    pub iss: String,
    pub aud: String,
    /// Seconds since 1970.
    pub iat: u64,
    /// Seconds since 1970.
    pub exp: u64,
    pub database_id: DatabaseId,
    pub role: PgName,
}
