//! The server over HTTP, with the client that the data plane uses.

#[path = "s3/mod.rs"]
mod s3;
