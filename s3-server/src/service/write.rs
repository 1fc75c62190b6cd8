//! Writes, copies and removes objects.

use super::about::{content_of, refuse_beyond_storing};
use super::conditions::{ReadConditions, of_headers, of_write, refuse};
use super::receive::{Given, receive};
use super::{Answer, Service, blocking, error};
use crate::checksum::{self, Algorithm};
use crate::clock::moment;
use crate::storage::{Bucket, Condition, Content, Draft, Header, StorageError};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, DeleteObjectInput,
    DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, Error,
    MetadataDirective, PutObjectInput, PutObjectOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};
use std::sync::Arc;

/// Objects of one request to delete, at most: S3's limit.
const DELETES_MAX: usize = 1000;

/// Copied at once, bytes.
const COPY_BYTES: usize = 1024 * 1024;

/// Completes the description of a received body and gives it its name.
fn publish(
    bucket: &Bucket,
    mut draft: Draft,
    header: &Header,
    condition: &Condition,
) -> Result<(), StorageError> {
    draft.seal(header)?;
    bucket.publish(draft, header, condition)
}

pub(super) async fn put(
    service: &Service,
    request: S3Request<PutObjectInput>,
) -> Answer<PutObjectOutput> {
    let given = Given::read(&request.headers, request.trailing_headers)?;
    let input = request.input;
    let appends = (input.write_offset_bytes.is_some(), "appending");
    refuse_beyond_storing!(input, appends)?;
    let condition = of_write(input.if_match, input.if_none_match)?;
    let bucket = service.bucket(&input.bucket)?;
    let content = content_of!(input)?;
    let header = Header::new(&input.key, content);
    let to = bucket.clone();
    let named = move |draft, header: &Header| publish(&to, draft, header, &condition);
    let header = receive(bucket, header, input.body, given, None, named).await?;
    let sums = checksum::fields(header.checksum.as_ref());
    Ok(S3Response::new(PutObjectOutput {
        e_tag: Some(ETag::Strong(header.etag)),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        ..PutObjectOutput::default()
    }))
}

/// What a copy is to be called and to say, and under which conditions.
struct Copy {
    key: String,
    /// `None`: what the source says.
    content: Option<Content>,
    algorithm: Option<Algorithm>,
    source_conditions: ReadConditions,
    condition: Condition,
}

pub(super) async fn copy(
    service: &Service,
    request: S3Request<CopyObjectInput>,
) -> Answer<CopyObjectOutput> {
    let condition = of_headers(&request.headers)?;
    let input = request.input;
    refuse_beyond_storing!(input)?;
    let CopySource::Bucket {
        bucket: from_bucket,
        key: from_key,
        version_id: None,
    } = input.copy_source
    else {
        return Err(s3_error!(NotImplemented, "a copy's source is an object"));
    };
    let replace = input
        .metadata_directive
        .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    if !replace && *from_bucket == input.bucket && *from_key == input.key {
        return Err(s3_error!(
            InvalidRequest,
            "a copy onto itself changes nothing"
        ));
    }
    let new_content = content_of!(input)?;
    let named = input.checksum_algorithm.as_ref();
    let copy = Copy {
        key: input.key,
        content: replace.then_some(new_content),
        algorithm: named.and_then(|name| Algorithm::parse(name.as_str())),
        source_conditions: ReadConditions {
            matching: input.copy_source_if_match,
            unmodified_since: input.copy_source_if_unmodified_since,
            not_matching: input.copy_source_if_none_match,
            modified_since: input.copy_source_if_modified_since,
        },
        condition,
    };
    let (from, to) = (
        service.bucket(&from_bucket)?,
        service.bucket(&input.bucket)?,
    );
    let now_ms = to.now_ms();
    let copied = tokio::task::spawn_blocking(move || copy_now(&from, &from_key, &to, copy, now_ms));
    let header = copied.await.map_err(s3s::S3Error::internal_error)??;
    let sums = checksum::fields(header.checksum.as_ref());
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            e_tag: Some(ETag::Strong(header.etag)),
            last_modified: Some(moment(header.modified_ms).into()),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
        }),
        ..CopyObjectOutput::default()
    }))
}

