//! Compresses and encrypts what a backup sends, on threads of its own: the node's one thread has
//! clients to serve.

use crate::archive::sealed::{ArchiveKey, SealedError, Sealer};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use std::io::{self, Write};
use std::sync::Arc;
use tokio::sync::mpsc;
use zstd::stream::write::Encoder;

/// The fastest that compresses well: the next costs half as much again for a few percent.
const LEVEL: i32 = 1;

/// Threads that compress, beside the one that encrypts.
const THREADS: u32 = 2;

/// Given on at once, bytes.
const OUT_BYTES: usize = 512 * 1024;

/// Pieces on the way in (32 KiB each, as the engine sends them) and out.
const QUEUE_IN: usize = 64;
const QUEUE_OUT: usize = 4;

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
    Data(Vec<u8>),
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
    pub(super) fn start(key: Arc<ArchiveKey>) -> io::Result<Self> {
        let (input, input_end) = mpsc::channel(QUEUE_IN);
        let (output_end, output) = mpsc::channel(QUEUE_OUT);
        let pack = move || {
            let mut thread = Thread {
                key,
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
    input: mpsc::Receiver<PackInput>,
    output: mpsc::Sender<Result<PackOutput, PackError>>,
}

impl Thread {
    fn run(&mut self) -> Result<(), PackError> {
        let mut object = None;
        while let Some(input) = self.input.blocking_recv() {
            let out = match (input, &mut object) {
                (PackInput::Begin(name), _) => {
                    object = Some(Object::begin(&self.key, &name)?);
                    vec![PackOutput::Begin(name)]
                }
                (PackInput::Data(data), Some(object)) => {
                    object.push(&data)?;
                    object.ready().map(PackOutput::Data).into_iter().collect()
                }
                (PackInput::End, Some(_)) => match object.take() {
                    Some(object) => {
                        let (rest, packed) = object.finish()?;
                        vec![PackOutput::Data(rest), PackOutput::End(packed)]
                    }
                    None => Vec::new(),
                },
                (PackInput::Data(_) | PackInput::End, None) => Vec::new(),
            };
            for out in out {
                if self.output.blocking_send(Ok(out)).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

struct Object {
    encoder: Encoder<'static, Vec<u8>>,
    sealer: Sealer,
    hash: Context,
    bytes_read: u64,
    bytes_stored: u64,
    out: Vec<u8>,
}

impl Object {
    fn begin(key: &ArchiveKey, name: &str) -> Result<Self, PackError> {
        let mut out = Vec::new();
        let sealer = Sealer::begin(key, name, &mut out)?;
        let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
        encoder.multithread(THREADS)?;
        Ok(Self {
            encoder,
            sealer,
            hash: Context::new(&SHA256),
            bytes_read: 0,
            bytes_stored: 0,
            out,
        })
    }

    fn push(&mut self, data: &[u8]) -> Result<(), PackError> {
        self.encoder.write_all(data)?;
        self.bytes_read += data.len() as u64;
        let compressed = self.encoder.get_mut();
        self.sealer.push(compressed, &mut self.out)?;
        compressed.clear();
        Ok(())
    }

    fn ready(&mut self) -> Option<Vec<u8>> {
        (self.out.len() >= OUT_BYTES).then(|| self.take())
    }

    fn take(&mut self) -> Vec<u8> {
        self.hash.update(&self.out);
        self.bytes_stored += self.out.len() as u64;
        std::mem::take(&mut self.out)
    }

    fn finish(mut self) -> Result<(Vec<u8>, Packed), PackError> {
        let mut rest = self.take();
        let compressed = self.encoder.finish()?;
        let mut last = Vec::new();
        self.sealer.push(&compressed, &mut last)?;
        self.sealer.finish(&mut last)?;
        self.hash.update(&last);
        let packed = Packed {
            bytes_read: self.bytes_read,
            bytes_stored: self.bytes_stored + last.len() as u64,
            sha256: hexadecimal(self.hash.finish().as_ref()),
        };
        rest.append(&mut last);
        Ok((rest, packed))
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
        let mut packer = Packer::start(key.clone()).expect("starts");
        let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
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
                PackOutput::Data(data) => stored.extend(data),
                PackOutput::End(facts) => {
                    ends += 1;
                    let plain = sealed::open(&key, &name, &stored).expect("opens");
                    let plain = zstd::decode_all(&plain[..]).expect("decompresses");
                    assert!(plain == content);
                    assert_eq!(facts.bytes_stored, stored.len() as u64);
                    assert_eq!(facts.bytes_read, content.len() as u64);
                }
            }
        }
        assert_eq!(ends, 2);
    }
}
