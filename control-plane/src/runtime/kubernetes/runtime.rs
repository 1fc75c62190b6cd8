//! The runtime itself.

use super::super::local::authority::{Authority, AuthorityError};
use super::super::spans::SpanBook;
use super::super::{Cleared, IfAbsent, Observation, Reports, Runtime, RuntimeError};
use super::beacon::{Beacon, Reader};
use super::cluster::Cluster;
use super::identity::Identities;
use super::link::{Link, LinkCertificate, LinkTls, LinkTlsError};
use super::mapping::{self, Site};
use super::seen::{Seen, SeenDatabase};
use super::states::States;
use crate::clock::Clock;
use crate::identity::{ServiceSigner, ServiceVerifier};
use kube::Client;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{InstanceSpec, RunState};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for the cluster's first answer: a database is not touched before it is known what
/// is there.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the link to end, and for the last spans to be stored, when the runtime leaves.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// What a runtime of a cluster is made with.
#[derive(Debug, Clone)]
pub struct KubernetesConfig {
    pub site: Site,
    /// Where the operator of the cluster is, and where it looks for the control plane's address.
    pub operator_namespace: String,
    /// Where the link listens.
    pub link_listen: SocketAddr,
    /// Where the operator reaches it, such as `https://region.example.com:8444`.
    pub link_address: String,
    pub link_certificate: LinkCertificate,
    /// Where edges in the cluster reach the control plane, such as `https://region.example.com:8445`;
    /// its certificate comes from where that of the link does.
    pub edges_address: Option<String>,
    /// Folder of the authority of nodes' certificates, and of those that edges show.
    pub authority: PathBuf,
    /// Where clients reach an edge, if there is one, which wakes what sleeps.
    pub edge_host: Option<String>,
    /// Where spans of compute are kept until they are stored.
    pub spans_file: PathBuf,
}

