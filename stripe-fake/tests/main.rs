//! The server over HTTP, as a client of Stripe's sees it.

#[path = "fake/mod.rs"]
mod fake;
