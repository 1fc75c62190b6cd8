//! The region link: where the operator of a cluster says what its nodes said.
//!
//! The operator dials, shows a token that names its region, and keeps one stream open
//! ([`lumadb_contract::cluster`]). States become observations, samples are stored and acknowledged,
//! questions of allowances are answered.
//!
//! Invariants:
//! - Only databases of the token's region are taken: of another's nothing is stored or believed.
//! - A sample is acknowledged after the transaction that stored it.
//! - One database that cannot be stored holds up no other.

mod lane;
mod roll;
mod stream;
mod tls;

pub use tls::{LinkCertificate, LinkTlsError};

pub(crate) use tls::{LinkTls, accept};

use super::super::Reports;
use super::states::States;
use crate::clock::Clock;
use crate::identity::ServiceVerifier;
use lumadb_contract::cluster::{ControlMessage, RegionMessage};
use lumadb_contract::rpc::{RegionLink, RegionLinkServer};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// Largest message: the state of a database names each of its backups.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Messages that wait for the operator to read.
const ANSWERS_WAITING_MAX: usize = 256;

/// Streams of one connection; an operator opens one.
const STREAMS_MAX: u32 = 8;

/// How often a connection is tried that says nothing, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) region: String,
    pub(super) verifier: ServiceVerifier,
    pub(super) clock: Clock,
    pub(super) reports: Reports,
    pub(super) states: Arc<States>,
    pub(super) shutdown: CancellationToken,
}

impl Link {
    /// Serves until it is told to stop.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        tls: Arc<LinkTls>,
    ) -> Result<(), tonic::transport::Error> {
        let shutdown = self.shutdown.clone();
        let connections = tls::accept(listener, tls, shutdown.clone());
        let server = RegionLinkServer::new(self).max_decoding_message_size(MESSAGE_BYTES_MAX);
        tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .max_concurrent_streams(STREAMS_MAX)
            .add_service(server)
            .serve_with_incoming_shutdown(connections, shutdown.cancelled())
            .await
    }

    fn authenticate<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let token = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| Status::unauthenticated("a service token is missing"))?;
        let claims = self
            .verifier
            .region(&self.clock, token)
            .map_err(|error| Status::unauthenticated(error.to_string()))?;
        if claims.region == self.region {
            Ok(())
        } else {
            Err(Status::permission_denied("the token is for another region"))
        }
    }
}

type Answers = Pin<Box<dyn futures::Stream<Item = Result<ControlMessage, Status>> + Send>>;

#[tonic::async_trait]
impl RegionLink for Link {
    type AttachStream = Answers;

    async fn attach(
        &self,
        request: Request<Streaming<RegionMessage>>,
    ) -> Result<Response<Answers>, Status> {
        self.authenticate(&request).inspect_err(|status| {
            tracing::warn!(reason = status.message(), "refused an operator");
        })?;
        let messages = request.into_inner();
        let (outgoing, answers) = mpsc::channel(ANSWERS_WAITING_MAX);
        let link = self.clone();
        // The answer's headers go out before the hello is read: a client may wait for them first.
        tokio::spawn(async move {
            let ended = stream::converse(&link, messages, &outgoing).await;
            if let Err(status) = ended {
                let _ = outgoing.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}
