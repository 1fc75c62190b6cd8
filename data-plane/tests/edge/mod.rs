//! Edge and node's server together, in front of a real PostgreSQL, with real clients.

mod clients;
mod control;
mod engine;
mod far;
mod far_authority;
mod hostile;
mod letting_in;
mod node;
mod routing;
mod services;
mod sessions;
mod tls_client;
mod world;
