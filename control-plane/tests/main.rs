//! Tests of the control plane with a real PostgreSQL: one binary, a module a noun.

mod accounts;
mod golden;
mod http;
mod isolation;
mod mail;
mod organizations;
mod passwords;
mod roles;
mod support;
mod tokens;
