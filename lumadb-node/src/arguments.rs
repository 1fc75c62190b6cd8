//! The command line.

use crate::parent_address::ParentAddress;
use clap::{Args, Parser, ValueEnum};
use lumadb_contract::id::DatabaseId;
use lumadb_data_plane::engine::{Settings, Stage};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The data plane of one LumaDB instance.
#[derive(Debug, Parser)]
#[command(name = "lumadb-node", version, about)]
pub(crate) enum Arguments {
    /// Runs the node: serves clients, counts, keeps the engine as the parent wants it.
    Run(RunArguments),
    /// Runs the engine's helper, as the user that owns the data folder.
    Engine(HelperArguments),
    /// Makes the data folder of a database that does not exist yet.
    Prepare(PrepareArguments),
    /// Makes the extensions of an unpacked engine agree with the list of what tenants may create.
    EngineSetup(EngineArguments),
}

#[derive(Debug, Args)]
pub(crate) struct EngineArguments {
    /// Folder of PostgreSQL, the one with bin/postgres in it.
    #[arg(long, env = "LUMADB_ENGINE_DIR")]
    pub(crate) engine_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct InstanceArguments {
    /// Folder of the instance.
    #[arg(long)]
    pub(crate) instance_dir: PathBuf,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
}

#[derive(Debug, Args)]
pub(crate) struct HelperArguments {
    #[command(flatten)]
    pub(crate) instance: InstanceArguments,
    /// Starts the engine at once, for so many clients, and does not wait for the node to say so.
    #[arg(long, requires_all = ["milli_vcpu", "memory_mib"])]
    pub(crate) connections_max: Option<u16>,
    /// Its processor time, thousandths of a vCPU.
    #[arg(long, requires = "connections_max")]
    pub(crate) milli_vcpu: Option<u32>,
    /// Its memory, mebibytes.
    #[arg(long, requires = "connections_max")]
    pub(crate) memory_mib: Option<u32>,
}

impl HelperArguments {
    /// What the engine is started with at once; `None`: it waits for its node.
    pub(crate) fn settings(&self) -> Option<Settings> {
        Some(Settings {
            connections_max: self.connections_max?,
            milli_vcpu: self.milli_vcpu?,
            memory_mib: self.memory_mib?,
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) instance: InstanceArguments,
    /// Where the parent listens, such as unix:/run/parent.sock.
    #[arg(long)]
    pub(crate) parent: ParentAddress,
    /// Which database this is.
    #[arg(long)]
    pub(crate) database_id: DatabaseId,
    /// Spec to begin with, before the parent has said one.
    #[arg(long)]
    pub(crate) spec: Option<PathBuf>,
    /// Address for clients that come without an edge.
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Address for health and metrics, beside node-run/metrics.sock.
    #[arg(long)]
    pub(crate) metrics: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct PrepareArguments {
    #[command(flatten)]
    pub(crate) instance: InstanceArguments,
    /// Which part of it.
    #[arg(long, value_enum, default_value_t = StageArgument::All)]
    pub(crate) stage: StageArgument,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StageArgument {
    /// initdb, as a user that the system knows by name, not root.
    Initdb,
    /// What every database has, as the user that will run the engine.
    Setup,
    /// Both.
    All,
}

impl From<StageArgument> for Stage {
    fn from(stage: StageArgument) -> Self {
        match stage {
            StageArgument::Initdb => Self::Initdb,
            StageArgument::Setup => Self::Setup,
            StageArgument::All => Self::All,
        }
    }
}
