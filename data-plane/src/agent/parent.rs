//! The stream to the parent: specs and acknowledgements in, state and samples out.

use super::allowance::AllowanceLink;
use super::dial::{DialError, Dialed, Dialer};
use super::meter::MeterHandle;
use super::spec::KnownSpec;
use super::status::is_urgent;
use crate::metering::Outbox;
use lumadb_contract::instance::InstanceStatus;
use lumadb_contract::rpc::NodeParentClient;
use lumadb_contract::stream::{NodeHello, NodeMessage, ParentMessage};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Code;

/// Pause before dialing again, milliseconds: the first, and the longest.
const REDIAL_MS: (u64, u64) = (50, 2000);

/// A stream that lasted so long, seconds, was good: the pauses begin anew.
const GOOD_AFTER_SECONDS: u64 = 5;

/// The state is told at least so often, seconds.
const STATUS_EVERY_SECONDS: u64 = 10;

/// Changes that are not urgent are told at most so often, milliseconds.
const STATUS_PAUSE_MS: u64 = 1000;

/// Messages that wait for the parent to read, at most.
const QUEUE_MESSAGES_MAX: usize = 16;

/// A parent that takes no message for so long, seconds, is dialed anew.
const SEND_TIMEOUT_SECONDS: u64 = 10;

#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the parent ended the stream")]
    Status(#[from] tonic::Status),
    #[error("the parent ended the stream")]
    Closed,
    #[error("the node's certificate is due to be renewed")]
    Renewal,
}

/// What the stream needs of the node.
#[derive(Debug)]
pub(crate) struct ParentLink {
    pub(crate) dialer: Dialer,
    /// The parent has said something on this stream: it takes the node for who it is.
    pub(crate) is_taken: bool,
    pub(crate) hello: NodeHello,
    pub(crate) status: watch::Receiver<InstanceStatus>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) meter: MeterHandle,
    pub(crate) specs: watch::Sender<Option<KnownSpec>>,
    pub(crate) allowances: AllowanceLink,
    /// The node leaves: what there is goes out, then the stream is closed in order.
    pub(crate) leaving: CancellationToken,
}

impl ParentLink {
    /// Keeps a stream up until the node leaves.
    pub(crate) async fn run(mut self) {
        let mut pause_ms = REDIAL_MS.0;
        let mut told = String::new();
        loop {
            let began = Instant::now();
            match self.attach().await {
                Ok(()) => return,
                Err(error) => tell(&error, &mut told),
            }
            if began.elapsed() > Duration::from_secs(GOOD_AFTER_SECONDS) {
                pause_ms = REDIAL_MS.0;
            }
            tokio::select! {
                () = sleep(Duration::from_millis(pause_ms)) => {}
                () = self.leaving.cancelled() => return,
            }
            pause_ms = (pause_ms * 2).min(REDIAL_MS.1);
        }
    }

    /// One stream. Ends without an error when the node left in order.
    async fn attach(&mut self) -> Result<(), StreamError> {
        let dialed = self.dialer.dial().await?;
        self.is_taken = false;
        let result = self.converse(dialed).await;
        if let Err(error) = &result
            && !self.is_taken
            && !is_of_the_parent(error)
        {
            // What spoke for this node may be what was refused.
            self.dialer.forget();
        }
        result
    }