/// What tokens of the link are signed and checked with: the control plane shows them to itself, by
/// way of the cluster.
#[derive(Debug, Clone)]
pub struct LinkKeys {
    pub signer: ServiceSigner,
    pub verifier: ServiceVerifier,
    /// By which edges in the cluster know the tokens of the control plane's own sessions, PEM.
    pub public_key_pem: String,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the region link cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Tls(#[from] LinkTlsError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// Has the operator of one cluster run the databases of a region.
#[derive(Debug)]
pub struct KubernetesRuntime {
    cluster: Cluster,
    identities: Identities,
    has_edge: bool,
    seen: Arc<Seen>,
    states: Arc<States>,
    spans: Arc<SpanBook>,
    reports: Reports,
    link_listens: SocketAddr,
    /// Whether the operator could know that it has a control plane.
    told: watch::Receiver<bool>,
    shutdown: CancellationToken,
    serving: Mutex<Option<JoinHandle<()>>>,
    background: Vec<JoinHandle<()>>,
}

impl KubernetesRuntime {
    /// Begins to watch the cluster and to serve its operator. A cluster that is away delays its
    /// databases alone.
    pub async fn open(
        config: KubernetesConfig,
        client: Client,
        keys: LinkKeys,
        reports: Reports,
        clock: Clock,
    ) -> Result<Arc<Self>, OpenError> {
        let tls = LinkTls::open(config.link_certificate, clock.clone())?;
        let address = config.link_listen;
        let failed = |source| OpenError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let link_listens = listener.local_addr().map_err(failed)?;
        let spans = SpanBook::open(config.spans_file, clock.clone());
        let identities = Identities::open(
            &config.authority,
            &config.site.region,
            &config.site.namespace,
            clock.clone(),
        )?;
        let mut told = vec![(Reader::Operator, config.link_address)];
        if let (Some(address), Some(host)) = (config.edges_address, &config.edge_host) {
            let authority = Arc::new(Authority::open(&config.authority, clock.now())?);
            let host = host.clone();
            told.push((Reader::Edges { authority, host }, address));
        }
        let cluster = Cluster::new(client, config.site);
        let seen = Arc::new(Seen::default());
        let states = States::new(spans.clone());
        let shutdown = CancellationToken::new();
        let region = cluster.site().region.clone();
        let secrets = cluster.secrets_of(&config.operator_namespace);
        let beacons: Vec<Beacon> = told
            .into_iter()
            .map(|(to, address)| Beacon {
                secrets: secrets.clone(),
                namespace: config.operator_namespace.clone(),
                region: region.clone(),
                to,
                address,
                tls: tls.clone(),
                keys: keys.clone(),
                clock: clock.clone(),
                told: watch::Sender::new(false),
            })
            .collect();
        let told = beacons[0].told.subscribe();
        let link = Link {
            region,
            verifier: keys.verifier,
            clock,
            reports: reports.clone(),
            states: states.clone(),
            shutdown: shutdown.clone(),
        };
        let serving = tokio::spawn({
            let tls = tls.clone();
            async move {
                if let Err(error) = link.serve(listener, tls).await {
                    tracing::error!(%error, "the operator cannot reach the region link");
                }
            }
        });
        let watching = tokio::spawn({
            let (cluster, seen) = (cluster.clone(), seen.clone());
            async move { cluster.watch(&seen).await }
        });
        let mut background = vec![
            watching,
            tokio::spawn(tls.renew()),
            tokio::spawn(spans.clone().deliver(reports.clone())),
        ];
        background.extend((beacons.into_iter()).map(|beacon| tokio::spawn(beacon.keep())));
        Ok(Arc::new(Self {
            cluster,
            identities,
            has_edge: config.edge_host.is_some(),
            seen,
            states,
            spans,
            reports,
            link_listens,
            told,
            shutdown,
            serving: Mutex::new(Some(serving)),
            background,
        }))
    }

    /// Where the link listens.
    pub const fn link_listens(&self) -> SocketAddr {
        self.link_listens
    }

    /// Leaves the cluster as it is: its operator goes on, and dials the next runtime.
    pub async fn close(&self) {
        self.shutdown.cancel();
        let serving = self.serving.lock();
        let serving = serving.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(serving) = serving {
            let _ = tokio::time::timeout(CLOSE_LIMIT, serving).await;
        }
        for task in &self.background {
            task.abort();
        }
        self.spans.flush(&self.reports, FLUSH_LIMIT).await;
    }

    async fn listed(&self) -> Result<(), RuntimeError> {
        self.seen.listed(LIST_TIMEOUT).await.map_err(|error| {
            RuntimeError::Retry(format!("the cluster's API server is not reached: {error}"))
        })
    }

    /// Nothing is left of a database.
    fn forget(&self, id: DatabaseId) {
        self.seen.databases.remove(id);
        self.seen.secrets.remove(id);
        self.states.forget(id);
    }

    /// An operator that knows of no control plane would take a database for one that has none.
    async fn is_told(&self) -> Result<(), RuntimeError> {
        let mut told = self.told.clone();
        let told = told.wait_for(|told| *told);
        match tokio::time::timeout(LIST_TIMEOUT, told).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(RuntimeError::Retry(
                "the operator of the cluster could not be told yet where the control plane is"
                    .into(),
            )),
        }
    }

    /// The object that there is, if anything of this wish may be written.
    async fn found(
        &self,
        id: DatabaseId,
        run: RunState,
        if_absent: IfAbsent,
    ) -> Result<Found, RuntimeError> {
        let runs = run == RunState::Running;
        match self.seen.databases.get(id) {
            Some(found) if found.is_leaving && runs => Err(RuntimeError::Retry(
                "its LumaDatabase was deleted and is not gone yet".into(),
            )),
            Some(found) if found.is_leaving => Ok(Found::Nothing),
            Some(found) if found.is_lost && runs && if_absent == IfAbsent::GiveUp => {
                Err(RuntimeError::Gone(format!(
                    "its volume is gone from the cluster ({})",
                    id.host_label()
                )))
            }
            Some(found) => Ok(Found::There(Box::new(found))),
            None if !runs => Ok(Found::Nothing),
            None if if_absent == IfAbsent::Make => {
                self.is_told().await?;
                Ok(Found::ToMake)
            }
            None if self.cluster.database_exists(&id.host_label()).await? => Err(
                RuntimeError::Retry("its LumaDatabase is there and was not seen yet".into()),
            ),
            None => Err(RuntimeError::GiveUp(format!(
                "its LumaDatabase {} is gone from the cluster, and an empty database does not take its place: restore it into a new one",
                id.host_label()
            ))),
        }
    }
}

/// What a wish finds in the cluster.
enum Found {
    There(Box<SeenDatabase>),
    ToMake,
    /// Nothing, and nothing is to be made.
    Nothing,
}

impl Runtime for KubernetesRuntime {
    async fn apply(&self, mut spec: InstanceSpec, if_absent: IfAbsent) -> Result<(), RuntimeError> {
        let id = spec.database_id;
        // The cluster knows no sleep, only an end that cuts clients off.
        if spec.run == RunState::Asleep && self.states.has_clients(id) {
            spec.run = RunState::Running;
        }
        self.states.wish(&spec);
        self.listed().await?;
        let found = match self.found(id, spec.run, if_absent).await? {
            Found::Nothing => return Ok(()),
            Found::ToMake => None,
            Found::There(found) => Some(*found),
        };
        let name = id.host_label();
        let said = found.as_ref().and_then(|found| found.spec.as_ref());
        let wanted = mapping::database_spec(&spec, self.cluster.site(), said);
        let database = match found {
            Some(found) if found.spec.as_ref() == Some(&wanted) => found,
            found => {
                let uid = found.map(|found| found.uid);
                let applied = self.cluster.apply_database(&name, &wanted, uid.as_deref());
                let written = applied.await?;
                self.seen.databases.put(written.clone());
                written
            }
        };
        // The Secret last, since it says the generation: whoever has read that one finds the rest.
        let secret = self.seen.secrets.get(id);
        let kept = secret.as_ref().and_then(|secret| secret.identity.clone());
        let identity = self.identities.of(&spec, kept)?;
        let content = serde_json::to_string(&mapping::secret(spec, identity))
            .map_err(|error| RuntimeError::GiveUp(format!("its Secret is not written: {error}")))?;
        if secret.is_none_or(|secret| !secret.says(&content, &database.uid)) {
            let applied = self.cluster.apply_secret(&name, &content, &database.uid);
            self.seen.secrets.put(applied.await?);
        }
        Ok(())
    }

