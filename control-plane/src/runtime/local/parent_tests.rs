//! The parent's end of the stream, spoken to over a real socket.

use super::parent::{NodeUser, Parent, SampleSink, parent_listen, parent_serve};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::instance::{Compute, InstancePhase, InstanceSpec, InstanceStatus, RunState};
use lumadb_contract::network::AllowedNetworks;
use lumadb_contract::rpc::NodeParentClient;
use lumadb_contract::stream::{NodeHello, NodeMessage, ParentMessage, STREAM_VERSION};
use lumadb_contract::usage::UsageSample;
use std::path::PathBuf;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

struct Stream {
    messages: mpsc::Sender<NodeMessage>,
    answers: Streaming<ParentMessage>,
}

struct Served {
    parent: Parent,
    socket: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    fn start(name: &str) -> Self {
        let name = format!("lumadb-parent-{name}-{}.sock", std::process::id());
        let socket = std::env::temp_dir().join(name);
        let listener = parent_listen(&socket).expect("a socket");
        let parent = Parent::new(SampleSink::Discard);
        let serving = parent.clone();
        let task =
            tokio::spawn(async move { parent_serve(serving, listener).await.expect("served") });
        Self {
            parent,
            socket,
            task,
        }
    }

    async fn attach(&self, database_id: DatabaseId) -> Stream {
        let address = format!("unix://{}", self.socket.display());
        let mut client = NodeParentClient::connect(address).await.expect("reached");
        let (messages, outgoing) = mpsc::channel(8);
        let hello = NodeHello {
            stream_version: STREAM_VERSION,
            database_id,
            incarnation_id: incarnation(),
            node_version: "0.1.0".into(),
            pid: 1,
        };
        messages
            .send(NodeMessage::Hello(hello))
            .await
            .expect("sent");
        let answers = client.attach(ReceiverStream::new(outgoing)).await;
        Stream {
            messages,
            answers: answers.expect("a stream").into_inner(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Stream {
    async fn next(&mut self) -> Result<Option<ParentMessage>, Status> {
        self.answers.message().await
    }
}

fn database() -> DatabaseId {
    DatabaseId::from_uuid(uuid::Uuid::from_u128(1))
}

fn incarnation() -> IncarnationId {
    IncarnationId::from_uuid(uuid::Uuid::from_u128(2))
}

fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn spec(generation: u64) -> Arc<InstanceSpec> {
    Arc::new(InstanceSpec {
        database_id: database(),
        serves_database_id: None,
        generation,
        engine_version: 18,
        run: RunState::Running,
        compute: Compute {
            milli_vcpu: 250,
            memory_mib: 1024,
        },
        connections_max: 10,
        route_number: 1,
        roles: Vec::new(),
        logical_databases: Vec::new(),
        allowed_networks: AllowedNetworks::default(),
        tls: None,
        edges: None,
        archive: None,
        restore: None,
    })
}

#[tokio::test]
async fn a_node_gets_the_spec_after_each_hello_and_at_each_change() {
    let served = Served::start("spec");
    let expected = served.parent.expect(database(), NodeUser(Some(own_user())));
    expected.push(spec(1));
    let mut first = served.attach(database()).await;
    let told = first.next().await.expect("open");
    assert_eq!(
        told,
        Some(ParentMessage::Spec(Box::new((*spec(1)).clone())))
    );
    expected.push(spec(2));
    let told = first.next().await.expect("open");
    assert_eq!(
        told,
        Some(ParentMessage::Spec(Box::new((*spec(2)).clone())))
    );
    let mut again = served.attach(database()).await;
    let told = again.next().await.expect("open");
    assert_eq!(
        told,
        Some(ParentMessage::Spec(Box::new((*spec(2)).clone())))
    );
    assert_eq!(first.next().await.expect("ended"), None, "superseded");
}

#[tokio::test]
async fn a_state_is_seen_while_the_stream_is_open() {
    let served = Served::start("state");
    let expected = served.parent.expect(database(), NodeUser(None));
    let stream = served.attach(database()).await;
    let status = InstanceStatus {
        incarnation_id: incarnation(),
        observed_generation: 1,
        phase: InstancePhase::Ready,
        error: None,
        engine_version: None,
        system_identifier: None,
        connections: 0,
        idle_since: None,
        storage_bytes: 0,
        volume: lumadb_contract::instance::VolumeStage::Ample,
        room: None,
        archive: None,
        restore: None,
    };
    let message = NodeMessage::Status(Box::new(status.clone()));
    stream.messages.send(message).await.expect("sent");
    let mut seen = expected.seen();
    let found = seen.wait_for(|seen| seen.status.is_some()).await;
    assert_eq!(found.expect("seen").status.as_ref(), Some(&status));
    drop(stream);
    let gone = seen.wait_for(|seen| seen.stream.is_none()).await;
    assert!(gone.is_ok());
}

#[tokio::test]
async fn samples_are_acknowledged_up_to_the_last() {
    let served = Served::start("samples");
    served.parent.expect(database(), NodeUser(None));
    let mut stream = served.attach(database()).await;
    let sample = |sequence| UsageSample {
        incarnation_id: incarnation(),
        sequence,
        taken_at: OffsetDateTime::UNIX_EPOCH,
        counters: lumadb_contract::usage::UsageCounters::default(),
        gauges: lumadb_contract::usage::UsageGauges::default(),
        last: false,
    };
    let batch = NodeMessage::Samples(vec![sample(1), sample(2)]);
    stream.messages.send(batch).await.expect("sent");
    let stored = ParentMessage::SamplesStored {
        incarnation_id: incarnation(),
        sequence: 2,
    };
    assert_eq!(stream.next().await.expect("open"), Some(stored));
}

#[tokio::test]
async fn a_node_of_another_user_or_of_no_database_is_refused() {
    let served = Served::start("refused");
    served
        .parent
        .expect(database(), NodeUser(Some(own_user() + 1)));
    let mut stranger = served.attach(database()).await;
    let refused = stranger.next().await.expect_err("refused");
    assert_eq!(refused.code(), Code::PermissionDenied);
    let nobody = DatabaseId::from_uuid(uuid::Uuid::from_u128(9));
    let mut unknown = served.attach(nobody).await;
    let refused = unknown.next().await.expect_err("refused");
    assert_eq!(refused.code(), Code::NotFound);
}
