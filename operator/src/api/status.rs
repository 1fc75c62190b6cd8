//! What a `LumaDatabase` is, as the operator sees it.
//!
//! Conditions follow kstatus: `Ready`, and `Reconciling` and `Stalled`, which are true while
//! something is under way or in need of a person. All of them are there from the first look on.

use super::database::Compute;
use super::quantity::ByteSize;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Types of conditions.
pub mod condition {
    /// Clients can connect.
    pub const READY: &str = "Ready";
    /// What is asked is not wholly there yet.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing more happens until a person does something.
    pub const STALLED: &str = "Stalled";
    /// A restart waits for the maintenance window.
    pub const RESTART_PENDING: &str = "RestartPending";
    /// The volume fills up and cannot grow by itself.
    pub const STORAGE_LOW: &str = "StorageLow";

    /// Every type, in the order in which they are written.
    pub const ALL: [&str; 5] = [READY, RECONCILING, STALLED, RESTART_PENDING, STORAGE_LOW];
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct LumaDatabaseStatus {
    /// Generation of the object that all of this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<DatabasePhase>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["type"]
    ))]
    pub conditions: Vec<Condition>,
    /// Host by which the instance is reached inside of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Compute in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute: Option<Compute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageStatus>,
}

/// One word for where a database stands.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord,
)]
pub enum DatabasePhase {
    /// Its pod is not there yet, or waits for a machine or its volume.
    Pending,
    /// Its pod runs and does not take clients yet.
    Starting,
    Ready,
    Stopping,
    /// No pod runs, as is asked.
    Suspended,
    /// A person has to do something.
    Stalled,
}

impl DatabasePhase {
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Starting,
        Self::Ready,
        Self::Stopping,
        Self::Suspended,
        Self::Stalled,
    ];
}

impl fmt::Display for DatabasePhase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// The volume. Once its name stands here the database has content, and no other volume takes its
/// place without being asked for.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StorageStatus {
    /// The cluster's persistent volume that the claim is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_name: Option<String>,
    /// What the volume holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
    /// What was asked of the cluster: more than `spec.storage.size` where it grew by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<ByteSize>,
}
