//! `lumadb-node`: the data plane of one instance. Arguments and wiring; the work is in
//! `lumadb-data-plane`.

mod arguments;
mod parent_address;
mod restore;
mod restore_source;

use arguments::{
    Arguments, EngineArguments, HelperArguments, PrepareArguments, RestoreCommandArguments,
    RunArguments,
};
use clap::Parser;
use lumadb_data_plane::agent::{NodeConfig, NodeError, node_run};
use lumadb_data_plane::archive::restore::wal_file_fetch;
use lumadb_data_plane::clock;
use lumadb_data_plane::engine::{
    EngineDir, EngineDirError, HelperError, InstanceDir, InstanceDirError, PrepareError,
    SetupError, engine_setup, helper_run, prepare, prepare_once,
};
use lumadb_data_plane::log::BoundedLog;
use lumadb_data_plane::sending;
use lumadb_data_plane::{batch, memory};
use parent_address::ParentMismatch;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    EngineDir(#[from] EngineDirError),
    #[error(transparent)]
    InstanceDir(#[from] InstanceDirError),
    #[error(transparent)]
    Helper(#[from] HelperError),
    #[error(transparent)]
    Parent(#[from] ParentMismatch),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Restore(#[from] restore::RestoreFailure),
    #[error("the process could not be set up")]
    Process(#[from] io::Error),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let log = match BoundedLog::standard_error() {
        Ok(log) => Arc::new(log),
        Err(error) => {
            eprintln!("standard error cannot be used: {error}");
            return ExitCode::FAILURE;
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("LUMADB_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .with_writer(log.clone())
        .with_ansi(false)
        .init();
    match run(arguments, log) {
        Ok(code) => code,
        Err(failure) => {
            tracing::error!("{}", in_one_line(&failure));
            ExitCode::FAILURE
        }
    }
}

/// One thread for everything: waking another costs more than what there is to do.
fn run(arguments: Arguments, log: Arc<BoundedLog>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .on_thread_park(sending::send_all)
        .build()?;
    let result = runtime.block_on(async {
        match arguments {
            Arguments::Run(arguments) => node(arguments).await?,
            Arguments::Engine(arguments) => engine(arguments, log).await?,
            Arguments::Prepare(arguments) => data_folder(arguments).await?,
            Arguments::Restore(arguments) => restore::restore(arguments).await?,
            Arguments::RestoreCommand(arguments) => {
                let RestoreCommandArguments { socket, file, path } = arguments;
                return Ok(ExitCode::from(wal_file_fetch(&socket, &file, &path).await));
            }
            Arguments::EngineSetup(EngineArguments { engine_dir }) => {
                engine_setup(&EngineDir::open(&engine_dir)?.with_module()?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    });
    // A thread that still waits for the disk does not keep the process.
    runtime.shutdown_background();
    result
}

async fn node(arguments: RunArguments) -> Result<(), Failure> {
    batch::enter();
    memory::return_freed(memory::NODE_HEAPS);
    sending::gather();
    let end = end_signals()?;
    EngineDir::open(&arguments.instance.engine.engine_dir)?;
    let parent = arguments
        .parent
        .with(arguments.parent_token_file, arguments.parent_ca_file)?;
    let config = NodeConfig {
        instance: InstanceDir::open(&arguments.instance.instance_dir)?,
        database_id: arguments.database_id,
        parent,
        spec: arguments.spec,
        listen: arguments.listen,
        service_role: arguments.service_role,
        metrics: arguments.metrics,
        now: clock::now,
    };
    // It holds all that runs beside each other.
    Ok(Box::pin(node_run(config, end.received())).await?)
}

async fn engine(arguments: HelperArguments, log: Arc<BoundedLog>) -> Result<(), Failure> {
    let end = end_signals()?;
    let start = arguments.settings();
    let engine = EngineDir::open(&arguments.instance.engine.engine_dir)?.with_module()?;
    let instance = InstanceDir::open(&arguments.instance.instance_dir)?;
    if arguments.prepare {
        prepare_once(&engine, &instance).await?;
    }
    Ok(helper_run(engine, instance, log, start, end.received()).await?)
}

async fn data_folder(arguments: PrepareArguments) -> Result<(), Failure> {
    let engine = EngineDir::open(&arguments.instance.engine.engine_dir)?.with_module()?;
    let instance = InstanceDir::open(&arguments.instance.instance_dir)?;
    Ok(prepare(&engine, &instance, arguments.stage.into()).await?)
}

/// SIGTERM and SIGINT, caught from now on.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

fn end_signals() -> io::Result<EndSignals> {
    Ok(EndSignals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    })
}

impl EndSignals {
    async fn received(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
