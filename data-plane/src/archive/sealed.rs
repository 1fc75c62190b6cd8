//! What an object of the archive looks like inside.
//!
//! ```text
//! magic "LUMADB\x01S"  version u8 = 1  reserved 3 × 0  frame bytes u32
//! nonce 12 | the object's own key, wrapped by the archive's 32 + 16
//! frame: ciphertext | tag 16      every frame but the last is full
//! ```
//!
//! Numbers are big-endian. Each object has a random key of its own, used for nothing else, so the
//! number of a frame can be its nonce. Associated data hold the object's name, the frame's number
//! and whether it is the last: a bit that flipped, a frame that is missing, moved or cut, and an
//! object under another's name all fail to open. AES-256-GCM (NIST SP 800-38D) throughout.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand::fill;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lumadb_contract::secret::Secret;

/// Plaintext in a full frame, bytes.
pub const FRAME_BYTES: usize = 64 * 1024;

/// Largest frame that a reader accepts, bytes: what an object says must not exhaust the memory.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

const MAGIC: &[u8; 8] = b"LUMADB\x01S";
const VERSION: u8 = 1;
const PREAMBLE_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// In front of the first frame, bytes.
pub const HEADER_BYTES: usize = PREAMBLE_BYTES + NONCE_LEN + KEY_BYTES + TAG_BYTES;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    #[error("the archive's key is not 32 bytes in base64")]
    Key,
    #[error("the object is none of an archive, or its first bytes are damaged")]
    Header,
    #[error("the object is of format {0}, which this version does not read")]
    Version(u8),
    #[error("the object's key does not open: it is damaged, misplaced or of another archive")]
    Foreign,
    #[error("frame {0} of the object is damaged, misplaced or cut")]
    Frame(u64),
    #[error("the cryptographic library refused to work")]
    Library,
}

/// The key of one archive; wraps the keys of its objects.
pub struct ArchiveKey(LessSafeKey);

impl std::fmt::Debug for ArchiveKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ArchiveKey(…)")
    }
}

impl ArchiveKey {
    /// From 32 bytes in base64.
    pub fn parse(text: &Secret) -> Result<Self, SealedError> {
        let bytes = STANDARD.decode(text.expose());
        let bytes = bytes.map_err(|_| SealedError::Key)?;
        aead(&bytes).map(Self)
    }

    fn wrap(&self, object: &str, preamble: &[u8], key: &[u8]) -> Result<Vec<u8>, SealedError> {
        let mut nonce = [0; NONCE_LEN];
        fill(&mut nonce).map_err(|_| SealedError::Library)?;
        let mut wrapped = key.to_vec();
        let bound = Aad::from([preamble, object.as_bytes()].concat());
        let nonce_once = Nonce::assume_unique_for_key(nonce);
        let sealed = self
            .0
            .seal_in_place_append_tag(nonce_once, bound, &mut wrapped);
        sealed.map_err(|_| SealedError::Library)?;
        Ok([&nonce[..], &wrapped].concat())
    }

    fn unwrap(&self, object: &str, header: &[u8]) -> Result<LessSafeKey, SealedError> {
        let (preamble, wrapped) = header.split_at(PREAMBLE_BYTES);
        let (nonce, wrapped) = wrapped.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealedError::Header)?;
        let bound = Aad::from([preamble, object.as_bytes()].concat());
        let mut key = wrapped.to_vec();
        let opened = self.0.open_in_place(nonce, bound, &mut key);
        aead(opened.map_err(|_| SealedError::Foreign)?)
    }
}

fn aead(key: &[u8]) -> Result<LessSafeKey, SealedError> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealedError::Key)?;
    Ok(LessSafeKey::new(key))
}

/// What every frame of an object has in common.
struct Frames {
    key: LessSafeKey,
    object: String,
    number: u64,
}

impl Frames {
    fn next(&mut self, last: bool) -> (Nonce, Aad<Vec<u8>>) {
        let number = self.number.to_be_bytes();
        self.number += 1;
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - 8..].copy_from_slice(&number);
        let bound = [&number[..], &[u8::from(last)], self.object.as_bytes()].concat();
        (Nonce::assume_unique_for_key(nonce), Aad::from(bound))
    }
}

/// Encrypts one object as its content comes. Holds at most one frame.
pub struct Sealer {
    frames: Frames,
    pending: Vec<u8>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Sealer({})", self.frames.object)
    }
}

impl Sealer {
    /// Begins the object called `object` (as [`super::layout`] names it) and appends its header to
    /// `out`.
    pub fn begin(key: &ArchiveKey, object: &str, out: &mut Vec<u8>) -> Result<Self, SealedError> {
        let mut own = [0; KEY_BYTES];
        fill(&mut own).map_err(|_| SealedError::Library)?;
        let mut preamble = [0; PREAMBLE_BYTES];
        preamble[..8].copy_from_slice(MAGIC);
        preamble[8] = VERSION;
        let frame_bytes = u32::try_from(FRAME_BYTES).map_err(|_| SealedError::Library)?;
        preamble[12..].copy_from_slice(&frame_bytes.to_be_bytes());
        out.extend_from_slice(&preamble);
        out.extend_from_slice(&key.wrap(object, &preamble, &own)?);
        Ok(Self {
            frames: Frames {
                key: aead(&own)?,
                object: object.to_owned(),
                number: 0,
            },
            pending: Vec::new(),
        })
    }

