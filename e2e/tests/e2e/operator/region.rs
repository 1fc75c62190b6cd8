//! A control plane that is none: takes the operator's stream, remembers what it is told, and
//! acknowledges samples.

use lumadb_contract::cluster::{ControlMessage, RegionMessage};
use lumadb_contract::id::IncarnationId;
use lumadb_contract::instance::InstancePhase;
use lumadb_contract::rpc::{RegionLink, RegionLinkServer};
use lumadb_e2e::Outcome;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// What the operator has said.
#[derive(Debug, Default, Clone)]
pub(super) struct Heard {
    pub(super) streams: usize,
    pub(super) complete: usize,
    pub(super) phase: Option<InstancePhase>,
    pub(super) absent: usize,
    /// Of each incarnation: up to which sequence samples came without a hole.
    pub(super) sequences: BTreeMap<IncarnationId, u64>,
    /// Commands that were counted, of all incarnations.
    requests: BTreeMap<IncarnationId, u64>,
    /// What must not be.
    pub(super) wrongs: Vec<String>,
}

impl Heard {
    pub(super) fn requests(&self) -> u64 {
        self.requests.values().sum()
    }

    fn take(&mut self, message: RegionMessage, token: &str) -> Vec<ControlMessage> {
        match message {
            RegionMessage::Hello { .. } => {
                self.streams += 1;
                if token != "Bearer token" {
                    self.wrongs.push(format!("the token {token}"));
                }
            }
            RegionMessage::Complete => self.complete += 1,
            RegionMessage::Absent { .. } => self.absent += 1,
            RegionMessage::Status { status, .. } => self.phase = Some(status.phase),
            RegionMessage::Samples {
                database_id,
                samples,
            } => {
                let mut stored = BTreeMap::new();
                for sample in samples {
                    let id = sample.incarnation_id;
                    let known = self.sequences.entry(id).or_default();
                    stored.insert(id, sample.sequence);
                    // One whose acknowledgement was lost comes again, and changes nothing.
                    if sample.sequence <= *known {
                        continue;
                    }
                    if sample.sequence > *known + 1 {
                        let wrong = format!("{} after {known} of {id}", sample.sequence);
                        self.wrongs.push(wrong);
                    }
                    *known = sample.sequence;
                    self.requests.insert(id, sample.counters.requests);
                }
                let stored = stored.into_iter();
                return stored
                    .map(|(incarnation_id, sequence)| ControlMessage::SamplesStored {
                        database_id,
                        incarnation_id,
                        sequence,
                    })
                    .collect();
            }
            RegionMessage::Allowance { .. } | RegionMessage::Unknown(_) => {}
        }
        Vec::new()
    }
}

#[derive(Clone)]
struct Service(Arc<Mutex<Heard>>);

#[tonic::async_trait]
impl RegionLink for Service {
    type AttachStream =
        Pin<Box<dyn futures::Stream<Item = Result<ControlMessage, Status>> + Send + 'static>>;

    async fn attach(
        &self,
        request: Request<Streaming<RegionMessage>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let token = request.metadata().get("authorization");
        let token = token.and_then(|token| token.to_str().ok());
        let token = token.unwrap_or_default().to_owned();
        let mut messages = request.into_inner();
        let (answers, outgoing) = mpsc::channel(16);
        let heard = self.0.clone();
        tokio::spawn(async move {
            while let Ok(Some(message)) = messages.message().await {
                let replies = heard.lock().expect("whole").take(message, &token);
                for answer in replies {
                    let _ = answers.send(Ok(answer)).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

/// Certificate and memory; it goes away and comes back at the same place.
pub(super) struct Region {
    heard: Arc<Mutex<Heard>>,
    config: Arc<ServerConfig>,
    port: u16,
    pub(super) authority: String,
}

impl Region {
    pub(super) fn new(port: u16) -> Outcome<Self> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate()?;
        let server = CertificateParams::new(vec!["localhost".to_owned()])?;
        let certificate = server.signed_by(&key, &issuer)?;
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], private)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            heard: Arc::default(),
            config: Arc::new(config),
            port,
            authority: authority_pem,
        })
    }

    pub(super) fn address(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    pub(super) fn heard(&self) -> Heard {
        self.heard.lock().expect("whole").clone()
    }

    /// It is there until what this gives is dropped.
    pub(super) async fn serve(&self) -> Outcome<JoinSet<()>> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
        let acceptor = TlsAcceptor::from(self.config.clone());
        let (connections, incoming) = mpsc::channel::<io::Result<DuplexStream>>(4);
        let service = RegionLinkServer::new(Service(self.heard.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let serving = tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(ReceiverStream::new(incoming));
            let _ = serving.await;
        });
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, connections) = (acceptor.clone(), connections.clone());
                open.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else {
                        return;
                    };
                    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
                    let _ = connections.send(Ok(theirs)).await;
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut ours).await;
                });
            }
        });
        Ok(tasks)
    }
}
