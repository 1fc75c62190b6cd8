//! PostgreSQL: bytes pass between client and engine, and only the headers of messages are read.
//!
//! [`server`] is the node's own server ([`relay`] passes the bytes); the edge uses the same parts in front of it. Pure:
//! [`frame`], [`requests`], [`scram`], [`startup`], [`target`], [`wire`], `quota`, `withhold`.
//!
//! Invariants:
//! - A connection costs no memory that grows with what passes over it: one buffer is shared by all
//!   connections of a thread, and one of its own exists only while its reader is slow.
//! - What is counted was answered by the engine: never more than that.
//! - Nobody reaches the engine without having authenticated, here or at the edge; the engine trusts
//!   this process and no other.
//! - Clients never see a cancel key of the engine, only keys of ours.
//! - Where commits are acknowledged only once they are archived, whatever an engine says after its
//!   start-up goes through `gated`; elsewhere that layer is not there.

pub mod authenticate;
pub mod cancel;
pub mod client;
mod edge_door;
pub mod engine;
mod entry;
pub mod frame;
mod gated;
pub mod handover;
pub mod hello;
mod login;
pub mod proof;
pub mod quiet;
mod quota;
pub mod relay;
pub mod requests;
pub mod scram;
pub mod server;
pub mod session;
pub mod socket;
pub mod startup;
pub mod target;
pub mod tls;
pub mod wire;
mod withhold;

pub use server::{Listeners, Services, serve};
