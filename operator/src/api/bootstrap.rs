//! Where the first content of a database comes from.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a database begins: empty, out of an archive, or as a copy of another database. Exactly one.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(
    "(has(self.new) ? 1 : 0) + (has(self.restore) ? 1 : 0) + (has(self.branch) ? 1 : 0) == 1"
).message("a database begins in exactly one way: new, restore or branch"))]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// Empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Fresh>,
    /// Out of an archive, also of a database that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
    /// A copy of another database of this namespace, as it was at a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Branch>,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            new: Some(Fresh {}),
            restore: None,
            branch: None,
        }
    }
}

/// An empty database has nothing to say.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fresh {}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Restore {
    /// The archive to read, such as arc_01jdk3x5v9e8rb6w4q2n7m0c1a.
    #[schemars(regex(pattern = "^arc_[0-7][0-9a-hjkmnp-tv-z]{25}$"))]
    pub archive_id: String,
    /// Up to where; the end of the archive unless it says otherwise.
    #[serde(default)]
    pub to: Moment,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// Name of the database that is copied.
    #[schemars(regex(pattern = "^db-[0-7][0-9a-hjkmnp-tv-z]{25}$"))]
    pub from: String,
    /// Up to where; the end of its archive unless it says otherwise.
    #[serde(default)]
    pub to: Moment,
}

/// A moment of an archive. At most one; none is its end.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new(
    "(has(self.time) ? 1 : 0) + (has(self.lsn) ? 1 : 0) + (has(self.name) ? 1 : 0) <= 1"
).message("a moment is named once: by time, lsn or name"))]
#[serde(rename_all = "camelCase")]
pub struct Moment {
    /// The last transaction that ended at or before this, such as 2026-11-27T12:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub time: Option<String>,
    /// A position in the WAL, such as 16/B374D848.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}$"))]
    pub lsn: Option<String>,
    /// A restore point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
}
