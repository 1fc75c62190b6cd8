//! The conversation over a connection in memory, with an intake that stores when it is let.

use super::{Identity, Intake, Parent, Refused, Stored};
use futures::stream;
use hyper_util::rt::TokioIo;
use lumadb_contract::allowance::{Allowance, AllowanceRequest};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::instance::{InstancePhase, InstanceStatus, VolumeStage};
use lumadb_contract::rpc::{NodeParentClient, NodeParentServer};
use lumadb_contract::stream::{NodeHello, NodeMessage, ParentMessage, STREAM_VERSION};
use lumadb_contract::usage::{BATCH_SAMPLES_MAX, UsageCounters, UsageGauges, UsageSample};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::io::DuplexStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Extensions, Streaming};
use uuid::Uuid;

/// Believes whoever says the right incarnation.
#[derive(Debug)]
struct Incarnation {
    id: IncarnationId,
    lifetime: Option<Duration>,
}

impl Identity for Incarnation {
    type Shown = ();

    fn shown(_: &Extensions) {}

    fn admit(&self, (): &(), hello: &NodeHello) -> Result<(), &'static str> {
        if hello.incarnation_id == self.id {
            Ok(())
        } else {
            Err("another incarnation")
        }
    }

    fn stream_lifetime(&self) -> Option<Duration> {
        self.lifetime
    }
}

/// Takes one batch at a time.
#[derive(Debug, Clone)]
struct Gated {
    /// One for each batch that may be stored.
    permits: Arc<Semaphore>,
    stored: Arc<Mutex<Vec<u64>>>,
}

impl Intake for Gated {
    async fn store(
        &self,
        _database: DatabaseId,
        samples: &[UsageSample],
    ) -> Result<Stored, Refused> {
        let permit = self.permits.acquire().await.expect("open");
        permit.forget();
        let sequences = samples.iter().map(|sample| sample.sequence);
        self.stored.lock().expect("whole").extend(sequences);
        let last = samples.last().expect("a sample");
        Ok(vec![(last.incarnation_id, last.sequence)])
    }

    async fn allowance(&self, _: DatabaseId, _: &AllowanceRequest) -> Option<Allowance> {
        None
    }
}

/// Takes several batches at once, and none in which this sequence is.
#[derive(Debug)]
struct Together {
    gated: Gated,
    refused: u64,
}

impl Intake for Together {
    const SAMPLES_AT_ONCE_MAX: usize = 4 * BATCH_SAMPLES_MAX;

    async fn store(
        &self,
        database: DatabaseId,
        samples: &[UsageSample],
    ) -> Result<Stored, Refused> {
        if samples.iter().any(|sample| sample.sequence == self.refused) {
            return Err(Refused);
        }
        self.gated.store(database, samples).await
    }

    async fn allowance(&self, _: DatabaseId, _: &AllowanceRequest) -> Option<Allowance> {
        None
    }
}

fn database() -> DatabaseId {
    DatabaseId::from_uuid(Uuid::from_u128(1))
}

fn incarnation() -> IncarnationId {
    IncarnationId::from_uuid(Uuid::from_u128(2))
}

fn known(lifetime: Option<Duration>) -> Incarnation {
    Incarnation {
        id: incarnation(),
        lifetime,
    }
}

struct Node {
    messages: mpsc::Sender<NodeMessage>,
    answers: Streaming<ParentMessage>,
}

async fn attach<S: Intake>(parent: &Parent<Incarnation, S>, incarnation_id: IncarnationId) -> Node {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let service = NodeParentServer::new(parent.clone());
    let incoming = stream::iter([Ok::<_, std::io::Error>(server)]);
    tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    let mut client = Some(client);
    let dial = tower::service_fn(move |_: http::Uri| {
        let client: Option<DuplexStream> = client.take();
        async move {
            client
                .map(TokioIo::new)
                .ok_or_else(|| std::io::Error::other("dialed twice"))
        }
    });
    let channel = Endpoint::from_static("http://parent")
        .connect_with_connector(dial)
        .await
        .expect("connected");
    let (messages, outgoing) = mpsc::channel(64);
    let hello = NodeHello {
        stream_version: STREAM_VERSION,
        database_id: database(),
        incarnation_id,
        node_version: "0.1.0".into(),
        pid: 1,
    };
    messages
        .send(NodeMessage::Hello(hello))
        .await
        .expect("sent");
    let answers = NodeParentClient::new(channel)
        .attach(ReceiverStream::new(outgoing))
        .await
        .expect("a stream");
    Node {
        messages,
        answers: answers.into_inner(),
    }
}

