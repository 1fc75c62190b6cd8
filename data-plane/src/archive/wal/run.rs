//! One run of WAL as a stream: neither its content nor its object is ever whole in memory.
//!
//! Ciphers, compression and hashes work on a thread of their own, with one piece waiting on either
//! side of it.

use super::WalError;
use super::format::{HEADER_BYTES, Hash, Header, LEVEL};
use super::item::Items;
use crate::archive::sealed::{ArchiveKey, Opener, SealedError, Sealer};
use crate::archive::store::{MultipartWriter, Put};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures::stream::{Stream, TryStreamExt};
use std::io::{self, Write};
use std::pin::pin;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes of a part of the upload: the least that S3 takes.
const PART_BYTES: usize = 5 * 1024 * 1024;

/// Parts on their way at a time.
const PLACES: usize = 1;

/// SHA-256 and length of what is written into it.
struct Digest {
    context: Context,
    bytes: u64,
}

impl Digest {
    fn new() -> Self {
        Self {
            context: Context::new(&SHA256),
            bytes: 0,
        }
    }

    fn finish(self) -> (Hash, u64) {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.context.finish().as_ref());
        (hash, self.bytes)
    }
}

impl Write for Digest {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.context.update(data);
        self.bytes += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The hash of what comes.
pub(super) async fn content_hash(
    name: &str,
    content: impl Stream<Item = Result<Vec<u8>, WalError>>,
) -> Result<Hash, WalError> {
    let (pieces, mut taken) = channel::<Vec<u8>>(1);
    let hashing = spawn_blocking(move || {
        let mut digest = Digest::new();
        while let Some(piece) = taken.blocking_recv() {
            digest.context.update(&piece);
        }
        Ok(digest.finish().0)
    });
    feed(content, pieces).await?;
    done(name, hashing).await
}

/// Writes a run that must not exist.
pub(super) async fn run_write(
    items: &Items,
    name: &str,
    header: &Header,
    content: impl Stream<Item = Result<Vec<u8>, WalError>>,
) -> Result<Put, WalError> {
    let mut upload = items.store.multipart(name, PART_BYTES, PLACES);
    match run_send(items, name, header, content, &mut upload).await {
        Ok(()) => Ok(upload.finish().await?),
        Err(error) => {
            // What is left of it otherwise goes when the next compactor begins.
            if let Err(left) = upload.abort().await {
                tracing::debug!(error = %left, "parts of a run stay in the store");
            }
            Err(error)
        }
    }
}

async fn run_send(
    items: &Items,
    name: &str,
    header: &Header,
    content: impl Stream<Item = Result<Vec<u8>, WalError>>,
    upload: &mut MultipartWriter,
) -> Result<(), WalError> {
    let (pieces, taken) = channel(1);
    let (sealed, mut given) = channel::<Vec<u8>>(1);
    let (key, owned, header) = (items.key.clone(), name.to_owned(), *header);
    let sealing = spawn_blocking(move || run_seal(&key, &owned, &header, taken, &sealed));
    let sending = async {
        while let Some(bytes) = given.recv().await {
            upload.write(&bytes).await?;
        }
        Ok(())
    };
    tokio::try_join!(feed(content, pieces), sending)?;
    done(name, sealing).await
}

/// Gives on what comes, until nobody takes it.
async fn feed(
    content: impl Stream<Item = Result<Vec<u8>, WalError>>,
    pieces: Sender<Vec<u8>>,
) -> Result<(), WalError> {
    let mut content = pin!(content);
    while let Some(piece) = content.try_next().await? {
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn done<T>(name: &str, thread: JoinHandle<Result<T, WalError>>) -> Result<T, WalError> {
    thread.await.unwrap_or_else(|_| {
        Err(WalError::unreadable(
            name,
            "the thread that worked on it failed",
        ))
    })
}

fn run_seal(
    key: &ArchiveKey,
    name: &str,
    header: &Header,
    mut pieces: Receiver<Vec<u8>>,
    parts: &Sender<Vec<u8>>,
) -> Result<(), WalError> {
    let refused = |_: io::Error| WalError::unreadable(name, "it cannot be compressed");
    let failed = |source| sealed_error(name, source);
    let mut out = Vec::new();
    let mut sealer = Sealer::begin(key, name, &mut out).map_err(failed)?;
    sealer.push(&header.encode(), &mut out).map_err(failed)?;
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL).map_err(refused)?;
    while let Some(piece) = pieces.blocking_recv() {
        encoder.write_all(&piece).map_err(refused)?;
        drop(piece);
        let compressed = std::mem::take(encoder.get_mut());
        sealer.push(&compressed, &mut out).map_err(failed)?;
        if !out.is_empty() && parts.blocking_send(std::mem::take(&mut out)).is_err() {
            // Whoever wanted it says why it does not any more.
            return Ok(());
        }
    }
    let compressed = encoder.finish().map_err(refused)?;
    sealer.push(&compressed, &mut out).map_err(failed)?;
    sealer.finish(&mut out).map_err(failed)?;
    let _ = parts.blocking_send(out);
    Ok(())
}

/// Reads a run whole and answers its header, once its content is what that says.
pub(super) async fn run_check(items: &Items, name: &str) -> Result<Header, WalError> {
    let object = items.store.get_stream(name, 0).await?;
    let mut object = object.ok_or_else(|| WalError::Gone {
        name: name.to_owned(),
    })?;
    let (parts, taken) = channel(1);
    let (key, owned) = (items.key.clone(), name.to_owned());
    let opening = spawn_blocking(move || run_open(&key, &owned, taken));
    while let Some(part) = object.next().await? {
        if parts.send(part).await.is_err() {
            break;
        }
    }
    drop(parts);
    done(name, opening).await
}

fn run_open(key: &ArchiveKey, name: &str, mut parts: Receiver<Bytes>) -> Result<Header, WalError> {
    let failed = |source| sealed_error(name, source);
    let refused = |_: io::Error| WalError::unreadable(name, "it does not decompress");
    let mut decoder = zstd::stream::write::Decoder::new(Digest::new()).map_err(refused)?;
    let mut opener = Opener::begin(key, name);
    let (mut header, mut plain) = (None, Vec::new());
    loop {
        let part = parts.blocking_recv();
        let Some(part) = part else { break };
        opener.push(&part, &mut plain).map_err(failed)?;
        pass_on(name, &mut header, &mut plain, &mut decoder)?;
    }
    opener.finish(&mut plain).map_err(failed)?;
    pass_on(name, &mut header, &mut plain, &mut decoder)?;
    decoder.flush().map_err(refused)?;
    let header = header.ok_or_else(|| WalError::unreadable(name, "it is too short"))?;
    let (hash, bytes) = decoder.into_inner().finish();
    if header.end.0.checked_sub(header.start.0) != Some(bytes) || hash != header.content {
        return Err(WalError::unreadable(name, "its content has another hash"));
    }
    Ok(header)
}

/// The header stays, what is behind it is decompressed.
fn pass_on(
    name: &str,
    header: &mut Option<Header>,
    plain: &mut Vec<u8>,
    decoder: &mut impl Write,
) -> Result<(), WalError> {
    let mut from = 0;
    if header.is_none() {
        if plain.len() < HEADER_BYTES {
            return Ok(());
        }
        let found = Header::decode(plain);
        let found = found.ok_or_else(|| WalError::unreadable(name, "its header is not understood"));
        *header = Some(found?);
        from = HEADER_BYTES;
    }
    let passed = decoder.write_all(&plain[from..]);
    plain.clear();
    passed.map_err(|_| WalError::unreadable(name, "it does not decompress"))
}

fn sealed_error(name: &str, source: SealedError) -> WalError {
    WalError::Sealed {
        name: name.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::{header, key};
    use super::super::format::{Item, Kind, sha256};
    use super::*;

    const NAME: &str = "a/run";

    /// Bytes that compress a little.
    fn content() -> Vec<u8> {
        let mut state = 1_u32;
        let bytes = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0] & 0x3f
        });
        bytes.take(3_000_000).collect()
    }

