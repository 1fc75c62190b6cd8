//! One stream of an operator, from its hello to its end.

use super::Link;
use super::lane::Lanes;
use super::roll::Roll;
use lumadb_contract::cluster::{ControlMessage, LINK_VERSION, RegionMessage};
use lumadb_contract::usage::BATCH_SAMPLES_MAX;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

/// Longest wait for the first message of a stream.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) type Outgoing = mpsc::Sender<Result<ControlMessage, Status>>;

/// Takes in what the operator says, until it ends, another stream takes its place, or we stop.
pub(super) async fn converse(
    link: &Link,
    mut messages: Streaming<RegionMessage>,
    outgoing: &Outgoing,
) -> Result<(), Status> {
    let operator_version = hello(&mut messages).await?;
    let stream = link.states.begin();
    tracing::info!(
        operator_version,
        stream,
        "the operator of the cluster attached"
    );
    let mut lanes = Lanes::new(link.reports.clone(), outgoing.clone());
    let ended = tokio::select! {
        ended = listen(link, stream, messages, &mut lanes) => ended,
        () = link.states.superseded(stream) => Err(Status::aborted("another stream took over")),
        () = link.shutdown.cancelled() => Err(Status::unavailable("the control plane stops")),
        () = outgoing.closed() => Ok(()),
    };
    link.states.end(stream);
    // What came is stored and answered before the stream ends.
    lanes.finish().await;
    tracing::info!(stream, "the operator of the cluster detached");
    ended
}

async fn hello(messages: &mut Streaming<RegionMessage>) -> Result<String, Status> {
    let first = tokio::time::timeout(HELLO_TIMEOUT, messages.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no hello came"))??;
    let Some(RegionMessage::Hello {
        link_version,
        operator_version,
    }) = first
    else {
        return Err(Status::invalid_argument("a stream begins with a hello"));
    };
    if link_version > LINK_VERSION {
        return Err(Status::failed_precondition(format!(
            "this control plane speaks version {LINK_VERSION} of the link, not {link_version}"
        )));
    }
    Ok(operator_version)
}

async fn listen(
    link: &Link,
    stream: u64,
    mut messages: Streaming<RegionMessage>,
    lanes: &mut Lanes,
) -> Result<(), Status> {
    let mut roll = Roll::new(link.reports.clone(), link.region.clone());
    let states = &link.states;
    while let Some(message) = messages.message().await? {
        match message {
            RegionMessage::Status {
                database_id,
                status,
                address,
            } => {
                if roll.admits(database_id).await {
                    states.status(stream, database_id, *status, address);
                }
            }
            RegionMessage::Absent { database_id } => {
                if roll.admits(database_id).await {
                    states.absent(stream, database_id);
                }
            }
            RegionMessage::Complete => states.complete(stream),
            RegionMessage::Samples {
                database_id,
                samples,
            } => {
                if samples.len() > BATCH_SAMPLES_MAX {
                    return Err(Status::invalid_argument("a batch of samples is too large"));
                }
                if roll.admits(database_id).await {
                    lanes.samples(database_id, samples).await;
                }
            }
            RegionMessage::Allowance {
                database_id,
                request,
            } => {
                if roll.admits(database_id).await {
                    lanes.question(database_id, request);
                }
            }
            RegionMessage::Hello { .. } | RegionMessage::Unknown(_) => {}
        }
    }
    Ok(())
}
