//! Usage: samples in, hours and live figures out.
//!
//! Nodes count, and seal totals into samples; [`ingest`] stores each once and folds it, in the same
//! transaction, into the hour in which it was taken. Nothing is rounded on the way: counters are
//! integers, stored bytes are kept as bytes times microseconds.

mod fold;
mod intake;

pub use fold::{Folded, Front, Hour, Mark, Refusal};
pub use intake::{IngestError, ingest, record_span};
