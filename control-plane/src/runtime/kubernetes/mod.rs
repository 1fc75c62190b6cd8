//! Has the operator of a Kubernetes cluster run instances: a region that is a cluster.
//!
//! Wishes are written into the cluster ([`mapping`]: a `LumaDatabase` and a Secret beside it), so
//! that they hold while the control plane is away. What nodes say comes back on the region link
//! ([`link`]), which the operator dials; where, a Secret in its namespace says ([`beacon`]), and another
//! one says it to edges in the cluster.
//!
//! Invariants:
//! - At rest nothing is written: what is wanted is compared with what was seen ([`seen`]).
//! - An object that is gone is not made again by a wish that found it ([`cluster`]).
//! - What a link that is down said before is not known any more: such a database is neither there
//!   nor absent ([`states`]).
//! - A cluster that is away delays its own databases only.
//!
//! It must not know tenants, plans or operations, nor the tables of the control plane; nor how the
//! operator carries out what is asked.

mod beacon;
mod cluster;
mod identity;
mod link;
mod mapping;
mod object;
mod runtime;
mod seen;
mod states;

pub use link::{LinkCertificate, LinkTlsError};
pub(crate) use link::{LinkTls, accept as link_accept};
pub use mapping::Site;
pub use runtime::{KubernetesConfig, KubernetesRuntime, LinkKeys, OpenError};
