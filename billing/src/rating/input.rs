//! What is rated.

use crate::exact::Ppm;
use crate::price_book::{IncludedAmount, PlanId};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::meter::Meter;
use lumadb_contract::money::{Cents, Money};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// An organization as its bills see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Its plans, the oldest first; each holds until the next one.
    pub terms: Vec<Terms>,
    pub usage: Usage,
    /// Fees and usage of a period together are not billed beyond it, as far as usage goes.
    pub spend_cap: Option<Cents>,
}

/// Under which plan an organization is, from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Cut to its second.
    pub from: OffsetDateTime,
    pub plan: PlanId,
    pub agreement: Agreement,
}

/// What was agreed with one organization beyond its plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Agreement {
    /// A month, instead of the plan's.
    pub fee: Option<Cents>,
    /// Instead of the price book's.
    pub prices: BTreeMap<Meter, Money>,
    /// Instead of the plan's.
    pub included: BTreeMap<Meter, IncludedAmount>,
    /// Off what usage costs.
    pub discount: Ppm,
    /// What a month's fees and usage cost at the least.
    pub minimum: Cents,
}

/// What was used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    pub hours: Vec<UsageHour>,
    pub spans: Vec<ComputeSpan>,
}

/// What a database used in an hour (UTC); one record for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageHour {
    pub database: DatabaseId,
    pub starts_at: OffsetDateTime,
    /// Bytes times microseconds.
    pub storage_byte_us: u128,
    pub requests: u64,
    pub transfer_out_bytes: u64,
    pub vector_operations: u64,
}

/// A time through which an instance of a database was awake with the same compute. Spans of one
/// incarnation do not overlap; those of two may, when a database has a standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputeSpan {
    pub database: DatabaseId,
    pub incarnation: IncarnationId,
    pub started_at: OffsetDateTime,
    /// While it lasts: the last moment at which it was seen running.
    pub ended_at: OffsetDateTime,
    pub milli_vcpu: u32,
}
