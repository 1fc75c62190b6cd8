//! The parent's end of the stream with nodes: specs go out, states and samples come in.

use super::super::Reports;
use lumadb_contract::allowance::{Allowance, AllowanceRequest};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::instance::{InstanceSpec, InstanceStatus};
use lumadb_contract::rpc::{NodeParent, NodeParentServer};
use lumadb_contract::stream::{NodeHello, NodeMessage, ParentMessage, STREAM_VERSION};
use lumadb_contract::usage::{BATCH_SAMPLES_MAX, UsageSample};
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status, Streaming};

/// Batches of samples that wait to be stored, for each node; a node that is ahead waits.
const BATCHES_WAITING_MAX: usize = 8;

/// Wait before a batch that could not be stored is tried again; doubles up to the second.
const STORE_RETRY_FIRST: Duration = Duration::from_millis(200);
const STORE_RETRY_MAX: Duration = Duration::from_secs(5);

/// Longest wait for the first message of a stream.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Where samples go.
#[derive(Debug, Clone)]
pub enum SampleSink {
    Reports(Reports),
    /// Nobody is charged for this instance: its samples are acknowledged and forgotten.
    Discard,
}

impl SampleSink {
    /// What a node may still count. Without an answer it asks again; where nobody is charged there
    /// are no limits, and none is given.
    async fn allowance(
        &self,
        database: DatabaseId,
        request: &AllowanceRequest,
    ) -> Option<Allowance> {
        let Self::Reports(reports) = self else {
            return None;
        };
        match reports.allowance(database, request).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%database, %error, "a node was not told its limits");
                None
            }
        }
    }

    /// Stores a batch, however long it takes, and answers what may be forgotten.
    async fn store(
        &self,
        database: DatabaseId,
        samples: &[UsageSample],
    ) -> Vec<(IncarnationId, u64)> {
        let reports = match self {
            Self::Reports(reports) => reports,
            Self::Discard => {
                let mut stored: HashMap<IncarnationId, u64> = HashMap::new();
                for sample in samples {
                    let high = stored.entry(sample.incarnation_id).or_default();
                    *high = sample.sequence.max(*high);
                }
                return stored.into_iter().collect();
            }
        };
        let mut wait = STORE_RETRY_FIRST;
        loop {
            match reports.samples(database, samples).await {
                Ok(stored) => return stored,
                Err(error) if error.is_transient() => {
                    tracing::warn!(%database, %error, "samples wait for the database");
                }
                Err(error) => {
                    // Kept by the node: what is wrong with it must be seen, not dropped.
                    tracing::error!(%database, %error, "samples were refused");
                    wait = STORE_RETRY_MAX;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(STORE_RETRY_MAX);
        }
    }
}

/// What is known of a node through its stream.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Number of the open stream; `None` when there is none.
    pub stream: Option<u64>,
    /// The last state it sent on any stream.
    pub status: Option<InstanceStatus>,
}

/// One database whose node may attach.
#[derive(Debug)]
pub struct Expected {
    /// User of the node; `None`: our own.
    user: Option<u32>,
    spec: watch::Sender<Option<Arc<InstanceSpec>>>,
    seen: watch::Sender<Seen>,
}

impl Expected {
    /// Sends this spec to the node, now and after each later hello. One that the node was sent
    /// already is not sent again; one of the same generation with other content is.
    pub fn push(&self, spec: Arc<InstanceSpec>) {
        self.spec.send_if_modified(|known| {
            let is_new = known.as_ref() != Some(&spec);
            *known = Some(spec);
            is_new
        });
    }

    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }
}

#[derive(Debug)]
struct Shared {
    expected: Mutex<HashMap<DatabaseId, Arc<Expected>>>,
    sink: SampleSink,
    streams: AtomicU64,
}

/// The parent of every node of one process.
#[derive(Debug, Clone)]
pub struct Parent(Arc<Shared>);

