//! JSON of objects in a few bytes: most of it is the same in all objects of a kind.

use std::io;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use zstd::bulk::{Compressor, Decompressor};

/// An object of each kind that is kept, as the cluster tells of it. Others are written as what differs
/// from these; what has nothing in common with them takes more room and is kept as well.
const TYPICAL: &[u8] = include_bytes!("typical.jsonl");

/// On texts of a kilobyte or two, more effort saves next to nothing.
const LEVEL: i32 = 3;

struct Codec {
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
}

/// One for the process: it takes more memory than a thousand objects, and an object takes it for some
/// microseconds.
static CODEC: LazyLock<io::Result<Mutex<Codec>>> = LazyLock::new(|| {
    Ok(Mutex::new(Codec {
        compressor: Compressor::with_dictionary(LEVEL, TYPICAL)?,
        decompressor: Decompressor::with_dictionary(TYPICAL)?,
    }))
});

fn codec() -> io::Result<MutexGuard<'static, Codec>> {
    match &*CODEC {
        Ok(codec) => Ok(codec.lock().unwrap_or_else(PoisonError::into_inner)),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}

/// A text that was squeezed, for this process alone: another may have other typical objects.
#[derive(Clone)]
pub(super) struct Squeezed {
    bytes: Box<[u8]>,
    /// Of the text, bytes.
    length: usize,
}

impl Squeezed {
    /// Fails where memory does.
    pub(super) fn of(text: &[u8]) -> io::Result<Self> {
        let bytes = codec()?.compressor.compress(text)?;
        Ok(Self {
            bytes: bytes.into_boxed_slice(),
            length: text.len(),
        })
    }

    /// The text.
    pub(super) fn restored(&self) -> io::Result<Vec<u8>> {
        codec()?.decompressor.decompress(&self.bytes, self.length)
    }

    /// What it takes, bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back() {
        let long = "{\"a\":1}".repeat(100_000);
        for text in ["", "{}", "\u{fc}", &long] {
            let squeezed = Squeezed::of(text.as_bytes()).expect("memory");
            assert_eq!(squeezed.restored().expect("memory"), text.as_bytes());
        }
    }

    #[test]
    fn an_object_like_a_typical_one_takes_little_room() {
        let typical = str::from_utf8(TYPICAL).expect("text");
        for text in typical.lines() {
            let another = text.replace("01jdk3x5v9e8rb6w4q2n7m0c1a", "01jdk4ye6qfnxt1v9m3z5c8h2b");
            assert_ne!(text, another);
            let size = Squeezed::of(another.as_bytes()).expect("memory").size();
            assert!(size * 10 < text.len() + 1000, "{size} of {}", text.len());
        }
    }
}
