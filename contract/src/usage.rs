//! Usage samples: cumulative counters of one incarnation of a node.
//!
//! A sample is named by (incarnation, sequence). Its time is assigned once, when it is sealed, and
//! its values are totals since the incarnation began: one that comes twice, late or out of order
//! changes nothing, and one that is missing in the sequence is visible.

use crate::id::IncarnationId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Longest time between counting something and sealing it on disk, milliseconds. A killed node
/// loses at most what it counted in the last so many milliseconds.
pub const SEAL_INTERVAL_MS: u64 = 200;

/// Most samples in one message.
pub const BATCH_SAMPLES_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSample {
    pub incarnation_id: IncarnationId,
    /// 1, 2, 3 … within the incarnation, without a hole.
    pub sequence: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    pub counters: UsageCounters,
    pub gauges: UsageGauges,
    /// The node went to sleep after this one: its gauges hold until the next incarnation.
    #[serde(default)]
    pub last: bool,
}

/// Totals since the incarnation began; they never shrink.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageCounters {
    /// Commands that a client sent and the engine answered.
    pub requests: u64,
    /// Those of them that ended in an error.
    pub errors: u64,
    /// Bytes from the node to clients, before TLS.
    pub transfer_out_bytes: u64,
    /// Vectors searched for or written.
    pub vector_operations: u64,
    /// Client connections that were admitted.
    pub connections_opened: u64,
}

/// Values at the moment of the sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageGauges {
    /// Size of the data folder without WAL, bytes.
    pub storage_bytes: u64,
    /// Client connections open.
    pub connections: u32,
}
