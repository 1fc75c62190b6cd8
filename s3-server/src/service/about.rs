//! What requests that make an object say of it. Their inputs have fields in common but no type, since
//! one is generated for each request: hence macros.

use crate::storage::Content;
use s3s::{S3Result, s3_error};

/// User metadata of an object, names and values, bytes: S3's limit.
const METADATA_BYTES_MAX: usize = 2048;

/// Refuses what an input asks for beyond storing; and `more`, each with its name.
macro_rules! refuse_beyond_storing {
    ($input:ident $(, $more:expr)*) => {
        $crate::service::conditions::refuse(&[
            ($input.server_side_encryption.is_some(), "encryption"),
            ($input.sse_customer_algorithm.is_some(), "encryption"),
            ($input.object_lock_mode.is_some(), "object lock"),
            ($input.object_lock_legal_hold_status.is_some(), "object lock"),
            ($input.tagging.is_some(), "tags"),
            $($more,)*
            ($input.website_redirect_location.is_some(), "websites"),
        ])
    };
}
pub(super) use refuse_beyond_storing;

/// Moves out of an input what it says of the object's content, and checks it.
macro_rules! content_of {
    ($input:ident) => {
        $crate::service::about::checked($crate::storage::Content {
            content_type: $input.content_type,
            cache_control: $input.cache_control,
            content_disposition: $input.content_disposition,
            content_encoding: $input.content_encoding,
            content_language: $input.content_language,
            metadata: $input.metadata.unwrap_or_default().into_iter().collect(),
        })
    };
}
pub(super) use content_of;

/// Checks what a client says of an object.
pub(super) fn checked(mut content: Content) -> S3Result<Content> {
    let metadata = content.metadata.iter();
    let bytes: usize = metadata.map(|(name, value)| name.len() + value.len()).sum();
    if bytes > METADATA_BYTES_MAX {
        return Err(s3_error!(MetadataTooLarge, "user metadata takes too much"));
    }
    // The chunks of the transfer are no encoding of the object.
    content.content_encoding = content.content_encoding.and_then(|encoding| {
        let kept = encoding.split(',').map(str::trim);
        let kept: Vec<_> = kept.filter(|one| *one != "aws-chunked").collect();
        (!kept.concat().is_empty()).then(|| kept.join(","))
    });
    Ok(content)
}
