//! Health, readiness and metrics over HTTP, on a unix socket and on a port if asked for.
//!
//! `/health/live` answers while the process works, `/health/ready` while the instance takes
//! connections, `/metrics` in Prometheus' text format.

use super::state::NodeState;
use super::status::StatusBoard;
use super::volume::Volume;
use crate::metering::Outbox;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use lumadb_contract::archive::ArchiveStatus;
use lumadb_contract::instance::{InstancePhase, VolumeStage};
use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

/// Requests served at the same time, at most.
const CONNECTIONS_MAX: usize = 16;

/// Time for a request's headers, seconds.
const HEADERS_SECONDS: u64 = 5;

/// Everything that is told.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) state: Arc<NodeState>,
    pub(crate) status: StatusBoard,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) volume: watch::Receiver<Volume>,
    pub(crate) now: fn() -> OffsetDateTime,
}

/// Serves for as long as it is polled.
pub(crate) async fn health_serve(
    health: Arc<Health>,
    socket: UnixListener,
    port: Option<TcpListener>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let on_socket = async {
        loop {
            let accepted = socket.accept().await.map(|(stream, _)| stream);
            accept(accepted, &health, &slots).await;
        }
    };
    let on_port = async {
        let Some(port) = port else {
            return std::future::pending().await;
        };
        loop {
            let accepted = port.accept().await.map(|(stream, _)| stream);
            accept(accepted, &health, &slots).await;
        }
    };
    tokio::join!(on_socket, on_port);
}

async fn accept<S>(accepted: std::io::Result<S>, health: &Arc<Health>, slots: &Arc<Semaphore>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Ok(stream) = accepted else {
        sleep(Duration::from_millis(100)).await;
        return;
    };
    let Ok(slot) = slots.clone().acquire_owned().await else {
        return;
    };
    let health = health.clone();
    tokio::spawn(async move {
        let service = service_fn(|request| {
            let answer = answer(&health, &request);
            async move { Ok::<_, Infallible>(answer) }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(HEADERS_SECONDS))
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a request for health or metrics");
        }
        drop(slot);
    });
}

