//! `LumaDatabase`: a database as it shall be.

use super::bootstrap::Bootstrap;
use super::quantity::{ByteSize, CpuAmount};
use super::status::LumaDatabaseStatus;
use super::window::MaintenanceWindow;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A database as it shall be. Its name is its ID as host names have it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "lumadb.cloud",
    version = "v1alpha1",
    kind = "LumaDatabase",
    plural = "lumadatabases",
    shortname = "ldb",
    category = "lumadb",
    namespaced,
    status = "LumaDatabaseStatus",
    derive = "PartialEq",
    doc = "A PostgreSQL database that the LumaDB operator runs.",
    validation = Rule::new(
        "self.metadata.name.matches('^db-[0-7][0-9a-hjkmnp-tv-z]{25}$')"
    ).message("the name must be the database's ID as host names have it, such as db-01jdk3x5v9e8rb6w4q2n7m0c1a"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Class", type_ = "string", json_path = ".spec.class"),
    printcolumn(name = "CPU", type_ = "string", json_path = ".spec.compute.cpu"),
    printcolumn(name = "Memory", type_ = "string", json_path = ".spec.compute.memory"),
    printcolumn(name = "Storage", type_ = "string", json_path = ".status.storage.capacity"),
    printcolumn(name = "Restart", type_ = "string", json_path = ".status.conditions[?(@.type=='RestartPending')].status", priority = 1, description = "Whether a restart waits for the maintenance window"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[x_kube(validation = Rule::new(
    "self.durability.mode != 'S3' || has(self.archive)"
).message("durability.mode S3 keeps a commit waiting for the archive: it needs spec.archive"))]
#[x_kube(validation = Rule::new(
    "!has(oldSelf.archive) || has(self.archive)"
).message("a database keeps its archive: spec.archive cannot be taken away"))]
#[serde(rename_all = "camelCase")]
pub struct LumaDatabaseSpec {
    /// Major version of PostgreSQL. It stays as it is.
    #[schemars(range(min = 18, max = 18))]
    #[serde(default = "engine_version_default")]
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "the major version of a database cannot change: make a new database and import into it"
    ))]
    pub engine_version: u16,
    /// Whether compute is guaranteed (Dedicated) or taken as it is there (Shared). A change restarts
    /// the database at once.
    #[serde(default)]
    pub class: DatabaseClass,
    pub compute: Compute,
    pub storage: Storage,
    #[serde(default)]
    pub durability: Durability,
    /// Whether the database rests: no pod runs, its volume stays.
    #[serde(default)]
    pub suspend: bool,
    /// What clients may speak.
    #[serde(default = "protocols_default")]
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub protocols: Vec<Protocol>,
    /// Where WAL and backups go. Set once; without it nothing is archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// Networks of clients that may connect, such as 203.0.113.0/24; empty: all. The node keeps to it
    /// with clients that reach its pod, an edge with those that come through it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(max = 64)),
        extend("x-kubernetes-list-type" = "set")
    )]
    #[x_kube(validation = Rule::new("self.all(network, isCIDR(network))").message(
        "each of allowedNetworks must be a network such as 203.0.113.0/24 or 2001:db8::/32"
    ))]
    pub allowed_networks: Vec<String>,
    /// When what can wait may restart the database.
    #[serde(default)]
    pub maintenance_window: MaintenanceWindow,
    /// What becomes of the volume when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// How the database began. It stays as it is.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "bootstrap says how the database began and cannot change: make another database"
    ))]
    pub bootstrap: Bootstrap,
}

fn engine_version_default() -> u16 {
    18
}

fn protocols_default() -> Vec<Protocol> {
    vec![Protocol::PostgreSql]
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatabaseClass {
    /// A part of the compute is reserved; the rest is taken while it is there.
    Shared,
    /// All of the compute is reserved.
    #[default]
    Dedicated,
}

impl DatabaseClass {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shared => "Shared",
            Self::Dedicated => "Dedicated",
        }
    }
}

/// Compute of the engine.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(
    "quantity(self.cpu).compareTo(quantity('100m')) >= 0 && quantity(self.cpu).compareTo(quantity('128')) <= 0"
).message("compute.cpu must be from 100m to 128"))]
#[x_kube(validation = Rule::new(
    "quantity(self.memory).compareTo(quantity('256Mi')) >= 0 && quantity(self.memory).compareTo(quantity('4Ti')) <= 0"
).message("compute.memory must be from 256Mi to 4Ti"))]
#[serde(rename_all = "camelCase")]
pub struct Compute {
    /// Such as 500m or 2.
    pub cpu: CpuAmount,
    /// Such as 2Gi.
    pub memory: ByteSize,
}

/// The volume.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(
    "quantity(self.size).compareTo(quantity('1Gi')) >= 0 && quantity(self.size).compareTo(quantity('64Ti')) <= 0"
).message("storage.size must be from 1Gi to 64Ti"))]
#[x_kube(validation = Rule::new(
    "quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0"
).message("storage.size can only grow: a volume does not shrink"))]
#[x_kube(validation = Rule::new(
    "has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)"
).message("storage.className cannot change: the volume lies there already"))]
#[x_kube(validation = Rule::new(
    "!has(self.autogrow) || quantity(self.autogrow.maximum).compareTo(quantity(self.size)) >= 0"
).message("storage.autogrow.maximum must not be less than storage.size"))]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Such as 10Gi. It may grow, and never shrinks.
    pub size: ByteSize,
    /// Storage class of the volume; the cluster's default unless it is named. It stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,
    /// Lets the volume grow by itself before it is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autogrow: Option<Autogrow>,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Autogrow {
    /// The volume does not grow beyond this.
    pub maximum: ByteSize,
    /// It grows once so much of it is used, in percent.
    #[serde(default = "threshold_default")]
    #[schemars(range(min = 50, max = 95))]
    pub threshold_percent: u8,
}

fn threshold_default() -> u8 {
    75
}

/// When a client hears that its transaction is committed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new(
    "self.mode == 'Lag' || !has(self.lagMilliseconds)"
).message("durability.lagMilliseconds goes with mode Lag alone"))]
#[serde(rename_all = "camelCase")]
pub struct Durability {
    #[serde(default)]
    pub mode: DurabilityMode,
    /// How soon WAL leaves for the archive, with mode Lag; 1000 unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 600_000))]
    pub lag_milliseconds: Option<u32>,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DurabilityMode {
    /// When it is on the volume; the archive follows.
    #[default]
    Lag,
    /// When it is in the archive.
    S3,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    #[serde(rename = "PostgreSQL")]
    PostgreSql,
}

/// Where WAL and backups go. Keys and credentials do not stand here: nodes are told them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new("self.id == oldSelf.id").message(
    "archive.id cannot change: a database has one archive"
))]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// Such as arc_01jdk3x5v9e8rb6w4q2n7m0c1a.
    #[schemars(regex(pattern = "^arc_[0-7][0-9a-hjkmnp-tv-z]{25}$"))]
    pub id: String,
    #[schemars(length(min = 3, max = 63))]
    pub bucket: String,
    #[serde(default = "region_default")]
    #[schemars(length(min = 1, max = 63))]
    pub region: String,
    /// In front of every key, without a slash at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub prefix: Option<String>,
    /// Base address of the S3 server, if it is not the region's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = "^https?://"))]
    pub endpoint: Option<String>,
    /// Bucket in the path instead of in the host name.
    #[serde(default)]
    pub path_style: bool,
}

fn region_default() -> String {
    "us-east-1".into()
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// The volume stays. A database that is made again under the same name takes it.
    #[default]
    Retain,
    /// The volume goes with the database.
    Delete,
}
