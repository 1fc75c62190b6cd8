//! What crosses a process boundary, and nothing else.
//!
//! Every other crate of the workspace depends on this one; it depends on none of them. It holds
//! typed identifiers, the desired and the observed state of an instance and of its archive, the
//! chain of an archive's keys, usage samples, meters and money, the routes that an edge keeps, and
//! the four internal services on which they travel. It does no I/O, reads no clock and draws no
//! random number.
//!
//! Invariants:
//! - A reader ignores fields that it does not know and fills those that it misses with the default
//!   written here: nodes and control planes two releases apart work together.
//! - Nothing here prints a secret: passwords, verifiers and keys are wrapped in [`secret::Secret`].

pub mod allowance;
pub mod archive;
pub mod cluster;
pub mod edge_link;
pub mod enrollment;
pub mod handoff;
pub mod id;
pub mod instance;
pub mod key_chain;
pub mod meter;
pub mod money;
pub mod name;
pub mod network;
pub mod route;
pub mod rpc;
pub mod scope;
pub mod scram;
pub mod secret;
pub mod service_token;
pub mod stream;
pub mod usage;
