//! Writes a large object in parts, several at a time.

use super::retry::Retry;
use super::{ObjectStore, Put, StoreError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

/// Bytes of each part but the last, unless another size is asked for. S3 takes none below 5 MiB;
/// some other stores take only parts of one size.
pub const MULTIPART_PART_BYTES: usize = 8 * 1024 * 1024;

/// Parts of one object, at most: S3's limit.
const PARTS_MAX: usize = 10_000;

/// Compared to tell whether an object is ours: a sealed object's head holds its random key.
const HEAD_BYTES: usize = 128;

/// Memory for parts, used again: the first touch of new memory costs more than filling it.
#[derive(Debug, Clone, Default)]
pub struct PartBuffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl PartBuffers {
    /// An empty one with room for so many bytes.
    pub fn take(&self, room_bytes: usize) -> Vec<u8> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = spare.unwrap_or_default();
        buffer.reserve_exact(room_bytes);
        buffer
    }

    /// Takes back what nobody else reads.
    fn give_back(&self, body: Bytes) {
        if body.is_unique() {
            let mut buffer = Vec::from(body);
            buffer.clear();
            let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            spare.push(buffer);
        }
    }
}

/// An object that is being written. Holds `places` + 1 parts in memory, at most. Unless it is
/// finished it must be aborted, or its parts stay in the store until
/// [`ObjectStore::uploads_abort`].
#[derive(Debug)]
pub struct MultipartWriter {
    store: ObjectStore,
    name: String,
    upload_id: Option<String>,
    part_bytes: usize,
    places: usize,
    pending: Vec<u8>,
    buffers: PartBuffers,
    head: Vec<u8>,
    written: u64,
    sending: JoinSet<Result<CompletedPart, StoreError>>,
    parts_begun: usize,
    parts: Vec<CompletedPart>,
}

impl ObjectStore {
    /// Begins an object that must not exist, in parts of `part_bytes` with `places` of them on the
    /// way at a time. Nothing is sent before a part is full.
    pub fn multipart(&self, name: &str, part_bytes: usize, places: usize) -> MultipartWriter {
        self.multipart_with(name, part_bytes, places, PartBuffers::default())
    }

    /// The same with memory that other objects were written from.
    pub fn multipart_with(
        &self,
        name: &str,
        part_bytes: usize,
        places: usize,
        buffers: PartBuffers,
    ) -> MultipartWriter {
        MultipartWriter {
            store: self.clone(),
            name: name.to_owned(),
            upload_id: None,
            part_bytes,
            places: places.max(1),
            pending: Vec::new(),
            buffers,
            head: Vec::new(),
            written: 0,
            sending: JoinSet::new(),
            parts_begun: 0,
            parts: Vec::new(),
        }
    }

    /// Drops the parts of uploads below `below` that nobody finished, of those whose name is
    /// `meant`. The caller knows that none of them is still being written.
    pub async fn uploads_abort(
        &self,
        below: &str,
        meant: impl Fn(&str) -> bool,
    ) -> Result<u64, StoreError> {
        let mut aborted = 0;
        let mut retry = Retry::new("listing the uploads of", below);
        let mut behind = (None, None);
        loop {
            let sent = self
                .client
                .list_multipart_uploads()
                .bucket(&self.bucket)
                .prefix(self.key(below))
                .set_key_marker(behind.0.clone())
                .set_upload_id_marker(behind.1.clone());
            let answer = match retry.attempt(Box::pin(sent.send())).await {
                Ok(answer) => answer,
                Err(fault) => {
                    retry.again(fault).await?;
                    continue;
                }
            };
            for upload in answer.uploads() {
                let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) else {
                    continue;
                };
                if key.strip_prefix(&self.prefix).is_some_and(&meant) {
                    self.upload_abort(key, id).await?;
                    aborted += 1;
                }
            }
            if !answer.is_truncated().unwrap_or_default() || answer.uploads().is_empty() {
                return Ok(aborted);
            }
            behind = (answer.next_key_marker, answer.next_upload_id_marker);
            retry = Retry::new("listing the uploads of", below);
        }
    }

    async fn upload_abort(&self, key: &str, upload_id: &str) -> Result<(), StoreError> {
        let mut retry = Retry::new("aborting the upload of", key);
        loop {
            let sent = self
                .client
                .abort_multipart_upload()
                .bucket(&self.bucket)
                .key(key)
                .upload_id(upload_id);
            match retry.attempt(Box::pin(sent.send())).await {
                Ok(_) => return Ok(()),
                Err(fault) if fault.is_upload_absent() => return Ok(()),
                Err(fault) => retry.again(fault).await?,
            }
        }
    }
}

