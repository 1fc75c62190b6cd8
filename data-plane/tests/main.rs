//! The data plane against a real PostgreSQL.

mod edge;
