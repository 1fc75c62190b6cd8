//! Bringing a database back: from a base backup and the WAL behind it, to the moment that was asked
//! for.
//!
//! - [`plan`]: which backup, and whether it can be done at all (pure);
//! - [`refusal`]: why not, in words for whoever asked;
//! - [`fetch`], [`unpack`]: a backup out of the store into a folder, parts side by side;
//! - [`recovery`]: what PostgreSQL is told (pure);
//! - [`wal_files`]: the files that PostgreSQL asks for while it replays.
//!
//! Whatever is read is checked before it is used. What is damaged is named; another backup is
//! taken, or nothing: never what may be wrong.

mod fetch;
mod plan;
mod recovery;
mod refusal;
mod unpack;
mod wal_files;

pub use fetch::{DamageError, FetchError, Fetcher, PartKind, PartSink, SinkOpen};
pub use plan::{Ancestor, ArchivedWal, Plan, Wish, history_parse, restore_plan, restore_windows};
pub use recovery::{RecoveryTarget, recovery_settings, restore_command};
pub use refusal::Refusal;
pub use unpack::{FileSink, Unpacker};
pub use wal_files::{WalFileError, WalFiles, archived_wal, wal_file_fetch, wal_files_serve};
