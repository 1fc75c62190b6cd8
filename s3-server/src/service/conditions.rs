//! Conditions of requests, and limits of what they ask for.

use crate::storage::{Condition, Header};
use http::HeaderMap;
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};
use time::OffsetDateTime;

/// Of a write. Two conditions at once, and a write *unless the object is this one*, are none of
/// S3's.
pub(super) fn of_write(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::Etag(etag.into_value())),
        _ => Err(s3_error!(
            NotImplemented,
            "a write has If-Match, or If-None-Match with `*`"
        )),
    }
}

/// Of a write whose input has no such fields.
pub(super) fn of_headers(headers: &HeaderMap) -> S3Result<Condition> {
    let read = |name: &str| {
        let value = headers.get(name);
        let parsed = value.map(|value| ETagCondition::parse_http_header(value.as_bytes()));
        parsed
            .transpose()
            .map_err(|_| s3_error!(InvalidArgument, "`{name}` is not an etag"))
    };
    of_write(read("if-match")?, read("if-none-match")?)
}

/// Conditions of a read, in the order of RFC 9110, 13.2.2.
#[derive(Debug, Default)]
pub(super) struct ReadConditions {
    pub(super) matching: Option<ETagCondition>,
    pub(super) unmodified_since: Option<Timestamp>,
    pub(super) not_matching: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
}

impl ReadConditions {
    pub(super) fn check(&self, header: &Header) -> S3Result<()> {
        let same = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == header.etag,
        };
        // HTTP's times have whole seconds.
        let newer = |than: &Timestamp| {
            let than = OffsetDateTime::from(than.clone()).unix_timestamp();
            header.modified_ms.div_euclid(1000) > than
        };
        let failed = || {
            s3_error!(
                PreconditionFailed,
                "a condition of the request does not hold"
            )
        };
        match (&self.matching, &self.unmodified_since) {
            (Some(condition), _) if !same(condition) => return Err(failed()),
            (None, Some(since)) if newer(since) => return Err(failed()),
            _ => {}
        }
        match (&self.not_matching, &self.modified_since) {
            (Some(condition), _) if same(condition) => Err(s3_error!(NotModified)),
            (None, Some(since)) if !newer(since) => Err(s3_error!(NotModified)),
            _ => Ok(()),
        }
    }
}

/// Refuses what is asked for beyond storing.
pub(super) fn refuse(asked: &[(bool, &str)]) -> S3Result<()> {
    match asked.iter().find(|(asked, _)| *asked) {
        None => Ok(()),
        Some((_, what)) => Err(s3_error!(NotImplemented, "this server has no {what}")),
    }
}

/// A limit of a page: S3 gives at most 1000 at once.
pub(super) fn page_size(asked: Option<i32>) -> S3Result<usize> {
    let asked = usize::try_from(asked.unwrap_or(1000));
    let asked = asked.map_err(|_| s3_error!(InvalidArgument, "a page has no negative size"))?;
    Ok(asked.min(1000))
}
