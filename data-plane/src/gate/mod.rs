//! The gate of `durability = s3`: no client hears of a commit before its WAL is in the archive.
//!
//! The engine cannot be asked to wait: a session may switch that off, and a cancel during the wait
//! is answered with success. So whoever passes an engine's words on takes a *ticket* when they have
//! arrived ([`Pass::ticket`]) and lets them go when the ticket is released. A ticket is a question
//! put to the engine after that, once for all that wait by then: up to where has WAL been inserted?
//! It is released when the archive covers the answer.
//!
//! [`Gate`] is what sessions and the node share; [`Questions`] decides, and is pure. Who asks the
//! engine is `agent/gate.rs`.
//!
//! Invariants:
//! - an answer counts only in the *life* of the engine in which it was given: after a crash the same
//!   position may hold other WAL. A life is a session of ours in that engine; a ticket of one that
//!   is over is void, and its words are never let go;
//! - it counts only once that WAL is on the engine's disk, as that same session has heard;
//! - a session of a client begins in the engine only after a life has begun, so what it says belongs
//!   to that life or to a later one.

mod board;
mod questions;

pub use board::{Gate, NotCovered, Pass, Standing, Ticket};
pub(crate) use questions::{Need, Questions};
