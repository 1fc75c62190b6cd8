//! Lists objects and uploads.

use super::conditions::{page_size, refuse};
use super::{Answer, Service};
use crate::clock::moment;
use crate::storage::{Query, behind};
use data_encoding::BASE64URL_NOPAD;
use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectsV2Input, ListObjectsV2Output, MultipartUpload, Object, ObjectStorageClass,
};
use s3s::{S3Response, S3Result, s3_error};
use std::fmt::Write;

/// Writes keys as the client asked for: as they are, or percent-encoded but for what is plain in
/// every address, and slashes.
#[derive(Debug, Clone, Copy)]
struct Encoding {
    url: bool,
}

impl Encoding {
    fn of(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => Err(s3_error!(InvalidArgument, "an encoding is `url`")),
        }
    }

    fn write(self, key: String) -> String {
        if !self.url {
            return key;
        }
        let mut text = String::with_capacity(key.len());
        for byte in key.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                    text.push(char::from(byte));
                }
                other => {
                    let _ = write!(text, "%{other:02X}");
                }
            }
        }
        text
    }

    fn write_opt(self, key: Option<String>) -> Option<String> {
        key.map(|key| self.write(key))
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A token is where the next page begins.
pub(super) fn objects(service: &Service, input: ListObjectsV2Input) -> Answer<ListObjectsV2Output> {
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let max = page_size(input.max_keys)?;
    let bucket = service.bucket(&input.bucket)?;
    let from = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => BASE64URL_NOPAD
            .decode(token.as_bytes())
            .map_err(|_| s3_error!(InvalidArgument, "the continuation token is none of ours"))?,
        (None, Some(after)) if !after.is_empty() => behind(after),
        _ => Vec::new(),
    };
    let page = bucket.list(&Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        from,
        max,
    });
    let shown = page.objects.len() + page.folders.len();
    let objects = page.objects.into_iter().map(|(key, entry)| Object {
        key: Some(encoding.write(key)),
        size: Some(i64::try_from(entry.size).unwrap_or(i64::MAX)),
        e_tag: Some(ETag::Strong(entry.etag.clone())),
        last_modified: Some(moment(entry.modified_ms).into()),
        storage_class: Some(ObjectStorageClass::from_static(
            ObjectStorageClass::STANDARD,
        )),
        ..Object::default()
    });
    let folders = page.folders.into_iter().map(|folder| CommonPrefix {
        prefix: Some(encoding.write(folder)),
    });
    Ok(S3Response::new(ListObjectsV2Output {
        contents: Some(objects.collect()),
        common_prefixes: Some(folders.collect()),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(|next| BASE64URL_NOPAD.encode(&next)),
        key_count: Some(count(shown)),
        max_keys: Some(count(max)),
        name: Some(input.bucket),
        prefix: encoding.write_opt(input.prefix),
        delimiter: encoding.write_opt(input.delimiter),
        start_after: encoding.write_opt(input.start_after),
        continuation_token: input.continuation_token,
        encoding_type: input.encoding_type,
        ..ListObjectsV2Output::default()
    }))
}

pub(super) fn uploads(
    service: &Service,
    input: ListMultipartUploadsInput,
) -> Answer<ListMultipartUploadsOutput> {
    let folders = input
        .delimiter
        .as_ref()
        .is_some_and(|text| !text.is_empty());
    refuse(&[(folders, "listing of uploads by folder")])?;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let max = page_size(input.max_uploads)?;
    let bucket = service.bucket(&input.bucket)?;
    let prefix = input.prefix.as_deref().unwrap_or_default();
    // A key alone stands for all uploads of it: IDs are hexadecimal.
    let after = input.key_marker.as_deref().filter(|key| !key.is_empty());
    let after = after.map(|key| (key, input.upload_id_marker.as_deref().unwrap_or("~")));
    let (page, more) = bucket.upload_list(prefix, after, max);
    let last = page.last().filter(|_| more).cloned();
    let uploads = page.iter().map(|upload| MultipartUpload {
        key: Some(encoding.write(upload.about.key.clone())),
        upload_id: Some(upload.id.clone()),
        initiated: Some(moment(upload.about.initiated_ms).into()),
        ..MultipartUpload::default()
    });
    Ok(S3Response::new(ListMultipartUploadsOutput {
        uploads: Some(uploads.collect()),
        is_truncated: Some(more),
        next_key_marker: last
            .as_ref()
            .map(|last| encoding.write(last.about.key.clone())),
        next_upload_id_marker: last.as_ref().map(|last| last.id.clone()),
        max_uploads: Some(count(max)),
        bucket: Some(input.bucket),
        prefix: encoding.write_opt(input.prefix),
        key_marker: encoding.write_opt(input.key_marker),
        upload_id_marker: input.upload_id_marker,
        encoding_type: input.encoding_type,
        ..ListMultipartUploadsOutput::default()
    }))
}
