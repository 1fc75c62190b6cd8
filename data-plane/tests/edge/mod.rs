//! Edge and node's server together, in front of a real PostgreSQL, with real clients.

mod far;
mod far_authority;
mod hostile;
mod routing;
mod sessions;
mod tls_client;
mod world;
