//! Databases' nodes, played: each shows the token of its pod, dials the operator and says how it is, as
//! `data-plane/src/agent` does. There is no engine behind it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use lumadb_contract::enrollment::{EnrollmentRequest, TOKEN_AUDIENCE};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::instance::{Generation, InstancePhase, InstanceStatus, VolumeStage};
use lumadb_contract::rpc::{NodeEnrollmentClient, NodeParentClient};
use lumadb_contract::secret::Secret;
use lumadb_contract::stream::{NodeHello, NodeMessage, ParentMessage, STREAM_VERSION};
use lumadb_e2e::Outcome;
use lumadb_e2e::kubernetes::install::LIMIT;
use lumadb_e2e::kubernetes::token::pod_token;
use lumadb_e2e::wait::until;
use rcgen::KeyPair;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

/// How the operator's certificate calls it.
const HOST: &str = "localhost";

/// Nodes that dial at once.
const AT_ONCE: usize = 16;

/// A node tells its state so often, as a real one does.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Before a node that was cut off dials again.
const REDIAL: Duration = Duration::from_secs(1);

/// Plays the node of every pod of a namespace. All of them end with this value.
pub(super) struct Nodes {
    connected: watch::Receiver<usize>,
    last_error: watch::Receiver<String>,
    _playing: JoinSet<()>,
}

struct Place {
    client: Client,
    port: u16,
    authorities: Arc<RootCertStore>,
    dialing: Semaphore,
    /// How many have heard what they shall do.
    connected: watch::Sender<usize>,
    /// Why a stream ended, or did not begin.
    last_error: watch::Sender<String>,
}

impl Nodes {
    /// Begins, for an operator whose nodes dial a port of this machine.
    pub(super) fn start(client: &Client, namespace: &str, port: u16) -> Self {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let (client, namespace) = (client.clone(), namespace.to_owned());
        let (counting, connected) = watch::channel(0);
        let (telling, last_error) = watch::channel(String::new());
        let mut playing = JoinSet::new();
        playing.spawn(async move {
            // It is there with the first database.
            let authority = until("the authority of nodes", LIMIT * 10, || async {
                let map = maps.get_opt("lumadb-operator-ca").await?;
                Ok(map.and_then(|map| map.data?.remove("ca.crt")))
            })
            .await;
            let Ok(authority) = authority else { return };
            let mut authorities = RootCertStore::empty();
            let found = CertificateDer::pem_slice_iter(authority.as_bytes());
            authorities.add_parsable_certificates(found.filter_map(Result::ok));
            let pods = Api::namespaced(client.clone(), &namespace);
            let place = Place {
                client,
                port,
                authorities: Arc::new(authorities),
                dialing: Semaphore::new(AT_ONCE),
                connected: counting,
                last_error: telling,
            };
            follow(pods, Arc::new(place)).await;
        });
        Self {
            connected,
            last_error,
            _playing: playing,
        }
    }

    /// Waits until so many nodes have heard what they shall do.
    pub(super) async fn are_connected(&self, count: usize) -> Outcome<()> {
        let mut connected = self.connected.clone();
        let all = connected.wait_for(|connected| *connected >= count);
        if let Ok(known) = tokio::time::timeout(LIMIT * 10, all).await {
            return Ok(known.map(|_| ())?);
        }
        let (connected, error) = (*self.connected.borrow(), self.last_error.borrow());
        Err(format!("{connected} of {count} nodes are connected; {}", *error).into())
    }
}

/// Plays the node of every pod that there is, each once.
async fn follow(pods: Api<Pod>, place: Arc<Place>) {
    let mut known = HashSet::new();
    let mut playing = JoinSet::new();
    let seen = watcher(pods, watcher::Config::default()).default_backoff();
    let mut seen = seen.applied_objects().boxed();
    while let Some(pod) = seen.next().await {
        let Ok(pod) = pod else { continue };
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        if phase == Some("Running") && known.insert(pod.uid()) {
            let place = place.clone();
            playing.spawn(async move { play(&place, &pod).await });
        }
    }
}

