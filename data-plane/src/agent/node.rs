//! Wires the node together and runs it.

use super::allowance::AllowanceKeeper;
use super::archive::Archiver;
use super::dial::{Dialer, ParentAddress};
use super::engine_link::EngineLink;
use super::gate::GateKeeper;
use super::health::{Health, health_serve};
use super::measuring::Measuring;
use super::meter::{Meter, MeterError};
use super::parent::ParentLink;
use super::restoring::Restoring;
use super::spec::{KnownSpec, SpecError, spec_read};
use super::state::{NodeState, Serving, Sessions};
use super::status::StatusBoard;
use super::supervisor::Supervisor;
use super::verifying::verify_follow;
use super::volume::VolumeWatch;
use crate::beside::beside;
use crate::engine::{AtRest, InstanceDir, Machine};
use crate::metering::{Outbox, Spool, SpoolError, incarnation_begin};
use crate::protocol::postgres;
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::stream::{NodeHello, STREAM_VERSION};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Time for the last samples and the last state to reach the parent, seconds.
const FAREWELL_SECONDS: u64 = 5;

/// How a node is run.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    pub instance: InstanceDir,
    pub database_id: DatabaseId,
    pub parent: ParentAddress,
    /// A spec to begin with; counts as the parent's word if it is not older than the one on disk.
    pub spec: Option<PathBuf>,
    /// A port for clients that come without an edge.
    pub listen: Option<SocketAddr>,
    /// Role of the platform's own services, whose processes come by
    /// [`service_socket`](InstanceDir::service_socket) and need no password.
    pub service_role: Option<String>,
    /// A port for health and metrics, beside their socket.
    pub metrics: Option<SocketAddr>,
    pub now: fn() -> OffsetDateTime,
}

