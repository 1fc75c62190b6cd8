//! `lumadb-cloud`: the control plane and, with `up`, the whole cloud on one machine.
//!
//! Arguments, configuration, wiring. Nothing here decides anything about databases or accounts.

mod billing;
mod config;
mod database;
mod keys;
mod kms;
mod master_key;
mod region;
mod service;
mod status;
mod telemetry;
mod up;

use clap::{Args, Parser, Subcommand};
use config::{Config, RuntimeKind};
use lumadb_contract::archive::RestoreTarget;
use lumadb_contract::id::ArchiveId;
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::store::setup::Setup;
use lumadb_data_plane::{memory, sending};
use std::path::PathBuf;
use std::process::ExitCode;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Threads of an operator, which waits for the cluster most of the time.
const OPERATOR_THREADS: usize = 2;

/// Each of them has a heap of its own, as have the first one and the one that begins nodes' connections:
/// what a connection keeps then does not lie between what others took for a moment.
const OPERATOR_HEAPS: i32 = 4;

#[derive(Debug, Parser)]
#[command(name = "lumadb-cloud", version, about = "The LumaDB cloud", long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Where {
    /// Folder of everything that is kept [default: ./lumadb-data]
    #[arg(long, env = "LUMADB_DATA_DIR", value_name = "FOLDER", global = true)]
    data_dir: Option<PathBuf>,
    /// Configuration [default: config.toml in the data folder, if it is there]
    #[arg(long, env = "LUMADB_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the whole cloud up on this machine, and keep it up
    Up(Where),
    /// Serve the API and the web console
    Api(Where),
    /// Apply what is asked: operations, nodes, mail
    Worker(Where),
    /// Take the connections of databases' clients
    Edge(Where),
    /// Keep the databases' archives: an S3 server on a folder
    S3(Where),
    /// Stand in for Stripe: test cards alone, and no money moves
    StripeFake(Where),
    /// Run databases in a Kubernetes cluster, as its LumaDatabase objects ask
    Operator {
        #[command(flatten)]
        place: Where,
        #[command(subcommand)]
        asked: Option<OperatorCommand>,
    },
    /// Bring the schema of the control plane's database up to date, and note a region that is a cluster
    Migrate(Where),
    /// Bring the control plane's own database back from its archive, while nothing runs
    RestoreControl {
        #[command(flatten)]
        place: Where,
        /// Up to the last transaction that ended at or before this moment, such as
        /// 2026-11-27T12:00:00Z [default: everything that is archived]
        #[arg(long, value_parser = moment)]
        time: Option<OffsetDateTime>,
        /// Archive to restore from [default: the newest of the control plane's with a backup]
        #[arg(long)]
        archive: Option<ArchiveId>,
    },
    /// Change the master key, which wraps the keys of archives and of secrets, while `up` runs
    MasterKey {
        #[command(flatten)]
        place: Where,
        #[command(subcommand)]
        asked: master_key::MasterKey,
    },
    /// List the processes of a data folder
    Status(Where),
    /// Say what came of invoices, how customers are taxed, what was agreed
    Billing {
        #[command(flatten)]
        place: Where,
        #[command(subcommand)]
        asked: billing::Billing,
    },
    /// Print the configuration as it is in force
    Config(Where),
    /// Print the OpenAPI document of the API
    Openapi,
}

#[derive(Debug, Subcommand)]
enum OperatorCommand {
    /// Print the definitions of the operator's resources, for `kubectl apply -f -`
    Crds,
}