    /// Encrypts `plain` up to its last whole frame and appends that to `out`.
    pub fn push(&mut self, mut plain: &[u8], out: &mut Vec<u8>) -> Result<(), SealedError> {
        // A full frame waits until something follows it: it may be the last.
        while self.pending.len() + plain.len() > FRAME_BYTES {
            let (now, later) = plain.split_at(FRAME_BYTES - self.pending.len());
            plain = later;
            self.frame(now, false, out)?;
        }
        self.pending.extend_from_slice(plain);
        Ok(())
    }

    /// Encrypts what is left.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), SealedError> {
        self.frame(&[], true, out)
    }

    fn frame(&mut self, more: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), SealedError> {
        let (nonce, bound) = self.frames.next(last);
        let from = out.len();
        out.extend_from_slice(&self.pending);
        out.extend_from_slice(more);
        self.pending.clear();
        let key = &self.frames.key;
        let tag = key.seal_in_place_separate_tag(nonce, bound, &mut out[from..]);
        out.extend_from_slice(tag.map_err(|_| SealedError::Library)?.as_ref());
        Ok(())
    }
}

/// Decrypts one object as it comes. Holds at most one frame and what was pushed last.
pub struct Opener<'key> {
    archive_key: &'key ArchiveKey,
    object: String,
    /// `None` until the header has come.
    opened: Option<(Frames, usize)>,
    pending: Vec<u8>,
}

impl std::fmt::Debug for Opener<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Opener({})", self.object)
    }
}

impl<'key> Opener<'key> {
    pub fn begin(archive_key: &'key ArchiveKey, object: &str) -> Self {
        Self {
            archive_key,
            object: object.to_owned(),
            opened: None,
            pending: Vec::new(),
        }
    }

    /// Appends to `out` what opens. It is genuine, but the object is whole only after
    /// [`Self::finish`].
    pub fn push(&mut self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), SealedError> {
        self.pending.extend_from_slice(sealed);
        if self.opened.is_none() && self.pending.len() >= HEADER_BYTES {
            self.header()?;
        }
        let Some((frames, frame_bytes)) = &mut self.opened else {
            return Ok(());
        };
        let full = *frame_bytes + TAG_BYTES;
        let mut from = 0;
        while self.pending.len() - from > full {
            frame_open(frames, false, &mut self.pending[from..from + full], out)?;
            from += full;
        }
        self.pending.drain(..from);
        Ok(())
    }

    /// Opens the last frame; an error if the object is not whole.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), SealedError> {
        let Some((frames, _)) = &mut self.opened else {
            return Err(SealedError::Header);
        };
        frame_open(frames, true, &mut self.pending, out)
    }

    fn header(&mut self) -> Result<(), SealedError> {
        let header = &self.pending[..HEADER_BYTES];
        if header[..8] != MAGIC[..] {
            return Err(SealedError::Header);
        }
        if header[8] != VERSION {
            return Err(SealedError::Version(header[8]));
        }
        let bytes = [header[12], header[13], header[14], header[15]];
        let frame_bytes = u32::from_be_bytes(bytes) as usize;
        if header[9..12] != [0; 3] || !(1..=FRAME_BYTES_MAX).contains(&frame_bytes) {
            return Err(SealedError::Header);
        }
        let frames = Frames {
            key: self.archive_key.unwrap(&self.object, header)?,
            object: self.object.clone(),
            number: 0,
        };
        self.opened = Some((frames, frame_bytes));
        self.pending.drain(..HEADER_BYTES);
        Ok(())
    }
}

fn frame_open(
    frames: &mut Frames,
    last: bool,
    sealed: &mut [u8],
    out: &mut Vec<u8>,
) -> Result<(), SealedError> {
    let number = frames.number;
    let (nonce, bound) = frames.next(last);
    let opened = frames.key.open_in_place(nonce, bound, sealed);
    out.extend_from_slice(opened.map_err(|_| SealedError::Frame(number))?);
    Ok(())
}

/// Encrypts a small object at once.
pub fn seal(key: &ArchiveKey, object: &str, plain: &[u8]) -> Result<Vec<u8>, SealedError> {
    let frames = plain.len() / FRAME_BYTES + 1;
    let mut out = Vec::with_capacity(HEADER_BYTES + plain.len() + frames * TAG_BYTES);
    let mut sealer = Sealer::begin(key, object, &mut out)?;
    sealer.push(plain, &mut out)?;
    sealer.finish(&mut out)?;
    Ok(out)
}

/// Decrypts a small object at once.
pub fn open(key: &ArchiveKey, object: &str, sealed: &[u8]) -> Result<Vec<u8>, SealedError> {
    let mut out = Vec::with_capacity(sealed.len());
    let mut opener = Opener::begin(key, object);
    opener.push(sealed, &mut out)?;
    opener.finish(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests;
