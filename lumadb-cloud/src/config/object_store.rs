//! Where archives lie, and what seals the keys to them.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the archives of databases lie: on a server of our own, unless a bucket is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ObjectStore {
    /// Where our own S3 server listens, for the nodes on this machine.
    pub(crate) listen: SocketAddr,
    /// Bucket of another S3 server: then ours does not run, and this is what the rest is for.
    pub(crate) bucket: Option<String>,
    /// Its base address, such as `https://s3.example.com`; that of Amazon's region when not set.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    /// In front of every key, without slashes around it.
    pub(crate) prefix: Option<String>,
    /// The bucket is named in the path instead of in the host name.
    pub(crate) path_style: bool,
    /// File that holds `access_key_id`, `secret_access_key` and, if need be, `session_token`, each
    /// on a line `name = value`. Without it nodes use what the environment gives: `AWS_…`
    /// variables, web identity, or the machine's role.
    pub(crate) credentials_file: Option<PathBuf>,
    /// Such as `STANDARD_IA`.
    pub(crate) storage_class: Option<String>,
    /// Encryption by the server on top of ours: `AES256` or `aws:kms`.
    pub(crate) server_side_encryption: Option<String>,
}

impl Default for ObjectStore {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            bucket: None,
            endpoint: None,
            region: "us-east-1".into(),
            prefix: None,
            path_style: false,
            credentials_file: None,
            storage_class: None,
            server_side_encryption: None,
        }
    }
}

impl ObjectStore {
    /// Whether our own S3 server holds the archives.
    pub(crate) fn is_built_in(&self) -> bool {
        self.bucket.is_none()
    }

    /// What is wrong, with the key at fault.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let needs_bucket = [
            ("endpoint", self.endpoint.is_some()),
            ("prefix", self.prefix.is_some()),
            ("credentials_file", self.credentials_file.is_some()),
            ("storage_class", self.storage_class.is_some()),
            (
                "server_side_encryption",
                self.server_side_encryption.is_some(),
            ),
        ];
        if self.is_built_in()
            && let Some((key, _)) = needs_bucket.into_iter().find(|(_, set)| *set)
        {
            return Err((
                key,
                "is of no use without object_store.bucket, and that is not set".into(),
            ));
        }
        if let Some(endpoint) = &self.endpoint
            && !["http://", "https://"]
                .iter()
                .any(|start| endpoint.starts_with(start))
        {
            return Err(("endpoint", "begins with http:// or https://".into()));
        }
        if let Some(prefix) = &self.prefix
            && (prefix.is_empty() || prefix.starts_with('/') || prefix.ends_with('/'))
        {
            return Err(("prefix", "has no slash at its ends and is not empty".into()));
        }
        if let Some(encryption) = &self.server_side_encryption
            && !["AES256", "aws:kms"].contains(&encryption.as_str())
        {
            return Err(("server_side_encryption", "is AES256 or aws:kms".into()));
        }
        Ok(())
    }
}

/// A key management service that seals the files of master keys: Amazon's, or one that speaks as it
/// does. It is logged in to by what the environment gives: `AWS_…` variables, web identity, or the
/// machine's role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Kms {
    /// The key that seals, by ID, full name (ARN) or alias; without it master keys lie in their
    /// files as they are.
    pub(crate) key_id: Option<String>,
    /// Address of the service; that of Amazon's region when not set.
    pub(crate) endpoint: Option<String>,
    /// As the key's full name says it, or the environment, when not set.
    pub(crate) region: Option<String>,
}