fn batch(sequences: impl IntoIterator<Item = u64>) -> NodeMessage {
    let sample = |sequence| UsageSample {
        incarnation_id: incarnation(),
        sequence,
        taken_at: OffsetDateTime::UNIX_EPOCH,
        counters: UsageCounters::default(),
        gauges: UsageGauges::default(),
        last: false,
    };
    NodeMessage::Samples(sequences.into_iter().map(sample).collect())
}

fn status() -> InstanceStatus {
    InstanceStatus {
        incarnation_id: incarnation(),
        observed_generation: 1,
        phase: InstancePhase::Ready,
        error: None,
        engine_version: None,
        system_identifier: None,
        connections: 0,
        idle_since: None,
        storage_bytes: 0,
        volume: VolumeStage::Ample,
        room: None,
        archive: None,
        restore: None,
    }
}

fn gated() -> Gated {
    Gated {
        permits: Arc::new(Semaphore::new(0)),
        stored: Arc::default(),
    }
}

#[tokio::test]
async fn samples_that_find_no_place_stay_with_the_node_and_hold_up_nothing() {
    let intake = gated();
    let parent = Parent::new(intake.clone());
    let expected = parent.expect(database(), known(None));
    let mut node = attach(&parent, incarnation()).await;
    for sequence in 1..=20 {
        node.messages.send(batch([sequence])).await.expect("sent");
    }
    let told = NodeMessage::Status(Box::new(status()));
    node.messages.send(told).await.expect("sent");
    let mut seen = expected.seen();
    seen.wait_for(|seen| seen.status.is_some())
        .await
        .expect("the state is seen, though samples wait");

    intake.permits.add_permits(100);
    let mut acknowledged = 0;
    while let Some(message) = node.answers.message().await.expect("in order") {
        let ParentMessage::SamplesStored { sequence, .. } = message else {
            continue;
        };
        assert_eq!(sequence, acknowledged + 1);
        acknowledged = sequence;
    }
    assert!((1..20).contains(&acknowledged), "{acknowledged}");

    // The stream ended: the node sends again what is left, and nothing is missing or stored twice.
    let mut node = attach(&parent, incarnation()).await;
    for sequence in acknowledged + 1..=20 {
        node.messages.send(batch([sequence])).await.expect("sent");
    }
    drop(node.messages);
    while node.answers.message().await.expect("in order").is_some() {}
    let stored = intake.stored.lock().expect("whole").clone();
    assert_eq!(stored, (1..=20).collect::<Vec<_>>());
}

/// What waits goes together; what is refused in it holds up only what comes after.
#[tokio::test]
async fn batches_that_wait_are_stored_together_up_to_one_that_is_refused() {
    let gated = gated();
    let full = BATCH_SAMPLES_MAX as u64;
    let parent = Parent::new(Together {
        gated: gated.clone(),
        refused: 7 * full + 1,
    });
    let expected = parent.expect(database(), known(None));
    let mut node = attach(&parent, incarnation()).await;
    for first in (0..8).map(|index| index * full + 1) {
        let sequences = first..first + full;
        node.messages.send(batch(sequences)).await.expect("sent");
    }
    // All have come once what follows them was heard.
    let told = NodeMessage::Status(Box::new(status()));
    node.messages.send(told).await.expect("sent");
    let mut seen = expected.seen();
    let heard = seen.wait_for(|seen| seen.status.is_some()).await;
    assert!(heard.is_ok());
    let mut acknowledged = Vec::new();
    gated.permits.add_permits(100);
    while acknowledged.last() != Some(&(7 * full)) {
        let message = node.answers.message().await.expect("in order");
        if let Some(ParentMessage::SamplesStored { sequence, .. }) = message {
            acknowledged.push(sequence);
        }
    }
    // How many were there at the first look is chance; seven answers would be one for each.
    assert!(acknowledged.len() <= 5, "{acknowledged:?}");
    assert!(acknowledged.is_sorted());
    let stored = gated.stored.lock().expect("whole").clone();
    assert_eq!(stored, (1..=7 * full).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_ends_with_what_was_shown_for_it() {
    let parent = Parent::new(gated());
    let expected = parent.expect(database(), known(Some(Duration::from_millis(50))));
    let mut node = attach(&parent, incarnation()).await;
    assert_eq!(node.answers.message().await.expect("in order"), None);
    let mut seen = expected.seen();
    let ended = seen.wait_for(|seen| seen.stream.is_none()).await;
    assert!(ended.is_ok());
}

#[tokio::test]
async fn whoever_is_not_believed_hears_why() {
    let parent = Parent::new(gated());
    parent.expect(database(), known(None));
    let other = IncarnationId::from_uuid(Uuid::from_u128(3));
    let mut node = attach(&parent, other).await;
    let refused = node.answers.message().await.expect_err("refused");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(refused.message(), "another incarnation");
}
