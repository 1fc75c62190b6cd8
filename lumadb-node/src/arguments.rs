//! The command line.

use crate::parent_address::ParentArgument;
use crate::restore_source::{MomentArgument, S3Address};
use clap::{Args, Parser, ValueEnum};
use lumadb_contract::archive::Lsn;
use lumadb_contract::id::{ArchiveId, DatabaseId};
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
    /// Restores a database from its archive into a plain PostgreSQL data folder: bucket and master
    /// key are all it takes. Credentials come from the environment (AWS_ACCESS_KEY_ID, …).
    Restore(RestoreArguments),
    /// Hands PostgreSQL a file of WAL while it replays.
    #[command(hide = true)]
    RestoreCommand(RestoreCommandArguments),
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
    /// Makes the data folder first, if there is none.
    #[arg(long)]
    pub(crate) prepare: bool,
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
    /// Where the parent listens, such as unix:/run/parent.sock, or https://parent.example.com:8443.
    #[arg(long)]
    pub(crate) parent: ParentArgument,
    /// File with the token by which a parent at https:// knows this pod.
    #[arg(long)]
    pub(crate) parent_token_file: Option<PathBuf>,
    /// File with the authority of the certificate of a parent at https://, PEM.
    #[arg(long)]
    pub(crate) parent_ca_file: Option<PathBuf>,
    /// Which database this is.
    #[arg(long)]
    pub(crate) database_id: DatabaseId,
    /// Spec to begin with, before the parent has said one.
    #[arg(long)]
    pub(crate) spec: Option<PathBuf>,
    /// Address for clients that come without an edge.
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Role of the platform's own services: processes of root or of this user come as that role, and
    /// without a password, by node-run/.s.PGSQL.5432.
    #[arg(long)]
    pub(crate) service_role: Option<String>,
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

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
    /// Where the archive lies, such as s3://bucket/prefix.
    #[arg(long)]
    pub(crate) from: S3Address,
    /// Which archive, such as arc_01jd8k2m9n0000000000000001.
    #[arg(long)]
    pub(crate) archive: ArchiveId,
    /// File with the master key: 32 bytes in base64.
    #[arg(long)]
    pub(crate) master_key: PathBuf,
    /// The data folder to make. It appears when the restore is complete.
    #[arg(long)]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Timeline to follow; the newest unless it is named.
    #[arg(long)]
    pub(crate) timeline: Option<u32>,
    /// Restore also where text is sorted otherwise than where the backup was made. Run REINDEX
    /// before you use what comes of it.
    #[arg(long)]
    pub(crate) other_collations: bool,
    /// Address of the S3 server, if it is not Amazon's.
    #[arg(long, env = "AWS_ENDPOINT_URL_S3")]
    pub(crate) endpoint: Option<String>,
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub(crate) region: String,
    /// The bucket stands in the path, not in the host name.
    #[arg(long)]
    pub(crate) path_style: bool,
    /// The user that will own the folder, when root runs this: PostgreSQL does not run as root.
    #[arg(long)]
    pub(crate) user: Option<String>,
}

/// Up to where: the end of the archive unless one of these says otherwise.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct TargetArguments {
    /// Up to everything that is in the archive; so it is unless something else is asked for.
    #[arg(long)]
    pub(crate) latest: bool,
    /// Up to the last transaction that ended at or before this moment, such as
    /// 2026-11-27T12:00:00Z.
    #[arg(long)]
    pub(crate) time: Option<MomentArgument>,
    /// Up to this position in the WAL, such as 16/B374D848.
    #[arg(long)]
    pub(crate) lsn: Option<Lsn>,
    /// Up to and including this transaction: its ID without the epoch.
    #[arg(long)]
    pub(crate) transaction: Option<u32>,
    /// Up to the restore point of this name.
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreCommandArguments {
    /// Where files are asked for.
    #[arg(long)]
    pub(crate) socket: PathBuf,
    /// Name of the file.
    pub(crate) file: String,
    /// Where to put it.
    pub(crate) path: PathBuf,
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
