//! An S3 server on a folder, for clouds that have no other object store.
//!
//! It holds the archives of databases, so what it acknowledges is on the disk, and of two writes
//! that exclude each other one happens (`storage`). Its credentials follow from one root secret:
//! the root key may do all, a scoped key ([`lumadb_contract::scope`]) reaches what lies below its
//! archive's name and nothing else (`access`).
//!
//! It runs in one process on one machine; there is nothing to set. It must not know what archives
//! are made of, nor who they belong to.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use lumadb_contract::secret::Secret;
//! use lumadb_s3_server::{Config, serve};
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9000").await?;
//! let mut config = Config::new("/var/lib/lumadb/s3", "root", Secret::new("of the machine"));
//! config.buckets.push("lumadb".to_owned());
//! serve(config, listener, async {
//!     let _ = tokio::signal::ctrl_c().await;
//! })
//! .await?;
//! # Ok(())
//! # }
//! ```

mod access;
mod body;
mod checksum;
mod clock;
#[cfg(feature = "faults")]
pub mod faults;
mod server;
mod service;
mod storage;

pub use clock::Clock;
pub use server::{Config, ServeError, serve};
