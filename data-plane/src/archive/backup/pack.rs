//! Compresses and encrypts what a backup sends, on threads of its own, while the archive's thread
//! receives more.

use crate::archive::sealed::{ArchiveKey, FRAME_BYTES, SealedError, Sealer};
use crate::archive::store::{MULTIPART_PART_BYTES, PartBuffers};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use std::io::{self, Write};
use std::sync::Arc;
use tokio::sync::mpsc;
use zstd::stream::raw::{CParameter, Encoder, Operation};
use zstd::stream::zio::Writer;

/// The fastest that compresses well: the next costs half as much again for a few percent.
const LEVEL: i32 = 1;

/// Threads that compress, beside the one that encrypts.
const THREADS: u32 = 2;

/// Pieces on the way in (32 KiB each, as the engine sends them), and parts on the way out.
const QUEUE_IN: usize = 64;
const QUEUE_OUT: usize = 1;

/// Of memory for a part: what is encrypted comes in frames, and the last may reach beyond the part.
const ROOM_BYTES: usize = MULTIPART_PART_BYTES + 2 * FRAME_BYTES;

#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("compressing a backup")]
    Compress(#[from] io::Error),
    #[error(transparent)]
    Sealed(#[from] SealedError),
}

/// What goes in.
#[derive(Debug)]
pub(super) enum PackInput {
    /// A new object begins, of this full name.
    Begin(String),
    Data(Bytes),
    /// The object is complete.
    End,
}

/// What comes out.
#[derive(Debug)]
pub(super) enum PackOutput {
    Begin(String),
    /// A part of the object for the store: of its full size, or the last.
    Part(Vec<u8>),
    End(Packed),
}

/// An object that was packed.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) bytes_read: u64,
    pub(super) bytes_stored: u64,
    pub(super) sha256: String,
}

/// Both ends of the thread. It ends when its input does, or when nobody takes its output.
#[derive(Debug)]
pub(super) struct Packer {
    pub(super) input: mpsc::Sender<PackInput>,
    pub(super) output: mpsc::Receiver<Result<PackOutput, PackError>>,
}

