//! Headers that make a request conditional, repeatable or patient.

use crate::app::change::IdempotentRequest;
use crate::app::{AppError, ProblemType};
use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::IF_MATCH;
use http::request::Parts;

/// Longest time that an answer is held for `Prefer: wait`, seconds.
pub const WAIT_SECONDS_MAX: u32 = 60;

/// The key of a POST that may be sent again, with the hash of its request; `None` without the
/// header. The middleware `idempotency` prepares it.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub Option<IdempotentRequest>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AppError> {
        Ok(Self(parts.extensions.get::<IdempotentRequest>().cloned()))
    }
}

/// The revision that the client means to change; `None` for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub Option<i64>);

/// Stands for a tag that we never gave: no revision is negative.
const NO_REVISION: i64 = -1;

impl IfMatch {
    /// Fails with `precondition_failed` when the resource is at another revision.
    pub fn check(self, revision: i64) -> Result<(), AppError> {
        match self.0 {
            Some(expected) if expected != revision => Err(AppError::rejected(
                ProblemType::PreconditionFailed,
                format!("It is at revision {revision} by now: read it again."),
            )),
            _ => Ok(()),
        }
    }

    fn parse(headers: &HeaderMap) -> Result<Self, AppError> {
        let mut values = headers.get_all(IF_MATCH).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default().trim();
        if values.next().is_some() || text.contains(',') {
            return Err(AppError::field("If-Match", "holds one tag"));
        }
        if text == "*" {
            return Ok(Self(None));
        }
        let revision = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .and_then(|tag| tag.parse().ok())
            .filter(|revision| *revision >= 0);
        Ok(Self(Some(revision.unwrap_or(NO_REVISION))))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AppError> {
        Self::parse(&parts.headers)
    }
}

/// What the client would like (RFC 7240).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prefer {
    /// Hold the answer until the operation ends, at most so many seconds.
    pub wait_seconds: Option<u32>,
}

impl Prefer {
    /// Preferences are wishes: one that cannot be read is ignored.
    pub fn parse(headers: &HeaderMap) -> Self {
        let wait_seconds = headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .find_map(|preference| preference.trim().strip_prefix("wait="))
            .and_then(|seconds| seconds.trim().parse::<u32>().ok())
            .map(|seconds| seconds.min(WAIT_SECONDS_MAX));
        Self { wait_seconds }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Prefer {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AppError> {
        Ok(Self::parse(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn a_stale_or_foreign_tag_does_not_match_and_none_always_does() {
        let parse = |value| IfMatch::parse(&headers("if-match", value)).expect("one tag");
        assert!(parse("\"3\"").check(3).is_ok());
        assert!(parse("\"2\"").check(3).is_err());
        assert!(parse("W/\"3\"").check(3).is_err());
        assert!(parse("\"-1\"").check(3).is_err());
        assert!(parse("*").check(3).is_ok());
        assert!(IfMatch(None).check(3).is_ok());
        assert!(IfMatch::parse(&headers("if-match", "\"1\", \"2\"")).is_err());
    }

    #[test]
    fn a_wait_is_cut_to_a_minute() {
        let wait = |value| Prefer::parse(&headers("prefer", value)).wait_seconds;
        assert_eq!(wait("wait=10"), Some(10));
        assert_eq!(wait("respond-async, wait=600"), Some(60));
        assert_eq!(wait("wait=soon"), None);
    }
}