impl MultipartWriter {
    /// Bytes given so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Adds to the object; waits while all places are taken.
    pub async fn write(&mut self, mut data: &[u8]) -> Result<(), StoreError> {
        self.count(data);
        while !data.is_empty() {
            if self.pending.capacity() == 0 {
                self.pending = self.buffers.take(self.part_bytes);
            }
            let fits = (self.part_bytes - self.pending.len()).min(data.len());
            self.pending.extend_from_slice(&data[..fits]);
            data = &data[fits..];
            if self.pending.len() == self.part_bytes {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    /// Adds a whole part, or the last of the object, which may be smaller: of [`PartBuffers`], and
    /// not copied. Nothing was given to [`Self::write`] of the same object.
    pub async fn write_part(&mut self, part: Vec<u8>) -> Result<(), StoreError> {
        self.count(&part);
        self.pending = part;
        if self.pending.len() == self.part_bytes {
            self.send_part().await?;
        }
        Ok(())
    }

    fn count(&mut self, data: &[u8]) {
        let head = HEAD_BYTES.saturating_sub(self.head.len()).min(data.len());
        self.head.extend_from_slice(&data[..head]);
        self.written += data.len() as u64;
    }

    async fn send_part(&mut self) -> Result<(), StoreError> {
        while self.sending.len() >= self.places {
            self.part_done().await?;
        }
        let upload_id = match &self.upload_id {
            Some(upload_id) => upload_id.clone(),
            None => self.begin().await?,
        };
        self.parts_begun += 1;
        if self.parts_begun > PARTS_MAX {
            return Err(StoreError::TooManyParts {
                name: self.name.clone(),
                parts_max: PARTS_MAX,
            });
        }
        let body = Bytes::from(std::mem::take(&mut self.pending));
        let number = i32::try_from(self.parts_begun).unwrap_or(i32::MAX);
        let sending = part_send(
            self.store.clone(),
            self.name.clone(),
            upload_id,
            number,
            body.clone(),
        );
        let buffers = self.buffers.clone();
        self.sending.spawn(async move {
            let sent = sending.await;
            buffers.give_back(body);
            sent
        });
        Ok(())
    }

    async fn part_done(&mut self) -> Result<(), StoreError> {
        if let Some(sent) = self.sending.join_next().await {
            let part = sent.map_err(|source| StoreError::Unavailable {
                doing: "writing",
                name: self.name.clone(),
                source: source.into(),
            })?;
            self.parts.push(part?);
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<String, StoreError> {
        let mut retry = Retry::new("beginning", &self.name);
        loop {
            self.store.counters.sent(0);
            let sent = self
                .store
                .client
                .create_multipart_upload()
                .bucket(&self.store.bucket)
                .key(self.store.key(&self.name))
                .set_storage_class(self.store.storage_class.clone())
                .set_server_side_encryption(self.store.encryption.clone());
            let fault = match retry.attempt(Box::pin(sent.send())).await {
                Ok(answer) => match answer.upload_id {
                    Some(upload_id) => {
                        self.upload_id = Some(upload_id.clone());
                        return Ok(upload_id);
                    }
                    None => Retry::cut("an upload without an ID"),
                },
                Err(fault) => fault,
            };
            self.store.counters.failed();
            retry.again(fault).await?;
        }
    }

    /// Sends what is left and makes the object appear. One that is smaller than a part is written
    /// at once.
    pub async fn finish(mut self) -> Result<Put, StoreError> {
        if self.upload_id.is_none() {
            let body = Bytes::from(std::mem::take(&mut self.pending));
            let put = self.store.put_new(&self.name, body.clone()).await;
            self.buffers.give_back(body);
            return put;
        }
        if !self.pending.is_empty() {
            self.send_part().await?;
        }
        while !self.sending.is_empty() {
            self.part_done().await?;
        }
        self.parts.sort_by_key(CompletedPart::part_number);
        self.complete().await
    }

    async fn complete(&self) -> Result<Put, StoreError> {
        let upload = CompletedMultipartUpload::builder()
            .set_parts(Some(self.parts.clone()))
            .build();
        let mut retry = Retry::new("completing", &self.name);
        loop {
            self.store.counters.sent(0);
            let sent = self
                .store
                .client
                .complete_multipart_upload()
                .bucket(&self.store.bucket)
                .key(self.store.key(&self.name))
                .set_upload_id(self.upload_id.clone())
                .if_none_match("*")
                .multipart_upload(upload.clone());
            let Err(fault) = retry.attempt(Box::pin(sent.send())).await else {
                return Ok(Put::Created);
            };
            // An earlier try may have succeeded and its answer been lost.
            if fault.is_taken() || fault.is_upload_absent() {
                match self.is_ours().await? {
                    Some(true) => return Ok(Put::Created),
                    Some(false) => return Ok(Put::AlreadyThere),
                    None => {}
                }
            }
            self.store.counters.failed();
            retry.again(fault).await?;
        }
    }

    /// Whether the object that is there is this one; `None`: there is none.
    async fn is_ours(&self) -> Result<Option<bool>, StoreError> {
        let Some(mut reader) = self.store.get_stream(&self.name, 0).await? else {
            return Ok(None);
        };
        if reader.bytes_total() != self.written {
            return Ok(Some(false));
        }
        let mut head = Vec::new();
        while head.len() < self.head.len() {
            match reader.next().await? {
                Some(part) => head.extend_from_slice(&part),
                None => break,
            }
        }
        Ok(Some(head.starts_with(&self.head)))
    }

    /// Drops what was sent.
    pub async fn abort(mut self) -> Result<(), StoreError> {
        self.sending.shutdown().await;
        match &self.upload_id {
            Some(id) => {
                self.store
                    .upload_abort(&self.store.key(&self.name), id)
                    .await
            }
            None => Ok(()),
        }
    }
}

async fn part_send(
    store: ObjectStore,
    name: String,
    upload_id: String,
    number: i32,
    body: Bytes,
) -> Result<CompletedPart, StoreError> {
    let mut retry = Retry::new("writing a part of", &name);
    loop {
        store.counters.sent(body.len());
        let sent = store
            .client
            .upload_part()
            .bucket(&store.bucket)
            .key(store.key(&name))
            .upload_id(&upload_id)
            .part_number(number)
            .body(ByteStream::from(body.clone()));
        match retry.attempt(Box::pin(sent.send())).await {
            Ok(answer) => {
                return Ok(CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(answer.e_tag)
                    .build());
            }
            Err(fault) => {
                store.counters.failed();
                retry.again(fault).await?;
            }
        }
    }
}
