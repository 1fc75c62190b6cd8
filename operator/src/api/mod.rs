//! The custom resources: what is asked of the operator, and what it answers.
//!
//! Types alone, with the rules that the API server applies when one is written. They hold no pod
//! templates: what a database's objects look like is the operator's matter (`build`). Nothing here
//! knows how a resource is carried out.

#[expect(
    unreachable_pub,
    reason = "kube's derive makes public types inside of functions"
)]
mod bootstrap;
mod crds;
#[expect(
    unreachable_pub,
    reason = "kube's derive makes public types inside of functions"
)]
mod database;
#[expect(
    clippy::duplicated_attributes,
    reason = "each column has a type of its own, and most have the same"
)]
mod instance;
mod quantity;
mod status;
mod window;

pub use bootstrap::{Bootstrap, Branch, Fresh, Moment, Restore};
pub use crds::{CrdError, crd_files, crds, crds_yaml};
pub use database::{
    Archive, Autogrow, Compute, DatabaseClass, DeletionPolicy, Durability, DurabilityMode,
    LumaDatabase, LumaDatabaseSpec, Protocol, Storage,
};
pub use instance::{
    InstancePhase, InstancePod, InstanceRole, LumaInstance, LumaInstanceSpec, LumaInstanceStatus,
    VolumeReport,
};
pub use quantity::{ByteSize, CpuAmount, InvalidQuantity};
pub use status::{DatabasePhase, LumaDatabaseStatus, StorageStatus, condition};
pub use window::{MaintenanceWindow, TimeOfDay, Weekday};

/// API group of our resources, and what our labels and annotations start with.
pub const GROUP: &str = "lumadb.cloud";