impl Parent {
    pub fn new(sink: SampleSink) -> Self {
        Self(Arc::new(Shared {
            expected: Mutex::default(),
            sink,
            streams: AtomicU64::new(1),
        }))
    }

    /// Lets the node of a database attach.
    pub fn expect(&self, database: DatabaseId, user: Option<u32>) -> Arc<Expected> {
        let expected = Arc::new(Expected {
            user,
            spec: watch::Sender::new(None),
            seen: watch::Sender::new(Seen::default()),
        });
        if let Ok(mut all) = self.0.expected.lock() {
            all.insert(database, expected.clone());
        }
        expected
    }

    pub fn forget(&self, database: DatabaseId) {
        if let Ok(mut all) = self.0.expected.lock() {
            all.remove(&database);
        }
    }

    fn find(&self, database: DatabaseId) -> Option<Arc<Expected>> {
        self.0.expected.lock().ok()?.get(&database).cloned()
    }

    /// Takes a socket that every user may connect to: who it is, the kernel says.
    pub fn listen(socket: &Path) -> io::Result<UnixListener> {
        super::files::remove_file(socket)?;
        let listener = UnixListener::bind(socket)?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))?;
        Ok(listener)
    }

    /// Serves until dropped: streams have no end of their own to wait for.
    pub async fn serve(self, listener: UnixListener) -> io::Result<()> {
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(10)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .add_service(NodeParentServer::new(self))
            .serve_with_incoming(UnixListenerStream::new(listener))
            .await
            .map_err(io::Error::other)
    }

    async fn admit(
        &self,
        user: Option<u32>,
        messages: &mut Streaming<NodeMessage>,
    ) -> Result<(NodeHello, Arc<Expected>), Status> {
        let first = tokio::time::timeout(HELLO_TIMEOUT, messages.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no hello came"))??;
        let Some(NodeMessage::Hello(hello)) = first else {
            return Err(Status::invalid_argument("a stream begins with a hello"));
        };
        if hello.stream_version > STREAM_VERSION {
            tracing::info!(version = hello.stream_version, "a node of a later version");
        }
        let expected = self
            .find(hello.database_id)
            .ok_or_else(|| Status::not_found("no such database here"))?;
        let own = nix::unistd::geteuid().as_raw();
        if user != Some(expected.user.unwrap_or(own)) {
            tracing::warn!(database = %hello.database_id, ?user, "refused a node of another user");
            return Err(Status::permission_denied("this database has another user"));
        }
        Ok((hello, expected))
    }
}

type Outgoing = mpsc::Sender<Result<ParentMessage, Status>>;

#[tonic::async_trait]
impl NodeParent for Parent {
    type AttachStream =
        Pin<Box<dyn futures::Stream<Item = Result<ParentMessage, Status>> + Send + 'static>>;

