//! Plays the operator of a cluster: says that what is asked is so, and hands in what is counted.

use super::{NAMESPACE, SYSTEM};
use crate::operator::databases;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt as _};
use lumadb_contract::cluster::{
    ControlMessage, INSTANCE_SECRET_KEY, InstanceSecret, LINK_SECRET, LINK_VERSION, RegionMessage,
    link_secret,
};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::instance::{InstancePhase, InstanceStatus, VolumeStage};
use lumadb_contract::route::NodeAddress;
use lumadb_contract::rpc::RegionLinkClient;
use lumadb_e2e::{Failure, Outcome};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use uuid::Uuid;

/// How often it looks at the cluster, which a real one watches.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Both ends of a stream.
type Ends = (mpsc::Sender<RegionMessage>, Streaming<ControlMessage>);

/// What the link's Secret says.
pub(super) struct Beacon {
    pub(super) address: String,
    pub(super) authority: String,
    pub(super) token: String,
}

impl Beacon {
    pub(super) async fn read(client: &Client) -> Outcome<Option<Self>> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
        let Some(secret) = secrets.get_opt(LINK_SECRET).await? else {
            return Ok(None);
        };
        let data = secret.data.unwrap_or_default();
        let text = |key: &str| -> Outcome<String> {
            let value = data.get(key).ok_or_else(|| format!("no {key}"))?;
            Ok(String::from_utf8(value.0.clone())?)
        };
        Ok(Some(Self {
            address: text(link_secret::ADDRESS)?,
            authority: text(link_secret::AUTHORITY)?,
            token: text(link_secret::TOKEN)?,
        }))
    }

    /// Opens the link with this token; the outer error is no connection, the inner a refusal.
    pub(super) async fn attach(&self, token: &str) -> Outcome<Result<Ends, Status>> {
        let (messages, outgoing) = mpsc::channel(64);
        let mut request = Request::new(ReceiverStream::new(outgoing));
        let bearer = format!("Bearer {token}").parse()?;
        request.metadata_mut().insert("authorization", bearer);
        let mut client = RegionLinkClient::new(self.dial().await?);
        let attached = client.attach(request).await;
        Ok(attached.map(|answer| (messages, answer.into_inner())))
    }

    async fn dial(&self) -> Outcome<Channel> {
        let mut roots = rustls::RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(self.authority.as_bytes()) {
            roots.add(authority?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let address: http::Uri = self.address.parse()?;
        let host = address.host().ok_or("no host")?.to_owned();
        let port = address.port_u16().ok_or("no port")?;
        let dial = tower::service_fn(move |_: http::Uri| {
            let (connector, host) = (connector.clone(), host.clone());
            async move {
                let socket = TcpStream::connect((host.as_str(), port)).await?;
                let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
                Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, socket).await?))
            }
        });
        Ok(Endpoint::from_static("http://link")
            .connect_with_connector(dial)
            .await?)
    }
}

#[derive(Default)]
struct Shared {
    /// Of the stream that is open.
    messages: Option<mpsc::Sender<RegionMessage>>,
    heard: Vec<ControlMessage>,
    streams: usize,
}

