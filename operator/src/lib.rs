//! The Kubernetes operator: keeps in a cluster what `LumaDatabase` objects ask for.
//!
//! - [`api`]: the custom resources, and the rules by which the API server admits them.
//! - [`build`]: from a database to its pod, volume, service and policy. Pure.
//! - [`decide`]: from what is asked and what is there to what is done next. Pure.
//! - [`reconcile`]: watches, does it, says what came of it; one leader at a time.
//! - `parent`: the parent of the databases' nodes: certificates, specs, what nodes say.
//!
//! It knows nothing of accounts, prices or the control plane's tables, and opens no connection to a
//! database.

pub mod api;
pub mod build;
mod canonical;
mod clock;
mod connect;
pub mod decide;
mod parent;
pub mod reconcile;
pub mod settings;
mod watching;

pub use connect::{ConnectError, connect};
pub use settings::Settings;
