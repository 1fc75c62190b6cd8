//! Bodies as they come in, with two things that s3s leaves to whoever uses it.
//!
//! - A body that is signed chunk by chunk (`aws-chunked`) is checked so, and s3s holds each chunk in
//!   memory while it does. The client chooses how large they are; here it is told when that is too
//!   much.
//! - A request that is refused has a body that nobody reads. If the connection ended there, a client
//!   that is still sending would often see a broken connection and not the answer. So the rest is
//!   read and dropped, up to a limit.

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Largest chunk, bytes. Clients send 64 KiB to 1 MiB, some a part of an upload as one chunk.
const CHUNK_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Read of a body that nobody wants, bytes: a part of an upload, and more.
const REST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Time to read it, seconds.
const REST_SECONDS: u64 = 30;

#[derive(Debug, thiserror::Error)]
#[error("a chunk of the body is larger than {CHUNK_BYTES_MAX} bytes")]
struct ChunkTooLarge;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the size of a chunk: hexadecimal digits.
    Size(u64),
    /// Behind it, up to the end of the line.
    Line(u64),
    /// In a chunk and the line end behind it.
    Chunk(u64),
    /// Behind the last chunk, which is empty.
    End,
}

impl At {
    fn pass(&mut self, mut data: &[u8]) -> Result<(), ChunkTooLarge> {
        while let Some(byte) = data.first().copied() {
            match *self {
                Self::End => return Ok(()),
                Self::Chunk(left) => {
                    let here = left.min(data.len() as u64);
                    *self = match left - here {
                        0 => Self::Size(0),
                        left => Self::Chunk(left),
                    };
                    data.advance(usize::try_from(here).unwrap_or(data.len()));
                    continue;
                }
                Self::Size(size) => match char::from(byte).to_digit(16) {
                    Some(digit) => {
                        let size = size << 4 | u64::from(digit);
                        if size > CHUNK_BYTES_MAX {
                            return Err(ChunkTooLarge);
                        }
                        *self = Self::Size(size);
                    }
                    None => *self = Self::Line(size),
                },
                Self::Line(size) if byte == b'\n' => {
                    *self = match size {
                        0 => Self::End,
                        size => Self::Chunk(size + 2),
                    };
                }
                Self::Line(_) => {}
            }
            data.advance(1);
        }
        Ok(())
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// `None`: what is left of it is read and dropped.
    body: Option<Incoming>,
    /// `None`: it does not come in chunks.
    at: Option<At>,
}

impl Arriving {
    pub(crate) fn new(body: Incoming, chunked: bool) -> Self {
        Self {
            body: Some(body),
            at: chunked.then_some(At::Size(0)),
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        polled.map(|frame| {
            let checked = frame?.map_err(Into::into).and_then(|frame| {
                let data = frame.data_ref().map(Bytes::as_ref).unwrap_or_default();
                if let Some(at) = &mut self.at {
                    at.pass(data)?;
                }
                Ok(frame)
            });
            Some(checked)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (body, Handle::try_current()) {
            runtime.spawn(timeout(Duration::from_secs(REST_SECONDS), drain(body)));
        }
    }
}

/// Whoever sends more than the limit sees the connection end.
async fn drain(mut body: Incoming) {
    let mut left = REST_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let read = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(read) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(text: &[u8], step: usize) -> Result<At, ChunkTooLarge> {
        let mut at = At::Size(0);
        for piece in text.chunks(step) {
            at.pass(piece)?;
        }
        Ok(at)
    }

    #[test]
    fn chunks_pass_however_they_arrive() {
        let text = b"3;chunk-signature=ff\r\nabc\r\nA\r\n0123456789\r\n0\r\nname:999999999\r\n\r\n";
        for step in 1..text.len() {
            assert_eq!(pass(text, step).unwrap(), At::End);
        }
    }

    #[test]
    fn a_large_chunk_does_not() {
        let largest = format!("{CHUNK_BYTES_MAX:x}\r\n");
        assert!(pass(largest.as_bytes(), 1).is_ok());
        let larger = format!("3\r\nabc\r\n{:x}\r\n", CHUNK_BYTES_MAX + 1);
        assert!(pass(larger.as_bytes(), 1).is_err());
        assert!(pass(b"ffffffffffffffffffffffff", 3).is_err());
    }
}
