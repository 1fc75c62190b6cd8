//! Counting what tenants do, and keeping it until the control plane has stored it.
//!
//! Counters are totals of one incarnation (one start of a node) and never shrink. A sample of them
//! is *sealed*: written to the spool and fsynced; only sealed samples leave the node. A node that
//! is killed loses what it counted since the last seal and never counts anything twice.
//!
//! Invariants:
//! - an incarnation is on disk before anything is counted under it;
//! - a sample that left the node never changes; one that did not may be replaced by a later one
//!   with the same sequence, which is what bounds the spool while the parent is away;
//! - samples are forgotten when they are acknowledged, and not before;
//! - commands are let through up to ceilings, which the leases of the organization's limits set.
//!
//! This folder knows nothing of protocols, of the stream to the parent or of prices.

mod counters;
mod incarnation;
mod outbox;
mod quota_gate;
mod record;
mod spool;
mod vectors;

pub use counters::Counters;
pub use incarnation::incarnation_begin;
pub use outbox::Outbox;
pub use quota_gate::{Ceilings, QuotaGate, QuotaRefusal};
pub use spool::{Reading, Spool, SpoolError};
pub use vectors::VectorBook;
