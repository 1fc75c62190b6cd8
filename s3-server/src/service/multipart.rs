//! Uploads in parts.

use super::about::{content_of, refuse_beyond_storing};
use super::conditions::{of_write, page_size, refuse};
use super::receive::{Given, receive};
use super::{Answer, Service, blocking};
use crate::checksum::{self, Algorithm, Checksum, Kind};
use crate::clock::moment;
use crate::storage::{CompletedPart, Content, Draft, Header, NewUpload, PART_NUMBER_MAX};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, ListPartsInput, ListPartsOutput, Part, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

/// Largest object, bytes: S3's limit of 5 TiB, which no sum of parts may pass.
const OBJECT_BYTES_MAX: u64 = 5 << 40;

fn checksum_asked(
    algorithm: Option<&ChecksumAlgorithm>,
    kind: Option<&ChecksumType>,
) -> S3Result<Option<(Algorithm, Kind)>> {
    let Some(name) = algorithm else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(s3_error!(
                InvalidRequest,
                "a checksum type has an algorithm"
            )),
        };
    };
    let unknown = || s3_error!(InvalidRequest, "there is no such checksum");
    let algorithm = Algorithm::parse(name.as_str()).ok_or_else(unknown)?;
    let kind = match kind {
        None => algorithm.default_kind(),
        Some(kind) => Kind::parse(kind.as_str()).ok_or_else(unknown)?,
    };
    if algorithm.allows(kind) {
        Ok(Some((algorithm, kind)))
    } else {
        Err(unknown())
    }
}

pub(super) async fn create(
    service: &Service,
    input: CreateMultipartUploadInput,
) -> Answer<CreateMultipartUploadOutput> {
    refuse_beyond_storing!(input)?;
    let asked = checksum_asked(
        input.checksum_algorithm.as_ref(),
        input.checksum_type.as_ref(),
    )?;
    let bucket = service.bucket(&input.bucket)?;
    let about = NewUpload {
        key: input.key.clone(),
        content: content_of!(input)?,
        checksum: asked,
        initiated_ms: bucket.now_ms(),
    };
    let id = blocking(move || bucket.upload_create(about)).await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: asked
            .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: asked.map(|(_, kind)| kind.dto()),
        ..CreateMultipartUploadOutput::default()
    }))
}

fn part_number(number: i32) -> S3Result<u16> {
    let number = u16::try_from(number).ok();
    let number = number.filter(|number| (1..=PART_NUMBER_MAX).contains(number));
    number.ok_or_else(|| s3_error!(InvalidArgument, "a part is 1 to {PART_NUMBER_MAX}"))
}

