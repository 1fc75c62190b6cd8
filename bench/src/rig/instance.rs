//! An engine with its node, made as the runtime makes one, without a runtime.

use super::child::{Child, Owner, listening, maker, own};
use super::{CONNECTIONS_MAX, Common};
use crate::programs::{Programs, run};
use lumadb_contract::instance::{
    Compute, InstanceSpec, LogicalDatabaseSpec, RoleSpec, RunState, TlsIdentity,
};
use lumadb_contract::network::AllowedNetworks;
use lumadb_contract::scram::ScramVerifier;
use lumadb_contract::secret::Secret;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, ports, tools};
use nix::unistd::geteuid;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio_postgres::NoTls;

/// An address of this machine that only this run listens on.
pub(super) fn engine_address() -> Ipv4Addr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 128 | a, b, c)
}

/// PostgreSQL's port, also in the name of its socket.
pub(super) const ENGINE_PORT: u16 = 5432;

/// Users of the rig: none that a real instance has.
const ENGINE_USER: u32 = 190_001;
const NODE_USER: u32 = 190_002;
const GROUP: u32 = 190_000;

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) node_port: u16,
    pub(crate) programs: Programs,
    folder: PathBuf,
    // Dropped in this order: the helper takes the engine with it.
    node: Child,
    helper: Child,
}

impl Instance {
    pub(crate) async fn start(folder: &Path, common: &Common) -> Outcome<Self> {
        let instance = folder.join("i");
        make_folders(&instance)?;
        let programs = Programs::reachable(folder)?;
        prepare(&programs, &instance)?;
        write_spec(&instance, common)?;
        open_tcp(&instance)?;
        let log = folder.join("engine.log");
        let command = node_command(&programs, "engine", &instance);
        let helper = Child::start(command, owner(ENGINE_USER), &log)?;
        let node_port = ports::free()?;
        let log = folder.join("node.log");
        let mut command = node_command(&programs, "run", &instance);
        command
            .arg("--parent")
            .arg(format!("unix:{}", parent_socket(folder).display()))
            .args(["--database-id", &common.database_id.to_string()])
            .args(["--listen", &format!("127.0.0.1:{node_port}")]);
        let node = Child::start(command, owner(NODE_USER), &log)?;
        let rig = Self {
            node_port,
            programs,
            folder: instance,
            node,
            helper,
        };
        listening(node_port, &log).await?;
        rig.ready(common).await?;
        trust_tcp(&rig.folder).await?;
        Ok(rig)
    }

    /// Where PostgreSQL's own socket lies.
    pub(crate) fn socket_folder(&self) -> String {
        self.folder.join("run").display().to_string()
    }

    pub(crate) fn node_pid(&self) -> i32 {
        self.node.pid()
    }

    pub(super) fn helper_pid(&self) -> i32 {
        self.helper.pid()
    }

    async fn ready(&self, common: &Common) -> Outcome<()> {
        let connection = format!(
            "host=127.0.0.1 port={} user=owner password={} dbname=main sslmode=disable",
            self.node_port, common.password
        );
        until("the node to serve", Duration::from_secs(30), || async {
            let (_client, connection) = tokio_postgres::connect(&connection, NoTls).await?;
            drop(connection);
            Ok(Some(()))
        })
        .await
    }
}

/// Who may enter the folder of PostgreSQL's socket, beside the engine itself.
pub(super) fn node_owner() -> Option<Owner> {
    owner(NODE_USER)
}

fn owner(user: u32) -> Option<Owner> {
    geteuid().is_root().then_some((user, GROUP))
}

fn node_command(programs: &Programs, action: &str, instance: &Path) -> Command {
    let mut command = Command::new(&programs.node);
    command
        .arg(action)
        .arg("--instance-dir")
        .arg(instance)
        .arg("--engine-dir")
        .arg(&programs.engine);
    command
}

