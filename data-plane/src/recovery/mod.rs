//! A database out of its archive: ties what [`crate::archive::restore`] reads to the engine that
//! replays it.
//!
//! - [`driver`]: plan, fetch, replay; falls back to an older backup;
//! - [`suits`]: whether what was backed up can be run here at all (pure);
//! - [`collations`]: whether text is sorted here as it was there;
//! - [`site`]: what the driver needs of the place where the data folder comes to be;
//! - [`local`]: that place, for a process that owns it;
//! - [`remote`], [`serve`], [`protocol`]: the same, for a node, whose helper owns it;
//! - [`rebuild`]: a plain data folder out of a bucket and a master key.
//!
//! Invariants:
//! - nothing that broke off can be taken for a database;
//! - where a backup turns out to be damaged, the one before is taken: it takes longer and ends with
//!   the same content. Damaged WAL ends the restore.

mod collations;
mod config;
mod driver;
mod local;
mod protocol;
mod rebuild;
mod remote;
mod serve;
mod site;
mod suits;

pub(crate) use driver::{Asked, Source, recover};
pub use driver::{RecoveryError, Restored};
pub(crate) use local::is_database;
pub use protocol::DataState;
pub use rebuild::{Rebuild, RebuildError, rebuild};
pub(crate) use remote::RemoteSite;
pub(crate) use serve::{restore_end, restore_serve};
pub use site::{Reached, SiteError};
pub(crate) use suits::Here;
