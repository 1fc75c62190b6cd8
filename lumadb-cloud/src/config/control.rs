//! The control plane's own database.

use super::Config;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Control {
    /// `s3` with a bucket, `lag` with our own server, unless it is set.
    pub(crate) durability: Option<ControlDurability>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ControlDurability {
    /// Nothing is answered that is not in the archive.
    S3,
    /// What was written last may be lost with the disk.
    Lag,
}

impl Config {
    /// What the services' answers wait for. A store on the disk of the database itself is not worth
    /// waiting for.
    pub(crate) fn control_durability(&self) -> ControlDurability {
        let by_store = if self.object_store.is_built_in() {
            ControlDurability::Lag
        } else {
            ControlDurability::S3
        };
        self.control.durability.unwrap_or(by_store)
    }
}
