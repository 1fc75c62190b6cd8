//! What the tests across processes stand on: a whole cloud in a folder of its own, and hands to
//! work it with as a customer does.
//!
//! Invariants:
//! - A test sees only what a customer or an operator sees: the command line, the API, the mails, the
//!   connection strings, files and processes. Nothing here links the programs under test.
//! - What a test starts ends with it, by process ID. Two clouds never share a folder or a port, and
//!   one at a time is up: a small machine would otherwise measure its own crowding.
//! - No test waits for a span of time where it can wait for a condition.

pub mod account;
pub mod api;
pub mod cloud;
pub mod kubernetes;
pub mod mail;
pub mod ports;
pub mod process;
pub mod source;
pub mod tools;
pub mod wait;

/// Why a test cannot go on.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a test and its helpers return.
pub type Outcome<T> = Result<T, Failure>;