/// Anything that ends the program: one line for its user.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Openapi => {
            println!(
                "{}",
                lumadb_control_plane::http::openapi().to_pretty_json()?
            );
            Ok(())
        }
        Command::Operator {
            asked: Some(OperatorCommand::Crds),
            ..
        } => {
            print!("{}", lumadb_operator::api::crds_yaml()?);
            Ok(())
        }
        Command::Config(place) => {
            let (_, config, _) = load(&place)?;
            print!("{}", config::document(&config)?);
            Ok(())
        }
        Command::Status(place) => {
            let (data, _, _) = load(&place)?;
            status::print(&data);
            status::print_drill(&data);
            Ok(())
        }
        Command::Up(place) => {
            let (data, config, file) = load(&place)?;
            runtime(Some(0))?.block_on(up::run(&data, &config, file.as_deref()))?;
            Ok(())
        }
        Command::RestoreControl {
            place,
            time,
            archive,
        } => {
            let (data, config, _) = load(&place)?;
            let target = time.map_or(RestoreTarget::Latest, RestoreTarget::Time);
            let asked = up::Asked { target, archive };
            runtime(Some(0))?.block_on(up::control_restore(&data, &config, asked))?;
            Ok(())
        }
        Command::MasterKey { place, asked } => {
            let (data, config, _) = load(&place)?;
            runtime(Some(0))?.block_on(master_key::run(&data, &config, asked))?;
            Ok(())
        }
        Command::Migrate(place) => {
            let (data, config, _) = load(&place)?;
            runtime(Some(0))?.block_on(migrate(&data, &config))
        }
        Command::Billing { place, asked } => {
            let (data, config, _) = load(&place)?;
            runtime(Some(0))?.block_on(billing::run(&data, &config, asked))
        }
        Command::Api(place) => serve("api", &place),
        Command::Worker(place) => serve("worker", &place),
        Command::Edge(place) => serve("edge", &place),
        Command::S3(place) => serve("s3", &place),
        Command::StripeFake(place) => serve("stripe-fake", &place),
        Command::Operator { place, asked: None } => {
            memory::return_freed(OPERATOR_HEAPS);
            serve("operator", &place)
        }
    }
}

fn serve(name: &'static str, place: &Where) -> Result<(), Failure> {
    let (data, config, _) = load(place)?;
    let runtime = runtime(match name {
        // Relays lose more by waking other threads than they win by them.
        "edge" => Some(0),
        "operator" => Some(OPERATOR_THREADS),
        _ => None,
    })?;
    let result = runtime.block_on(async {
        let _telemetry = telemetry::start(name, &config, None)?;
        let served = match name {
            "api" => service::api::run(&data, &config).await,
            "worker" => service::worker::run(&data, &config).await,
            "s3" => service::s3::run(&data, &config).await,
            "stripe-fake" => service::stripe_fake::run(&data, &config).await,
            "operator" => Box::pin(service::operator::run(&config)).await,
            _ => service::edge::run(&data, &config).await,
        };
        if let Err(error) = &served {
            tracing::error!(%error, "ended");
        }
        Ok::<(), Failure>(served?)
    });
    runtime.shutdown_background();
    result
}

/// `up` writes the row of its own region. One that is a cluster may have a worker beside that.
async fn migrate(data: &DataFolder, config: &Config) -> Result<(), Failure> {
    let mut database = Setup::open(&database::administrator(data)).await?;
    let applied = database.migrate().await?;
    if config.region.runtime == RuntimeKind::Kubernetes {
        let region = region::region_setup(config, config.edge.listen.port())?;
        database.region(&region).await?;
    }
    database.close().await?;
    println!("{applied} migrations applied");
    Ok(())
}

/// With so many threads beside the first, or none. Unless it is said, one for each processor.
fn runtime(threads: Option<usize>) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        Some(0) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(threads @ 1..) = threads {
        builder.worker_threads(threads);
    }
    builder
        .enable_all()
        .on_thread_park(sending::send_all)
        .build()
}

fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "not a moment such as 2026-11-27T12:00:00Z (with `Z` or an offset)".to_owned())
}

/// The data folder, the configuration, and the file that it came from.
fn load(place: &Where) -> Result<(DataFolder, Config, Option<PathBuf>), Failure> {
    let data = up::folder::choose(place.data_dir.clone())?;
    let file = match &place.config {
        Some(path) => Some(std::path::absolute(path)?),
        None => Some(data.configuration()).filter(|path| path.exists()),
    };
    let variables = std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    let config = Config::load(file.as_deref(), variables)?;
    Ok((data, config, file))
}
