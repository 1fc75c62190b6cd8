//! The archive of a database: its WAL and its base backups in an object store, from which it can be
//! brought back to any moment of the last days, even with the machine and its disk gone.
//!
//! WAL leaves as it is written, in chunks of what has arrived, not in full segments: what a lost
//! disk loses is the plan's lag, or nothing where a commit waits for the archive.
//!
//! - [`store`]: the object store, with retries of our own and answers that mean something;
//! - [`sealed`]: what an object looks like inside: encrypted, bound to its name;
//! - [`layout`]: what an object is called;
//! - [`identity`]: what an archive says of itself;
//! - [`replication`]: the engine's walsender, where WAL and base backups come from;
//! - [`wal`]: chunks of WAL, written as they come and read back as segments;
//! - [`backup`]: base backups and their catalogue;
//! - [`restore`]: which of it leads to a moment, and the way back;
//! - [`expire`]: what of it is needed no more;
//! - [`remove`]: the end of all of it.
//!
//! Invariants:
//! - an object that others build on is written once, under a name that must not exist
//!   (`If-None-Match: *`), and never changed;
//! - *not there*, *there but damaged* and *the store did not answer* are three different answers, on
//!   every path: to take one for another loses data;
//! - nothing leaves the machine that is not encrypted under the archive's key;
//! - no decision is made by a clock.
//!
//! This folder knows nothing of the parent, of a tenant's protocol, or of how the engine is started
//! and stopped.

pub mod backup;
pub mod expire;
pub mod identity;
pub mod layout;
pub mod remove;
pub mod replication;
pub mod restore;
pub mod sealed;
pub mod store;
mod tar;
pub mod wal;
