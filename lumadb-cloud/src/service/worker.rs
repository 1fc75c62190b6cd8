//! `lumadb-cloud worker`: the loop of the region, its runtime, drills, what is removed, and mail.

use super::{ServiceError, StopSignals, Told, object_store, platform, read};
use crate::config::Config;
use crate::up::programs;
use lumadb_contract::secret::Secret;
use lumadb_control_plane::app::{billing, housekeeping, limits};
use lumadb_control_plane::collect::{self, Collector};
use lumadb_control_plane::import::{ImportPrograms, Importer};
use lumadb_control_plane::notify::{self, Transport};
use lumadb_control_plane::runtime::Reports;
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::runtime::local::{LocalConfig, LocalRuntime};
use lumadb_control_plane::workflow::{Workflow, drills, in_place, removal};
use tokio_util::sync::CancellationToken;

/// Connections of this process to the control plane's database.
const CONNECTIONS_MAX: u32 = 20;

/// Runs until it is told to stop. On SIGTERM the nodes go on and the next worker adopts them; on
/// SIGINT they end first.
pub(crate) async fn run(data: &DataFolder, config: &Config) -> Result<(), ServiceError> {
    let mut signals = StopSignals::listen()?;
    let platform = platform(data, config, CONNECTIONS_MAX).await?;
    let transport = match &config.mail.smtp_url_file {
        Some(path) => {
            let url = read(path.clone())?;
            Transport::smtp(&Secret::new(url.trim()), &config.mail.from)?
        }
        None => Transport::local(data.outbox(), &config.mail.from)?,
    };
    let local = LocalConfig {
        data: data.clone(),
        programs: programs::find(data, config)?,
        pool_size: config.pool.size,
        host: config.edge.host.clone(),
        node_environment: object_store::environment(&config.object_store),
    };
    let importer = Importer::new(
        platform.clone(),
        config.region.name.clone(),
        ImportPrograms {
            engine: local.programs.engine.clone(),
            data: data.clone(),
        },
        config.import.networks,
    );
    let clock = platform.clock.clone();
    let reports = Reports::of(platform.clone());
    let runtime = LocalRuntime::open(local, reports, clock).await?;
    let shutdown = CancellationToken::new();
    let workflow = Workflow::new(
        platform.clone(),
        runtime.clone(),
        config.region.name.clone(),
    );
    let looping = tokio::spawn(workflow.run(shutdown.clone()));
    let exchanging = tokio::spawn(in_place::run(
        platform.clone(),
        config.region.name.clone(),
        shutdown.clone().cancelled_owned(),
    ));
    let importing = tokio::spawn(importer.run(shutdown.clone()));
    let sweeping = tokio::spawn(housekeeping::run(
        platform.clone(),
        shutdown.clone().cancelled_owned(),
    ));
    let billing = tokio::spawn(billing::run(
        platform.clone(),
        shutdown.clone().cancelled_owned(),
    ));
    let removing = tokio::spawn(removal::run(
        platform.clone(),
        object_store::Objects,
        config.region.name.clone(),
        shutdown.clone().cancelled_owned(),
    ));
    let collecting = Collector::of(&platform).ok().map(|collector| {
        let shutdown = shutdown.clone().cancelled_owned();
        tokio::spawn(collect::run(collector, shutdown))
    });
    let drilling = tokio::spawn(drills::run(
        platform.clone(),
        runtime.clone(),
        config.region.name.clone(),
        shutdown.clone().cancelled_owned(),
    ));
    let capping = tokio::spawn(limits::caps_run(
        platform.clone(),
        shutdown.clone().cancelled_owned(),
    ));
    let mailing = tokio::spawn(notify::run(
        platform,
        transport,
        shutdown.clone().cancelled_owned(),
    ));
    tracing::info!(region = config.region.name, "the worker works");
    let told = signals.told().await;
    shutdown.cancel();
    let _ = looping.await;
    let _ = exchanging.await;
    let _ = capping.await;
    let _ = mailing.await;
    let _ = importing.await;
    if let Some(collecting) = collecting {
        let _ = collecting.await;
    }
    let _ = sweeping.await;
    let _ = billing.await;
    let _ = removing.await;
    let _ = drilling.await;
    runtime.close(told == Told::End).await;
    Ok(())
}
