//! Runs instances as child processes of this machine.
//!
//! A database is a folder ([`layout::InstanceFolder`]) and two processes: the engine's helper and
//! the node, which outlive whoever started them. What is asked is compared with what is, again and
//! again, by one small task for each database ([`instance`]), on top of one for each process
//! ([`keeper`]).
//!
//! Invariants:
//! - Every process of the data folder is named, and at most one runs under a name. A process that
//!   was started but not recorded is found by a mark in its environment ([`process`]).
//! - A folder is a database's, in the pool, or on its way out, by the one place that it is in;
//!   every move between them is a rename ([`pool`]).
//! - As root no two instances have a user in common, and a node is believed to be the database
//!   whose user it runs as ([`parent`]).
//! - Leaving ends nothing: the next runtime adopts what it finds.
//!
//! It must not know tenants, plans or operations, nor the tables of the control plane.

pub mod authority;
pub mod folder;
pub mod instance;
pub mod keeper;
pub mod layout;
mod lost;
pub mod parent;
pub mod pool;
mod proc;
pub mod process;
pub mod user_ids;

mod runtime;

use super::{files, spans};

pub use runtime::{LocalConfig, LocalRuntime};

#[cfg(test)]
mod parent_tests;
#[cfg(test)]
mod process_tests;
