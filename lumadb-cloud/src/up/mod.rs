//! `lumadb-cloud up`: the whole cloud on one machine, in one data folder.
//!
//! It makes the folder, brings up the control plane's own database, its schema and the services,
//! and then keeps them running. Every child outlives it; what runs already is adopted.
//!
//! Invariants:
//! - One `up` at a time works on a folder: the lock goes with the process.
//! - Nothing is started before everything that can be checked was: ports, programs, the disk.
//! - A start that fails ends what it started; what an earlier one left running stays.
//!
//! It must not know what services or nodes do.

mod control;
mod error;
pub(crate) mod folder;
mod ports;
pub(crate) mod programs;
pub(crate) mod say;
mod services;

pub(crate) use control::{Asked, DrillRecord, LOGICAL_DATABASE, restore as control_restore};
pub(crate) use error::UpError;
pub(crate) use services::reachable;

use crate::config::Config;
use crate::keys::KeyFiles;
use crate::region::region_setup;
use crate::{database, telemetry};
use control::{Control, Drills};
use lumadb_control_plane::app::archive::rewrap;
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::identity::master_keys::{KeyFile, MasterKeys};
use lumadb_control_plane::runtime::local::authority::Authority;
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::runtime::local::pool::makers_stop;
use lumadb_control_plane::runtime::local::process::Processes;
use lumadb_control_plane::runtime::local::user_ids;
use lumadb_control_plane::store::setup::Setup;
use services::{ServiceSetup, Services};
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What runs once everything is up.
struct Running {
    control: Control,
    drills: Drills,
    services: Services,
}

/// Brings everything up, waits to be told to stop, and stops everything.
pub(crate) async fn run(
    data: &DataFolder,
    config: &Config,
    config_file: Option<&Path>,
) -> Result<(), UpError> {
    let mut stop = Stop::listen()?;
    let data = folder::prepare(data)?;
    let _lock = folder::lock(&data)?;
    let _telemetry = telemetry::start("up", config, Some(log(&data)?))
        .map_err(|error| UpError::explain(data.root(), &error))?;
    say::line(&format!("Data folder: {}", data.root().display()));
    let mut running = Box::pin(bring_up(&data, config, config_file, &mut stop)).await?;
    tokio::select! {
        () = stop.told() => {}
        () = running.control.archive_keep() => {}
        () = running.drills.keep() => {}
    }
    say::line("Stopping everything, in order (Ctrl-C again changes nothing)");
    running.services.stop().await;
    say::line("Stopping the control plane's database");
    running.control.end().await;
    say::line("Everything has stopped; the data is kept");
    Ok(())
}

async fn bring_up(
    data: &DataFolder,
    config: &Config,
    config_file: Option<&Path>,
    stop: &mut Stop,
) -> Result<Running, UpError> {
    let addresses = ports::choose(data, config)?;
    user_ids::claim(data).map_err(|error| UpError::explain(data.root(), &error))?;
    let programs = programs::find(data, config)?;
    say::line(&format!("PostgreSQL: {}", programs.engine.display()));
    let clock = Clock::system();
    KeyFiles::new(data.keys())
        .ensure(&KeyFile::new(Arc::new(config.kms.clone())))
        .and_then(|()| {
            Authority::open(&data.authority(), clock.now())
                .map(drop)
                .map_err(|error| crate::keys::KeyError::Make(error.to_string()))
        })
        .map_err(|error| UpError::explain(data.root(), &error))?;
    let processes = Processes::new(data.clone());
    processes
        .recover(|name| services::NAMES.contains(&name) || control::PROCESSES.contains(&name))
        .await
        .map_err(|error| UpError::explain(data.root(), &error))?;
    programs::sweep(data, &programs);
    let served = services::any_runs(data);
    let (mut control, drills) = tokio::select! {
        started = control::start(data, config, &programs, addresses.object_store, &clock) => started?,
        () = stop.told() => return Err(abandon(data, served).await),
    };
    let setup = ServiceSetup {
        data,
        config,
        config_file,
        programs: &programs,
        addresses,
    };
    let answers = control.answers(config);
    let started = async {
        if let Err(error) = schema(data, config, &setup).await {
            return Err((error, None));
        }
        setup
            .start(answers)
            .await
            .map_err(|(error, services)| (error, Some(services)))
    };
    let started = tokio::select! {
        started = started => started,
        // The first backup is asked for there.
        () = control.archive_keep() => Err((UpError::Interrupted, None)),
        () = stop.told() => Err((UpError::Interrupted, None)),
    };
    match started {
        Ok(services) => {
            say::line(&format!(
                "Databases: {}:{}, certificate authority {}",
                config.edge.host,
                addresses.edge.port(),
                data.authority().join("ca.pem").display()
            ));
            say::line(&format!(
                "LumaDB Cloud is ready: {}",
                crate::service::console_url(config, addresses.http)
            ));
            Ok(Running {
                control,
                drills,
                services,
            })
        }
        Err((error, services)) => {
            if served {
                if let Some(services) = services {
                    services.leave().await;
                }
                control.leave().await;
            } else {
                if let Some(services) = services {
                    services.stop().await;
                } else {
                    services::end_all(data).await;
                }
                control.end().await;
            }
            Err(error)
        }
    }
}

/// Where the object store of what runs on a data folder is.
pub(crate) fn object_store_address(
    data: &DataFolder,
    config: &Config,
) -> Result<SocketAddr, UpError> {
    ports::object_store(data, config)
}

/// Ctrl-C while the control plane's database came up: ends its processes, unless something that
/// was adopted needs them.
async fn abandon(data: &DataFolder, served: bool) -> UpError {
    if !served {
        makers_stop(data).await;
        let processes = Processes::new(data.clone());
        for name in ["node.control", "engine.control"] {
            if let Some((mut process, _)) = processes.find(name) {
                process.stop(Duration::from_secs(30)).await;
                processes.forget(name);
            }
        }
    }
    UpError::Interrupted
}

/// Brings the schema and the region's own row up to date.
async fn schema(
    data: &DataFolder,
    config: &Config,
    setup: &ServiceSetup<'_>,
) -> Result<(), UpError> {
    let explain = |error: &dyn std::error::Error| UpError::explain(data.root(), error);
    let mut database = Setup::open(&database::administrator(data))
        .await
        .map_err(|error| explain(&error))?;
    let applied = database.migrate().await.map_err(|error| explain(&error))?;
    if applied > 0 {
        say::line(&format!("Migrations: {applied} applied"));
    }
    let keys = MasterKeys::open(data.keys(), Arc::new(config.kms.clone()))
        .map_err(|error| explain(&error))?;
    let now = Clock::system().now();
    rewrap::keys_ensure(&mut database, &keys, now)
        .await
        .map_err(|error| explain(&error))?;
    let region =
        region_setup(config, setup.addresses.edge.port()).map_err(|error| explain(&error))?;
    database
        .region(&region)
        .await
        .map_err(|error| explain(&error))?;
    database.close().await.map_err(|error| explain(&error))
}

fn log(data: &DataFolder) -> Result<File, UpError> {
    let path = services::log_path(data);
    OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| UpError::folder(data.root(), &path, source))
}

/// Ctrl-C, SIGTERM, or the terminal that went away.
struct Stop {
    signals: [tokio::signal::unix::Signal; 3],
}

impl Stop {
    fn listen() -> Result<Self, UpError> {
        let listen = |kind| {
            signal(kind).map_err(|error| UpError::Other(format!("signals are refused: {error}")))
        };
        Ok(Self {
            signals: [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            ],
        })
    }

    async fn told(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
