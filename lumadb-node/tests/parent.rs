//! A parent that says specs and remembers what it is told.

use lumadb_contract::allowance::{Allowance, AllowanceRequest, MeterAllowance, StorageAllowance};
use lumadb_contract::instance::{InstanceSpec, InstanceStatus};
use lumadb_contract::meter::Meter;
use lumadb_contract::rpc::{NodeParent, NodeParentServer};
use lumadb_contract::stream::{NodeMessage, ParentMessage};
use lumadb_contract::usage::UsageSample;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use time::macros::datetime;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

/// Everything that nodes have told.
#[derive(Debug, Default, Clone)]
pub(crate) struct Heard {
    pub(crate) status: Option<InstanceStatus>,
    pub(crate) samples: Vec<UsageSample>,
    /// Under which limits the last question was answered.
    pub(crate) limits: Option<Limits>,
}

/// Limits of an organization with one database.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) requests: Option<u64>,
    pub(crate) storage_bytes: Option<u64>,
    pub(crate) read_only: Option<String>,
}

impl Limits {
    fn answer(&self, question: &AllowanceRequest) -> Allowance {
        let requests = question.meters.iter();
        let requests = requests.filter(|asked| asked.meter == Meter::Requests);
        let meters = requests
            .zip(self.requests)
            .map(|(asked, limit)| MeterAllowance {
                meter: Meter::Requests,
                ceiling: limit.max(asked.counted),
                limit,
                is_used_up: asked.counted >= limit,
                is_scarce: false,
                resets_at: datetime!(2099-01-01 00:00 UTC),
            });
        Allowance {
            number: question.number,
            incarnation_id: question.incarnation_id,
            meters: meters.collect(),
            storage: self.storage_bytes.map(|limit| StorageAllowance {
                ceiling_bytes: limit,
                limit_bytes: limit,
            }),
            read_only: self.read_only.clone(),
            upgrade_url: "https://console.example.com/billing".into(),
            renew_after_seconds: 1,
        }
    }
}

#[derive(Clone)]
struct Service {
    spec: watch::Sender<Option<InstanceSpec>>,
    heard: watch::Sender<Heard>,
    /// `None`: of an earlier version, which knows no limits.
    limits: watch::Sender<Option<Limits>>,
}

/// Serves until dropped.
pub(crate) struct Parent {
    service: Service,
    task: JoinHandle<()>,
}

impl Drop for Parent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Parent {
    pub(crate) fn start(socket: &Path) -> Self {
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket).expect("binds");
        // The node has a user of its own.
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666)).expect("opens");
        let service = Service {
            spec: watch::Sender::new(None),
            heard: watch::Sender::new(Heard::default()),
            limits: watch::Sender::new(None),
        };
        let serving = tonic::transport::Server::builder()
            .add_service(NodeParentServer::new(service.clone()))
            .serve_with_incoming(UnixListenerStream::new(listener));
        let task = tokio::spawn(async move { serving.await.expect("serves") });
        Self { service, task }
    }

    pub(crate) fn say(&self, spec: &InstanceSpec) {
        self.service.spec.send_replace(Some(spec.clone()));
    }

    /// Answers questions for room from now on.
    pub(crate) fn limit(&self, limits: Limits) {
        self.service.limits.send_replace(Some(limits));
    }

    pub(crate) fn heard(&self) -> watch::Receiver<Heard> {
        self.service.heard.subscribe()
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
                self.heard.send_modify(|heard| heard.status = Some(*status));
            }
            NodeMessage::Samples(samples) => {
                for sample in &samples {
                    let stored = ParentMessage::SamplesStored {
                        incarnation_id: sample.incarnation_id,
                        sequence: sample.sequence,
                    };
                    let _ = out.send(Ok(stored)).await;
                }
                self.heard
                    .send_modify(|heard| heard.samples.extend(samples));
            }
            NodeMessage::Allowance(question) => {
                let limits = self.limits.borrow().clone();
                if let Some(limits) = limits {
                    let answer = Box::new(limits.answer(&question));
                    let _ = out.send(Ok(ParentMessage::Allowance(answer))).await;
                    self.heard
                        .send_modify(|heard| heard.limits = Some(limits.clone()));
                }
            }
            NodeMessage::Hello(_) | NodeMessage::Unknown(_) => {}
        }
    }
}
