//! The node: supervises one instance for its parent.
//!
//! It brings the engine, its roles and its logical databases to what the last spec says, serves
//! clients meanwhile, and tells its parent what it observed and what was counted.
//!
//! Invariants:
//! - the last spec is on disk, and the node serves from it with no parent;
//! - a spec that ends the engine is acted on only when the parent has said so in this life of the
//!   node: one found on disk may be older than the wish to wake;
//! - the observed generation moves when a spec is wholly in force and on disk, and not before;
//! - the engine sleeps only while no client is connected;
//! - a spec that says that nothing acknowledged is lost is in force only when no session is left
//!   that began before.
//!
//! Everything but the archive runs on one thread, beside the connections; what blocks on the disk goes
//! elsewhere.
//! This folder knows nothing of the messages of a tenant's protocol.

mod allowance;
mod archive;
mod archive_status;
mod backups;
mod dial;
mod engine_link;
mod gate;
mod health;
mod leases;
mod measuring;
mod meter;
mod node;
mod parent;
mod restoring;
mod spec;
mod state;
mod status;
mod supervisor;
mod verifying;
mod volume;

pub use dial::ParentAddress;
pub use node::{NodeConfig, NodeError, node_run};
pub use state::{Admission, NodeState, Refusal, Serving, Sessions};
