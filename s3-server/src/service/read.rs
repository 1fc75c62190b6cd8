//! Reads objects.

use super::conditions::{ReadConditions, refuse};
use super::{Answer, Service, blocking};
use crate::checksum;
use crate::clock::moment;
use crate::storage::{Header, Opened};
use bytes::Bytes;
use futures::stream;
use s3s::dto::{
    ChecksumMode, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Range,
    StreamingBlob,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};
use std::collections::HashMap;

/// Read of an object at once, bytes.
const READ_BYTES: usize = 256 * 1024;

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Which bytes are asked for, and how the answer says so if they are not all.
fn part(range: Option<Range>, size: u64) -> S3Result<(std::ops::Range<u64>, Option<String>)> {
    let Some(range) = range else {
        return Ok((0..size, None));
    };
    let part = range.check(size);
    let part = part.map_err(|_| s3_error!(InvalidRange, "the object has no such bytes"))?;
    if part.is_empty() {
        return Err(s3_error!(InvalidRange, "the object has no such bytes"));
    }
    let told = format!("bytes {}-{}/{size}", part.start, part.end - 1);
    Ok((part, Some(told)))
}

/// The checksum, if it is wanted and the answer holds all that it is of.
fn sums(header: &Header, mode: Option<&ChecksumMode>, whole: bool) -> s3s::dto::Checksum {
    let wanted = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    checksum::fields(header.checksum.as_ref().filter(|_| wanted && whole))
}

fn metadata(header: &mut Header) -> Option<HashMap<String, String>> {
    let metadata = std::mem::take(&mut header.content.metadata);
    (!metadata.is_empty()).then(|| metadata.into_iter().collect())
}

pub(super) async fn get(service: &Service, input: GetObjectInput) -> Answer<GetObjectOutput> {
    refuse(&[
        (input.version_id.is_some(), "versions"),
        (input.part_number.is_some(), "reading by part"),
    ])?;
    let bucket = service.bucket(&input.bucket)?;
    let mut opened = blocking(move || bucket.open(&input.key)).await?;
    let conditions = ReadConditions {
        matching: input.if_match,
        unmodified_since: input.if_unmodified_since,
        not_matching: input.if_none_match,
        modified_since: input.if_modified_since,
    };
    conditions.check(&opened.header)?;
    let (bytes, content_range) = part(input.range, opened.header.size)?;
    let whole = content_range.is_none();
    let sums = sums(&opened.header, input.checksum_mode.as_ref(), whole);
    let metadata = metadata(&mut opened.header);
    let header = opened.header.clone();
    let content = header.content;
    let content_length = Some(signed(bytes.end - bytes.start));
    Ok(S3Response::new(GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(body(opened, bytes)),
        cache_control: content.cache_control,
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        content_disposition: content.content_disposition,
        content_encoding: content.content_encoding,
        content_language: content.content_language,
        content_length,
        content_range,
        content_type: Some(content.content_type.unwrap_or_else(default_type)),
        e_tag: Some(ETag::Strong(header.etag)),
        last_modified: Some(moment(header.modified_ms).into()),
        metadata,
        ..GetObjectOutput::default()
    }))
}

pub(super) async fn head(service: &Service, input: HeadObjectInput) -> Answer<HeadObjectOutput> {
    refuse(&[
        (input.version_id.is_some(), "versions"),
        (input.part_number.is_some(), "reading by part"),
    ])?;
    let bucket = service.bucket(&input.bucket)?;
    let mut header = blocking(move || Ok(bucket.open(&input.key)?.header)).await?;
    let conditions = ReadConditions {
        matching: input.if_match,
        unmodified_since: input.if_unmodified_since,
        not_matching: input.if_none_match,
        modified_since: input.if_modified_since,
    };
    conditions.check(&header)?;
    let (bytes, content_range) = part(input.range, header.size)?;
    let whole = content_range.is_none();
    let sums = sums(&header, input.checksum_mode.as_ref(), whole);
    let metadata = metadata(&mut header);
    let content = header.content;
    Ok(S3Response::new(HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: content.cache_control,
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        content_disposition: content.content_disposition,
        content_encoding: content.content_encoding,
        content_language: content.content_language,
        content_length: Some(signed(bytes.end - bytes.start)),
        content_range,
        content_type: Some(content.content_type.unwrap_or_else(default_type)),
        e_tag: Some(ETag::Strong(header.etag)),
        last_modified: Some(moment(header.modified_ms).into()),
        metadata,
        ..HeadObjectOutput::default()
    }))
}

/// What S3 says of an object whose type nobody gave.
fn default_type() -> String {
    "binary/octet-stream".to_owned()
}

/// Reads as the client takes. A fault cuts the connection: the client sees that bytes are missing.
fn body(opened: Opened, bytes: std::ops::Range<u64>) -> StreamingBlob {
    let start = Some((opened, bytes));
    StreamingBlob::wrap(stream::try_unfold(start, |state| async {
        let Some((mut opened, bytes)) = state.filter(|(_, bytes)| !bytes.is_empty()) else {
            return Ok::<_, S3Error>(None);
        };
        let left = usize::try_from(bytes.end - bytes.start).unwrap_or(usize::MAX);
        let (chunk, opened) = blocking(move || {
            let chunk = opened.read(bytes.start, left.min(READ_BYTES))?;
            Ok((chunk, opened))
        })
        .await?;
        let next = bytes.start + chunk.len() as u64..bytes.end;
        Ok(Some((Bytes::from(chunk), Some((opened, next)))))
    }))
}