fn copy_now(
    from: &Bucket,
    from_key: &str,
    to: &Bucket,
    copy: Copy,
    now_ms: i64,
) -> S3Result<Header> {
    let mut source = from.open(from_key).map_err(error::answer)?;
    // Of a copy's source, *not modified* is a failed condition too.
    let holds = copy.source_conditions.check(&source.header);
    holds.map_err(|_| {
        s3_error!(
            PreconditionFailed,
            "a condition of the source does not hold"
        )
    })?;
    let content = copy
        .content
        .unwrap_or_else(|| source.header.content.clone());
    let mut header = Header::new(&copy.key, content);
    let algorithm = copy.algorithm;
    let algorithm = algorithm.or(source.header.checksum.as_ref().map(|sum| sum.algorithm));
    let mut hasher = algorithm.map(Algorithm::hasher);
    let mut md5 = Md5::new();
    let mut draft = to.draft(&header).map_err(error::answer)?;
    while draft.written() < source.header.size {
        let chunk = source.read(draft.written(), COPY_BYTES);
        let chunk = Bytes::from(chunk.map_err(error::answer)?);
        md5.update(&chunk);
        if let Some(hasher) = &mut hasher {
            hasher.update(&chunk);
        }
        draft.write(&[chunk]).map_err(error::answer)?;
    }
    header.size = source.header.size;
    header.etag = HEXLOWER.encode(&md5.finalize());
    if !source.header.etag.contains('-') && header.etag != source.header.etag {
        tracing::error!(
            key = from_key,
            "an object differs from its etag: it is damaged"
        );
        return Err(s3_error!(InternalError, "the source is damaged"));
    }
    header.checksum = match (algorithm, hasher) {
        (Some(algorithm), Some(hasher)) => algorithm.finish(hasher),
        _ => None,
    };
    header.modified_ms = now_ms;
    publish(to, draft, &header, &copy.condition).map_err(error::answer)?;
    Ok(header)
}

pub(super) async fn delete(
    service: &Service,
    input: DeleteObjectInput,
) -> Answer<DeleteObjectOutput> {
    refuse(&[
        (input.version_id.is_some(), "versions"),
        (input.if_match_size.is_some(), "deletion by size"),
        (
            input.if_match_last_modified_time.is_some(),
            "deletion by time",
        ),
    ])?;
    let condition = of_write(input.if_match, None)?;
    let bucket = service.bucket(&input.bucket)?;
    blocking(move || bucket.delete(&input.key, &condition)).await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

pub(super) async fn delete_many(
    service: &Service,
    input: DeleteObjectsInput,
) -> Answer<DeleteObjectsOutput> {
    let bucket = service.bucket(&input.bucket)?;
    let objects = input.delete.objects;
    if objects.len() > DELETES_MAX {
        return Err(s3_error!(
            MalformedXML,
            "a request deletes at most {DELETES_MAX} objects"
        ));
    }
    for object in &objects {
        refuse(&[
            (object.version_id.is_some(), "versions"),
            (object.size.is_some(), "deletion by size"),
            (object.last_modified_time.is_some(), "deletion by time"),
        ])?;
    }
    let quiet = input.delete.quiet.unwrap_or_default();
    let (deleted, errors) = blocking(move || Ok(delete_now(&bucket, objects, quiet))).await?;
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..DeleteObjectsOutput::default()
    }))
}

fn delete_now(
    bucket: &Arc<Bucket>,
    objects: Vec<s3s::dto::ObjectIdentifier>,
    quiet: bool,
) -> (Vec<DeletedObject>, Vec<Error>) {
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in objects {
        let condition = match object.e_tag {
            Some(etag) => Condition::Etag(etag.into_value()),
            None => Condition::None,
        };
        match bucket.delete(&object.key, &condition) {
            Ok(()) if quiet => {}
            Ok(()) => deleted.push(DeletedObject {
                key: Some(object.key),
                ..DeletedObject::default()
            }),
            Err(fault) => {
                let told = error::answer(fault);
                errors.push(Error {
                    code: Some(told.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: told.message().map(str::to_owned),
                    version_id: None,
                });
            }
        }
    }
    (deleted, errors)
}
