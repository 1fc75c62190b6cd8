//! What runs nodes: the boundary between desired state and processes.
//!
//! The workflow loop says what shall be ([`Runtime::apply`], [`Runtime::remove`]) as often as it
//! likes, and looks at what is ([`Runtime::observe`]); a change only says "look"
//! ([`Runtime::changes`]). What must not be lost on the way (samples, spans of compute) the runtime
//! hands to [`Reports`], which stores it.
//!
//! Invariants:
//! - `apply` and `remove` are repeatable, in any order, and survive a kill at any point: doing one
//!   again leads to the same instance, never to a second one.
//! - An instance is what its ID names, the one of the database that it was made for: no two
//!   instances of one ID run at once. To which database it belongs by now is no runtime's affair.
//!
//! A runtime must not know tenants, plans, operations or the control plane's tables.

mod files;
pub mod kubernetes;
pub mod local;
mod objects;
mod reports;
mod spans;

pub use objects::{ArchiveObjects, ObjectsError};
pub use reports::{ComputeSpan, Reports};

use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{InstanceSpec, InstanceStatus};
use lumadb_contract::route::NodeAddress;
use std::future::Future;
use tokio::sync::broadcast;

/// Runs the instances of one region.
pub trait Runtime: Send + Sync + 'static {
    /// Makes an instance be as the spec says: present, running, going to sleep or stopped. Answers
    /// once the wish is taken on, not once it is fulfilled. Asking a database that has no process
    /// for [`Asleep`](lumadb_contract::instance::RunState::Asleep) or
    /// [`Stopped`](lumadb_contract::instance::RunState::Stopped) does nothing.
    fn apply(
        &self,
        spec: InstanceSpec,
        if_absent: IfAbsent,
    ) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Ends the instance and removes its data. Answers once nothing of it is left; an instance that
    /// does not exist is removed already.
    fn remove(&self, id: DatabaseId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Ends what is left of an instance whose content is [gone](RuntimeError::Gone), so that it can be
    /// made anew from its archive. It removes no content: where there is some after all, nothing is
    /// done. Repeatable, until the instance is made anew.
    fn clear(&self, id: DatabaseId) -> impl Future<Output = Result<Cleared, RuntimeError>> + Send;

    /// Every instance of which something exists: a process or a folder.
    fn list(&self) -> impl Future<Output = Result<Vec<DatabaseId>, RuntimeError>> + Send;

    /// Whether a client that comes to a sleeping database is led to an edge, which wakes it. Where
    /// none is, nothing falls asleep.
    fn wakes_on_connect(&self) -> bool {
        true
    }

    /// What is known of an instance now.
    fn observe(&self, id: DatabaseId) -> Observation;

    /// Names each instance whose observation changed since. A receiver that lags behind looks at
    /// all of them.
    fn changes(&self) -> broadcast::Receiver<DatabaseId>;
}

/// What becomes of an instance that shall run and of which nothing exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfAbsent {
    Make,
    /// It had content once: an empty one in its place would pass for all that there is.
    GiveUp,
}

/// What was found where the content of an instance was said to be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleared {
    /// Nothing of it is left.
    Gone,
    /// Its content is there after all.
    Back,
}

/// What a runtime knows of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one an instance, and nearly all of them are attached"
)]
pub enum Observation {
    /// Nothing was heard from its processes since the runtime began, but they may run: what was
    /// known before stays true.
    Unknown,
    /// None of its processes runs: it never started, it stopped, or it died.
    Absent,
    /// Its node is attached to the runtime; or it has stopped as it was told to, and this is what
    /// it said at last.
    Attached {
        status: InstanceStatus,
        node_address: NodeAddress,
    },
}

/// Why a runtime did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// May work later: a process that does not come up, a folder that is busy, a full disk.
    #[error("{0}")]
    Retry(String),
    /// Will not work as asked: operations that wait for it fail, and it is tried again seldom.
    #[error("{0}")]
    GiveUp(String),
    /// The instance had content, and that is gone for certain: nothing of it is merely away, not
    /// mounted, or not seen yet. Only where it was asked for with [`IfAbsent::GiveUp`].
    #[error("{0}")]
    Gone(String),
}