pub(super) async fn part(
    service: &Service,
    request: S3Request<UploadPartInput>,
) -> Answer<UploadPartOutput> {
    let given = Given::read(&request.headers, request.trailing_headers)?;
    let input = request.input;
    refuse(&[(input.sse_customer_algorithm.is_some(), "encryption")])?;
    let number = part_number(input.part_number)?;
    let bucket = service.bucket(&input.bucket)?;
    let upload = bucket.upload(&input.key, &input.upload_id);
    let upload = upload.map_err(super::error::answer)?;
    let wanted = upload.about.checksum.map(|(algorithm, _)| algorithm);
    if wanted.is_some() && given.algorithm.is_some() && given.algorithm != wanted {
        return Err(s3_error!(InvalidRequest, "the upload has another checksum"));
    }
    let header = Header::new(&input.key, Content::default());
    let to = bucket.clone();
    let named = move |mut draft: Draft, header: &Header| {
        draft.seal(header)?;
        to.part_publish(&upload, number, draft, header.clone())
    };
    let header = receive(bucket, header, input.body, given, wanted, named).await?;
    let sums = checksum::fields(header.checksum.as_ref());
    Ok(S3Response::new(UploadPartOutput {
        e_tag: Some(ETag::Strong(header.etag)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        ..UploadPartOutput::default()
    }))
}

/// Of up to five values the one that is there.
fn given_sum(values: [Option<String>; 5]) -> Option<(Algorithm, String)> {
    let mut named = Algorithm::ALL.into_iter().zip(values);
    named.find_map(|(algorithm, value)| Some((algorithm, value?)))
}

fn completed(part: s3s::dto::CompletedPart) -> S3Result<CompletedPart> {
    let missing = || s3_error!(MalformedXML, "a part has a number");
    Ok(CompletedPart {
        number: part_number(part.part_number.ok_or_else(missing)?)?,
        etag: part.e_tag.map(ETag::into_value),
        checksum: given_sum([
            part.checksum_crc32,
            part.checksum_crc32c,
            part.checksum_crc64nvme,
            part.checksum_sha1,
            part.checksum_sha256,
        ]),
    })
}

pub(super) async fn complete(
    service: &Service,
    input: CompleteMultipartUploadInput,
) -> Answer<CompleteMultipartUploadOutput> {
    let condition = of_write(input.if_match, input.if_none_match)?;
    let bucket = service.bucket(&input.bucket)?;
    let upload = bucket.upload(&input.key, &input.upload_id);
    let upload = upload.map_err(super::error::answer)?;
    let parts = input.multipart_upload.and_then(|upload| upload.parts);
    let parts: Vec<CompletedPart> = parts
        .unwrap_or_default()
        .into_iter()
        .map(completed)
        .collect::<S3Result<_>>()?;
    if parts.is_empty() {
        return Err(s3_error!(MalformedXML, "an object has at least one part"));
    }
    let expected_size = input.mpu_object_size.map(u64::try_from);
    let expected_sum = given_sum([
        input.checksum_crc32,
        input.checksum_crc32c,
        input.checksum_crc64nvme,
        input.checksum_sha1,
        input.checksum_sha256,
    ]);
    let as_expected = move |size: u64, checksum: Option<&Checksum>| {
        let same_sum = |(algorithm, value): &(Algorithm, String)| {
            checksum.is_some_and(|sum| sum.algorithm == *algorithm && sum.is(value))
        };
        size <= OBJECT_BYTES_MAX
            && expected_size.is_none_or(|expected| expected == Ok(size))
            && expected_sum.iter().all(same_sum)
    };
    let header =
        blocking(move || bucket.upload_complete(&upload, &parts, &condition, as_expected)).await?;
    let sums = checksum::fields(header.checksum.as_ref());
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(header.etag)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        ..CompleteMultipartUploadOutput::default()
    }))
}

pub(super) async fn abort(
    service: &Service,
    input: AbortMultipartUploadInput,
) -> Answer<AbortMultipartUploadOutput> {
    refuse(&[(input.if_match_initiated_time.is_some(), "aborting by time")])?;
    let bucket = service.bucket(&input.bucket)?;
    blocking(move || {
        let upload = bucket.upload(&input.key, &input.upload_id)?;
        bucket.upload_abort(&upload)
    })
    .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub(super) fn parts(service: &Service, input: ListPartsInput) -> Answer<ListPartsOutput> {
    let max = page_size(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or_default();
    let after = u16::try_from(after);
    let after = after.map_err(|_| s3_error!(InvalidArgument, "a marker is a part's number"))?;
    let bucket = service.bucket(&input.bucket)?;
    let upload = bucket.upload(&input.key, &input.upload_id);
    let upload = upload.map_err(super::error::answer)?;
    let (page, more) = upload.parts(after, max).map_err(super::error::answer)?;
    let last = page.last().map(|(number, _)| i32::from(*number));
    let parts = page.into_iter().map(|(number, part)| {
        let sums = checksum::fields(part.checksum.as_ref());
        Part {
            part_number: Some(number.into()),
            size: Some(i64::try_from(part.size).unwrap_or(i64::MAX)),
            e_tag: Some(ETag::Strong(part.etag)),
            last_modified: Some(moment(part.modified_ms).into()),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
        }
    });
    let asked = upload.about.checksum;
    Ok(S3Response::new(ListPartsOutput {
        parts: Some(parts.collect()),
        is_truncated: Some(more),
        next_part_number_marker: last.filter(|_| more),
        max_parts: i32::try_from(max).ok(),
        part_number_marker: input.part_number_marker,
        checksum_algorithm: asked
            .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: asked.map(|(_, kind)| kind.dto()),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        ..ListPartsOutput::default()
    }))
}
