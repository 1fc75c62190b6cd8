//! The ways to a database of a whole cloud: through its edge, and past it by PgBouncer.
//!
//! Two edges serve it: the cloud's own, which hands sockets over where a client names its database
//! before it sends anything else, and one more that never does.

use super::bouncer::{Behind, Bouncer};
use super::child::{Child, listening};
use super::keys::Keys;
use super::{SCALE, Way, instance, local};
use crate::pgbench::{self, Address};
use crate::world::World;
use lumadb_e2e::account::Database;
use lumadb_e2e::process::Process;
use lumadb_e2e::{Outcome, cloud, ports, tools};
use nix::unistd::geteuid;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Clients on this machine may do without TLS: to compare, both ways are walked.
const SETTINGS: [(&str, &str); 1] = [("LUMADB_EDGE_PLAINTEXT", "loopback")];

pub(crate) struct BehindEdge {
    bouncer: Bouncer,
    relaying_edge: Child,
    relaying_port: u16,
    database: Database,
    socket_folder: String,
    node: i32,
    edge: i32,
    world: World,
    _folder: TempDir,
}

impl BehindEdge {
    pub(crate) async fn start() -> Outcome<Self> {
        let world = World::start_with(1, &SETTINGS).await?;
        let database = world.create("bench").await?;
        let folder = cloud::new_folder()?;
        let instance = world.cloud.instance_dir(&database.id);
        let socket_folder = instance.join("run").display().to_string();
        let found = std::fs::metadata(instance.join("node-run"))?;
        let behind = Behind {
            socket_folder: &socket_folder,
            owner: geteuid().is_root().then(|| (found.uid(), found.gid())),
            verifier: &postgres_protocol::password::scram_sha_256(database.password.as_bytes()),
            keys: &Keys::make(folder.path())?,
        };
        let bouncer = Bouncer::start(folder.path(), &behind).await?;
        let (relaying_edge, relaying_port) = start_edge(&world, folder.path()).await?;
        let processes = world.cloud.processes()?;
        let of_instance = |process: &&Process| {
            process.is_node() && process.instance_dir().as_ref() == Some(&instance)
        };
        let node = processes
            .iter()
            .find(of_instance)
            .ok_or("the database has no node")?;
        let is_own_edge =
            |process: &&Process| process.is_service("edge") && process.pid != relaying_edge.pid();
        let edge = processes
            .iter()
            .find(is_own_edge)
            .ok_or("the cloud has no edge")?;
        let rig = Self {
            bouncer,
            relaying_port,
            socket_folder,
            node: node.pid,
            edge: edge.pid,
            relaying_edge,
            database,
            world,
            _folder: folder,
        };
        pgbench::initialize(&rig.address(Way::EngineSocket, false), SCALE).await?;
        Ok(rig)
    }

    /// Every way that there is, with TLS or without.
    pub(crate) fn addresses(&self, tls: bool) -> Vec<(Way, Address)> {
        [
            Way::EngineSocket,
            Way::Bouncer,
            Way::EdgeRelay,
            Way::EdgeHandOver,
        ]
        .into_iter()
        .filter(|way| !tls || way.is_relay())
        .map(|way| (way, self.address(way, tls)))
        .collect()
    }

    fn address(&self, way: Way, tls: bool) -> Address {
        let own = ("owner".to_owned(), local());
        let user = self.database.user.clone();
        let ((user, host), port, relays) = match way {
            Way::EngineSocket | Way::EngineTcp => (
                ("owner".to_owned(), self.socket_folder.clone()),
                instance::ENGINE_PORT,
                vec![],
            ),
            Way::Bouncer => (own, self.bouncer.port, vec![self.bouncer.pid()]),
            Way::EdgeRelay => (
                (user, local()),
                self.relaying_port,
                vec![self.relaying_edge.pid(), self.node],
            ),
            // The name in TLS tells the edge whose socket this is, before anything is encrypted.
            Way::EdgeHandOver | Way::Node => (
                (user, format!("{}.localhost", self.host_label())),
                self.database.port,
                vec![self.edge, self.node],
            ),
        };
        let address = if host.starts_with('/') {
            String::new()
        } else {
            "hostaddr=127.0.0.1".to_owned()
        };
        let sslmode = if tls { "require" } else { "disable" };
        Address {
            connection: format!(
                "host={host} {address} port={port} user={user} dbname=main sslmode={sslmode} \
                 gssencmode=disable"
            ),
            password: self.database.password.clone(),
            relays,
        }
    }

    fn host_label(&self) -> String {
        self.database.id.replace('_', "-")
    }

    /// The log of the cloud, for an error.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }
}

async fn start_edge(world: &World, folder: &Path) -> Outcome<(Child, u16)> {
    let port = ports::free()?;
    let mut command = Command::new(tools::program("lumadb-cloud")?);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LUMADB_")) {
        command.env_remove(name);
    }
    command
        .arg("edge")
        .arg("--data-dir")
        .arg(world.cloud.data_dir())
        .envs(SETTINGS)
        .env("LUMADB_EDGE_HAND_OVER", "false")
        .env("LUMADB_EDGE_LISTEN", format!("127.0.0.1:{port}"));
    let log = folder.join("edge.log");
    let child = Child::start(command, None, &log)?;
    listening(port, &log).await?;
    Ok((child, port))
}
