//! Routes: what an edge must know to authenticate a client and to find its database
//! (`lumadb.edge.v1.EdgeControl`).

use crate::id::DatabaseId;
use crate::name::PgName;
use crate::network::AllowedNetworks;
use crate::scram::ScramVerifier;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything an edge knows of one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub database_id: DatabaseId,
    pub route_number: u32,
    /// Grows with every change of this route: an older one never replaces a newer one.
    pub revision: u64,
    pub state: RouteState,
    pub connections_max: u16,
    /// Where clients may come from.
    #[serde(default, skip_serializing_if = "AllowedNetworks::is_empty")]
    pub allowed_networks: AllowedNetworks,
    pub roles: Vec<RouteRole>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRole {
    pub name: PgName,
    pub verifier: ScramVerifier,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteState {
    /// The node serves at this address.
    Awake { node: NodeAddress },
    /// Wakes on connect: authenticate, then call `wake`.
    Asleep,
    /// The node at this address has been told to serve and its engine is on the way: sessions of
    /// authenticated clients may be sent there and wait.
    Starting { node: NodeAddress },
    /// Suspended by its owner: connections are refused until it is resumed.
    Suspended,
    /// Being created or repaired, with no node yet: `wake` waits for one.
    Pending,
}

impl RouteState {
    /// Where sessions of authenticated clients go.
    pub const fn node(&self) -> Option<&NodeAddress> {
        match self {
            Self::Awake { node } | Self::Starting { node } => Some(node),
            Self::Asleep | Self::Suspended | Self::Pending => None,
        }
    }
}

/// Where a node takes connections of an edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeAddress {
    /// Path of the node's unix socket on this machine ([`crate::handoff`]).
    Unix(PathBuf),
    /// Host and port inside of a cluster, which an edge dials as [`crate::edge_link`] says. Whether
    /// it gets there is a matter of the cluster's network.
    Cluster { host: String, port: u16 },
}

/// Asks for all routes of a region that changed at or after `cursor`, and for every later change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchRoutes {
    pub region: String,
    /// Of the last update that this edge holds; `None` asks for everything.
    pub cursor: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteUpdate {
    pub cursor: u64,
    pub routes: Vec<Route>,
    pub removed: Vec<DatabaseId>,
    /// Whether this update holds every route: what it does not name is gone.
    pub complete: bool,
}

/// Asks for one database that the cache does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    pub region: String,
    pub database_id: DatabaseId,
}

/// Asks that a database be awake. The caller has authenticated a client of it. The answer comes
/// when a node serves it or is about to, or at the call's deadline with the state it has then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    pub region: String,
    pub database_id: DatabaseId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// `None`: no such database in this region.
    pub route: Option<Route>,
}
