//! A Kubernetes of the tests' own: its real API server, etcd and controller manager, and a proxy
//! before it that breaks on demand.
//!
//! There are no machines in it: a pod is an object that nobody runs. One may be played
//! ([`machine`]), or many ([`kwok`]). What is shown here is what an
//! operator writes, what the API server makes of that (admission, defaults, conflicts, rights) and
//! what Kubernetes' own controllers do then (garbage, budgets, claims, accounts).
//!
//! Invariants:
//! - Everything listens on loopback alone and lies in one temporary folder, as root or not.
//! - What is started ends with its [`Cluster`], by process ID.
//! - The programs come from `scripts/kubernetes.sh`; nothing is fetched ready-made.

mod cluster;
mod daemon;
mod identity;
pub mod install;
pub mod kwok;
pub mod machine;
pub mod operator;
pub mod proxy;
pub mod token;

pub use cluster::{Cluster, Load};
