//! The data plane against a real PostgreSQL.

mod archive;
mod edge;
mod limits;
