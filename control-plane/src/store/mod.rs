//! All SQL of the control plane.
//!
//! Every statement runs inside a transaction that has taken one scope: a tenant's, an identity's or
//! a region's. The login role owns nothing and has no right of its own, and row-level security is
//! forced on every table, so that a statement without its scope sees no row. There is no lookup
//! without an owner: functions take a scoped transaction, never a pool.
//!
//! Nothing here decides: it reads and writes what `app` and `workflow` say.

mod scope;

pub use scope::{IdentityTx, RegionTx, Store, StoreError, TenantTx};
