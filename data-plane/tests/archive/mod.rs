//! The archive against a real PostgreSQL and a real object store.

mod backup;
pub(crate) mod engine;
mod independent;
mod killed;
mod remove;
mod replication;
mod restore;
mod scopes;
mod store;
mod wal;
mod writers;