async fn play(place: &Place, pod: &Pod) {
    loop {
        if let Err(error) = live(place, pod).await {
            let error = format!("{}: {error}", pod.name_any());
            place.last_error.send_replace(error);
        }
        tokio::time::sleep(REDIAL).await;
    }
}

/// One stream.
async fn live(place: &Place, pod: &Pod) -> Outcome<()> {
    let name = pod.name_any();
    let label = name.rsplit_once('-').map_or(name.as_str(), |(of, _)| of);
    let database_id = DatabaseId::parse_label(label)?;
    let incarnation_id = IncarnationId::from_uuid(uuid::Uuid::new_v4());
    let permit = place.dialing.acquire().await?;
    let channel = certified(place, pod, database_id, incarnation_id).await?;
    let (sender, receiver) = mpsc::channel(4);
    let hello = NodeHello {
        stream_version: STREAM_VERSION,
        database_id,
        incarnation_id,
        node_version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
    };
    sender.send(NodeMessage::Hello(hello)).await?;
    sender.send(status(incarnation_id, 0)).await?;
    let mut parent = NodeParentClient::new(channel);
    let attached = parent.attach(ReceiverStream::new(receiver)).await?;
    let mut heard = attached.into_inner();
    drop(permit);
    let mut generation = None;
    let mut due = tokio::time::interval(STATUS_EVERY);
    loop {
        tokio::select! {
            message = heard.message() => match message? {
                Some(ParentMessage::Spec(spec)) => {
                    if generation.replace(spec.generation).is_none() {
                        place.connected.send_modify(|count| *count += 1);
                    }
                }
                Some(_) => continue,
                None => break,
            },
            _ = due.tick() => {}
        }
        if let Some(generation) = generation {
            sender.send(status(incarnation_id, generation)).await?;
        }
    }
    if generation.is_some() {
        place.connected.send_modify(|count| *count -= 1);
    }
    Err("the operator ended the stream".into())
}

/// A connection by a certificate that the operator gives for the pod's token.
async fn certified(
    place: &Place,
    pod: &Pod,
    database_id: DatabaseId,
    incarnation_id: IncarnationId,
) -> Outcome<Channel> {
    let token = pod_token(&place.client, pod, TOKEN_AUDIENCE).await?;
    let key = KeyPair::generate()?;
    let request = EnrollmentRequest {
        database_id,
        incarnation_id,
        token: Secret::new(token),
        public_key: STANDARD.encode(key.public_key_raw()),
    };
    let channel = connect(place, None).await?;
    let answer = NodeEnrollmentClient::new(channel).enroll(request).await?;
    let certificate = answer.into_inner().certificate_pem;
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    connect(place, Some((certificate, PrivateKeyDer::Pkcs8(key)))).await
}

async fn connect(
    place: &Place,
    identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> Outcome<Channel> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(place.authorities.clone());
    let mut config = match identity {
        Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key)?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (connector, port) = (TlsConnector::from(Arc::new(config)), place.port);
    let dial = tower::service_fn(move |_: http::Uri| {
        let connector = connector.clone();
        async move {
            let socket = TcpStream::connect((HOST, port)).await?;
            let name = ServerName::try_from(HOST).map_err(std::io::Error::other)?;
            connector.connect(name, socket).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_static("http://operator");
    Ok(endpoint.connect_with_connector(dial).await?)
}

fn status(incarnation_id: IncarnationId, observed_generation: Generation) -> NodeMessage {
    NodeMessage::Status(Box::new(InstanceStatus {
        incarnation_id,
        observed_generation,
        phase: InstancePhase::Ready,
        error: None,
        engine_version: Some("18.6".into()),
        system_identifier: Some(7_000_000_000_000_000_007),
        connections: 0,
        idle_since: None,
        storage_bytes: 8 * 1024 * 1024,
        volume: VolumeStage::Ample,
        room: None,
        archive: None,
        restore: None,
    }))
}
