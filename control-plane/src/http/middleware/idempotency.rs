//! Ties an idempotency key to the request that brings it.

use crate::app::AppError;
use crate::app::change::IdempotentRequest;
use crate::http::extract::read_body;
use aws_lc_rs::digest;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use data_encoding::HEXLOWER;
use http::Method;

const HEADER: &str = "idempotency-key";

/// Longest key, characters.
const KEY_CHARACTERS_MAX: usize = 255;

/// Reads the body of a POST with a key, so that the same key with another body is noticed.
pub(super) async fn tie_key(request: Request, next: Next) -> Result<Response, AppError> {
    if request.method() != Method::POST {
        return Ok(next.run(request).await);
    }
    let Some(value) = request.headers().get(HEADER) else {
        return Ok(next.run(request).await);
    };
    let key = value
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|key| (1..=KEY_CHARACTERS_MAX).contains(&key.len()))
        .ok_or_else(|| {
            AppError::field(
                "Idempotency-Key",
                format!("has 1 to {KEY_CHARACTERS_MAX} printable characters"),
            )
        })?
        .to_owned();
    let (parts, body) = request.into_parts();
    let mut whole = Request::from_parts(parts.clone(), body);
    *whole.extensions_mut() = parts.extensions.clone();
    let body = read_body(whole).await?;
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(parts.method.as_str().as_bytes());
    hash.update(b" ");
    hash.update(parts.uri.to_string().as_bytes());
    hash.update(b"\n");
    hash.update(&body);
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(IdempotentRequest {
        key,
        request_hash: HEXLOWER.encode(hash.finish().as_ref()),
    });
    Ok(next.run(request).await)
}