#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("listening on {address}")]
    Listen {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("making the node's folders in {}", path.display())]
    Folders {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("writing the incarnation into {}", path.display())]
    Incarnation {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("reading the size of this machine")]
    Machine,
    #[error("starting a thread")]
    Thread(#[source] io::Error),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error(transparent)]
    Meter(#[from] MeterError),
}

/// Runs a node until its parent wants the instance at rest, or until `shutdown` completes: then the
/// engine runs on, for the next node. Must be called within a runtime of one thread.
pub async fn node_run(
    config: NodeConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let sockets = Sockets::bind(&config).await?;
    let specs = watch::Sender::new(spec_begin(&config)?);
    let incarnation = Incarnation::begin(&config)?;
    let state = NodeState::new(config.instance.engine_socket());
    let status = StatusBoard::new(incarnation.id, config.now);
    let outbox = incarnation.spool.outbox();
    let (meter, meter_handle) =
        Meter::new(incarnation.spool, state.clone(), status.clone(), config.now);

    let (allowances, allowance_link) = AllowanceKeeper::new(
        &config.instance,
        incarnation.id,
        state.clone(),
        status.clone(),
        config.now,
    );
    let leaving = CancellationToken::new();
    let parent = ParentLink {
        dialer: Dialer::new(config.parent.clone(), config.database_id, incarnation.id),
        is_taken: false,
        hello: hello(&config, incarnation.id),
        status: status.subscribe(),
        outbox: outbox.clone(),
        meter: meter_handle.clone(),
        specs: specs.clone(),
        allowances: allowance_link,
        leaving: leaving.clone(),
    };
    let farewell = Farewell {
        leaving,
        parent: tokio::spawn(parent.run()),
        outbox: outbox.clone(),
    };
    let (volume_watch, volume) = VolumeWatch::new(&config.instance, &status);
    let measuring = Measuring::new(&config.instance, state.clone(), status.clone());
    let written = spec_read(&config.instance.spec_file(), config.database_id)?;
    let supervisor = Supervisor {
        instance: config.instance.clone(),
        machine: Machine::this().ok_or(NodeError::Machine)?,
        state: state.clone(),
        specs: specs.subscribe(),
        link: EngineLink::start(&config.instance, incarnation.first_order),
        status: status.clone(),
        meter: meter_handle.clone(),
        applied: None,
        at_rest: AtRest::take(&config.instance),
        restoring: Restoring::new(&config.instance, status.clone(), written.is_some()),
        written,
        leave_until: None,
        volume: volume.clone(),
        writes: allowances.writes(),
        measuring: measuring.clone(),
    };
    let archiver = archiver(&config, &specs, &state, &status);
    let archiving = beside("archive", archiver.run()).map_err(NodeError::Thread)?;
    let keeper = gate_keeper(&config, &state);
    let health = Arc::new(Health {
        state: state.clone(),
        status: status.clone(),
        outbox,
        volume,
        now: config.now,
    });
    let sessions_end = CancellationToken::new();
    let serving = tokio::spawn(postgres::serve(
        state.clone(),
        config.database_id,
        sockets.clients,
        sessions_end.clone(),
    ));
    let metering = tokio::spawn(meter.run());

    let mut ended = tokio::select! {
        () = supervisor.run() => Ended::AtRest,
        () = shutdown => Ended::Told,
        metered = metering => Ended::Meter(metered.unwrap_or(Err(MeterError::Ended))),
        () = status.follow_connections(state.clone()) => Ended::Told,
        () = archiving => Ended::Told,
        () = Box::pin(keeper.run()) => Ended::Told,
        () = volume_watch.run() => Ended::Told,
        () = Box::pin(allowances.run()) => Ended::Told,
        () = measuring.follow() => Ended::Told,
        () = verify_follow(&config.instance, specs.subscribe(), &status) => Ended::Told,
        () = health_serve(health, sockets.health, sockets.metrics) => Ended::Told,
    };
    sessions_end.cancel();
    let _ = serving.await;
    if let Ended::Told = ended {
        state.serve(Serving {
            sessions: Sessions::Ended,
            ..Serving::default()
        });
        ended = Ended::Meter(meter_handle.finish().await);
    }
    farewell.say().await;
    match ended {
        Ended::AtRest | Ended::Told => Ok(()),
        Ended::Meter(result) => Ok(result?),
    }
}

fn archiver(
    config: &NodeConfig,
    specs: &watch::Sender<Option<KnownSpec>>,
    state: &Arc<NodeState>,
    status: &StatusBoard,
) -> Archiver {
    Archiver {
        instance: config.instance.clone(),
        database_id: config.database_id,
        specs: specs.subscribe(),
        state: state.clone(),
        status: status.clone(),
        now: config.now,
    }
}

fn gate_keeper(config: &NodeConfig, state: &Arc<NodeState>) -> GateKeeper {
    GateKeeper {
        instance: config.instance.clone(),
        gate: state.gate().clone(),
        serving: state.subscribe(),
    }
}

/// What ended a node.
enum Ended {
    /// The parent wanted it at rest, and it is.
    AtRest,
    /// Whoever runs the process.
    Told,
    /// Its meter: to count on without it would be to lose.
    Meter(Result<(), MeterError>),
}

struct Incarnation {
    id: IncarnationId,
    spool: Spool,
    /// Numbers of orders to the helper begin here: no two nodes count from the same.
    first_order: u64,
}

impl Incarnation {
    /// On disk before anything is counted under it.
    fn begin(config: &NodeConfig) -> Result<Self, NodeError> {
        let now = (config.now)();
        let id = IncarnationId::from_uuid(crate::clock::uuid_v7(now));
        let folder = config.instance.node();
        incarnation_begin(&folder, id, now).map_err(|source| NodeError::Incarnation {
            path: folder,
            source,
        })?;
        Ok(Self {
            id,
            spool: Spool::open(&config.instance.spool(), id)?,
            first_order: u64::from(rand::random::<u32>()) << 32,
        })
    }
}

/// Everything the node listens on, bound before it begins.
struct Sockets {
    clients: postgres::Listeners,
    health: UnixListener,
    metrics: Option<TcpListener>,
}

impl Sockets {
    async fn bind(config: &NodeConfig) -> Result<Self, NodeError> {
        let folder = config.instance.root();
        config
            .instance
            .node_folders_make()
            .map_err(|source| NodeError::Folders {
                path: folder.to_owned(),
                source,
            })?;
        Ok(Self {
            clients: postgres::Listeners {
                node: bind_unix(&config.instance.node_socket())?,
                clients: bind_tcp(config.listen).await?,
                services: services(config)?,
            },
            health: bind_unix(&config.instance.metrics_socket())?,
            metrics: bind_tcp(config.metrics).await?,
        })
    }
}

fn services(config: &NodeConfig) -> Result<Option<postgres::Services>, NodeError> {
    let Some(role) = config.service_role.clone() else {
        return Ok(None);
    };
    let listener = bind_unix(&config.instance.service_socket())?;
    Ok(Some(postgres::Services { listener, role }))
}

fn bind_unix(path: &Path) -> Result<UnixListener, NodeError> {
    postgres::socket::bind(path).map_err(|source| NodeError::Listen {
        address: path.display().to_string(),
        source,
    })
}

async fn bind_tcp(address: Option<SocketAddr>) -> Result<Option<TcpListener>, NodeError> {
    let Some(address) = address else {
        return Ok(None);
    };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(NodeError::Listen {
            address: address.to_string(),
            source,
        }),
    }
}

/// The newer of the spec that was given and the one on disk.
fn spec_begin(config: &NodeConfig) -> Result<Option<KnownSpec>, SpecError> {
    let known = |confirmed| move |spec| KnownSpec { spec, confirmed };
    let given = match &config.spec {
        Some(path) => spec_read(path, config.database_id)?.map(known(true)),
        None => None,
    };
    let on_disk = spec_read(&config.instance.spec_file(), config.database_id)?.map(known(false));
    Ok(match (given, on_disk) {
        (Some(given), Some(on_disk)) if on_disk.spec.generation > given.spec.generation => {
            Some(on_disk)
        }
        (given, on_disk) => given.or(on_disk),
    })
}

fn hello(config: &NodeConfig, incarnation_id: IncarnationId) -> NodeHello {
    NodeHello {
        stream_version: STREAM_VERSION,
        database_id: config.database_id,
        incarnation_id,
        node_version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
    }
}

/// What is left to say when a node ends.
struct Farewell {
    leaving: CancellationToken,
    parent: JoinHandle<()>,
    outbox: Arc<Outbox>,
}

impl Farewell {
    async fn say(self) {
        self.leaving.cancel();
        let limit = Duration::from_secs(FAREWELL_SECONDS);
        if timeout(limit, self.parent).await.is_err() {
            tracing::warn!("the parent did not hear the node out");
        }
        if !self.outbox.is_empty() {
            let samples = self.outbox.len();
            tracing::info!(samples, "samples stay in the spool for the next node");
        }
    }
}
