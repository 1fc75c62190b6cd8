//! `/metrics`, `/health/live` and `/health/ready`.

use super::metrics::Metrics;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Longest time in which a request's headers arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Scrapers connected at once.
const CONNECTIONS_MAX: usize = 16;

/// When no connection can be taken, such as for want of file descriptors, another try comes later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until it is dropped.
pub(super) async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a scrape was not taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let metrics = metrics.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let response = respond(&metrics, request.uri().path());
                async move { Ok::<_, Infallible>(response) }
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

/// One that stands by is ready too: it takes over when it must.
fn respond(metrics: &Metrics, path: &str) -> Response<Full<Bytes>> {
    let (status, text) = match path {
        "/metrics" => (StatusCode::OK, metrics.render()),
        "/health/live" => (StatusCode::OK, "live\n".to_owned()),
        "/health/ready" if metrics.connected.load(Relaxed) => {
            (StatusCode::OK, "ready\n".to_owned())
        }
        "/health/ready" => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the API server does not answer\n".to_owned(),
        ),
        _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_while_the_api_server_answers() {
        let metrics = Metrics::default();
        assert_eq!(
            respond(&metrics, "/health/ready").status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        metrics.connected.store(true, Relaxed);
        assert_eq!(respond(&metrics, "/health/ready").status(), StatusCode::OK);
        assert_eq!(respond(&metrics, "/health/live").status(), StatusCode::OK);
        assert_eq!(respond(&metrics, "/").status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn what_was_written_is_counted() {
        let metrics = Metrics::default();
        metrics.action("create_pod");
        metrics.action("create_pod");
        let text = metrics.render();
        assert!(text.contains("lumadb_operator_writes_total{write=\"create_pod\"} 2"));
        assert!(text.contains("lumadb_operator_leader 0"), "{text}");
    }
}
