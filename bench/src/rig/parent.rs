//! The parent of the instance's node: says a spec, gives room under limits, and remembers what it is
//! told last.

use lumadb_contract::allowance::{
    Allowance, AllowanceRequest, MeterAllowance, MeterRequest, StorageAllowance,
};
use lumadb_contract::archive::ArchiveStatus;
use lumadb_contract::instance::{InstanceSpec, InstanceStatus};
use lumadb_contract::meter::Meter;
use lumadb_contract::rpc::{NodeParent, NodeParentServer};
use lumadb_contract::stream::{NodeMessage, ParentMessage};
use lumadb_control_plane::clock::Clock;
use lumadb_e2e::Outcome;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

/// What a node gets on a meter at once, in the meter's smallest unit: of requests a Free
/// organization's whole day, of the others the tenth of its month that the control plane gives out
/// first. At full speed it asks for more every second or two.
const fn room(meter: Meter) -> u64 {
    match meter {
        Meter::TransferOut => 100_000_000,
        _ => 100_000,
    }
}

/// Far more than what is used.
const LIMIT: u64 = 1 << 50;

/// A node asks again after so long, seconds.
const RENEW_SECONDS: u32 = 1;

#[derive(Debug, Clone)]
struct Service {
    spec: watch::Sender<Option<InstanceSpec>>,
    told: watch::Sender<Option<InstanceStatus>>,
    is_limited: Arc<AtomicBool>,
    /// Answers to who asked for room.
    answers: watch::Sender<u64>,
}

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Parent {
    service: Service,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Drop for Parent {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Parent {
    pub(crate) fn start(socket: &Path) -> Outcome<Self> {
        let listener = UnixListener::bind(socket)?;
        // The node has a user of its own.
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))?;
        let service = Service {
            spec: watch::Sender::new(None),
            told: watch::Sender::new(None),
            is_limited: Arc::new(AtomicBool::new(false)),
            answers: watch::Sender::new(0),
        };
        let serving = tonic::transport::Server::builder()
            .add_service(NodeParentServer::new(service.clone()))
            .serve_with_incoming(UnixListenerStream::new(listener));
        Ok(Self {
            service,
            serving: tokio::spawn(serving),
        })
    }

    pub(crate) fn say(&self, spec: &InstanceSpec) {
        self.service.spec.send_replace(Some(spec.clone()));
    }

    /// Sets limits on every meter, or none; returns when the node has heard of it.
    pub(crate) async fn limit(&self, is_limited: bool) -> Outcome<()> {
        self.service.is_limited.store(is_limited, Ordering::Relaxed);
        // The next answer may be one that was on its way.
        let mut answers = self.service.answers.subscribe();
        let heard = *answers.borrow() + 2;
        answers.wait_for(|answers| *answers >= heard).await?;
        Ok(())
    }

    /// The last spec that the node says it follows.
    pub(crate) fn generation(&self) -> u64 {
        let told = self.service.told.borrow();
        told.as_ref().map_or(0, |status| status.observed_generation)
    }

    /// As it was told last.
    pub(crate) fn archive(&self) -> ArchiveStatus {
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
            NodeMessage::Allowance(asked) => {
                let answer = self.answer(&asked);
                let _ = out
                    .send(Ok(ParentMessage::Allowance(Box::new(answer))))
                    .await;
                self.answers.send_modify(|answers| *answers += 1);
            }
            NodeMessage::Hello(_) | NodeMessage::Unknown(_) => {}
        }
    }

    fn answer(&self, asked: &AllowanceRequest) -> Allowance {
        let is_limited = self.is_limited.load(Ordering::Relaxed);
        let allowance = |asked: &MeterRequest| MeterAllowance {
            meter: asked.meter,
            ceiling: asked.held.max(asked.counted + room(asked.meter)),
            limit: LIMIT,
            is_used_up: false,
            is_scarce: false,
            resets_at: Clock::system().now() + time::Duration::DAY,
        };
        let meters = asked.meters.iter().filter(|_| is_limited).map(allowance);
        Allowance {
            number: asked.number,
            incarnation_id: asked.incarnation_id,
            meters: meters.collect(),
            storage: is_limited.then_some(StorageAllowance {
                ceiling_bytes: LIMIT,
                limit_bytes: LIMIT,
            }),
            read_only: None,
            upgrade_url: "https://example.com".to_owned(),
            renew_after_seconds: RENEW_SECONDS,
        }
    }
}
