//! One engine, and every way to it that is compared: its own socket, its own TCP port, PgBouncer,
//! the node; and within a whole cloud ([`behind_edge`]) the edge before the node.
//!
//! All of them reach the same engine with the same tables, on loopback, so that what differs between
//! two of them is only what stands in between. There is no control plane here: the node serves from
//! the spec on its disk.

pub(crate) mod behind_edge;
mod bouncer;
pub(crate) mod child;
pub(crate) mod instance;
pub(crate) mod keys;
pub(crate) mod parent;

use crate::pgbench::{self, Address};
use bouncer::{Behind, Bouncer};
use instance::Instance;
use keys::Keys;
use lumadb_contract::id::DatabaseId;
use lumadb_e2e::{Outcome, cloud};
use std::path::Path;
use tempfile::TempDir;

/// Rows of `pgbench_accounts` in hundred thousands: more than the clients, or they would queue for
/// the same rows of `pgbench_branches`.
const SCALE: u32 = 10;

/// Connections that may be open at once through the node.
pub(crate) const CONNECTIONS_MAX: u16 = 400;

/// What every way to the engine has in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) database_id: DatabaseId,
    pub(crate) password: String,
    pub(crate) verifier: String,
    pub(crate) keys: Keys,
}

/// A way to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// PostgreSQL's own unix socket.
    EngineSocket,
    /// PostgreSQL's own TCP port (never open outside of this bench).
    EngineTcp,
    /// Debian's PgBouncer in session mode.
    Bouncer,
    /// The node's own listener.
    Node,
    /// The edge, which passes every byte on to the node.
    EdgeRelay,
    /// The edge, which hands the client's socket over to the node.
    EdgeHandOver,
}

impl Way {
    /// Whether a process of ours or a peer's passes every byte on.
    pub(crate) fn is_relay(self) -> bool {
        !matches!(self, Self::EngineSocket | Self::EngineTcp)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EngineSocket => "engine, unix socket",
            Self::EngineTcp => "engine, TCP",
            Self::Bouncer => "PgBouncer",
            Self::Node => "node",
            Self::EdgeRelay => "edge + node",
            Self::EdgeHandOver => "edge hands over to node",
        }
    }
}

/// Running processes; all of them end with it.
#[derive(Debug)]
pub(crate) struct Rig {
    common: Common,
    bouncer: Bouncer,
    instance: Instance,
    folder: TempDir,
}

impl Rig {
    /// Makes the engine, fills its tables and starts every process in between.
    pub(crate) async fn start() -> Outcome<Self> {
        let folder = cloud::new_folder()?;
        let password = "bench-only-password".to_owned();
        let common = Common {
            database_id: DatabaseId::from_uuid(uuid::Uuid::from_u128(1)),
            verifier: postgres_protocol::password::scram_sha_256(password.as_bytes()),
            password,
            keys: Keys::make(folder.path())?,
        };
        let instance = Instance::start(folder.path(), &common).await?;
        let behind = Behind {
            socket_folder: &instance.socket_folder(),
            owner: instance::node_owner(),
            verifier: &common.verifier,
            keys: &common.keys,
        };
        let bouncer = Bouncer::start(folder.path(), &behind).await?;
        let rig = Self {
            common,
            bouncer,
            instance,
            folder,
        };
        pgbench::initialize(&rig.address(Way::EngineSocket, false), SCALE).await?;
        Ok(rig)
    }

    /// Every way that there is, with TLS or without.
    pub(crate) fn addresses(&self, tls: bool) -> Vec<(Way, Address)> {
        [Way::EngineSocket, Way::EngineTcp, Way::Bouncer, Way::Node]
            .into_iter()
            .filter(|way| !tls || way.is_relay())
            .map(|way| (way, self.address(way, tls)))
            .collect()
    }

    /// How to get to the engine.
    pub(crate) fn address(&self, way: Way, tls: bool) -> Address {
        let (host, port, relays) = match way {
            Way::EngineSocket => (self.instance.socket_folder(), instance::ENGINE_PORT, vec![]),
            Way::EngineTcp => (
                instance::engine_address().to_string(),
                instance::ENGINE_PORT,
                vec![],
            ),
            Way::Bouncer => (local(), self.bouncer.port, vec![self.bouncer.pid()]),
            Way::Node | Way::EdgeRelay | Way::EdgeHandOver => {
                (local(), self.instance.node_port, vec![self.node_pid()])
            }
        };
        let sslmode = if tls { "require" } else { "disable" };
        Address {
            connection: format!(
                "host={host} port={port} user=owner dbname=main sslmode={sslmode} gssencmode=disable"
            ),
            password: self.common.password.clone(),
            relays,
        }
    }

    pub(crate) fn node_pid(&self) -> i32 {
        self.instance.node_pid()
    }

    pub(crate) fn helper_pid(&self) -> i32 {
        self.instance.helper_pid()
    }

    /// For files of a measurement; gone with the rig.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn bouncer_pid(&self) -> i32 {
        self.bouncer.pid()
    }
}

fn local() -> String {
    "127.0.0.1".to_owned()
}
