//! What the limits of an organization leave one node.
//!
//! A node asks for room on each meter and says up to which total of its counters it holds some; its
//! parent answers with new totals. The limits are the organization's, so a node holds no more than a
//! part of what is left, for a bounded time, and gives back what it does not use. Because totals
//! never shrink and each answer names its question, a question or an answer that is lost or comes
//! late changes nothing.
//!
//! A node that was never answered, because its parent is older than this, has no limits.

use crate::id::IncarnationId;
use crate::meter::Meter;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How long a node may go on when its room is used up or has expired and nobody answers, seconds
/// since the last answer.
pub const GRACE_SECONDS: u64 = 3600;

/// How long room that was granted holds without another answer, seconds.
pub const LEASE_SECONDS: u64 = 600;

/// A node asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowanceRequest {
    /// Names the question within the incarnation; the answer repeats it.
    pub number: u64,
    pub incarnation_id: IncarnationId,
    pub meters: Vec<MeterRequest>,
    /// Stored now; `None` before it is measured.
    #[serde(default)]
    pub storage_bytes: Option<u64>,
}

/// What a node counted on a meter, and how far it goes on counting before it hears more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterRequest {
    pub meter: Meter,
    /// Total of this incarnation.
    pub counted: u64,
    /// The total at which it stops, whatever comes, until this question is answered.
    pub held: u64,
    /// It is in use and wants room; else it keeps what it holds.
    pub wants_more: bool,
}

/// The parent's answer. A meter that is not listed has no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    pub number: u64,
    pub incarnation_id: IncarnationId,
    #[serde(default)]
    pub meters: Vec<MeterAllowance>,
    #[serde(default)]
    pub storage: Option<StorageAllowance>,
    /// Nothing may be written at all, and why, for the tenant.
    #[serde(default)]
    pub read_only: Option<String>,
    /// Where the tenant lifts a limit: its plan, or its spend cap.
    pub upgrade_url: String,
    /// The node asks again after so long, seconds, though nothing happened.
    pub renew_after_seconds: u32,
}

/// Room on one meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterAllowance {
    pub meter: Meter,
    /// Total of this incarnation up to which it may count.
    pub ceiling: u64,
    /// The organization's limit, in the meter's smallest unit.
    pub limit: u64,
    /// The whole limit is used: there is no more before it begins anew. When it is not, and there is
    /// no room, other databases of the organization still hold some.
    pub is_used_up: bool,
    /// Little is left: a node that idles gives its room back.
    pub is_scarce: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub resets_at: OffsetDateTime,
}

/// Room for stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageAllowance {
    /// What this database may store: what the others of the organization leave of the limit.
    pub ceiling_bytes: u64,
    pub limit_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_an_earlier_version_is_one_without_limits() {
        let text = r#"{"number":3,"incarnation_id":"inc_00000000000000000000000001",
                       "upgrade_url":"https://example.com","renew_after_seconds":15}"#;
        let read: Allowance = serde_json::from_str(text).expect("readable");
        assert!(read.meters.is_empty() && read.storage.is_none() && read.read_only.is_none());
    }
}
