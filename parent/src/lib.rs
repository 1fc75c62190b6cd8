//! The parent's end of the streams with nodes: specs go out, states and samples come in.
//!
//! Whoever runs nodes is their parent: the runtime of one machine, or the operator of a cluster.
//! They differ in how a node shows who it is ([`Identity`]) and in where what it says goes
//! ([`Intake`]); the conversation is the same.
//!
//! Invariants:
//! - A database has one open stream: the node that dials again ends the one before.
//! - A node is sent the newest spec after each hello and at each change, and never one twice on a
//!   stream.
//! - A sample is acknowledged when the intake has stored it, and no earlier. Where the intake does
//!   not keep up, a few batches wait here and the rest with the node.
//!
//! It must not know databases, clusters, processes or certificates.

mod converse;
#[cfg(test)]
mod tests;

use lumadb_contract::allowance::{Allowance, AllowanceRequest};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::instance::{InstanceSpec, InstanceStatus};
use lumadb_contract::rpc::NodeParent;
use lumadb_contract::stream::{NodeHello, NodeMessage, ParentMessage, STREAM_VERSION};
use lumadb_contract::usage::{BATCH_SAMPLES_MAX, UsageSample};
use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Extensions, Request, Response, Status, Streaming};

/// Longest wait for the first message of a stream.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Who the node of a database is, and how it is told from others.
pub trait Identity: Debug + Send + Sync + 'static {
    /// What a connection shows of whoever dialed.
    type Shown: Debug + Send + Sync + 'static;

    fn shown(connection: &Extensions) -> Self::Shown;

    /// Whether that is this node; otherwise why not, for its log.
    fn admit(&self, shown: &Self::Shown, hello: &NodeHello) -> Result<(), &'static str>;

    /// Longest life of a stream: what was shown holds no longer. `None`: for good.
    fn stream_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// For each incarnation, the sequence up to which its samples may be forgotten.
pub type Stored = Vec<(IncarnationId, u64)>;

/// There is something wrong with samples: none of them was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// Where what nodes say goes.
pub trait Intake: Debug + Send + Sync + 'static {
    /// Most samples that it is handed at once, at least [`BATCH_SAMPLES_MAX`]: batches that wait for
    /// their turn go together as far as they fit.
    const SAMPLES_AT_ONCE_MAX: usize = BATCH_SAMPLES_MAX;

    /// Stores samples of one database, oldest first, however long it takes: all, or none if one of
    /// them is refused. Refused ones are handed over again, in smaller groups and later.
    fn store(
        &self,
        database: DatabaseId,
        samples: &[UsageSample],
    ) -> impl Future<Output = Result<Stored, Refused>> + Send;

    /// What a node may still count. `None`: it is not told, and asks again.
    fn allowance(
        &self,
        database: DatabaseId,
        request: &AllowanceRequest,
    ) -> impl Future<Output = Option<Allowance>> + Send;

    /// What is seen of a database's node has changed.
    fn noticed(&self, _database: DatabaseId) {}
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
pub struct Expected<I> {
    identity: I,
    spec: watch::Sender<Option<Arc<InstanceSpec>>>,
    seen: watch::Sender<Seen>,
}

impl<I> Expected<I> {
    pub fn identity(&self) -> &I {
        &self.identity
    }

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

struct Shared<I, S> {
    expected: Mutex<HashMap<DatabaseId, Arc<Expected<I>>>>,
    intake: S,
    streams: AtomicU64,
}

/// The parent of every node of one process: the service that they dial.
pub struct Parent<I, S>(Arc<Shared<I, S>>);

impl<I, S> Clone for Parent<I, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<I, S> Debug for Parent<I, S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Parent").finish_non_exhaustive()
    }
}

impl<I: Identity, S: Intake> Parent<I, S> {
    pub fn new(intake: S) -> Self {
        Self(Arc::new(Shared {
            expected: Mutex::default(),
            intake,
            streams: AtomicU64::new(1),
        }))
    }

    /// Lets the node of a database attach.
    pub fn expect(&self, database: DatabaseId, identity: I) -> Arc<Expected<I>> {
        let expected = Arc::new(Expected {
            identity,
            spec: watch::Sender::new(None),
            seen: watch::Sender::new(Seen::default()),
        });
        self.all().insert(database, expected.clone());
        expected
    }

    pub fn forget(&self, database: DatabaseId) {
        self.all().remove(&database);
    }

    pub fn find(&self, database: DatabaseId) -> Option<Arc<Expected<I>>> {
        self.all().get(&database).cloned()
    }

    /// Every database whose node may attach.
    pub fn expected(&self) -> Vec<DatabaseId> {
        self.all().keys().copied().collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<DatabaseId, Arc<Expected<I>>>> {
        let expected = self.0.expected.lock();
        expected.unwrap_or_else(PoisonError::into_inner)
    }

    async fn admit(
        &self,
        shown: &I::Shown,
        messages: &mut Streaming<NodeMessage>,
    ) -> Result<(NodeHello, Arc<Expected<I>>), Status> {
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
        if let Err(why) = expected.identity.admit(shown, &hello) {
            tracing::warn!(database = %hello.database_id, ?shown, why, "refused a node");
            return Err(Status::permission_denied(why));
        }
        Ok((hello, expected))
    }
}

type Outgoing = mpsc::Sender<Result<ParentMessage, Status>>;

#[tonic::async_trait]
impl<I: Identity, S: Intake> NodeParent for Parent<I, S> {
    type AttachStream =
        Pin<Box<dyn futures::Stream<Item = Result<ParentMessage, Status>> + Send + 'static>>;

    async fn attach(
        &self,
        request: Request<Streaming<NodeMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let shown = I::shown(request.extensions());
        // It goes from hand to hand, and each would keep room for it.
        let mut messages = Box::new(request.into_inner());
        let (outgoing, answers) = mpsc::channel(16);
        let parent = self.clone();
        // The answer's headers go out before the hello is read: a client may wait for them first.
        tokio::spawn(async move {
            // What is over soon, or seldom happens, takes memory only then: there are thousands of streams.
            match Box::pin(parent.admit(&shown, &mut messages)).await {
                Ok((hello, expected)) => {
                    parent.attached(hello, &expected, messages, outgoing).await;
                }
                Err(status) => {
                    let _ = outgoing.send(Err(status)).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

impl<I: Identity, S: Intake> Parent<I, S> {
    /// One stream, from its hello to its end.
    async fn attached(
        &self,
        hello: NodeHello,
        expected: &Expected<I>,
        messages: Box<Streaming<NodeMessage>>,
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
        let intake = &self.0.intake;
        intake.noticed(database);
        let conversation = converse::Conversation {
            database,
            stream,
            expected,
            intake,
            outgoing,
        };
        conversation.hold(messages).await;
        expected.seen.send_if_modified(|seen| {
            let ours = seen.stream == Some(stream);
            if ours {
                seen.stream = None;
            }
            ours
        });
        intake.noticed(database);
        tracing::debug!(%database, stream, "a node detached");
    }
}
