//! In front of the nodes of a region: TLS, routing, authentication, wake.
//!
//! A client's connection comes to the edge's one port. The edge finds the database that the client
//! names, checks the password against the route's verifiers, wakes the database if it sleeps, and
//! passes the bytes on; or it hands the socket over to the database's node where both share a
//! machine. [`server::Edge`] is what a program runs.
//!
//! Invariants:
//! - Nothing is woken before a password was checked; who comes from a network that the database does
//!   not allow is not asked for one.
//! - An edge that has its routes needs no control plane: databases that are awake are served.
//! - Before authentication nothing tells whether a role exists.
//! - Whatever a stranger does costs bounded memory: packets, connections that have not
//!   authenticated, addresses and databases that are remembered all have a limit.
//!
//! It holds no customer's data and counts nothing that is billed.

pub mod config;
mod connection;
mod control;
mod control_dial;
mod follow;
mod hand_over;
mod health;
mod limits;
mod locate;
mod metrics;
mod node;
mod reach;
mod renewed;
mod routes;
pub mod server;
mod sql_token;

pub use config::{
    ControlPlane, EdgeConfig, EdgeLimits, NodeTls, Plaintext, Source, SqlDoor, SqlEntrance,
};
pub use server::{Edge, EdgeError};
