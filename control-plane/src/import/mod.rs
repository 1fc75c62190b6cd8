//! Copies a logical database of another PostgreSQL into one of ours.
//!
//! `pg_dump` and `pg_restore` of the engine do the work, a pipe between them. Neither reaches the
//! network nor holds a secret: each finds a unix socket of ours, behind which a [`relay`] goes on to
//! the source (with TLS, which the engine's programs are built without, and with the password) or to
//! the edge (with a token in place of a password).
//!
//! Invariants:
//! - An import has one worker at a time: the one that holds the claim, renewed every second. One that
//!   dies takes the connections with it; the next worker empties the target and begins again, or goes
//!   on where a [`follow`]ing one was.
//! - The target is empty before anything is copied, so that emptying it removes nothing else.
//! - A source's address is resolved here, checked, and connected to as it was checked.
//! - The source's password is wiped from the table in the transaction that ends the import.
//!
//! It must not know HTTP, nor how databases are run.

mod check;
mod clean;
mod ending;
mod follow;
mod login;
mod network;
mod programs;
mod progress;
mod relay;
mod runner;
mod source;
mod tls;
mod transfer;

pub use network::Networks;
pub use programs::ImportPrograms;
pub use runner::Importer;
pub use source::{SealedSource, Source, SourceError};
pub(crate) use tls::authorities;
pub use tls::certificates;

/// Why an import did not succeed, in words for whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

/// Longest text of a failure, characters.
const FAILURE_CHARACTERS_MAX: usize = 2000;

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if let Some((end, _)) = text.char_indices().nth(FAILURE_CHARACTERS_MAX) {
            text.truncate(end);
            text.push('…');
        }
        Self(text)
    }
}
