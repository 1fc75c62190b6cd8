//! `LumaInstance`: one running copy of a database. The operator makes it; nobody else needs to.

use super::database::Compute;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One copy of a database: a pod and its volume.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "lumadb.cloud",
    version = "v1alpha1",
    kind = "LumaInstance",
    plural = "lumainstances",
    shortname = "lin",
    category = "lumadb",
    namespaced,
    status = "LumaInstanceStatus",
    derive = "PartialEq",
    doc = "One running copy of a LumaDatabase: a pod and its volume. The operator makes it.",
    printcolumn(name = "Database", type_ = "string", json_path = ".spec.database"),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.role"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.pod.node"),
    printcolumn(
        name = "IP",
        type_ = "string",
        json_path = ".status.pod.ip",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct LumaInstanceSpec {
    /// Name of its `LumaDatabase`.
    pub database: String,
    /// Counts the copies of a database from 1 on.
    #[schemars(range(min = 1, max = 16))]
    pub ordinal: u16,
    pub role: InstanceRole,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceRole {
    Primary,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LumaInstanceStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<InstancePhase>,
    /// Its pod, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<InstancePod>,
    /// Compute that its pod was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute: Option<Compute>,
    /// How full its volume is. Written by whoever can see into the volume, under a field manager of
    /// its own; the operator reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeReport>,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstancePhase {
    Pending,
    Starting,
    Ready,
    Stopping,
    /// No pod.
    Stopped,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct InstancePod {
    pub name: String,
    /// Tells this pod from one before it of the same name.
    pub uid: String,
    /// The machine that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
}

/// Room on a volume, bytes.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeReport {
    /// Of the file system.
    #[schemars(range(min = 1))]
    pub capacity_bytes: u64,
    pub used_bytes: u64,
}