fn answer(health: &Health, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, text) = match request.uri().path() {
        "/health/live" => (StatusCode::OK, "live\n".to_owned()),
        "/health/ready" => match health.status.read().phase {
            InstancePhase::Ready => (StatusCode::OK, ready(health.volume.borrow().stage)),
            phase => (StatusCode::SERVICE_UNAVAILABLE, format!("{phase:?}\n")),
        },
        "/metrics" => (StatusCode::OK, metrics(health)),
        _ => (StatusCode::NOT_FOUND, "no such page\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let text = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, text);
    response
}

/// In words: an instance that may only be read is ready all the same.
fn ready(volume: VolumeStage) -> String {
    match volume {
        VolumeStage::Ample => "ready\n".to_owned(),
        VolumeStage::Alarm => "ready, and its volume fills up\n".to_owned(),
        VolumeStage::ReadOnly => "ready to be read, because its volume is nearly full\n".to_owned(),
        VolumeStage::Full => "serves nobody, because its volume is full\n".to_owned(),
    }
}

/// A metric: name, type, help, value.
type Metric = (&'static str, &'static str, &'static str, u64);

fn metrics(health: &Health) -> String {
    let counters = health.state.counters().snapshot();
    let status = health.status.read();
    let ready = u64::from(status.phase == InstancePhase::Ready);
    let volume = *health.volume.borrow();
    let list: [Metric; 13] = [
        (
            "lumadb_node_requests_total",
            "counter",
            "Commands that the engine answered.",
            counters.requests,
        ),
        (
            "lumadb_node_request_errors_total",
            "counter",
            "Answered commands that ended in an error.",
            counters.errors,
        ),
        (
            "lumadb_node_transfer_out_bytes_total",
            "counter",
            "Bytes sent to clients, before TLS.",
            counters.transfer_out_bytes,
        ),
        (
            "lumadb_node_vector_operations_total",
            "counter",
            "Vectors searched for or written.",
            counters.vector_operations,
        ),
        (
            "lumadb_node_connections_opened_total",
            "counter",
            "Client connections admitted.",
            counters.connections_opened,
        ),
        (
            "lumadb_node_connections",
            "gauge",
            "Client connections open.",
            u64::from(status.connections),
        ),
        (
            "lumadb_node_storage_bytes",
            "gauge",
            "Stored bytes without WAL.",
            status.storage_bytes,
        ),
        (
            "lumadb_node_ready",
            "gauge",
            "1 while the instance takes connections.",
            ready,
        ),
        (
            "lumadb_node_observed_generation",
            "gauge",
            "Generation of the spec in force.",
            status.observed_generation,
        ),
        (
            "lumadb_node_spool_samples",
            "gauge",
            "Usage samples not yet acknowledged.",
            health.outbox.len() as u64,
        ),
        (
            "lumadb_node_volume_bytes",
            "gauge",
            "Size of the volume that the instance lies on.",
            volume.bytes_total,
        ),
        (
            "lumadb_node_volume_free_bytes",
            "gauge",
            "What is free of it.",
            volume.bytes_free,
        ),
        (
            "lumadb_node_volume_stage",
            "gauge",
            "0: room, 1: alarm, 2: read-only, 3: full and nobody is served.",
            volume.stage as u64,
        ),
    ];
    let mut text = String::new();
    let archive = status.archive.as_ref();
    let archive = archive.map(|archive| archive_metrics(archive, (health.now)()));
    for (name, kind, help, value) in list.into_iter().chain(archive.into_iter().flatten()) {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
        );
    }
    text
}

/// Of an instance that has an archive.
fn archive_metrics(archive: &ArchiveStatus, now: OffsetDateTime) -> [Metric; 7] {
    let lag_bytes = archive.flushed_lsn.0.saturating_sub(archive.archived_lsn.0);
    let until = archive.archived_until;
    let behind = until.filter(|_| lag_bytes > 0).map(|until| now - until);
    let lag_seconds = behind.map_or(0, time::Duration::whole_seconds);
    let until = until.map_or(0, OffsetDateTime::unix_timestamp);
    [
        (
            "lumadb_node_archive_lag_bytes",
            "gauge",
            "WAL on the engine's disk and not yet in the archive.",
            lag_bytes,
        ),
        (
            "lumadb_node_archive_lag_seconds",
            "gauge",
            "Age of the last moment before which everything is archived, while WAL waits.",
            lag_seconds.try_into().unwrap_or_default(),
        ),
        (
            "lumadb_node_archive_until_timestamp_seconds",
            "gauge",
            "The last moment before which everything is archived; 0: none yet.",
            until.try_into().unwrap_or_default(),
        ),
        (
            "lumadb_node_archive_puts_total",
            "counter",
            "Requests that write to the archive.",
            archive.puts,
        ),
        (
            "lumadb_node_archive_put_bytes_total",
            "counter",
            "Bytes sent in them.",
            archive.put_bytes,
        ),
        (
            "lumadb_node_archive_put_failures_total",
            "counter",
            "Those of them that did not succeed.",
            archive.put_failures,
        ),
        (
            "lumadb_node_archive_failing",
            "gauge",
            "1 while something stops the archive.",
            u64::from(archive.error.is_some()),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::archive::Lsn;
    use lumadb_contract::id::IncarnationId;
    use time::macros::datetime;
    use uuid::Uuid;

    #[test]
    fn the_metrics_are_these() {
        let health = Health {
            state: NodeState::new("engine".into()),
            status: StatusBoard::new(IncarnationId::from_uuid(Uuid::nil()), || {
                OffsetDateTime::UNIX_EPOCH
            }),
            outbox: Arc::default(),
            volume: watch::Sender::new(Volume::default()).subscribe(),
            now: || datetime!(2026-11-27 03:00:10 UTC),
        };
        let text = metrics(&health);
        let names: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(
            names,
            [
                "lumadb_node_requests_total",
                "lumadb_node_request_errors_total",
                "lumadb_node_transfer_out_bytes_total",
                "lumadb_node_vector_operations_total",
                "lumadb_node_connections_opened_total",
                "lumadb_node_connections",
                "lumadb_node_storage_bytes",
                "lumadb_node_ready",
                "lumadb_node_observed_generation",
                "lumadb_node_spool_samples",
                "lumadb_node_volume_bytes",
                "lumadb_node_volume_free_bytes",
                "lumadb_node_volume_stage",
            ]
        );
    }

    #[test]
    fn an_archive_is_measured_by_what_it_lacks() {
        let until = datetime!(2026-11-27 03:00:00 UTC);
        let mut archive = ArchiveStatus {
            archived_lsn: Lsn(100),
            flushed_lsn: Lsn(130),
            archived_until: Some(until),
            ..ArchiveStatus::default()
        };
        let now = until + time::Duration::seconds(10);
        let values = |archive: &ArchiveStatus| {
            let metrics = archive_metrics(archive, now);
            (metrics[0].3, metrics[1].3)
        };
        assert_eq!(values(&archive), (30, 10));
        archive.archived_lsn = Lsn(130);
        assert_eq!(values(&archive), (0, 0));
    }
}