/// The operator's stand-in. It dials again whenever the link breaks; dropping it ends it.
pub(super) struct StandIn {
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

impl StandIn {
    pub(super) fn start(client: Client) -> Self {
        let shared = Arc::<Mutex<Shared>>::default();
        let task = tokio::spawn({
            let shared = shared.clone();
            async move {
                loop {
                    // However it ended: a link that breaks is dialed again.
                    let _ = stream(&client, &shared).await;
                    if let Ok(mut shared) = shared.lock() {
                        shared.messages = None;
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        });
        Self { shared, task }
    }

    /// Says it on the stream that is open, if one is.
    pub(super) async fn say(&self, message: RegionMessage) -> Outcome<()> {
        let messages = self.shared.lock().map_err(|_| "poisoned")?.messages.clone();
        let messages = messages.ok_or("no stream is open")?;
        Ok(messages.send(message).await?)
    }

    /// Everything that the control plane said.
    pub(super) fn heard(&self) -> Vec<ControlMessage> {
        self.shared
            .lock()
            .map(|shared| shared.heard.clone())
            .unwrap_or_default()
    }

    /// How often the control plane took a stream.
    pub(super) fn streams(&self) -> usize {
        self.shared
            .lock()
            .map(|shared| shared.streams)
            .unwrap_or_default()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn stream(client: &Client, shared: &Mutex<Shared>) -> Outcome<()> {
    let beacon = Beacon::read(client).await?.ok_or("no control plane yet")?;
    let (messages, mut answers) = beacon.attach(&beacon.token).await??;
    let hello = RegionMessage::Hello {
        link_version: LINK_VERSION,
        operator_version: "0.1.0".into(),
    };
    messages.send(hello).await?;
    let mut told = HashMap::new();
    tell(client, &messages, &mut told).await?;
    messages.send(RegionMessage::Complete).await?;
    if let Ok(mut shared) = shared.lock() {
        shared.messages = Some(messages.clone());
        shared.streams += 1;
    }
    let telling = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if messages.is_closed() {
                return Ok::<(), Failure>(());
            }
            tell(client, &messages, &mut told).await?;
        }
    };
    let hearing = async {
        while let Some(answer) = answers.message().await? {
            if let Ok(mut shared) = shared.lock() {
                shared.heard.push(answer);
            }
        }
        Ok::<(), Failure>(())
    };
    tokio::select! {
        told = telling => told,
        heard = hearing => heard,
    }
}

/// Says of each database what changed since it was told last.
async fn tell(
    client: &Client,
    messages: &mpsc::Sender<RegionMessage>,
    told: &mut HashMap<DatabaseId, RegionMessage>,
) -> Outcome<()> {
    let all = ListParams::default();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let secrets: BTreeMap<String, Secret> = secrets
        .list(&all)
        .await?
        .into_iter()
        .map(|secret| (secret.name_any(), secret))
        .collect();
    for database in databases(client, NAMESPACE).list(&all).await? {
        let Some(secret) = secrets.get(&database.name_any()) else {
            continue;
        };
        let state = state(&database, secret)?;
        let id = DatabaseId::parse_label(&database.name_any())?;
        if told.get(&id) != Some(&state) {
            messages.send(state.clone()).await?;
            told.insert(id, state);
        }
    }
    Ok(())
}

/// Whatever is asked of a database is so.
fn state(database: &DynamicObject, secret: &Secret) -> Outcome<RegionMessage> {
    let name = database.name_any();
    let database_id = DatabaseId::parse_label(&name)?;
    if database.data["spec"]["suspend"] == true {
        return Ok(RegionMessage::Absent { database_id });
    }
    let wish = instance_secret(secret)?;
    Ok(RegionMessage::Status {
        database_id,
        status: Box::new(InstanceStatus {
            incarnation_id: incarnation(database_id),
            observed_generation: wish.generation,
            phase: InstancePhase::Ready,
            error: None,
            engine_version: Some("18.6".into()),
            system_identifier: Some(7_000_000_000_000_000_007),
            connections: 0,
            idle_since: None,
            storage_bytes: 1000,
            volume: VolumeStage::Ample,
            room: None,
            archive: None,
            restore: None,
        }),
        address: NodeAddress::Cluster {
            host: format!("{name}.{NAMESPACE}.svc"),
            port: 5432,
        },
    })
}

pub(super) fn instance_secret(secret: &Secret) -> Outcome<InstanceSecret> {
    let data = secret.data.as_ref().ok_or("an empty Secret")?;
    let content = data.get(INSTANCE_SECRET_KEY).ok_or("no content")?;
    Ok(serde_json::from_slice(&content.0)?)
}

/// The one incarnation that a database has here.
pub(super) fn incarnation(database: DatabaseId) -> IncarnationId {
    IncarnationId::from_uuid(Uuid::from_u128(database.uuid().as_u128() ^ 1))
}