    fn sealed(header: &Header, content: &[u8], piece_bytes: usize) -> Vec<u8> {
        let (pieces, taken) = channel(content.len() / piece_bytes + 1);
        for piece in content.chunks(piece_bytes) {
            pieces.try_send(piece.to_vec()).expect("room");
        }
        drop(pieces);
        let (out, mut given) = channel(content.len() / piece_bytes + 2);
        run_seal(&key(), NAME, header, taken, &out).expect("seals");
        drop(out);
        let mut object = Vec::new();
        while let Ok(bytes) = given.try_recv() {
            object.extend(bytes);
        }
        object
    }

    fn opened(object: &[u8], piece_bytes: usize) -> Result<Header, WalError> {
        let (parts, taken) = channel(object.len() / piece_bytes + 1);
        for part in object.chunks(piece_bytes) {
            parts.try_send(Bytes::copy_from_slice(part)).expect("room");
        }
        drop(parts);
        run_open(&key(), NAME, taken)
    }

    #[test]
    fn a_run_that_was_streamed_is_as_any_other_item_and_checks() {
        let content = content();
        let header = header(Kind::Run, &content);
        let object = sealed(&header, &content, 100_000);
        assert!(object.len() < content.len());
        let item = Item::read(&key(), NAME, &object).expect("reads");
        assert_eq!(item.header, header);
        assert!(item.content(NAME).expect("whole") == content);
        for piece_bytes in [1000, 70_000, object.len()] {
            assert_eq!(opened(&object, piece_bytes).expect("checks"), header);
        }
    }

    #[test]
    fn a_run_that_is_cut_or_is_not_what_its_header_says_does_not_check() {
        let content = content();
        let good = header(Kind::Run, &content);
        let object = sealed(&good, &content, 100_000);
        assert!(opened(&object[..object.len() - 1], 70_000).is_err());
        let mut flipped = object.clone();
        flipped[1_000_000] ^= 1;
        assert!(opened(&flipped, 70_000).is_err());
        let mut longer = good;
        longer.end.0 += 1;
        let mut other = good;
        other.content = sha256(b"other");
        for header in [longer, other] {
            assert!(opened(&sealed(&header, &content, 100_000), 70_000).is_err());
        }
    }
}