    async fn remove(&self, id: DatabaseId) -> Result<(), RuntimeError> {
        self.cluster.remove(&id.host_label(), None).await?;
        self.forget(id);
        Ok(())
    }

    /// The object goes, and one of the same name with another volume takes its place: its operator
    /// never gives a database another volume.
    async fn clear(&self, id: DatabaseId) -> Result<Cleared, RuntimeError> {
        self.listed().await?;
        let name = id.host_label();
        let found = self.cluster.database_read(&name).await?;
        let is_there = found.as_ref().is_some_and(|found| !found.is_leaving);
        if let Some(found) = &found
            && is_there
            && (!found.is_lost || self.cluster.has_volume(&name).await?)
        {
            return Ok(Cleared::Back);
        }
        let as_read = found.as_ref().filter(|_| is_there);
        self.cluster.remove(&name, as_read).await?;
        self.forget(id);
        Ok(Cleared::Gone)
    }

    async fn list(&self) -> Result<Vec<DatabaseId>, RuntimeError> {
        self.listed().await?;
        Ok(self.seen.ids())
    }

    fn wakes_on_connect(&self) -> bool {
        self.has_edge
    }

    fn observe(&self, id: DatabaseId) -> Observation {
        self.states.observe(id)
    }

    fn changes(&self) -> broadcast::Receiver<DatabaseId> {
        self.states.changes()
    }
}
