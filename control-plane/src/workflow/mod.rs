//! Desired state, applied again and again.
//!
//! One level-triggered loop a region ([`Workflow`]): it claims what is due or was signaled, asks the
//! runtime for the desired state, looks at what is, and writes what it saw. It takes no hints: a
//! notification only says which database to look at. Operations have no program of their own; one
//! ends when the database has reached its generation and is as desired.
//!
//! Invariants:
//! - No transaction is open while the runtime works.
//! - What is written is written under the claim: a loop that lost it changes nothing.
//! - Every look can be cut off at any point and done again.
//!
//! It must not know how instances are run (that is `runtime`) nor who may do what (that is `app`).

mod archive;
mod decide;
pub mod drills;
pub mod edge_control;
pub mod in_place;
mod look;
mod recovery;
mod region;
pub mod removal;
mod schedule;
mod steps;

pub use region::Workflow;
pub use steps::initial as initial_steps;
