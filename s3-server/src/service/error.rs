//! The storage's errors as S3's.

use crate::storage::StorageError;
use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, s3_error};

/// The answer to a fault; one that only an operator can mend is logged here and told as no more
/// than that.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
pub(super) fn answer(error: StorageError) -> S3Error {
    match error {
        StorageError::NoSuchBucket => s3_error!(NoSuchBucket, "there is no such bucket"),
        StorageError::BucketExists => {
            s3_error!(BucketAlreadyOwnedByYou, "the bucket is there already")
        }
        StorageError::BucketNotEmpty => s3_error!(BucketNotEmpty, "the bucket is not empty"),
        StorageError::NoSuchKey => s3_error!(NoSuchKey, "there is no such object"),
        StorageError::NoSuchUpload => s3_error!(NoSuchUpload, "there is no such upload"),
        StorageError::ConditionFailed => {
            s3_error!(
                PreconditionFailed,
                "a condition of the request does not hold"
            )
        }
        StorageError::InvalidPart(_) => s3_error!(InvalidPart, "{error}"),
        StorageError::InvalidPartOrder => s3_error!(InvalidPartOrder, "{error}"),
        StorageError::PartTooSmall(_) => s3_error!(EntityTooSmall, "{error}"),
        StorageError::BadDigest => s3_error!(BadDigest, "{error}"),
        StorageError::InvalidBucketName(_) => s3_error!(InvalidBucketName, "{error}"),
        StorageError::Full { .. } => {
            tracing::error!(error = ?error, "the disk of the object store is full");
            custom(
                "InsufficientStorage",
                StatusCode::INSUFFICIENT_STORAGE,
                "the disk of the object store is full",
            )
        }
        StorageError::Io { .. }
        | StorageError::Damaged { .. }
        | StorageError::Stopped
        | StorageError::InUse(_)
        | StorageError::UnknownFormat { .. } => {
            tracing::error!(error = ?error, "the object store cannot do as asked");
            s3_error!(InternalError, "the object store cannot do this now")
        }
    }
}

/// An error whose code is none of those that s3s knows.
pub(super) fn custom(code: &'static str, status: StatusCode, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::path::Path;

    #[test]
    fn a_full_disk_has_a_code_of_its_own() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let full = crate::storage::io_error("writing", Path::new("x"))(kind.into());
            let told = answer(full);
            assert_eq!(told.code().as_str(), "InsufficientStorage");
            assert_eq!(told.status_code().map(|status| status.as_u16()), Some(507));
        }
        let other = crate::storage::io_error("writing", Path::new("/secret"));
        let told = answer(other(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(told.code(), &S3ErrorCode::InternalError);
        assert!(!told.message().unwrap_or_default().contains("secret"));
    }
}
