//! The parent of the instance's node: says a spec and remembers what it is told last.

use lumadb_contract::archive::ArchiveStatus;
use lumadb_contract::instance::{InstanceSpec, InstanceStatus};
use lumadb_contract::rpc::{NodeParent, NodeParentServer};
use lumadb_contract::stream::{NodeMessage, ParentMessage};
use lumadb_e2e::Outcome;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

#[derive(Debug, Clone)]
struct Service {
    spec: watch::Sender<Option<InstanceSpec>>,
    told: watch::Sender<Option<InstanceStatus>>,
}

/// Serves until it is dropped.
#[derive(Debug)]
pub(super) struct Parent {
    service: Service,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Drop for Parent {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Parent {
    pub(super) fn start(socket: &Path) -> Outcome<Self> {
        let listener = UnixListener::bind(socket)?;
        // The node has a user of its own.
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))?;
        let service = Service {
            spec: watch::Sender::new(None),
            told: watch::Sender::new(None),
        };
        let serving = tonic::transport::Server::builder()
            .add_service(NodeParentServer::new(service.clone()))
            .serve_with_incoming(UnixListenerStream::new(listener));
        Ok(Self {
            service,
            serving: tokio::spawn(serving),
        })
    }

    pub(super) fn say(&self, spec: &InstanceSpec) {
        self.service.spec.send_replace(Some(spec.clone()));
    }

    /// The last spec that the node says it follows.
    pub(super) fn generation(&self) -> u64 {
        let told = self.service.told.borrow();
        told.as_ref().map_or(0, |status| status.observed_generation)
    }

    /// As it was told last.
    pub(super) fn archive(&self) -> ArchiveStatus {
        let told = self.service.told.borrow();
        let archive = told.as_ref().and_then(|status| status.archive.clone());
        archive.unwrap_or_default()
    }
}

type Out = Pin<Box<dyn Stream<Item = Result<ParentMessage, Status>> + Send>>;

#[tonic::async_trait]
impl NodeParent for Service {
    type AttachStream = Out;

    async fn attach(
        &self,
        request: Request<Streaming<NodeMessage>>,
    ) -> Result<Response<Out>, Status> {
        let mut inbound = request.into_inner();
        let (out, outbound) = mpsc::channel(16);
        let service = self.clone();
        tokio::spawn(async move {
            let mut specs = service.spec.subscribe();
            specs.mark_changed();
            loop {
                tokio::select! {
                    _ = specs.changed() => {
                        let spec = specs.borrow_and_update().clone();
                        if let Some(spec) = spec {
                            let _ = out.send(Ok(ParentMessage::Spec(Box::new(spec)))).await;
                        }
                    }
                    message = inbound.next() => match message {
                        Some(Ok(message)) => service.hear(message, &out).await,
                        _ => return,
                    },
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outbound))))
    }
}

impl Service {
    async fn hear(&self, message: NodeMessage, out: &mpsc::Sender<Result<ParentMessage, Status>>) {
        match message {
            NodeMessage::Status(status) => {
                self.told.send_replace(Some(*status));
            }
            NodeMessage::Samples(samples) => {
                for sample in samples {
                    let stored = ParentMessage::SamplesStored {
                        incarnation_id: sample.incarnation_id,
                        sequence: sample.sequence,
                    };
                    let _ = out.send(Ok(stored)).await;
                }
            }
            NodeMessage::Hello(_) | NodeMessage::Allowance(_) | NodeMessage::Unknown(_) => {}
        }
    }
}
