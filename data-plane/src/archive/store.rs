//! The object store of an archive: S3, or anything that speaks its protocol and honours
//! `If-None-Match`.
//!
//! Every call is tried a few times, with a timeout for each try, and then ends in an answer that
//! says whether it is worth coming back ([`StoreError::is_transient`]). *Not there* is an answer, no
//! error, and nothing else counts as it: a refusal (403), a bucket that is missing or a server that
//! fails are errors.

mod client;
mod list;
mod multipart;
mod object;
mod probe;
mod retry;
#[cfg(test)]
mod tests;

pub use list::{Listed, ObjectInfo};
pub use multipart::{MULTIPART_PART_BYTES, MultipartWriter, PartBuffers};
pub use object::ObjectReader;
pub use retry::StoreError;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use lumadb_contract::archive::ObjectStoreSpec;
use retry::Retry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Largest object that is read into memory at once, bytes.
const WHOLE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Objects deleted at the same time.
const DELETES_AT_ONCE: usize = 16;

/// What was asked of a store, since it was opened.
#[derive(Debug, Default)]
pub struct StoreCounters {
    puts: AtomicU64,
    put_bytes: AtomicU64,
    put_failures: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreCount {
    /// Requests that write: PUT, parts of an upload, and those that begin and end one.
    pub puts: u64,
    /// Sent in them, bytes.
    pub put_bytes: u64,
    /// Of them, those that did not succeed. A key that was taken is no failure.
    pub put_failures: u64,
}

impl StoreCounters {
    fn sent(&self, bytes: usize) {
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.put_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn failed(&self) {
        self.put_failures.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> StoreCount {
        StoreCount {
            puts: self.puts.load(Ordering::Relaxed),
            put_bytes: self.put_bytes.load(Ordering::Relaxed),
            put_failures: self.put_failures.load(Ordering::Relaxed),
        }
    }
}

/// How [`ObjectStore::put_new`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The key holds what was given: by this call, or by an earlier try of the same bytes.
    Created,
    /// The key holds something else, and still does.
    AlreadyThere,
}

/// One bucket and prefix, logged in to. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    client: Client,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
    storage_class: Option<StorageClass>,
    encryption: Option<ServerSideEncryption>,
    counters: Arc<StoreCounters>,
}

impl ObjectStore {
    /// Prepares a client; nothing is asked of the store yet.
    pub async fn open(spec: &ObjectStoreSpec) -> Self {
        let prefix = match spec.prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Self {
            client: client::client(spec).await,
            bucket: spec.bucket.clone(),
            prefix,
            storage_class: spec.storage_class.as_deref().map(StorageClass::from),
            encryption: spec
                .server_side_encryption
                .as_deref()
                .map(ServerSideEncryption::from),
            counters: Arc::default(),
        }
    }

    pub fn count(&self) -> StoreCount {
        self.counters.read()
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Writes `name` if it does not exist.
    ///
    /// The same bytes may be given again after an error: an object that an earlier try wrote, and
    /// whose answer was lost, is found to be ours by comparing.
    pub async fn put_new(&self, name: &str, body: Bytes) -> Result<Put, StoreError> {
        let mut retry = Retry::new("writing", name);
        loop {
            self.counters.sent(body.len());
            let sent = self.put_request(name, body.clone()).if_none_match("*");
            let Err(fault) = retry.attempt(Box::pin(sent.send())).await else {
                return Ok(Put::Created);
            };
            if fault.is_taken() {
                match self.get(name).await? {
                    Some(there) if there == body => return Ok(Put::Created),
                    Some(_) => return Ok(Put::AlreadyThere),
                    // Deleted between the two.
                    None => {}
                }
            } else {
                self.counters.failed();
            }
            retry.again(fault).await?;
        }
    }

    /// Writes `name`, whatever was there. Only for what nobody builds on.
    pub async fn put(&self, name: &str, body: Bytes) -> Result<(), StoreError> {
        let mut retry = Retry::new("writing", name);
        loop {
            self.counters.sent(body.len());
            let sent = self.put_request(name, body.clone());
            match retry.attempt(Box::pin(sent.send())).await {
                Ok(_) => return Ok(()),
                Err(fault) => {
                    self.counters.failed();
                    retry.again(fault).await?;
                }
            }
        }
    }

    fn put_request(
        &self,
        name: &str,
        body: Bytes,
    ) -> aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(self.key(name))
            .set_storage_class(self.storage_class.clone())
            .set_server_side_encryption(self.encryption.clone())
            .body(ByteStream::from(body))
    }

    /// The whole content of a small object; `None`: there is no such object.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let Some(mut reader) = self.get_stream(name, 0).await? else {
            return Ok(None);
        };
        let bytes = reader.bytes_total();
        if bytes > WHOLE_BYTES_MAX {
            return Err(StoreError::TooLarge {
                name: name.to_owned(),
                bytes,
            });
        }
        let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
        while let Some(part) = reader.next().await? {
            content.extend_from_slice(&part);
        }
        Ok(Some(content.into()))
    }

    /// Reads an object from byte `from` on, in parts as they come; `None`: there is no such object.
    pub async fn get_stream(
        &self,
        name: &str,
        from: u64,
    ) -> Result<Option<ObjectReader>, StoreError> {
        ObjectReader::open(self.clone(), name, from).await
    }

    /// Deletes objects, several at a time; one that is not there counts as deleted.
    ///
    /// One request each: the request for many at once needs a checksum that some stores do not
    /// take, and a DELETE costs nothing.
    pub async fn delete(&self, names: Vec<String>) -> Result<(), StoreError> {
        let deletes = names.into_iter().map(|name| self.delete_one(name));
        let mut deletes = stream::iter(deletes).buffer_unordered(DELETES_AT_ONCE);
        while let Some(deleted) = deletes.next().await {
            deleted?;
        }
        Ok(())
    }

    async fn delete_one(&self, name: String) -> Result<(), StoreError> {
        let mut retry = Retry::new("deleting", &name);
        loop {
            let sent = self
                .client
                .delete_object()
                .bucket(&self.bucket)
                .key(self.key(&name));
            match retry.attempt(Box::pin(sent.send())).await {
                Ok(_) => return Ok(()),
                Err(fault) if fault.is_absent() => return Ok(()),
                Err(fault) => retry.again(fault).await?,
            }
        }
    }
}
