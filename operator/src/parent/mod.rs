//! The parent of the nodes of a cluster: who they are, what they are told, where what they say goes.
//!
//! - [`authority`], [`names`]: certificates, and what a node's names. Pure but for the keys.
//! - [`keep`]: the authority's key, in a Secret of the operator's namespace.
//! - [`enroll`]: a pod's token for a certificate, by word of the API server.
//! - [`serve`], [`connection`]: the endpoint that nodes dial, in TLS.
//! - [`nodes`]: whose node may attach, and its spec ([`spec`]).
//! - [`intake`], [`waiting`]: what nodes say, until it has gone where it goes.
//! - [`link`], [`tidings`], [`control_plane`]: the stream to the control plane.
//! - [`report`]: what of it stands in the statuses of instances.
//!
//! Invariants:
//! - A node is believed to be a database's by a certificate that we gave to the pod which the cluster
//!   has for it now; the certificate was given for a token that the API server vouched for.
//! - A spec is put together from the cluster's objects at each look, and kept nowhere.
//!
//! It opens no connection to a database.

mod authority;
mod connection;
mod control_plane;
mod enroll;
mod intake;
mod keep;
mod link;
mod names;
mod nodes;
mod report;
mod serve;
mod spec;
mod tidings;
mod waiting;

pub(crate) use intake::Beyond;
pub(crate) use nodes::Nodes;
pub(crate) use serve::{Endpoint, EndpointError};
