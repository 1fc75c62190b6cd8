//! Counting what tenants do, and keeping it until the control plane has stored it.
//!
//! Counters are totals of one incarnation (one start of a node) and never shrink. A sample of them
//! is sealed: written to the spool and fsynced; only sealed samples leave the node. A node that is
//! killed loses what it counted since the last seal and never counts anything twice.
//!
//! This folder knows nothing of protocols, of the stream to the parent or of prices.

mod counters;

pub use counters::Counters;
