//! `lumadb-cloud worker`: the loop of the region, its runtime, drills, what is removed, and mail.

use super::{ServiceError, StopSignals, Told, object_store, platform, read};
use crate::config::{Cluster, Config, RuntimeKind};
use crate::keys::KeyFiles;
use crate::up::programs;
use lumadb_contract::secret::Secret;
use lumadb_control_plane::app::{Platform, billing, housekeeping, limits};
use lumadb_control_plane::collect::{self, Collector};
use lumadb_control_plane::identity::{ServiceSigner, ServiceVerifier};
use lumadb_control_plane::import::{ImportPrograms, Importer};
use lumadb_control_plane::notify::{self, Transport};
use lumadb_control_plane::runtime::kubernetes::{
    KubernetesConfig, KubernetesRuntime, LinkCertificate, LinkKeys, Site,
};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::runtime::local::{LocalConfig, LocalRuntime};
use lumadb_control_plane::runtime::{Reports, Runtime};
use lumadb_control_plane::workflow::edge_control::Elsewhere;
use lumadb_control_plane::workflow::{Workflow, drills, in_place, removal};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest time for edges of a cluster to hear that this worker leaves.
const EDGES_END_LIMIT: Duration = Duration::from_secs(2);

/// Connections of this process to the control plane's database.
const CONNECTIONS_MAX: u32 = 20;

/// Runs until it is told to stop. On SIGTERM the nodes go on and the next worker adopts them; on
/// SIGINT those of this machine end first.
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
    let programs = programs::find(data, config)?;
    let importer = Importer::new(
        platform.clone(),
        config.region.name.clone(),
        ImportPrograms {
            engine: programs.engine.clone(),
            data: data.clone(),
        },
        config.import.networks,
    );
    let reports = Reports::of(platform.clone());
    let clock = platform.clock.clone();
    let work = Work {
        platform,
        transport,
        importer,
        region: config.region.name.clone(),
    };
    match config.region.runtime {
        RuntimeKind::Local => {
            let local = LocalConfig {
                data: data.clone(),
                programs,
                pool_size: config.pool.size,
                host: config.edge.host.clone(),
                node_environment: object_store::environment(&config.object_store),
            };
            let runtime = LocalRuntime::open(local, reports, clock).await?;
            let told = work.until_told(&runtime, &mut signals).await;
            runtime.close(told == Told::End).await;
        }
        RuntimeKind::Kubernetes => {
            let client = lumadb_operator::connect(config.cluster.kubeconfig.as_deref()).await?;
            let keys = KeyFiles::new(data.keys());
            let keys = LinkKeys {
                signer: ServiceSigner::load(&keys.api_private())?,
                verifier: ServiceVerifier::load(&keys.api_public())?,
                public_key_pem: read(keys.api_public())?,
            };
            let shutdown = CancellationToken::new();
            let edges = edges(data, config, &keys, &work.platform, &shutdown).await?;
            let cluster = cluster(data, config);
            let runtime = KubernetesRuntime::open(cluster, client, keys, reports, clock).await?;
            tracing::info!(address = %runtime.link_listens(), "the region link listens");
            work.until_told(&runtime, &mut signals).await;
            shutdown.cancel();
            runtime.close().await;
            if let Some(edges) = edges {
                let _ = tokio::time::timeout(EDGES_END_LIMIT, edges).await;
            }
        }
    }
    Ok(())
}

/// What the configuration says of the cluster; it was checked to be whole when it was read.
fn cluster(data: &DataFolder, config: &Config) -> KubernetesConfig {
    let Cluster {
        namespace,
        operator_namespace,
        link_address,
        link_listen,
        storage_class,
        storage_gib,
        storage_gib_max,
        ..
    } = config.cluster.clone();
    let region = config.region.name.clone();
    KubernetesConfig {
        spans_file: data.root().join(format!("spans-{region}.json")),
        site: Site {
            region,
            namespace: namespace.unwrap_or_default(),
            storage_class,
            storage_gib,
            storage_gib_max,
        },
        operator_namespace,
        link_listen,
        link_address: link_address.unwrap_or_default(),
        link_certificate: certificate(data, &config.cluster, config.cluster.link_host()),
        edges_address: config.cluster.edges_address.clone(),
        authority: data.authority(),
        edge_host: config.region.edge_host.clone(),
    }
}

/// Listens for edges in the cluster and answers them, where that is asked for.
async fn edges(
    data: &DataFolder,
    config: &Config,
    keys: &LinkKeys,
    platform: &Platform,
    shutdown: &CancellationToken,
) -> Result<Option<JoinHandle<()>>, ServiceError> {
    let Some(address) = config.cluster.edges_listen else {
        return Ok(None);
    };
    let certificate = certificate(data, &config.cluster, config.cluster.edges_host());
    let clock = platform.clock.clone();
    let opened = Elsewhere::open(address, certificate, keys.verifier.clone(), clock).await?;
    tracing::info!(%address, "edges of the cluster are listened for");
    let (platform, shutdown) = (platform.clone(), shutdown.clone());
    Ok(Some(tokio::spawn(async move {
        if let Err(error) = opened.serve(platform, shutdown).await {
            tracing::error!(%error, "edges of the cluster are not answered any more");
        }
    })))
}

/// What this worker shows to the cluster at an address with this host.
fn certificate(data: &DataFolder, cluster: &Cluster, host: Option<String>) -> LinkCertificate {
    let files = (
        &cluster.link_certificate_file,
        &cluster.link_key_file,
        &cluster.link_authority_file,
    );
    match files {
        (Some(certificate), Some(key), Some(authority)) => LinkCertificate::Files {
            certificate: certificate.clone(),
            key: key.clone(),
            authority: authority.clone(),
        },
        _ => LinkCertificate::Issued {
            folder: data.authority(),
            host: host.unwrap_or_default(),
        },
    }
}

/// What a worker does beside running its runtime.
struct Work {
    platform: Platform,
    transport: Transport,
    importer: Importer,
    region: String,
}

impl Work {
    async fn until_told<R: Runtime>(self, runtime: &Arc<R>, signals: &mut StopSignals) -> Told {
        let Self {
            platform,
            transport,
            importer,
            region,
        } = self;
        let shutdown = CancellationToken::new();
        let stop = || shutdown.clone().cancelled_owned();
        let workflow = Workflow::new(platform.clone(), runtime.clone(), region.clone());
        let looping = tokio::spawn(workflow.run(shutdown.clone()));
        let exchanging = tokio::spawn(in_place::run(platform.clone(), region.clone(), stop()));
        let importing = tokio::spawn(importer.run(shutdown.clone()));
        let sweeping = tokio::spawn(housekeeping::run(platform.clone(), stop()));
        let billing = tokio::spawn(billing::run(platform.clone(), stop()));
        let removing = tokio::spawn(removal::run(
            platform.clone(),
            object_store::Objects,
            region.clone(),
            stop(),
        ));
        let collecting = Collector::of(&platform)
            .ok()
            .map(|collector| tokio::spawn(collect::run(collector, stop())));
        let drilling = tokio::spawn(drills::run(
            platform.clone(),
            runtime.clone(),
            region.clone(),
            stop(),
        ));
        let capping = tokio::spawn(limits::caps_run(platform.clone(), stop()));
        let mailing = tokio::spawn(notify::run(platform, transport, stop()));
        tracing::info!(region, "the worker works");
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
        told
    }
}
