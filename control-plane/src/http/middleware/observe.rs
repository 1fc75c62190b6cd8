//! Names, traces, logs and counts each request.

use crate::http::problem::REQUEST_ID;
use crate::http::state::ApiState;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use std::time::Instant;
use tracing::Instrument as _;

/// How much of a path is logged, characters.
const PATH_LOGGED_MAX: usize = 200;

/// Neither the query string nor a header is logged: they may hold secrets.
pub(super) async fn observe(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let id = state.platform.clock.new_uuid();
    let method = request.method().clone();
    // The pattern of the route, not the path: identifiers would make a series of their own each.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", MatchedPath::as_str)
        .to_owned();
    let path: String = request.uri().path().chars().take(PATH_LOGGED_MAX).collect();
    let span = tracing::info_span!("request", request_id = %id, %method, route);
    let answer = next.run(request).instrument(span.clone());
    let mut response = REQUEST_ID.scope(id, answer).await;
    let took = begun.elapsed();
    let status = response.status().as_u16();
    state.metrics.record(&route, &method, status, took);
    span.in_scope(|| {
        tracing::info!(path, status, took_ms = took.as_millis(), "answered");
    });
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
