//! Who asks, and what they may.
//!
//! The root key may do all. A scoped key reaches objects whose key begins with its scope and a
//! slash, in every bucket: reads them, and writes if its ID says so. Whatever is not listed here is
//! refused to it.

use lumadb_contract::scope::{Access, parse_access_key_id, scoped_credentials};
use lumadb_contract::secret::Secret;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{Credentials, S3Auth, SecretKey};
use s3s::dto::{
    CopyObjectInput, CopySource, DeleteObjectsInput, ListMultipartUploadsInput, ListObjectsV2Input,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};

#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) root_id: String,
    pub(crate) root_secret: Secret,
}

/// What an operation of a scoped key needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// The object that the address names.
    Read,
    Write,
    /// What the request holds: looked at when it is read.
    ReadListed,
    WriteListed,
}

/// `None`: not for scoped keys.
fn need(operation: &str) -> Option<Need> {
    match operation {
        "GetObject" | "HeadObject" => Some(Need::Read),
        "PutObject"
        | "CopyObject"
        | "DeleteObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "CompleteMultipartUpload"
        | "AbortMultipartUpload"
        | "ListParts" => Some(Need::Write),
        "ListObjectsV2" => Some(Need::ReadListed),
        "ListMultipartUploads" | "DeleteObjects" => Some(Need::WriteListed),
        _ => None,
    }
}

/// Whether `key`, an object's or the beginning of some, lies below `scope`.
fn below(scope: &str, key: &str) -> bool {
    let rest = key.strip_prefix(scope);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a key of `scope` with `access` may do `operation` on `object`.
fn allowed(scope: &str, access: Access, operation: &str, object: Option<&str>) -> bool {
    let writes = access == Access::ReadWrite;
    match need(operation) {
        None => false,
        Some(Need::Read) => object.is_some_and(|key| below(scope, key)),
        Some(Need::Write) => writes && object.is_some_and(|key| below(scope, key)),
        Some(Need::ReadListed) => object.is_none(),
        Some(Need::WriteListed) => writes && object.is_none(),
    }
}

pub(crate) fn denied() -> S3Error {
    s3_error!(AccessDenied, "the key may not do this here")
}

impl Keys {
    /// The scope of whoever asks; `None`: the root key.
    fn scope<'a>(&self, caller: Option<&'a Credentials>) -> S3Result<Option<(&'a str, Access)>> {
        let id = caller.ok_or_else(|| s3_error!(AccessDenied, "a signature is needed"))?;
        if id.access_key == self.root_id {
            return Ok(None);
        }
        let scope = parse_access_key_id(&id.access_key);
        scope.map(Some).ok_or_else(denied)
    }

    fn check_below<'a>(
        &self,
        caller: Option<&Credentials>,
        mut keys: impl Iterator<Item = &'a str>,
    ) -> S3Result<()> {
        match self.scope(caller)? {
            Some((scope, _)) if !keys.all(|key| below(scope, key)) => Err(denied()),
            _ => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.root_id {
            return Ok(self.root_secret.expose().into());
        }
        let unknown = || s3_error!(InvalidAccessKeyId, "there is no such key");
        let (scope, access) = parse_access_key_id(access_key).ok_or_else(unknown)?;
        let scoped = scoped_credentials(&self.root_secret, scope, access);
        let (_, secret) = scoped.map_err(|_| unknown())?;
        Ok(secret.expose().into())
    }
}

#[async_trait::async_trait]
impl S3Access for Keys {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some((scope, access)) = self.scope(context.credentials())? else {
            return Ok(());
        };
        let object = context.s3_path().get_object_key();
        if allowed(scope, access, context.s3_op().name(), object) {
            Ok(())
        } else {
            Err(denied())
        }
    }

    async fn list_objects_v2(&self, request: &mut S3Request<ListObjectsV2Input>) -> S3Result<()> {
        let prefix = request.input.prefix.as_deref().unwrap_or_default();
        self.check_below(request.credentials.as_ref(), [prefix].into_iter())
    }

    async fn list_multipart_uploads(
        &self,
        request: &mut S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<()> {
        let prefix = request.input.prefix.as_deref().unwrap_or_default();
        self.check_below(request.credentials.as_ref(), [prefix].into_iter())
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let objects = request.input.delete.objects.iter();
        let keys = objects.map(|object| object.key.as_str());
        self.check_below(request.credentials.as_ref(), keys)
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        let source = match &request.input.copy_source {
            CopySource::Bucket { key, .. } => key,
            CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => return Err(denied()),
        };
        self.check_below(request.credentials.as_ref(), [&**source].into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_ends_at_its_slash() {
        for key in ["arc_1/", "arc_1/wal/1", "arc_1//", "arc_1/../arc_1"] {
            assert!(below("arc_1", key), "{key}");
        }
        for key in [
            "",
            "arc_1",
            "arc_10/wal",
            "arc_2/wal",
            "/arc_1/wal",
            "arc_",
            "./arc_1/x",
        ] {
            assert!(!below("arc_1", key), "{key}");
        }
    }

    #[test]
    fn what_is_not_listed_is_refused() {
        let may = |access, operation, object| allowed("arc_1", access, operation, object);
        let (inside, outside) = (Some("arc_1/x"), Some("arc_2/x"));
        for operation in ["GetObject", "HeadObject"] {
            assert!(may(Access::ReadOnly, operation, inside));
            assert!(!may(Access::ReadOnly, operation, outside));
            assert!(!may(Access::ReadWrite, operation, None));
        }
        for operation in [
            "PutObject",
            "DeleteObject",
            "CopyObject",
            "UploadPart",
            "ListParts",
        ] {
            assert!(may(Access::ReadWrite, operation, inside));
            assert!(!may(Access::ReadWrite, operation, outside));
            assert!(!may(Access::ReadOnly, operation, inside));
        }
        for operation in [
            "PostObject",
            "CreateBucket",
            "ListBuckets",
            "PutObjectAcl",
            "ListObjects",
        ] {
            assert!(!may(Access::ReadWrite, operation, inside));
            assert!(!may(Access::ReadWrite, operation, None));
        }
        assert!(!may(Access::ReadOnly, "DeleteObjects", None));
    }
}
