//! The archive against a real PostgreSQL and a real object store.

mod backup;
mod engine;
mod replication;
mod restore;
mod store;
mod wal;