impl Packer {
    pub(super) fn start(key: Arc<ArchiveKey>, buffers: PartBuffers) -> io::Result<Self> {
        let (input, input_end) = mpsc::channel(QUEUE_IN);
        let (output_end, output) = mpsc::channel(QUEUE_OUT);
        let pack = move || {
            let mut thread = Thread {
                key,
                buffers,
                encoder: None,
                input: input_end,
                output: output_end,
            };
            if let Err(error) = thread.run() {
                let _ = thread.output.blocking_send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().name("backup".to_owned());
        thread.spawn(pack)?;
        Ok(Self { input, output })
    }
}

struct Thread {
    key: Arc<ArchiveKey>,
    buffers: PartBuffers,
    /// Of the object before: it keeps its threads and their memory.
    encoder: Option<Encoder<'static>>,
    input: mpsc::Receiver<PackInput>,
    output: mpsc::Sender<Result<PackOutput, PackError>>,
}

impl Thread {
    fn run(&mut self) -> Result<(), PackError> {
        let mut object: Option<Object> = None;
        while let Some(input) = self.input.blocking_recv() {
            let mut out = Vec::new();
            match input {
                PackInput::Begin(name) => {
                    object = Some(self.begin(&name)?);
                    out.push(PackOutput::Begin(name));
                }
                PackInput::Data(data) => {
                    if let Some(object) = &mut object {
                        object.push(&data, &mut out)?;
                    }
                }
                PackInput::End => {
                    if let Some(object) = object.take() {
                        self.encoder = Some(object.finish(&mut out)?);
                    }
                }
            }
            for out in out {
                if self.output.blocking_send(Ok(out)).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, name: &str) -> Result<Object, PackError> {
        let encoder = self.encoder.take().map_or_else(encoder_make, Ok)?;
        Object::begin(&self.key, name, encoder, self.buffers.clone())
    }
}

fn encoder_make() -> io::Result<Encoder<'static>> {
    let mut encoder = Encoder::new(LEVEL)?;
    encoder.set_parameter(CParameter::NbWorkers(THREADS))?;
    Ok(encoder)
}

struct Object {
    encoder: Writer<Vec<u8>, Encoder<'static>>,
    bytes_read: u64,
    sealed: Sealed,
}

impl Object {
    fn begin(
        key: &ArchiveKey,
        name: &str,
        encoder: Encoder<'static>,
        buffers: PartBuffers,
    ) -> Result<Self, PackError> {
        Ok(Self {
            encoder: Writer::new(Vec::new(), encoder),
            bytes_read: 0,
            sealed: Sealed::begin(key, name, buffers)?,
        })
    }

    fn push(&mut self, data: &[u8], out: &mut Vec<PackOutput>) -> Result<(), PackError> {
        self.encoder.write_all(data)?;
        self.bytes_read += data.len() as u64;
        let compressed = self.encoder.writer_mut();
        self.sealed.push(compressed, out)?;
        compressed.clear();
        Ok(())
    }

    /// Gives back what compressed it, ready for another.
    fn finish(mut self, out: &mut Vec<PackOutput>) -> Result<Encoder<'static>, PackError> {
        self.encoder.finish()?;
        let (compressed, mut encoder) = self.encoder.into_inner();
        encoder.reinit()?;
        self.sealed.push(&compressed, out)?;
        self.sealed.finish(self.bytes_read, out)?;
        Ok(encoder)
    }
}

/// An object as it lies in the store.
struct Sealed {
    sealer: Sealer,
    hash: Context,
    bytes: u64,
    buffers: PartBuffers,
    part: Vec<u8>,
}

impl Sealed {
    fn begin(key: &ArchiveKey, name: &str, buffers: PartBuffers) -> Result<Self, PackError> {
        let mut part = buffers.take(ROOM_BYTES);
        let sealer = Sealer::begin(key, name, &mut part)?;
        let mut hash = Context::new(&SHA256);
        hash.update(&part);
        Ok(Self {
            sealer,
            hash,
            bytes: part.len() as u64,
            buffers,
            part,
        })
    }

    fn push(&mut self, plain: &[u8], out: &mut Vec<PackOutput>) -> Result<(), PackError> {
        for plain in plain.chunks(FRAME_BYTES) {
            let from = self.part.len();
            self.sealer.push(plain, &mut self.part)?;
            self.added(from, out);
        }
        Ok(())
    }

    /// Hashes what was added behind `from`, and gives the part on if it is full.
    fn added(&mut self, from: usize, out: &mut Vec<PackOutput>) {
        let added = &self.part[from..];
        self.hash.update(added);
        self.bytes += added.len() as u64;
        if self.part.len() >= MULTIPART_PART_BYTES {
            let mut next = self.buffers.take(ROOM_BYTES);
            next.extend_from_slice(&self.part[MULTIPART_PART_BYTES..]);
            let mut full = std::mem::replace(&mut self.part, next);
            full.truncate(MULTIPART_PART_BYTES);
            out.push(PackOutput::Part(full));
        }
    }

    fn finish(self, bytes_read: u64, out: &mut Vec<PackOutput>) -> Result<(), PackError> {
        let Self {
            sealer,
            mut hash,
            bytes,
            mut part,
            ..
        } = self;
        let from = part.len();
        sealer.finish(&mut part)?;
        let added = &part[from..];
        hash.update(added);
        let packed = Packed {
            bytes_read,
            bytes_stored: bytes + added.len() as u64,
            sha256: hexadecimal(hash.finish().as_ref()),
        };
        let behind = part.split_off(part.len().min(MULTIPART_PART_BYTES));
        let parts = [part, behind].into_iter().filter(|part| !part.is_empty());
        out.extend(parts.map(PackOutput::Part));
        out.push(PackOutput::End(packed));
        Ok(())
    }
}

/// Lower-case hexadecimal digits of a hash.
pub(in crate::archive) fn hexadecimal(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = std::fmt::Write::write_fmt(&mut digits, format_args!("{byte:02x}"));
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::sealed;
    use lumadb_contract::key_chain::Key;

    #[tokio::test]
    async fn what_is_packed_opens_to_what_went_in() {
        let secret = Key::new([7; 32]).to_base64();
        let key = Arc::new(ArchiveKey::parse(&secret).expect("a key"));
        let mut packer = Packer::start(key.clone(), PartBuffers::default()).expect("starts");
        // Half of it cannot be compressed: an object is more than a part.
        let mut state = 1_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            u32::try_from(state >> 32).expect("32 bits")
        };
        let numbers = (0..6_000_000_u32).map(|n| if n % 2 == 0 { n } else { random() });
        let content: Vec<u8> = numbers.flat_map(u32::to_be_bytes).collect();
        let given = Bytes::from(content.clone());
        let input = packer.input.clone();
        tokio::spawn(async move {
            for name in ["a", "b"] {
                let begin = PackInput::Begin(name.to_owned());
                input.send(begin).await.expect("taken");
                for piece in 0..given.len().div_ceil(32_768) {
                    let from = piece * 32_768;
                    let piece = given.slice(from..given.len().min(from + 32_768));
                    input.send(PackInput::Data(piece)).await.expect("taken");
                }
                input.send(PackInput::End).await.expect("taken");
            }
        });
        drop(std::mem::replace(&mut packer.input, mpsc::channel(1).0));
        let (mut name, mut stored, mut ends) = (String::new(), Vec::new(), 0);
        while let Some(out) = packer.output.recv().await {
            match out.expect("packs") {
                PackOutput::Begin(begun) => (name, stored) = (begun, Vec::new()),
                PackOutput::Part(part) => {
                    assert!(part.len() <= MULTIPART_PART_BYTES);
                    assert_eq!(stored.len() % MULTIPART_PART_BYTES, 0, "a part in between");
                    stored.extend(part);
                }
                PackOutput::End(facts) => {
                    ends += 1;
                    let plain = sealed::open(&key, &name, &stored).expect("opens");
                    let plain = zstd::decode_all(&plain[..]).expect("decompresses");
                    assert!(plain == content);
                    assert!(stored.len() > MULTIPART_PART_BYTES);
                    assert_eq!(facts.bytes_stored, stored.len() as u64);
                    assert_eq!(facts.bytes_read, content.len() as u64);
                }
            }
        }
        assert_eq!(ends, 2);
    }
}
