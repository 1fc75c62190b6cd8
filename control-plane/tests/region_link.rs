//! The region link as an operator meets it: over TLS, with a token, beside a real database.

use crate::support::{Person, START, TestCloud};
use hyper_util::rt::TokioIo;
use lumadb_contract::allowance::AllowanceRequest;
use lumadb_contract::cluster::{ControlMessage, LINK_VERSION, RegionMessage};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::instance::{InstancePhase, InstanceStatus, VolumeStage};
use lumadb_contract::route::NodeAddress;
use lumadb_contract::rpc::RegionLinkClient;
use lumadb_contract::usage::{UsageCounters, UsageGauges, UsageSample};
use lumadb_control_plane::identity::{ServiceSigner, ServiceVerifier};
use lumadb_control_plane::runtime::kubernetes::{
    KubernetesConfig, KubernetesRuntime, LinkCertificate, LinkKeys, Site,
};
use lumadb_control_plane::runtime::{Observation, Reports, Runtime as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

/// A region that is a cluster, of which only the link is there.
struct World {
    cloud: TestCloud,
    runtime: Arc<KubernetesRuntime>,
    keys: LinkKeys,
    folder: PathBuf,
}

impl World {
    async fn new(name: &str) -> Self {
        let cloud = TestCloud::new().await;
        let name = format!("lumadb-link-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let keys = LinkKeys {
            signer: ServiceSigner::from_pem(key.serialize_pem().as_bytes()).expect("a key"),
            verifier: ServiceVerifier::from_pem(key.public_key_pem().as_bytes()).expect("a key"),
            public_key_pem: key.public_key_pem(),
        };
        let runtime = open(&cloud, &keys, &folder).await;
        Self {
            cloud,
            runtime,
            keys,
            folder,
        }
    }

    /// The worker dies, and another takes its place.
    async fn restart(&mut self) {
        self.runtime.close().await;
        self.runtime = open(&self.cloud, &self.keys, &self.folder).await;
    }

    async fn dial(&self, token: Option<&str>) -> Result<Operator, Status> {
        let authority = std::fs::read(self.folder.join("ca.pem")).expect("an authority");
        Operator::attach(
            channel(self.runtime.link_listens(), &authority).await,
            token,
        )
        .await
    }

    /// An operator that may attach, and has said hello.
    async fn operator(&self) -> Operator {
        let token = self
            .keys
            .signer
            .region(&self.cloud.clock, "local")
            .expect("signed");
        let operator = self.dial(Some(&token)).await.expect("attached");
        let hello = RegionMessage::Hello {
            link_version: LINK_VERSION,
            operator_version: "0.1.0".into(),
        };
        operator.say(hello).await;
        operator
    }

    /// Waits until a database is observed so.
    async fn observed(&self, id: DatabaseId, is: impl Fn(&Observation) -> bool) {
        let mut changes = self.runtime.changes();
        let until = async {
            while !is(&self.runtime.observe(id)) {
                let _ = changes.recv().await;
            }
        };
        tokio::time::timeout(PATIENCE, until)
            .await
            .expect("observed in time");
    }

    async fn requests(&self, person: &Person, id: DatabaseId) -> u64 {
        let path = format!("/v1/databases/{id}/usage");
        let answer = self.cloud.get(&path).cookie(&person.cookie).send().await;
        answer.expect(200);
        answer.body["totals"]["requests"]
            .as_u64()
            .expect("a number")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn open(
    cloud: &TestCloud,
    keys: &LinkKeys,
    folder: &std::path::Path,
) -> Arc<KubernetesRuntime> {
    // Nobody listens there: what the cluster holds is another test's matter.
    let away = kube::Config::new("http://127.0.0.1:1".parse().expect("an address"));
    let config = KubernetesConfig {
        site: Site {
            region: "local".into(),
            namespace: "tenants".into(),
            storage_class: None,
            storage_gib: 10,
            storage_gib_max: 100,
        },
        operator_namespace: "system".into(),
        link_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        link_address: "https://127.0.0.1:1".into(),
        link_certificate: LinkCertificate::Issued {
            folder: folder.to_owned(),
            host: "127.0.0.1".into(),
        },
        edges_address: None,
        authority: folder.to_owned(),
        edge_host: None,
        spans_file: folder.join("spans.json"),
    };
    let client = kube::Client::try_from(away).expect("a client");
    let reports = Reports::of(cloud.platform.clone());
    KubernetesRuntime::open(config, client, keys.clone(), reports, cloud.clock.clone())
        .await
        .expect("opened")
}

async fn channel(address: SocketAddr, authority_pem: &[u8]) -> Channel {
    let mut roots = rustls::RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authority_pem) {
        roots.add(authority.expect("a certificate")).expect("added");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_details(provider, Arc::new(TestTime))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let dial = tower::service_fn(move |_: http::Uri| {
        let connector = connector.clone();
        async move {
            let socket = TcpStream::connect(address).await?;
            let name = ServerName::from(address.ip());
            Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, socket).await?))
        }
    });
    let endpoint = Endpoint::from_static("http://link");
    endpoint
        .connect_with_connector(dial)
        .await
        .expect("reached")
}