    async fn converse(&mut self, dialed: Dialed) -> Result<(), StreamError> {
        let (sender, receiver) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let out = Out(sender);
        out.send(NodeMessage::Hello(self.hello.clone())).await?;
        let first = self.status.borrow_and_update().clone();
        out.send(NodeMessage::Status(Box::new(first.clone())))
            .await?;
        let mut inbound = NodeParentClient::new(dialed.channel)
            .attach(ReceiverStream::new(receiver))
            .await?
            .into_inner();
        self.outbox.rewind();
        self.allowances.questions.mark_changed();
        let mut told = first;
        let mut tell_at = Instant::now() + Duration::from_secs(STATUS_EVERY_SECONDS);
        loop {
            tokio::select! {
                message = inbound.message() => match message? {
                    Some(message) => {
                        self.is_taken = true;
                        self.heard(message).await;
                    }
                    None => return Err(StreamError::Closed),
                },
                changed = self.status.changed() => {
                    changed.map_err(|_| StreamError::Closed)?;
                    let urgent = is_urgent(&told, &self.status.borrow_and_update());
                    let pause = Duration::from_millis(if urgent { 0 } else { STATUS_PAUSE_MS });
                    tell_at = tell_at.min(Instant::now() + pause);
                }
                () = sleep_until(tell_at) => {
                    told = self.status.borrow().clone();
                    out.send(NodeMessage::Status(Box::new(told.clone()))).await?;
                    tell_at = Instant::now() + Duration::from_secs(STATUS_EVERY_SECONDS);
                }
                () = self.outbox.filled() => self.send_samples(&out).await?,
                Ok(()) = self.allowances.questions.changed() => {
                    let question = self.allowances.questions.borrow_and_update().clone();
                    if let Some(question) = question {
                        out.send(NodeMessage::Allowance(question)).await?;
                    }
                }
                () = due(dialed.until) => return Err(StreamError::Renewal),
                () = self.leaving.cancelled() => break,
            }
        }
        let last = self.status.borrow().clone();
        out.send(NodeMessage::Status(Box::new(last))).await?;
        self.send_samples(&out).await?;
        drop(out);
        // The parent answers our end by its own when it has read everything.
        while let Some(message) = inbound.message().await? {
            self.heard(message).await;
        }
        Ok(())
    }

    async fn send_samples(&self, out: &Out) -> Result<(), StreamError> {
        loop {
            let batch = self.outbox.batch();
            if batch.is_empty() {
                return Ok(());
            }
            out.send(NodeMessage::Samples(batch)).await?;
        }
    }

    async fn heard(&self, message: ParentMessage) {
        match message {
            ParentMessage::Spec(spec) => {
                if spec.database_id != self.hello.database_id {
                    tracing::error!(of = %spec.database_id, "the parent sent another's spec");
                    return;
                }
                self.specs.send_if_modified(|known| {
                    let stale = known
                        .as_ref()
                        .is_some_and(|known| known.spec.generation > spec.generation);
                    if stale {
                        tracing::warn!(spec.generation, "the parent sent an old spec");
                        return false;
                    }
                    let new = KnownSpec {
                        spec: *spec,
                        confirmed: true,
                    };
                    let changed = known.as_ref() != Some(&new);
                    *known = Some(new);
                    changed
                });
            }
            ParentMessage::SamplesStored {
                incarnation_id,
                sequence,
            } => self.meter.acknowledge(incarnation_id, sequence).await,
            ParentMessage::Allowance(allowance) => {
                // One that finds no place is asked for again.
                let _ = self.allowances.answers.try_send(*allowance);
            }
            ParentMessage::Unknown(message) => {
                tracing::debug!(%message, "a message of a later version");
            }
        }
    }
}

/// Completes at that moment.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Whether it says nothing of what spoke for the node: a parent that has just begun does not know its
/// databases yet.
fn is_of_the_parent(error: &StreamError) -> bool {
    matches!(error, StreamError::Status(status) if status.code() == Code::NotFound)
}

/// A parent that is away is no news; what somebody has to mend is said once.
fn tell(error: &StreamError, told: &mut String) {
    let text = crate::errors::chain(error);
    let is_for_people = match error {
        StreamError::Dial(error) => error.is_for_people(),
        StreamError::Status(status) => matches!(
            status.code(),
            Code::PermissionDenied | Code::Unauthenticated | Code::NotFound
        ),
        StreamError::Closed | StreamError::Renewal => false,
    };
    if is_for_people && text != *told {
        tracing::warn!(error = %text, "no stream to the parent");
        *told = text;
    } else {
        tracing::debug!(error = %text, "no stream to the parent");
    }
}

struct Out(mpsc::Sender<NodeMessage>);

impl Out {
    async fn send(&self, message: NodeMessage) -> Result<(), StreamError> {
        let limit = Duration::from_secs(SEND_TIMEOUT_SECONDS);
        match timeout(limit, self.0.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StreamError::Closed),
        }
    }
}
