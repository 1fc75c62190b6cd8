//! Base backups: the data folder as it was while it was read, from which WAL leads to any later
//! moment.
//!
//! - [`catalogue`]: what says that a backup is complete, and what it is of;
//! - [`claim`]: who made an object;
//! - [`facts`]: what the engine is that made it;
//! - [`pack`]: compressing and encrypting on a thread of its own;
//! - [`source`]: what the engine sends, cut into objects;
//! - [`run`]: making one;
//! - [`orphans`]: what a killed one left.
//!
//! ```text
//! backup/{backup}/{attempt}-{part:05}.tar.zst   whole members of the engine's tar archive
//! backup/{backup}/{attempt}-manifest.zst        the engine's backup manifest
//! catalogue/{backup}.json                       what is above, written last
//! ```
//!
//! A part is a tar archive of its own, compressed and sealed: parts are read and unpacked side by
//! side. Each attempt has names of its own, so that one which was taken for dead and is not cannot
//! mix its parts with another's; the catalogue entry, which exists once, says whose count.
//!
//! A backup is complete when its entry is there, and its entry is written when all WAL that it needs
//! is in the archive.

mod catalogue;
mod claim;
mod facts;
mod manifest;
mod orphans;
mod pack;
mod run;
#[cfg(test)]
pub(super) mod samples;
mod source;

pub use catalogue::{
    BackupEntry, BackupPart, Catalogue, DamagedEntry, WalRange, catalogue_entry_read,
    catalogue_read,
};
pub use claim::Claim;
pub use facts::{CollationFact, EngineFacts};
pub use orphans::orphans_remove;
pub(super) use pack::hexadecimal;
pub use run::{BackupError, BackupJob, backup_run};
