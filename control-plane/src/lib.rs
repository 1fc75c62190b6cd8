//! The control plane: accounts, organizations, databases, operations, usage.
//!
//! One PostgreSQL database is the only truth; every process of the control plane is stateless.
//! A request goes through three layers, each knowing only the next: [`http`] parses and converts,
//! [`app`] authorizes, validates and decides, [`store`] holds all SQL. Long work is desired state
//! that [`workflow`] applies through a [`runtime`].
//!
//! It must not know how a node or an edge works inside: what it says to them is in
//! `lumadb-contract`.

pub mod app;
pub mod clock;
pub mod collect;
mod edge_door;
pub mod http;
pub mod identity;
pub mod import;
pub mod notify;
pub mod runtime;
pub mod store;
pub mod workflow;
