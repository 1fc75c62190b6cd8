//! The stream to the control plane: states, samples and questions go there, what is stored and what
//! may be counted comes back.
//!
//! Each stream begins with everything: the states of all databases, then what waits. Whatever it
//! breaks off, nothing is lost and nothing is counted twice.

use super::control_plane::{ControlPlane, DialError};
use super::intake::Intake;
use super::nodes::Nodes;
use super::tidings::Tidings;
use crate::watching::backoff;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use lumadb_contract::cluster::{ControlMessage, LINK_SECRET, LINK_VERSION, RegionMessage};
use lumadb_contract::rpc::RegionLinkClient;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Streaming};

/// Pause before dialing again: the first, and the longest.
const REDIAL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// A stream that lasted so long was good: the pauses begin anew.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// Messages that wait for the control plane to read.
const QUEUE_MESSAGES_MAX: usize = 64;

/// A control plane that takes no message for so long is dialed anew.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is looked whether a silence has lasted.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("its token is none")]
    Token,
    #[error("it ended the stream: {}", .0.message())]
    Status(#[from] tonic::Status),
    #[error("it ended the stream")]
    Closed,
    #[error("it takes no messages")]
    Slow,
}

/// Follows the control plane's address and keeps a stream up to it; without end.
pub(super) async fn run(client: Client, namespace: String, nodes: Arc<Nodes>) {
    let (place, places) = watch::channel(None);
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    tokio::join!(follow(secrets, nodes.intake(), place), keep(&nodes, places));
}

/// Keeps it known where the control plane is.
async fn follow(secrets: Api<Secret>, intake: &Intake, place: watch::Sender<Option<ControlPlane>>) {
    let config = watcher::Config::default().fields(&format!("metadata.name={LINK_SECRET}"));
    let mut events = std::pin::pin!(watcher(secrets, config).backoff(backoff()));
    let mut is_there = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => is_there = false,
            Ok(watcher::Event::InitApply(found) | watcher::Event::Apply(found)) => {
                is_there = true;
                intake.set_beyond(true);
                match ControlPlane::read(&found) {
                    Ok(read) => {
                        place.send_replace(Some(read));
                    }
                    Err(error) => {
                        tracing::error!(%error, "the Secret {LINK_SECRET} is not right");
                    }
                }
            }
            Ok(watcher::Event::InitDone) => intake.set_beyond(is_there),
            Ok(watcher::Event::Delete(_)) => {
                tracing::warn!(
                    "the Secret {LINK_SECRET} is gone: samples are kept until it is back"
                );
            }
            Err(error) => tracing::warn!(%error, "the watch of {LINK_SECRET} broke off"),
        }
    }
}

async fn keep(nodes: &Nodes, mut places: watch::Receiver<Option<ControlPlane>>) {
    let mut pause = REDIAL.0;
    loop {
        let Ok(place) = places
            .wait_for(Option::is_some)
            .await
            .map(|place| place.clone())
        else {
            return;
        };
        let Some(place) = place else { continue };
        let began = Instant::now();
        tokio::select! {
            ended = converse(nodes, &place) => {
                if let Err(error) = ended {
                    tracing::warn!(error = %chain(&error), "no stream to the control plane");
                }
            }
            () = moved(places.clone(), &place) => tracing::info!("the control plane has moved"),
        }
        nodes.set_linked(false);
        if began.elapsed() > GOOD_AFTER {
            pause = REDIAL.0;
        }
        sleep(pause).await;
        pause = (pause * 2).min(REDIAL.1);
    }
}

/// Once it is somewhere else. Another token is for the next stream.
async fn moved(mut places: watch::Receiver<Option<ControlPlane>>, place: &ControlPlane) {
    let other =
        |next: &Option<ControlPlane>| next.as_ref().is_some_and(|next| !next.is_where(place));
    if places.wait_for(other).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// One stream.
async fn converse(nodes: &Nodes, place: &ControlPlane) -> Result<(), LinkError> {
    let channel = place.dial().await?;
    let (outgoing, queued) = mpsc::channel(QUEUE_MESSAGES_MAX);
    let hello = RegionMessage::Hello {
        link_version: LINK_VERSION,
        operator_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    send(&outgoing, hello).await?;
    let mut request = Request::new(ReceiverStream::new(queued));
    let token = place.token.expose();
    let bearer =
        MetadataValue::try_from(format!("Bearer {token}")).map_err(|_| LinkError::Token)?;
    request.metadata_mut().insert("authorization", bearer);
    let answers = RegionLinkClient::new(channel)
        .attach(request)
        .await?
        .into_inner();
    tracing::info!("a stream to the control plane is open");
    nodes.set_linked(true);
    tokio::select! {
        ended = say(nodes, &outgoing) => ended,
        ended = hear(nodes.intake(), answers) => ended,
    }
}

async fn say(nodes: &Nodes, outgoing: &mpsc::Sender<RegionMessage>) -> Result<(), LinkError> {
    let intake = nodes.intake();
    intake.begin();
    let mut tidings = Tidings::default();
    let mut about = nodes.known();
    about.extend(intake.news().take());
    let mut looks = interval(LOOK_EVERY);
    loop {
        for message in tidings.about(about, nodes, Instant::now()) {
            send(outgoing, message).await?;
        }
        while let Some(message) = intake.next() {
            send(outgoing, message).await?;
        }
        tokio::select! {
            () = intake.news().come() => {}
            _ = looks.tick() => {}
        }
        about = intake.news().take();
    }
}

async fn hear(intake: &Intake, mut answers: Streaming<ControlMessage>) -> Result<(), LinkError> {
    while let Some(message) = answers.message().await? {
        match message {
            ControlMessage::SamplesStored {
                database_id,
                incarnation_id,
                sequence,
            } => intake.acknowledge(database_id, incarnation_id, sequence),
            ControlMessage::Allowance {
                database_id,
                allowance,
            } => intake.answer(database_id, *allowance),
            ControlMessage::Unknown(_) => tracing::debug!("a message of a later version"),
        }
    }
    Err(LinkError::Closed)
}

async fn send(
    outgoing: &mpsc::Sender<RegionMessage>,
    message: RegionMessage,
) -> Result<(), LinkError> {
    match timeout(SEND_TIMEOUT, outgoing.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(LinkError::Closed),
        Err(_) => Err(LinkError::Slow),
    }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
