//! Edge and node's server together, in front of a real PostgreSQL, with real clients.

mod hostile;
mod routing;
mod sessions;
mod tls_client;
mod world;