    async fn attach(
        &self,
        request: Request<Streaming<NodeMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let peer = request.extensions().get::<UdsConnectInfo>();
        let user = peer.and_then(|peer| peer.peer_cred).map(|peer| peer.uid());
        let mut messages = request.into_inner();
        let (outgoing, answers) = mpsc::channel(16);
        let parent = self.clone();
        // The answer's headers go out before the hello is read: a client may wait for them first.
        tokio::spawn(async move {
            match parent.admit(user, &mut messages).await {
                Ok((hello, expected)) => {
                    parent.converse(hello, &expected, messages, outgoing).await;
                }
                Err(status) => {
                    let _ = outgoing.send(Err(status)).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

impl Parent {
    async fn converse(
        &self,
        hello: NodeHello,
        expected: &Expected,
        messages: Streaming<NodeMessage>,
        outgoing: Outgoing,
    ) {
        let database = hello.database_id;
        let stream = self.0.streams.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%database, incarnation = %hello.incarnation_id, stream, "a node attached");
        expected.seen.send_modify(|seen| {
            seen.stream = Some(stream);
            // The state of an earlier incarnation is not this one's.
            if seen
                .status
                .as_ref()
                .is_some_and(|status| status.incarnation_id != hello.incarnation_id)
            {
                seen.status = None;
            }
        });
        let (batches, waiting) = mpsc::channel(BATCHES_WAITING_MAX);
        // Only the last question of a node counts.
        let (questions, asked) = watch::channel(None);
        // A node that leaves has said its last samples: they are stored and answered before the
        // stream ends.
        let listening = async {
            tokio::join!(
                listen(expected, stream, messages, batches, questions),
                store_batches(&self.0.sink, database, waiting, &outgoing),
                answer_questions(&self.0.sink, database, asked, &outgoing)
            );
        };
        tokio::select! {
            () = listening => {}
            () = push_specs(expected, &outgoing) => {}
            // The node dialed again: this stream is its past.
            () = superseded(expected, stream) => {}
        }
        expected.seen.send_if_modified(|seen| {
            let ours = seen.stream == Some(stream);
            if ours {
                seen.stream = None;
            }
            ours
        });
        tracing::debug!(%database, stream, "a node detached");
    }
}

async fn superseded(expected: &Expected, stream: u64) {
    let mut seen = expected.seen.subscribe();
    let _ = seen
        .wait_for(|seen| seen.stream.is_some_and(|open| open != stream))
        .await;
}

async fn push_specs(expected: &Expected, outgoing: &Outgoing) {
    let mut specs = expected.spec.subscribe();
    loop {
        let spec = specs.borrow_and_update().clone();
        if let Some(spec) = spec {
            let message = ParentMessage::Spec(Box::new(InstanceSpec::clone(&spec)));
            if outgoing.send(Ok(message)).await.is_err() {
                return;
            }
        }
        if specs.changed().await.is_err() {
            return;
        }
    }
}

async fn listen(
    expected: &Expected,
    stream: u64,
    mut messages: Streaming<NodeMessage>,
    batches: mpsc::Sender<Vec<UsageSample>>,
    questions: watch::Sender<Option<AllowanceRequest>>,
) {
    loop {
        match messages.message().await {
            Ok(Some(NodeMessage::Status(status))) => {
                expected.seen.send_modify(|seen| {
                    if seen.stream == Some(stream) {
                        seen.status = Some(*status);
                    }
                });
            }
            Ok(Some(NodeMessage::Samples(samples))) => {
                if samples.len() > BATCH_SAMPLES_MAX {
                    tracing::warn!(count = samples.len(), "a batch of samples is too large");
                    return;
                }
                if batches.send(samples).await.is_err() {
                    return;
                }
            }
            Ok(Some(NodeMessage::Allowance(question))) => {
                questions.send_replace(Some(question));
            }
            Ok(Some(NodeMessage::Hello(_) | NodeMessage::Unknown(_))) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

async fn answer_questions(
    sink: &SampleSink,
    database: DatabaseId,
    mut questions: watch::Receiver<Option<AllowanceRequest>>,
    outgoing: &Outgoing,
) {
    while questions.changed().await.is_ok() {
        let question = questions.borrow_and_update().clone();
        let Some(question) = question else { continue };
        if let Some(answer) = sink.allowance(database, &question).await {
            let message = ParentMessage::Allowance(Box::new(answer));
            if outgoing.send(Ok(message)).await.is_err() {
                return;
            }
        }
    }
}

async fn store_batches(
    sink: &SampleSink,
    database: DatabaseId,
    mut batches: mpsc::Receiver<Vec<UsageSample>>,
    outgoing: &Outgoing,
) {
    while let Some(samples) = batches.recv().await {
        for (incarnation_id, sequence) in sink.store(database, &samples).await {
            let message = ParentMessage::SamplesStored {
                incarnation_id,
                sequence,
            };
            if outgoing.send(Ok(message)).await.is_err() {
                return;
            }
        }
    }
}
