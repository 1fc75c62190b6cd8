//! A control plane for each test: its own database, cloned from a migrated template of one cluster.

mod cloud;
mod cluster;
mod databases;
mod objects;
mod request;
mod runtime;
mod scene;
pub(crate) mod smtp;

pub(crate) use cloud::{PASSWORD, Person, START, TestCloud};
pub(crate) use databases::{Loop, backup_status};
pub(crate) use objects::{FakeObjects, Trouble};
pub(crate) use request::Answer;
pub(crate) use runtime::{FakeRuntime, Fault};
pub(crate) use scene::Scene;
