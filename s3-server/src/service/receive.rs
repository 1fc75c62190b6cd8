//! Takes a body in: to a draft, hashed on the way, checked against all that the client said of it.

use super::blocking;
use super::error::{self, custom};
use crate::checksum::Algorithm;
use crate::storage::{Bucket, Draft, Header, StorageError};
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, StdError, TrailingHeaders, s3_error};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Held of a body in memory before it is written, bytes; and what arrives with it at once.
const BATCH_BYTES: usize = 256 * 1024;

/// A body of which nothing arrives for so long is given up, seconds.
const STALL_SECONDS: u64 = 60;

/// What a client says of a body.
#[derive(Debug, Default)]
pub(super) struct Given {
    length: Option<u64>,
    md5: Option<Vec<u8>>,
    pub(super) algorithm: Option<Algorithm>,
    value: Option<String>,
    /// Holds the value behind the body.
    trailer: Option<TrailingHeaders>,
}

impl Given {
    pub(super) fn read(headers: &HeaderMap, trailer: Option<TrailingHeaders>) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut given = Self {
            length: text("content-length").and_then(|length| length.parse().ok()),
            ..Self::default()
        };
        if let Some(md5) = text("content-md5") {
            let digest = BASE64.decode(md5.as_bytes()).ok();
            let digest = digest.filter(|digest| digest.len() == 16);
            let invalid = || s3_error!(InvalidDigest, "Content-MD5 is not one");
            given.md5 = Some(digest.ok_or_else(invalid)?);
        }
        // The trailer's announcement comes first: a client that sends the value behind the body
        // may name the algorithm in a header too.
        let announced = text("x-amz-trailer").unwrap_or_default();
        given.algorithm = announced.split(',').find_map(Algorithm::of_header);
        if given.algorithm.is_some() {
            given.trailer = trailer;
            if given.trailer.is_none() {
                return Err(s3_error!(
                    InvalidRequest,
                    "a trailer is announced that cannot come"
                ));
            }
        }
        for algorithm in Algorithm::ALL {
            if let Some(value) = text(algorithm.header()) {
                if given.algorithm.replace(algorithm).is_some() {
                    return Err(s3_error!(InvalidRequest, "a body has one checksum"));
                }
                given.value = Some(value.to_owned());
            }
        }
        if given.algorithm.is_none()
            && let Some(name) = text("x-amz-sdk-checksum-algorithm")
        {
            let unknown = || s3_error!(InvalidRequest, "the checksum algorithm is not known");
            given.algorithm = Some(Algorithm::parse(name).ok_or_else(unknown)?);
        }
        Ok(given)
    }

    /// The value that the client gave, in front of the body or behind it.
    fn value(&self) -> S3Result<Option<String>> {
        let (Some(trailer), Some(algorithm)) = (&self.trailer, self.algorithm) else {
            return Ok(self.value.clone());
        };
        let name = algorithm.header();
        let read = |trailer: &HeaderMap| Some(trailer.get(name)?.to_str().ok()?.to_owned());
        match trailer.read(read).flatten() {
            Some(value) => Ok(Some(value)),
            None => Err(custom(
                "MalformedTrailerError",
                StatusCode::BAD_REQUEST,
                "the trailer lacks what was announced",
            )),
        }
    }
}

struct Writer {
    bucket: Arc<Bucket>,
    header: Header,
    /// Begun with the first batch: a small body is written and named in one go.
    draft: Option<Draft>,
    md5: Md5,
    hasher: Option<ChecksumHasher>,
}

impl Writer {
    fn write(&mut self, batch: &[Bytes]) -> Result<(), StorageError> {
        let draft = match &mut self.draft {
            Some(draft) => draft,
            none => none.insert(self.bucket.draft(&self.header)?),
        };
        for chunk in batch {
            self.md5.update(chunk);
            if let Some(hasher) = &mut self.hasher {
                hasher.update(chunk);
            }
        }
        draft.write(batch)
    }
}

