//! Bodies.

use crate::app::{AppError, ProblemType};
use crate::http::BODY_BYTES_MAX;
use axum::body::BodyDataStream;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use serde::de::{DeserializeOwned, IgnoredAny};
use std::time::Duration;

/// Most that is read and thrown away of a body that is too long, bytes.
const DISCARDED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest time for it.
const DISCARD_LIMIT: Duration = Duration::from_secs(5);

/// A body of JSON that is what `T` says. Types that are read this way carry
/// `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone, Copy)]
pub struct ValidJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ValidJson<T> {
    type Rejection = AppError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, AppError> {
        if !is_json(request.headers()) {
            return Err(AppError::rejected(
                ProblemType::UnsupportedMediaType,
                "Send the header `Content-Type: application/json`.",
            ));
        }
        let body = read_body(request).await?;
        parse(&body).map(Self)
    }
}

/// Reads the body, up to the limit.
///
/// A body that is too long is read on for a while and thrown away: a client that sends all of it
/// before it listens would otherwise hear a broken connection and not our answer. One that asks
/// before it sends is answered at once.
pub async fn read_body(request: Request) -> Result<Bytes, AppError> {
    if asks_to_send_too_much(request.headers()) {
        return Err(payload_too_large());
    }
    let mut parts = request.into_body().into_data_stream();
    let mut body = BytesMut::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| {
            AppError::rejected(
                ProblemType::InvalidRequest,
                "The body could not be read to its end.",
            )
        })?;
        if body.len() + part.len() > BODY_BYTES_MAX {
            let _ = tokio::time::timeout(DISCARD_LIMIT, discard(parts)).await;
            return Err(payload_too_large());
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

fn asks_to_send_too_much(headers: &HeaderMap) -> bool {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    headers.contains_key(EXPECT) && length.is_some_and(|length| length > BODY_BYTES_MAX as u64)
}

async fn discard(mut parts: BodyDataStream) {
    let mut left = DISCARDED_BYTES_MAX;
    while let Some(Ok(part)) = parts.next().await {
        let Some(less) = left.checked_sub(part.len()) else {
            return;
        };
        left = less;
    }
}

pub(super) fn payload_too_large() -> AppError {
    AppError::rejected(
        ProblemType::PayloadTooLarge,
        format!("A body has at most {BODY_BYTES_MAX} bytes."),
    )
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AppError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        // A choice of words that finds no word is told like a fault of the syntax.
        if !error.inner().is_data() && serde_json::from_slice::<IgnoredAny>(body).is_ok() {
            return AppError::field(field(&path), "is of another type");
        }
        describe(&path, error.inner())
    })?;
    reader.end().map_err(|error| describe(".", &error))?;
    // serde would take an array for an object, its items for the fields in their order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(AppError::field("body", "is a JSON object"));
    }
    Ok(value)
}

fn describe(path: &str, error: &serde_json::Error) -> AppError {
    if !error.is_data() {
        return AppError::rejected(
            ProblemType::InvalidRequest,
            format!("The body is not JSON: {error}."),
        );
    }
    let text = error.to_string();
    // serde ends its texts with the place, which the field's name says better.
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    let parent = if path == "." { "" } else { path };
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start))
        .and_then(|rest| rest.split('`').next());
    let field = match (parent, named) {
        // The path of an unknown field names the field itself.
        (parent, Some(name)) if parent == name || parent.ends_with(&format!(".{name}")) => {
            parent.to_owned()
        }
        ("", Some(name)) => name.to_owned(),
        (parent, Some(name)) => format!("{parent}.{name}"),
        (_, None) => self::field(path),
    };
    AppError::field(field, message)
}

/// The field that a path names.
fn field(path: &str) -> String {
    if path == "." { "body" } else { path }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Outer {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Inner {
        size: u32,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Round,
    }

    fn field_of(body: &str) -> String {
        match parse::<Outer>(body.as_bytes()) {
            Err(AppError::Rejected { errors, .. }) => errors
                .into_iter()
                .next()
                .map(|e| e.field)
                .unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_field_at_fault_is_named() {
        assert_eq!(field_of(r#"{"name": 1}"#), "name");
        assert_eq!(field_of(r"{}"), "name");
        assert_eq!(field_of(r#"{"name": "a", "nome": 1}"#), "nome");
        assert_eq!(
            field_of(r#"{"name": "a", "inner": {"size": -1}}"#),
            "inner.size"
        );
        assert_eq!(field_of(r#"{"name": "a", "inner": {}}"#), "inner.size");
        assert_eq!(
            field_of(r#"{"name": "a", "inner": {"size": 1, "x": 1}}"#),
            "inner.x"
        );
        for kind in ["7", "true", "1.5", "[\"round\"]", "\"square\""] {
            let body = format!(r#"{{"name": "a", "inner": {{"size": 1, "kind": {kind}}}}}"#);
            assert_eq!(field_of(&body), "inner.kind", "{kind}");
        }
        assert_eq!(field_of("[]"), "body");
        assert_eq!(field_of(r#"["a", null]"#), "body");
        assert_eq!(field_of("1"), "body");
        assert_eq!(field_of(r#"{"name": "a"} x"#), "");
    }

    #[test]
    fn deep_nesting_is_refused_before_it_hurts() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(parse::<serde_json::Value>(deep.as_bytes()).is_err());
    }
}
