//! Archives: what keeps a database's past, and what is made of it.
//!
//! One archive belongs to one database and is made with it. Its key is wrapped by its
//! organization's, and that by the master key; what lies in the tables opens nothing alone.

pub mod backup;
pub mod drill;
pub mod in_place;
mod keys;
pub(crate) mod reach;
pub mod restore;
pub mod restore_point;
pub mod rewrap;
pub mod window;

pub(crate) use keys::make;
pub use keys::{ArchiveKeyError, Archives, Rights, StoreCredentials};
