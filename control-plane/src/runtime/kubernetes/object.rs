//! A `LumaDatabase` as far as this control plane writes it.
//!
//! Its definition is the operator's; what stands here is the part of it that is said for databases
//! of ours. Amounts are texts, as the cluster keeps them.

use serde::{Deserialize, Serialize};

pub(super) const GROUP: &str = "lumadb.cloud";
pub(super) const VERSION: &str = "v1alpha1";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DatabaseSpec {
    pub(super) engine_version: u16,
    pub(super) class: Class,
    pub(super) compute: Compute,
    pub(super) storage: Storage,
    pub(super) durability: Durability,
    pub(super) suspend: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) archive: Option<Archive>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) allowed_networks: Vec<String>,
    pub(super) deletion_policy: DeletionPolicy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Class {
    Shared,
    Dedicated,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Compute {
    pub(super) cpu: String,
    pub(super) memory: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Storage {
    pub(super) size: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) class_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) autogrow: Option<Autogrow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Autogrow {
    pub(super) maximum: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Durability {
    pub(super) mode: DurabilityMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lag_milliseconds: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum DurabilityMode {
    Lag,
    S3,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Archive {
    pub(super) id: String,
    pub(super) bucket: String,
    pub(super) region: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<String>,
    pub(super) path_style: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum DeletionPolicy {
    Retain,
    Delete,
}
