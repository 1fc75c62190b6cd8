//! Desired and observed state of one instance: what a parent tells a node, and what it answers.

use crate::archive::{ArchiveSpec, ArchiveStatus, RestoreSpec, RestoreStatus};
use crate::edge_link::EdgeTrust;
use crate::id::{DatabaseId, IncarnationId};
use crate::name::PgName;
use crate::network::AllowedNetworks;
use crate::scram::ScramVerifier;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Number of a desired state; grows with every change of it.
pub type Generation = u64;

/// What an instance shall be. The node keeps the last one on disk and serves from it with no
/// control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// Names the instance for as long as it lives: the database that it was made for.
    pub database_id: DatabaseId,
    /// The database whose clients come here, where that is another one by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves_database_id: Option<DatabaseId>,
    pub generation: Generation,
    /// Major version of PostgreSQL, such as `18`.
    pub engine_version: u16,
    pub run: RunState,
    pub compute: Compute,
    /// Client connections that the node admits; the engine keeps some more for the platform.
    pub connections_max: u16,
    /// Number by which cancel requests find this database among those of its region.
    pub route_number: u32,
    pub roles: Vec<RoleSpec>,
    pub logical_databases: Vec<LogicalDatabaseSpec>,
    /// Where clients may come from.
    #[serde(default, skip_serializing_if = "AllowedNetworks::is_empty")]
    pub allowed_networks: AllowedNetworks,
    /// Certificate for this database's own host name; without it the node takes no TLS.
    #[serde(default)]
    pub tls: Option<TlsIdentity>,
    /// Edges that do not share the node's machine; without it none is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edges: Option<EdgeTrust>,
    /// Where WAL and backups go; without it nothing is archived.
    #[serde(default)]
    pub archive: Option<ArchiveSpec>,
    /// The first content: an instance that was never restored begins as this says. `None`: empty.
    #[serde(default)]
    pub restore: Option<RestoreSpec>,
}

impl InstanceSpec {
    /// The database whose clients come here. A restore in place gives a database another instance,
    /// and the one that it had to the branch that is kept.
    pub fn serves(&self) -> DatabaseId {
        self.serves_database_id.unwrap_or(self.database_id)
    }
}

/// Whether the engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The engine runs and takes connections.
    Running,
    /// The engine ends as soon as no client is connected. A node that still has one stays ready
    /// and says so by `idle_since: None`.
    Asleep,
    /// The engine ends; connections are closed.
    Stopped,
}

/// Granted compute. Memory decides `shared_buffers` (a quarter of it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compute {
    /// Thousandths of a vCPU.
    pub milli_vcpu: u32,
    /// Mebibytes.
    pub memory_mib: u32,
}

/// A login of the tenant's. Roles that are not listed and that the node made earlier are removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSpec {
    pub name: PgName,
    pub verifier: ScramVerifier,
    /// The owner role has CREATEDB and owns what a removed role leaves behind. Exactly one.
    pub owner: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalDatabaseSpec {
    pub name: PgName,
    pub owner: PgName,
}

/// Certificate chain and private key, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsIdentity {
    pub certificate_chain_pem: String,
    pub private_key_pem: Secret,
}

/// What an instance is, as its node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    pub incarnation_id: IncarnationId,
    /// Generation of the last spec that is wholly in force; 0 before the first.
    pub observed_generation: Generation,
    pub phase: InstancePhase,
    /// What failed, for an operator: never shown to a tenant as it is.
    #[serde(default)]
    pub error: Option<String>,
    /// PostgreSQL's own version, such as `18.6`, once known.
    #[serde(default)]
    pub engine_version: Option<String>,
    /// System identifier of the cluster, once known.
    #[serde(default)]
    pub system_identifier: Option<u64>,
    /// Client connections open now.
    pub connections: u32,
    /// Since when no client has been connected; `None` while one is.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub idle_since: Option<OffsetDateTime>,
    /// Size of the data folder without WAL, bytes.
    pub storage_bytes: u64,
    /// How full the volume is that the instance lies on.
    #[serde(default)]
    pub volume: VolumeStage,
    /// The room on it; `None` before it was measured.
    #[serde(default)]
    pub room: Option<VolumeRoom>,
    #[serde(default)]
    pub archive: Option<ArchiveStatus>,
    #[serde(default)]
    pub restore: Option<RestoreStatus>,
}

/// What a volume holds. Told when it changes by a hundredth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRoom {
    pub total_bytes: u64,
    /// What whoever is not root may still take.
    pub free_bytes: u64,
}

/// How full a volume is. Each stage includes those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeStage {
    #[default]
    Ample,
    /// Somebody should look: from 70 % on.
    Alarm,
    /// New transactions may only read: from 90 % on.
    ReadOnly,
    /// Nobody is served: from 95 % on. WAL is kept all the same.
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstancePhase {
    /// The engine is being initialized, started or recovered.
    Starting,
    /// Takes connections.
    Ready,
    /// The engine is shutting down.
    Stopping,
    /// The engine has ended cleanly and the final usage sample is sealed.
    Stopped,
    /// The engine does not start; the node goes on trying.
    Failed,
}