/// A certificate that the test's clock made is judged by it.
#[derive(Debug)]
struct TestTime;

impl TimeProvider for TestTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(START.unix_timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Plays the operator's end of the link.
struct Operator {
    messages: mpsc::Sender<RegionMessage>,
    answers: Streaming<ControlMessage>,
}

impl Operator {
    async fn attach(channel: Channel, token: Option<&str>) -> Result<Self, Status> {
        let (messages, outgoing) = mpsc::channel(16);
        let mut request = Request::new(ReceiverStream::new(outgoing));
        if let Some(token) = token {
            let bearer = format!("Bearer {token}").parse().expect("a header");
            request.metadata_mut().insert("authorization", bearer);
        }
        let answers = RegionLinkClient::new(channel)
            .attach(request)
            .await?
            .into_inner();
        Ok(Self { messages, answers })
    }

    async fn say(&self, message: RegionMessage) {
        self.messages.send(message).await.expect("taken");
    }

    async fn hears(&mut self) -> ControlMessage {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message());
        answer
            .await
            .expect("in time")
            .expect("open")
            .expect("an answer")
    }

    async fn samples(&self, database_id: DatabaseId, samples: Vec<UsageSample>) {
        self.say(RegionMessage::Samples {
            database_id,
            samples,
        })
        .await;
    }
}

fn incarnation(number: u128) -> IncarnationId {
    IncarnationId::from_uuid(Uuid::from_u128(number))
}

fn sample(world: &World, of: u128, sequence: u64, requests: u64) -> UsageSample {
    UsageSample {
        incarnation_id: incarnation(of),
        sequence,
        taken_at: world.cloud.clock.now(),
        counters: UsageCounters {
            requests,
            ..UsageCounters::default()
        },
        gauges: UsageGauges::default(),
        last: false,
    }
}

fn status(database_id: DatabaseId, phase: InstancePhase) -> RegionMessage {
    RegionMessage::Status {
        database_id,
        status: Box::new(InstanceStatus {
            incarnation_id: incarnation(1),
            observed_generation: 1,
            phase,
            error: None,
            engine_version: Some("18.6".into()),
            system_identifier: Some(7),
            connections: 0,
            idle_since: None,
            storage_bytes: 1,
            volume: VolumeStage::Ample,
            room: None,
            archive: None,
            restore: None,
        }),
        address: NodeAddress::Cluster {
            host: "db.tenants.svc".into(),
            port: 5432,
        },
    }
}

const fn stored(database_id: DatabaseId, of: u128, sequence: u64) -> ControlMessage {
    ControlMessage::SamplesStored {
        database_id,
        incarnation_id: IncarnationId::from_uuid(Uuid::from_u128(of)),
        sequence,
    }
}

#[tokio::test]
async fn nobody_attaches_without_a_token_of_ours_for_this_region_and_this_hour() {
    let world = World::new("token").await;
    let clock = &world.cloud.clock;
    let refused = |answer: Result<Operator, Status>| answer.err().expect("refused").code();
    assert_eq!(refused(world.dial(None).await), Code::Unauthenticated);
    assert_eq!(refused(world.dial(Some("x")).await), Code::Unauthenticated);
    let foreign = world
        .keys
        .signer
        .region(clock, "elsewhere")
        .expect("signed");
    assert_eq!(
        refused(world.dial(Some(&foreign)).await),
        Code::PermissionDenied
    );
    // What edges and the SQL editor show is none of an operator's.
    let edge = world.keys.signer.edge(clock, "local").expect("signed");
    assert_eq!(
        refused(world.dial(Some(&edge)).await),
        Code::Unauthenticated
    );
    let stranger = world
        .cloud
        .edge_signer
        .region(clock, "local")
        .expect("signed");
    assert_eq!(
        refused(world.dial(Some(&stranger)).await),
        Code::Unauthenticated
    );
    let good = world.keys.signer.region(clock, "local").expect("signed");
    assert!(world.dial(Some(&good)).await.is_ok());
    clock.advance(time::Duration::minutes(61));
    assert_eq!(
        refused(world.dial(Some(&good)).await),
        Code::Unauthenticated
    );
}

