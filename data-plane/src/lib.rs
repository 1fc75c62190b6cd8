//! The data plane: everything that runs beside a tenant's PostgreSQL, and the edge in front of it.
//!
//! - [`archive`] keeps WAL and backups in an object store;
//! - [`engine`] owns the PostgreSQL server process and applies desired state inside it;
//! - [`gate`] holds back what could still be lost, where a database asks for that;
//! - [`protocol`] speaks the tenants' protocols and counts what they do;
//! - [`metering`] holds the counters and the spool that keeps them until they are acknowledged;
//! - [`recovery`] brings a database back: what the archive holds, replayed by an engine;
//! - [`agent`] is the node: it ties the others together and talks to the parent;
//! - [`edge`] routes, authenticates and wakes; a library for the program that runs it;
//! - [`sending`] sends what many connections have to say together;
//! - [`log`] bounds the log of whatever process uses it, [`memory`] what its allocator keeps.
//!
//! Invariants: a node starts and serves with no control plane; nothing that was counted is counted
//! twice; no secret of a tenant reaches the user that the engine runs under. This crate knows
//! nothing of accounts, prices or the console.

pub mod agent;
pub mod archive;
pub mod batch;
mod beside;
pub mod clock;
pub mod edge;
pub mod engine;
pub(crate) mod errors;
pub(crate) mod files;
pub mod gate;
pub mod log;
pub mod memory;
pub mod metering;
pub mod protocol;
pub mod recovery;
pub mod sending;
mod tries;
