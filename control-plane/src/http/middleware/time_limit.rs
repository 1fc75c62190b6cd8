//! How long a request may take until its answer begins.

use crate::app::{AppError, ProblemType};
use crate::http::extract::Prefer;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use std::time::Duration;

/// For a request that asks for no waiting.
const LIMIT: Duration = Duration::from_secs(30);

/// A query of the SQL editor may run for a minute.
const QUERY_LIMIT: Duration = Duration::from_secs(90);

/// The limit ends with the answer's head: a stream of events goes on for as long as it lasts.
pub(super) async fn limit(request: Request, next: Next) -> Result<Response, AppError> {
    let limit = if request.uri().path().ends_with("/query") {
        QUERY_LIMIT
    } else {
        LIMIT + wait(&request)
    };
    tokio::time::timeout(limit, next.run(request))
        .await
        .map_err(|_| {
            AppError::rejected(
                ProblemType::Timeout,
                format!("There was no answer within {} seconds.", limit.as_secs()),
            )
        })
}

/// How long the client asks us to hold the answer, by header or by query.
fn wait(request: &Request) -> Duration {
    let in_query = request
        .uri()
        .query()
        .unwrap_or("")
        .split('&')
        .find_map(|pair| pair.strip_prefix("wait="))
        .and_then(|seconds| seconds.parse().ok());
    let seconds = Prefer::parse(request.headers())
        .wait_seconds
        .or(in_query)
        .unwrap_or(0);
    Duration::from_secs(u64::from(
        seconds.min(crate::http::extract::WAIT_SECONDS_MAX),
    ))
}