fn make_folders(instance: &Path) -> Outcome<()> {
    let make = |path: PathBuf, mode: u32, owner: Option<Owner>| -> Outcome<()> {
        std::fs::create_dir(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        if let Some((user, group)) = owner {
            chown(&path, Some(user), Some(group))?;
        }
        Ok(())
    };
    make(instance.to_owned(), 0o755, None)?;
    make(instance.join("data"), 0o700, maker()?)?;
    make(instance.join("run"), 0o770, owner(ENGINE_USER))?;
    make(instance.join("node"), 0o700, owner(NODE_USER))?;
    make(instance.join("node-run"), 0o750, owner(NODE_USER))
}

fn prepare(programs: &Programs, instance: &Path) -> Outcome<()> {
    stage(programs, instance, "initdb", maker()?)?;
    if let Some((user, group)) = owner(ENGINE_USER) {
        let owner = format!("{user}:{group}");
        run(Command::new("chown")
            .args(["-R", &owner])
            .arg(instance.join("data")))?;
    }
    stage(programs, instance, "setup", owner(ENGINE_USER))
}

fn stage(programs: &Programs, instance: &Path, stage: &str, owner: Option<Owner>) -> Outcome<()> {
    let mut command = node_command(programs, "prepare", instance);
    command.args(["--stage", stage]);
    own(&mut command, owner);
    run(&mut command)
}

/// Where the node looks for its parent; without one it serves from the spec on its disk.
pub(crate) fn parent_socket(folder: &Path) -> PathBuf {
    folder.join("parent.sock")
}

/// One owner, one logical database, and no archive.
pub(crate) fn spec(common: &Common) -> Outcome<InstanceSpec> {
    let owner_role: lumadb_contract::name::PgName = "owner".parse()?;
    Ok(InstanceSpec {
        database_id: common.database_id,
        serves_database_id: None,
        generation: 1,
        engine_version: 18,
        run: RunState::Running,
        compute: Compute {
            milli_vcpu: 1000,
            memory_mib: 4096,
        },
        connections_max: CONNECTIONS_MAX,
        route_number: 1,
        roles: vec![RoleSpec {
            name: owner_role.clone(),
            verifier: ScramVerifier::parse(&common.verifier)?,
            owner: true,
        }],
        logical_databases: vec![LogicalDatabaseSpec {
            name: "main".parse()?,
            owner: owner_role,
        }],
        allowed_networks: AllowedNetworks::default(),
        tls: Some(TlsIdentity {
            certificate_chain_pem: common.keys.certificate_pem.clone(),
            private_key_pem: Secret::new(common.keys.private_key_pem.as_str()),
        }),
        edges: None,
        archive: None,
        restore: None,
    })
}

fn write_spec(instance: &Path, common: &Common) -> Outcome<()> {
    let spec = spec(common)?;
    let file = instance.join("node/spec.json");
    std::fs::write(&file, serde_json::to_vec(&spec)?)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    if let Some((user, group)) = owner(NODE_USER) {
        chown(&file, Some(user), Some(group))?;
    }
    Ok(())
}

/// Lets the engine listen on TCP, which it never does in service: only to compare with.
fn open_tcp(instance: &Path) -> Outcome<()> {
    let file = instance.join("data/postgresql.auto.conf");
    let mut file = std::fs::OpenOptions::new().append(true).open(file)?;
    writeln!(file, "listen_addresses = '{}'", engine_address())?;
    Ok(())
}

/// The node writes `pg_hba.conf` before each start of the engine, so this comes after it.
async fn trust_tcp(instance: &Path) -> Outcome<()> {
    let file = instance.join("data/pg_hba.conf");
    let mut file = std::fs::OpenOptions::new().append(true).open(file)?;
    writeln!(file, "host main owner {}/32 trust", engine_address())?;
    writeln!(file, "host main owner 127.0.0.1/32 trust")?;
    let admin = format!(
        "host={} user=lumadb_admin dbname=main",
        instance.join("run").display()
    );
    tools::psql(&admin, "select pg_reload_conf()").await?;
    Ok(())
}
