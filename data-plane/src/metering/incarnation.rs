//! The incarnation's identifier, durable before anything is counted under it.

use crate::files;
use lumadb_contract::id::IncarnationId;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use time::OffsetDateTime;

#[derive(Debug, Serialize, Deserialize)]
struct Incarnation {
    incarnation_id: IncarnationId,
    #[serde(with = "time::serde::rfc3339")]
    began_at: OffsetDateTime,
}

/// Writes `incarnation.json` into `folder` and fsyncs it. `id` is a UUIDv7 that was drawn for this
/// start of the node and is used for nothing else.
pub fn incarnation_begin(folder: &Path, id: IncarnationId, now: OffsetDateTime) -> io::Result<()> {
    let incarnation = Incarnation {
        incarnation_id: id,
        began_at: now,
    };
    let text = serde_json::to_vec(&incarnation)?;
    files::replace(&folder.join("incarnation.json"), &text)
}
