//! The protocols that tenants speak to a node, one folder each.
//!
//! A protocol server takes connections, authenticates them or trusts the edge that did, counts what
//! its clients ask and speaks to the engine over its unix socket. It knows its instance through
//! [`crate::agent::NodeState`] alone: nothing here talks to the parent, reads the spool or starts
//! the engine.

pub mod postgres;