#[tokio::test]
async fn samples_count_once_though_sent_twice_and_after_the_worker_was_replaced() {
    let mut world = World::new("once").await;
    let ada = world.cloud.person("ada@example.com").await;
    let (id, _) = world.cloud.created(&ada, "a").await;
    let batch = vec![sample(&world, 1, 1, 10), sample(&world, 1, 2, 25)];
    let mut operator = world.operator().await;
    operator.samples(id, batch.clone()).await;
    assert_eq!(operator.hears().await, stored(id, 1, 2));
    operator.samples(id, batch.clone()).await;
    assert_eq!(operator.hears().await, stored(id, 1, 2));
    drop(operator);
    world.restart().await;
    let mut operator = world.operator().await;
    operator.samples(id, batch).await;
    assert_eq!(operator.hears().await, stored(id, 1, 2));
    operator.samples(id, vec![sample(&world, 1, 3, 30)]).await;
    assert_eq!(operator.hears().await, stored(id, 1, 3));
    assert_eq!(world.requests(&ada, id).await, 30);
}

#[tokio::test]
async fn what_is_said_of_another_regions_database_is_not_heard() {
    let world = World::new("foreign").await;
    let ada = world.cloud.person("ada@example.com").await;
    let (ours, _) = world.cloud.created(&ada, "ours").await;
    let (theirs, _) = world.cloud.created(&ada, "theirs").await;
    for statement in [
        "insert into regions (name, display_name, host, port) values ('elsewhere', 'x', 'x', 1)",
        "update databases set region = 'elsewhere' where name = 'theirs'",
    ] {
        let done = sqlx::query(statement).execute(&world.cloud.admin).await;
        done.expect("executed");
    }
    let mut operator = world.operator().await;
    operator
        .samples(theirs, vec![sample(&world, 1, 1, 1000)])
        .await;
    let question = AllowanceRequest {
        number: 1,
        incarnation_id: incarnation(1),
        meters: Vec::new(),
        storage_bytes: None,
    };
    let asks = |database_id| RegionMessage::Allowance {
        database_id,
        request: question.clone(),
    };
    operator.say(asks(theirs)).await;
    operator.say(status(theirs, InstancePhase::Ready)).await;
    let nobody = DatabaseId::from_uuid(Uuid::from_u128(9));
    operator
        .samples(nobody, vec![sample(&world, 2, 1, 1)])
        .await;
    // A sample of ours with an incarnation of theirs is one of ours: nothing of theirs is there.
    operator.samples(ours, vec![sample(&world, 3, 1, 5)]).await;
    assert_eq!(
        operator.hears().await,
        stored(ours, 3, 1),
        "the first answer"
    );
    operator.say(asks(ours)).await;
    let answer = operator.hears().await;
    assert!(
        matches!(&answer, ControlMessage::Allowance { database_id, allowance }
            if *database_id == ours && allowance.number == 1),
        "{answer:?}"
    );
    operator.say(status(ours, InstancePhase::Ready)).await;
    let is_attached = |seen: &Observation| matches!(seen, Observation::Attached { .. });
    world.observed(ours, is_attached).await;
    assert_eq!(world.runtime.observe(theirs), Observation::Unknown);
    assert_eq!(world.requests(&ada, theirs).await, 0);
    assert_eq!(world.requests(&ada, ours).await, 5);
}

#[tokio::test]
async fn a_stream_that_ends_leaves_its_databases_unknown_and_not_absent() {
    let world = World::new("ends").await;
    let ada = world.cloud.person("ada@example.com").await;
    let (id, _) = world.cloud.created(&ada, "a").await;
    let operator = world.operator().await;
    operator.say(status(id, InstancePhase::Ready)).await;
    operator.say(RegionMessage::Complete).await;
    let is_attached = |seen: &Observation| matches!(seen, Observation::Attached { .. });
    world.observed(id, is_attached).await;
    drop(operator);
    world
        .observed(id, |seen| *seen == Observation::Unknown)
        .await;
    let operator = world.operator().await;
    operator.say(RegionMessage::Complete).await;
    world
        .observed(id, |seen| *seen == Observation::Absent)
        .await;
    // The newest stream is the one that counts.
    let newer = world.operator().await;
    newer.say(status(id, InstancePhase::Starting)).await;
    world.observed(id, is_attached).await;
    let mut operator = operator;
    let ended = operator.answers.message().await.expect_err("ended");
    assert_eq!(ended.code(), Code::Aborted);
}
