//! What passes between a control plane and the operator of a cluster, which is one of its regions.
//!
//! Wishes go through the cluster itself, so that they hold while the control plane is away: a
//! `LumaDatabase`, and beside it a Secret of the same name ([`InstanceSecret`]) with what its node
//! must know and nobody else may read. What nodes say goes the other way on one stream
//! (`lumadb.region.v1.RegionLink/Attach`), which the operator dials and on which each message names
//! its database: the API server of a cluster is no place for a state that changes every second.
//!
//! Where the operator finds the control plane says a Secret that the control plane keeps in the
//! operator's own namespace ([`LINK_SECRET`]).

use crate::allowance::{Allowance, AllowanceRequest};
use crate::archive::{ArchiveSpec, RestoreSpec};
use crate::edge_link::EdgeTrust;
use crate::id::{DatabaseId, IncarnationId};
use crate::instance::{Generation, InstanceStatus, LogicalDatabaseSpec, RoleSpec, TlsIdentity};
use crate::route::NodeAddress;
use crate::usage::UsageSample;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// `type` of the Secret beside a `LumaDatabase`.
pub const INSTANCE_SECRET_TYPE: &str = "lumadb.cloud/instance";

/// Key of that Secret under which the [`InstanceSecret`] stands, as JSON.
pub const INSTANCE_SECRET_KEY: &str = "instance.json";

/// Name of the Secret in the operator's namespace that says where the control plane is.
pub const LINK_SECRET: &str = "lumadb-control-plane";

/// Keys of [`LINK_SECRET`].
pub mod link_secret {
    /// Address of the control plane's endpoint, such as `https://region.example.com:8444`.
    pub const ADDRESS: &str = "address";
    /// Certificate authority of that endpoint, PEM.
    pub const AUTHORITY: &str = "ca.crt";
    /// A token of the service, whose claims are [`crate::service_token::RegionClaims`].
    pub const TOKEN: &str = "token";
}

/// Name of the Secret in the operator's namespace by which edges in the cluster reach the control
/// plane and the nodes of their region.
pub const EDGE_SECRET: &str = "lumadb-edge";

/// Keys of [`EDGE_SECRET`], and the files that they are where it is mounted.
pub mod edge_secret {
    /// Address of the control plane's endpoint for edges, such as `https://region.example.com:8445`.
    pub const ADDRESS: &str = "address";
    /// Certificate authority of that endpoint, PEM.
    pub const AUTHORITY: &str = "ca.crt";
    /// A token for that endpoint, whose claims are [`crate::service_token::RegionClaims`].
    pub const TOKEN: &str = "token";
    /// Certificate authority of nodes, PEM.
    pub const NODES_AUTHORITY: &str = "nodes-ca.crt";
    /// What nodes know the region's edges by ([`crate::edge_link`]), PEM.
    pub const CERTIFICATE: &str = "tls.crt";
    /// Private key of that, PEM.
    pub const KEY: &str = "tls.key";
    /// What clients know an edge by, unless it has a certificate of another authority, PEM.
    pub const SERVER_CERTIFICATE: &str = "server.crt";
    /// Private key of that, PEM.
    pub const SERVER_KEY: &str = "server.key";
    /// Ed25519 public key of the tokens that the control plane's own sessions show
    /// ([`crate::service_token::SqlClaims`]), PEM.
    pub const SQL_TOKEN_KEY: &str = "sql-token.pub";
}

/// The part of an [`InstanceSpec`](crate::instance::InstanceSpec) that a `LumaDatabase` does not
/// say. Whoever writes the one writes the other; the operator puts both together for the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSecret {
    /// Grows with every change of this or of the `LumaDatabase` beside it.
    pub generation: Generation,
    /// Client connections that the node admits.
    pub connections_max: u16,
    /// The database whose clients come here, where it is not the one that the `LumaDatabase` is
    /// called after: see [`InstanceSpec::serves`](crate::instance::InstanceSpec::serves).
    #[serde(default)]
    pub serves_database_id: Option<DatabaseId>,
    /// Number by which cancel requests find this database among those of its region.
    pub route_number: u32,
    pub roles: Vec<RoleSpec>,
    pub logical_databases: Vec<LogicalDatabaseSpec>,
    #[serde(default)]
    pub tls: Option<TlsIdentity>,
    /// Which edges the node believes.
    #[serde(default)]
    pub edges: Option<EdgeTrust>,
    /// What the control plane notes of [`Self::tls`], to know when another one is due.
    #[serde(default)]
    pub tls_issued: Option<TlsIssued>,
    #[serde(default)]
    pub archive: Option<ArchiveSpec>,
    #[serde(default)]
    pub restore: Option<RestoreSpec>,
}

/// What a certificate was issued for, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsIssued {
    pub names: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// Version of the stream; grows when an old reader could misunderstand a new writer.
pub const LINK_VERSION: u32 = 1;

/// From the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionMessage {
    /// First message of every stream. After it come the states of all databases, each as
    /// [`Status`](Self::Status) or [`Absent`](Self::Absent), and then [`Complete`](Self::Complete).
    Hello {
        link_version: u32,
        /// Version of the operator's build, such as `0.1.0`.
        operator_version: String,
    },
    /// What the node of a database said of itself, at each change and at least every ten seconds.
    Status {
        database_id: DatabaseId,
        status: Box<InstanceStatus>,
        address: NodeAddress,
    },
    /// No node of this database runs.
    Absent { database_id: DatabaseId },
    /// A database that was not named on this stream is not in the cluster.
    Complete,
    /// Sealed samples of one database, oldest first, at most
    /// [`BATCH_SAMPLES_MAX`](crate::usage::BATCH_SAMPLES_MAX).
    Samples {
        database_id: DatabaseId,
        samples: Vec<UsageSample>,
    },
    /// A node asks for room under its organization's limits.
    Allowance {
        database_id: DatabaseId,
        request: AllowanceRequest,
    },
    /// A kind of message that this version does not know; ignored.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

/// From the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlMessage {
    /// Samples of this incarnation up to this sequence are stored and may be forgotten.
    SamplesStored {
        database_id: DatabaseId,
        incarnation_id: IncarnationId,
        sequence: u64,
    },
    /// The answer to the last question of a database's node.
    Allowance {
        database_id: DatabaseId,
        allowance: Box<Allowance>,
    },
    /// A kind of message that this version does not know; ignored.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_later_version_is_read_as_unknown() {
        let later = r#"{"parole":{"word":"fish"}}"#;
        let read: RegionMessage = serde_json::from_str(later).expect("readable");
        assert!(matches!(read, RegionMessage::Unknown(_)));
        let read: ControlMessage = serde_json::from_str(later).expect("readable");
        assert!(matches!(read, ControlMessage::Unknown(_)));
    }

    #[test]
    fn a_message_with_no_content_is_read_as_what_it_is() {
        let written = serde_json::to_string(&RegionMessage::Complete).expect("writable");
        let read: RegionMessage = serde_json::from_str(&written).expect("readable");
        assert_eq!(read, RegionMessage::Complete);
    }
}
