//! Making the data folder of a database that does not exist yet.
//!
//! It happens ahead of time, in a pool, so that creating a database is a rename; or on a volume of its
//! own, from a template if there is one. What else is copied would share its system identifier, and
//! PostgreSQL would replay one tenant's WAL into another. Two stages, because initdb wants a user that the
//! system knows by name, and the folder then belongs to one that it does not.
//!
//! A folder whose preparation failed is thrown away by whoever asked for it.

use super::admin::{AdminError, AdminSession};
use super::at_rest::AtRest;
use super::config::{ConfigFiles, Machine, Settings};
use super::directory::EngineDir;
use super::helper::{HelperError, write_config};
use super::instance_dir::{InstanceDir, InstanceDirError};
use super::postmaster::{EngineEvent, Postmaster, PostmasterError, StopMode};
use super::template::template_copy;
use super::write_limit::WriteLimit;
use crate::files;
use lumadb_contract::name::PLATFORM_ROLE;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// Time for the engine to start and end on a new folder, each, seconds.
const PATIENCE_SECONDS: u64 = 60;

/// What every database has before it belongs to anyone. `owner` and `main` are the names that the
/// control plane gives unless asked for others; whoever is not the node reaches no engine, and the
/// node lets nobody in whom no spec names.
/// Tenants may connect to `postgres`, where they can make nothing: tools that create and drop
/// databases, such as Django's test runner, do it from there.
const SETUP: &str = "\
    revoke connect, temporary on database template1 from public;
    revoke temporary on database postgres from public;
    create schema lumadb;
    create extension pg_stat_statements schema lumadb;
    create table lumadb.logical_databases (name text primary key, oid oid not null);
    create role owner login createdb;
";

const SETUP_DATABASE: &str = "create database main owner owner";

const SETUP_RECORD: &str = "\
    insert into lumadb.logical_databases select datname, oid from pg_database where datname = 'main'";

/// Which half is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// initdb, as a user that has a name; not root.
    Initdb,
    /// Starts the engine as its final user, makes what every database has, stops it.
    Setup,
    /// Both, where one user does everything.
    All,
}

#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("initdb did not run")]
    Run(#[source] io::Error),
    #[error("initdb failed: {0}")]
    Initdb(String),
    #[error("the template of a data folder was not copied")]
    Template(#[source] io::Error),
    #[error("the new engine did not start: {0}")]
    Start(String),
    #[error("the new engine did not become ready within {PATIENCE_SECONDS} s")]
    Timeout,
    #[error(transparent)]
    Helper(#[from] HelperError),
    #[error("making {}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Instance(#[from] InstanceDirError),
    #[error(transparent)]
    Postmaster(#[from] PostmasterError),
    #[error("the new engine was not set up")]
    Admin(#[from] AdminError),
}

/// Prepares `data` of an instance folder whose `data` is empty or missing.
pub async fn prepare(
    engine: &EngineDir,
    instance: &InstanceDir,
    stage: Stage,
) -> Result<(), PrepareError> {
    if matches!(stage, Stage::Initdb | Stage::All) {
        initdb(engine, instance).await?;
    }
    if matches!(stage, Stage::Setup | Stage::All) {
        setup(engine, instance).await?;
    }
    Ok(())
}

/// Prepares an instance that has no data folder, on a volume of its own. It is made beside and gets
/// its name when it is whole: where this was killed, the next begins anew.
pub async fn prepare_once(engine: &EngineDir, instance: &InstanceDir) -> Result<(), PrepareError> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| PrepareError::Folder { path, source }
    };
    instance.run_make().map_err(fault(&instance.run()))?;
    let data = instance.data();
    if data.exists() {
        return Ok(());
    }
    let beside = instance.making();
    match std::fs::remove_dir_all(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(&beside)(error)),
        _ => {}
    }
    std::fs::create_dir(&beside).map_err(fault(&beside))?;
    let making = InstanceDir::open(&beside)?;
    making.run_make().map_err(fault(&beside))?;
    let template = engine.template();
    if template.is_dir() {
        let copied = template_copy(engine, &template, &making.data()).await;
        copied.map_err(PrepareError::Template)?;
    } else {
        prepare(engine, &making, Stage::All).await?;
    }
    // What it leaves for the next node stays behind: the node that is there has looked already.
    std::fs::rename(making.data(), &data).map_err(fault(&data))?;
    files::sync_parent(&data).map_err(fault(&data))?;
    std::fs::remove_dir_all(&beside).map_err(fault(&beside))
}

async fn initdb(engine: &EngineDir, instance: &InstanceDir) -> Result<(), PrepareError> {
    let output = Command::new(engine.program("initdb"))
        .arg("--pgdata")
        .arg(instance.data())
        .args(["--username", PLATFORM_ROLE])
        .args(["--encoding=UTF8", "--locale=C"])
        .args(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"])
        .args(["--data-checksums", "--auth=trust", "--no-instructions"])
        .env_clear()
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(PrepareError::Run)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(PrepareError::Initdb(said.trim().replace('\n', "; ")))
}

async fn setup(engine: &EngineDir, instance: &InstanceDir) -> Result<(), PrepareError> {
    // Small on any machine; the node writes the granted sizes before the first start.
    let settings = Settings {
        connections_max: 5,
        milli_vcpu: 250,
        memory_mib: 64,
    };
    let config = ConfigFiles::new(settings, Machine { memory_mib: 64 }, &WriteLimit::default());
    write_config(&instance.data(), &config)?;
    let patience = Duration::from_secs(PATIENCE_SECONDS);
    let mut running = Postmaster::start(engine, instance)?;
    let made = match timeout(patience, running.event()).await {
        Ok(EngineEvent::Ready) => make_common_things(instance).await,
        Ok(EngineEvent::Ended(how)) => return Err(PrepareError::Start(how)),
        Err(_) => Err(PrepareError::Timeout),
    };
    running.stop(StopMode::Fast, patience).await?;
    made?;
    // A new database starts without it, only later.
    if let Err(error) = AtRest::new("owner", "main").leave(instance) {
        tracing::warn!(%error, "the next start will be slower");
    }
    Ok(())
}

async fn make_common_things(instance: &InstanceDir) -> Result<(), PrepareError> {
    let session = AdminSession::open(instance).await?;
    session.run("making what every database has", SETUP).await?;
    // A database cannot be created among other statements.
    session.run("creating main", SETUP_DATABASE).await?;
    session.run("recording main", SETUP_RECORD).await?;
    Ok(())
}
