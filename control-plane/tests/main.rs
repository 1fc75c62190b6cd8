//! Tests of the control plane with a real PostgreSQL: one binary, a module a noun.

mod accounts;
mod archives;
mod bad_input;
mod billing;
mod billing_close;
mod billing_plans;
mod databases;
mod edges;
mod golden;
mod http;
mod imports;
mod isolation;
mod mail;
mod organizations;
mod passwords;
mod profile;
mod restores;
mod roles;
mod smtp;
mod sql;
mod support;
mod tenancy;
mod tokens;
mod usage;
mod usage_retention;
mod workflow;
