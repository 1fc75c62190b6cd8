//! `/metrics`, `/health/live` and `/health/ready` of an edge.

use super::locate::{Label, Locator};
use super::metrics::Metrics;
use crate::protocol::postgres::session::SessionTable;
use crate::protocol::postgres::socket;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::TcpListener;

/// Longest time in which a request's headers arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Scrapers connected at once.
const CONNECTIONS_MAX: usize = 16;

pub(super) struct Health {
    pub(super) metrics: Arc<Metrics>,
    pub(super) locator: Arc<Locator>,
    pub(super) sessions: Arc<SessionTable<Label>>,
}

/// Answers until it is dropped.
pub(super) async fn serve(listener: TcpListener, health: Arc<Health>) {
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                socket::accept_failed(&error).await;
                continue;
            }
        };
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let health = health.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = health.answer(request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a scrape ended early");
            }
            drop(place);
        });
    }
}

impl Health {
    fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        let (status, text) = match path {
            "/metrics" => {
                let (sessions, routes) = (self.sessions.len(), self.locator.table().len());
                (StatusCode::OK, self.metrics.render(sessions, routes))
            }
            "/health/live" => (StatusCode::OK, "live\n".to_owned()),
            "/health/ready" if self.metrics.leaving.load(Relaxed) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "leaving: it was told to end\n".to_owned(),
            ),
            "/health/ready" if self.metrics.has_routes.load(Relaxed) => {
                (StatusCode::OK, "ready\n".to_owned())
            }
            "/health/ready" => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no routes yet: the control plane has not answered\n".to_owned(),
            ),
            _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
        };
        let mut answer = Response::new(Full::new(Bytes::from(text)));
        *answer.status_mut() = status;
        answer.headers_mut().insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
        );
        answer
    }
}
