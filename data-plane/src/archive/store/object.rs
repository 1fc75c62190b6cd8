//! Reads one object as it comes, and goes on where a broken connection left off.

use super::retry::{ATTEMPT_SECONDS, Fault, Retry};
use super::{ObjectStore, StoreError};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use std::time::Duration;
use tokio::time::timeout;

/// An object that is being read.
#[derive(Debug)]
pub struct ObjectReader {
    store: ObjectStore,
    name: String,
    /// Names this content of the object: what was begun is not continued with another's.
    etag: Option<String>,
    at: u64,
    total: u64,
    body: Option<ByteStream>,
}

impl ObjectReader {
    pub(super) async fn open(
        store: ObjectStore,
        name: &str,
        from: u64,
    ) -> Result<Option<Self>, StoreError> {
        let mut reader = Self {
            store,
            name: name.to_owned(),
            etag: None,
            at: from,
            total: 0,
            body: None,
        };
        let name = name.to_owned();
        let mut retry = Retry::new("reading", &name);
        loop {
            match reader.request(&mut retry).await {
                Ok(()) => return Ok(Some(reader)),
                Err(fault) if fault.is_absent() => return Ok(None),
                Err(fault) => retry.again(fault).await?,
            }
        }
    }

    /// Size of the object, bytes.
    pub fn bytes_total(&self) -> u64 {
        self.total
    }

    /// The next part; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let name = self.name.clone();
        let mut retry = Retry::new("reading", &name);
        loop {
            match self.part(&mut retry).await {
                Ok(part) => return Ok(part),
                Err(fault) if fault.is_taken() => return Err(StoreError::Changed { name }),
                Err(fault) => {
                    self.body = None;
                    retry.again(fault).await?;
                }
            }
        }
    }

    async fn part(&mut self, retry: &mut Retry<'_>) -> Result<Option<Bytes>, Fault> {
        if self.at >= self.total {
            return Ok(None);
        }
        if self.body.is_none() {
            self.request(retry).await?;
        }
        let Some(body) = &mut self.body else {
            return Err(Retry::cut("the answer has no body"));
        };
        let limit = Duration::from_secs(ATTEMPT_SECONDS);
        match timeout(limit, body.next()).await {
            Err(late) => Err(Retry::cut(late)),
            Ok(None) => Err(Retry::cut("the answer ended before the object did")),
            Ok(Some(Err(error))) => Err(Retry::cut(error)),
            Ok(Some(Ok(part))) => {
                self.at += part.len() as u64;
                Ok(Some(part))
            }
        }
    }

    async fn request(&mut self, retry: &mut Retry<'_>) -> Result<(), Fault> {
        let range = (self.at > 0).then(|| format!("bytes={}-", self.at));
        let sent = self
            .store
            .client
            .get_object()
            .bucket(&self.store.bucket)
            .key(self.store.key(&self.name))
            .set_range(range)
            .set_if_match(self.etag.clone());
        let answer = retry.attempt(Box::pin(sent.send())).await?;
        let left = answer.content_length().unwrap_or_default();
        self.total = self.at + u64::try_from(left).unwrap_or_default();
        self.etag = answer.e_tag().map(str::to_owned);
        self.body = Some(answer.body);
        Ok(())
    }
}
