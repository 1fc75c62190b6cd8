//! Volumes that grow and fill, for the cluster that `make kube` makes on one machine: a driver of the
//! [Container Storage Interface](https://github.com/container-storage-interface/spec), version 1, over
//! sparse files and loop devices. It is a tool of tests and keeps nobody's data.
//!
//! A volume is one file, `ID.img`, that holds an XFS file system. Where it is mounted and by which loop
//! device the kernel says: nothing is remembered beside that.
//!
//! Invariants:
//! - A file of that name is whole: size and file system were made under another name.
//! - Each call may come twice, also after the driver was killed in it, and answers the same.
//! - A loop device ends with its last mount, whoever ends that: none is left behind.
//! - A file is never removed while a loop device has it.
//!
//! It must not know Kubernetes' API, databases, or the operator.

pub mod csi;
pub mod kubelet;

mod controller;
mod driver;
mod folder;
mod identity;
mod mounts;
mod node;
mod program;
mod volume;

pub use driver::{Driver, ServeError};

/// The driver's name, as a StorageClass names it.
pub const NAME: &str = "loop-volumes.lumadb.cloud";
