//! Refuses a caller that sends too many requests, and tells every caller what it has left
//! (`RateLimit` headers, draft-ietf-httpapi-ratelimit-headers).

use crate::app::{AppError, ProblemType};
use crate::http::extract::{ClientAddress, session_secret};
use crate::http::rate_limit::Quota;
use crate::http::state::ApiState;
use aws_lc_rs::digest;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use std::time::Instant;

pub(super) async fn limit(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/v1/") {
        return next.run(request).await;
    }
    let address = address(&request);
    let refused = key("refused", address.as_bytes());
    let credential = credential(&state, &request);
    // Made-up credentials, each a caller of its own, count together by their address.
    let quota = match &credential {
        Some(key) => match state.limiter.look(refused, Instant::now()) {
            Some(exhausted) => exhausted,
            None => state.limiter.take(*key, Instant::now()),
        },
        None => state
            .limiter
            .take(key("address", address.as_bytes()), Instant::now()),
    };
    let mut response = match quota.retry_after_seconds {
        None => next.run(request).await,
        Some(seconds) => too_many(seconds).into_response(),
    };
    if credential.is_some() && response.status() == StatusCode::UNAUTHORIZED {
        state.limiter.take(refused, Instant::now());
    }
    tell(&mut response, quota);
    response
}

fn address(request: &Request) -> String {
    request
        .extensions()
        .get::<ClientAddress>()
        .and_then(|address| address.0)
        .map_or_else(String::new, |address| address.to_string())
}

/// The caller by what it shows, so that the people behind one address do not hinder each other.
fn credential(state: &ApiState, request: &Request) -> Option<[u8; 16]> {
    let headers = request.headers();
    if let Some(value) = headers.get(AUTHORIZATION) {
        return Some(key("token", value.as_bytes()));
    }
    session_secret(headers, &state.platform.links)
        .map(|secret| key("cookie", secret.expose().as_bytes()))
}

/// A hash: no credential is kept.
fn key(kind: &str, value: &[u8]) -> [u8; 16] {
    let hash = digest::digest(&digest::SHA256, &[kind.as_bytes(), b"\0", value].concat());
    let mut key = [0; 16];
    key.copy_from_slice(&hash.as_ref()[..16]);
    key
}

fn too_many(seconds: u32) -> AppError {
    AppError::Rejected {
        problem: ProblemType::RateLimited,
        detail: format!("Try again in {seconds} s."),
        errors: Vec::new(),
        retry_after_seconds: Some(seconds),
        operation: None,
    }
}

fn tell(response: &mut Response, quota: Quota) {
    let reset = quota.retry_after_seconds.unwrap_or(0);
    let headers = response.headers_mut();
    let texts = [
        (
            "ratelimit-policy",
            format!("\"api\";q={};w=60", quota.per_minute),
        ),
        (
            "ratelimit",
            format!("\"api\";r={};t={reset}", quota.remaining),
        ),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}
