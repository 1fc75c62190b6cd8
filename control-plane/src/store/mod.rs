//! All SQL of the control plane.
//!
//! Every statement runs inside a transaction that has taken one scope: a tenant's, an identity's or
//! a region's. The login role owns nothing and has no right of its own, and row-level security is
//! forced on every table, so that a statement without its scope sees no row. There is no lookup
//! without an owner: functions take a scoped transaction, never a pool.
//!
//! Nothing here decides: it reads and writes what `app` and `workflow` say.

pub mod allowance;
pub mod api_token;
pub mod archive;
pub mod audit;
pub mod backup;
pub mod billing;
pub mod cap;
pub mod catalog;
pub mod database;
pub mod desired;
pub mod drill;
pub mod idempotency;
pub mod import;
pub mod in_place;
pub mod logical_database;
pub mod master_key;
pub mod membership;
pub mod operation;
pub mod organization;
pub mod outbox;
pub mod project;
pub mod recovery;
pub mod removal;
pub mod restore;
pub mod restore_point;
pub mod role;
pub mod route;
mod scope;
pub mod session;
pub mod setup;
pub mod signal;
pub mod stripe;
pub mod throttle;
pub mod usage;
pub mod user;

pub use scope::{EitherTx, IdentityTx, RegionTx, Store, StoreError, TenantTx};
pub use signal::{Signal, SignalReceiver, Signals};