/// Takes a body in, completes the `header` that describes it, and has it published where the disk is
/// waited for.
///
/// `fallback`: the checksum to take if the client names none.
pub(super) async fn receive(
    bucket: Arc<Bucket>,
    header: Header,
    body: Option<StreamingBlob>,
    given: Given,
    fallback: Option<Algorithm>,
    publish: impl FnOnce(Draft, &Header) -> Result<(), StorageError> + Send + 'static,
) -> S3Result<Header> {
    let algorithm = given.algorithm.or(fallback);
    let mut writer = Writer {
        bucket,
        header,
        draft: None,
        md5: Md5::new(),
        hasher: algorithm.map(Algorithm::hasher),
    };
    let mut body = body;
    let mut batch = Vec::new();
    let mut held = 0;
    while let Some(chunk) = next(&mut body).await? {
        held += chunk.len();
        batch.push(chunk);
        if held >= BATCH_BYTES {
            let full = std::mem::take(&mut batch);
            writer = blocking(move || {
                writer.write(&full)?;
                Ok(writer)
            })
            .await?;
            held = 0;
        }
    }
    let finished = tokio::task::spawn_blocking(move || {
        writer.write(&batch).map_err(error::answer)?;
        let (draft, header) = check(writer, algorithm, &given)?;
        publish(draft, &header).map_err(error::answer)?;
        Ok(header)
    });
    finished.await.map_err(S3Error::internal_error)?
}

async fn next(body: &mut Option<StreamingBlob>) -> S3Result<Option<Bytes>> {
    let Some(body) = body else { return Ok(None) };
    match timeout(Duration::from_secs(STALL_SECONDS), body.next()).await {
        Err(_) => Err(s3_error!(RequestTimeout, "the body does not go on")),
        Ok(None) => Ok(None),
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(error))) => Err(body_error(error)),
    }
}

/// Why a body cannot be read: s3s gives its own errors as text alone.
fn body_error(error: StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        return custom(
            "XAmzContentSHA256Mismatch",
            StatusCode::BAD_REQUEST,
            "the body differs from x-amz-content-sha256",
        );
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(
            SignatureDoesNotMatch,
            "a chunk of the body is not as signed"
        );
    }
    if text.contains("a chunk of the body is larger") {
        return s3_error!(EntityTooLarge, "a chunk of the body is too large");
    }
    let mut answer = s3_error!(IncompleteBody, "the body is not whole");
    answer.set_source(error);
    answer
}

/// A body that is as the client said, in a draft that is not sealed.
fn check(writer: Writer, algorithm: Option<Algorithm>, given: &Given) -> S3Result<(Draft, Header)> {
    let Writer {
        bucket,
        mut header,
        draft,
        md5,
        hasher,
    } = writer;
    let draft = draft.ok_or_else(|| s3_error!(InternalError, "the body has no draft"))?;
    if given.length.is_some_and(|length| length != draft.written()) {
        return Err(s3_error!(
            IncompleteBody,
            "the body is not as long as announced"
        ));
    }
    let digest = md5.finalize();
    if given.md5.as_ref().is_some_and(|md5| md5[..] != digest[..]) {
        return Err(s3_error!(BadDigest, "the body differs from Content-MD5"));
    }
    let checksum = match (algorithm, hasher) {
        (Some(algorithm), Some(hasher)) => algorithm.finish(hasher),
        _ => None,
    };
    if let Some(value) = given.value()?
        && checksum
            .as_ref()
            .is_none_or(|checksum| !checksum.is(&value))
    {
        return Err(s3_error!(BadDigest, "the body differs from its checksum"));
    }
    header.size = draft.written();
    header.etag = HEXLOWER.encode(&digest);
    header.checksum = checksum;
    header.modified_ms = bucket.now_ms();
    Ok((draft, header))
}
