//! The engine's side of a session whose client hears nothing that can still be lost: a layer between
//! engine and relay that is there only where the database's durability asks for it.
//!
//! What the engine says waits here until the archive covers all WAL that was inserted when it had
//! arrived ([`crate::gate`]). No more than [`HELD_BYTES_MAX`] is held; then the engine waits for its
//! client, as it does for a slow one.

use super::quiet::QuietStream;
use super::relay::EngineSide;
use super::withhold::{Verdict, Withhold};
use crate::gate::{Pass, Standing, Ticket};
use bytes::{Buf, BytesMut};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most that is held for one session, bytes.
const HELD_BYTES_MAX: usize = 256 * 1024;

/// What some of the held bytes wait for; `None`: for those before them alone.
#[derive(Debug)]
struct Stretch {
    bytes: usize,
    ticket: Option<Ticket>,
}

#[derive(Debug)]
pub(super) struct Gated {
    engine: QuietStream,
    pass: Pass,
    withhold: Withhold,
    held: BytesMut,
    /// Of what is held, as far as it was judged.
    stretches: VecDeque<Stretch>,
    /// The engine says nothing more.
    ended: bool,
}

impl Gated {
    /// `engine` has said that it is ready, and nothing since.
    pub(super) fn new(engine: QuietStream, pass: Pass) -> Self {
        Self {
            engine,
            pass,
            withhold: Withhold::default(),
            held: BytesMut::new(),
            stretches: VecDeque::new(),
            ended: false,
        }
    }

    /// Takes what the engine says. Where nothing has to wait it need not be copied: answers how much
    /// of it may go on from where it is.
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut through = 0;
        let direct = self.held.is_empty();
        let (stretches, pass) = (&mut self.stretches, &self.pass);
        let mut ticket = None;
        let mut void = false;
        self.withhold.feed(bytes, |verdict, bytes| {
            let wanted = match verdict {
                Verdict::Passes if direct && stretches.is_empty() => {
                    through += bytes;
                    return;
                }
                Verdict::Passes => None,
                // One for all that arrived together.
                Verdict::Waits => {
                    ticket = ticket.or_else(|| pass.ticket());
                    void |= ticket.is_none();
                    ticket
                }
            };
            match stretches.back_mut() {
                Some(last) if last.ticket == wanted => last.bytes += bytes,
                _ => stretches.push_back(Stretch {
                    bytes,
                    ticket: wanted,
                }),
            }
        });
        if void {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.held.extend_from_slice(&bytes[through..]);
        Ok(through)
    }

    /// How many of the held bytes may go.
    fn released(&mut self, cx: &Context<'_>) -> io::Result<usize> {
        let mut bytes = 0;
        for stretch in &self.stretches {
            let standing = stretch
                .ticket
                .map_or(Standing::Released, |it| self.pass.look(it, cx.waker()));
            match standing {
                Standing::Released => bytes += stretch.bytes,
                Standing::Waits => break,
                Standing::Void => return Err(io::ErrorKind::ConnectionReset.into()),
            }
        }
        Ok(bytes)
    }

    fn give(&mut self, mut bytes: usize, buffer: &mut ReadBuf<'_>) {
        buffer.put_slice(&self.held[..bytes]);
        self.held.advance(bytes);
        while let Some(first) = self.stretches.front_mut() {
            let of_this = bytes.min(first.bytes);
            first.bytes -= of_this;
            bytes -= of_this;
            if first.bytes > 0 {
                break;
            }
            self.stretches.pop_front();
        }
        if self.held.is_empty() {
            // An idle session holds no memory.
            self.held = BytesMut::new();
        }
    }
}

impl EngineSide for Gated {
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.engine.poll_held(cx)
    }
}

impl AsyncRead for Gated {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.ended && this.held.len() < HELD_BYTES_MAX {
            let most = buffer.remaining().min(HELD_BYTES_MAX - this.held.len());
            let mut arriving = ReadBuf::new(&mut buffer.initialize_unfilled()[..most]);
            match Pin::new(&mut this.engine).poll_read(cx, &mut arriving) {
                Poll::Pending => break,
                // What it said before still goes on.
                Poll::Ready(Err(_)) => this.ended = true,
                Poll::Ready(Ok(())) if arriving.filled().is_empty() => this.ended = true,
                Poll::Ready(Ok(())) => {
                    let through = this.take(arriving.filled())?;
                    if through > 0 {
                        buffer.advance(through);
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
        let released = this.released(cx)?.min(buffer.remaining());
        if released > 0 {
            this.give(released, buffer);
            return Poll::Ready(Ok(()));
        }
        // A message that is not whole when the engine ends goes with it.
        if this.ended && this.stretches.is_empty() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().engine).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().engine).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().engine).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::message;
    use super::*;
    use crate::gate::Gate;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    const ROW: &[u8] = b"some row";

    fn ready(status: u8) -> Vec<u8> {
        message(b'Z', &[status])
    }

    async fn pair() -> (Arc<Gate>, Gated, UnixStream) {
        let gate = Arc::new(Gate::default());
        gate.shut();
        gate.open();
        let pass = gate.enter(Duration::ZERO).await.expect("is open");
        let (near, far) = UnixStream::pair().expect("a pair");
        let near = QuietStream::new(near).expect("registers");
        (gate, Gated::new(near, pass), far)
    }

    fn release(gate: &Gate) {
        gate.release(gate.ask());
    }

    /// Reads what can be read without waiting, once something was wanted or came.
    async fn heard(gated: &mut Gated, bytes: usize) -> Vec<u8> {
        let mut heard = vec![0; bytes];
        gated.read_exact(&mut heard).await.expect("reads");
        heard
    }

    async fn hears_nothing(gated: &mut Gated, gate: &Gate) {
        let mut byte = [0];
        tokio::select! {
            biased;
            read = gated.read(&mut byte) => panic!("heard {read:?}"),
            () = gate.wanted() => {}
        }
    }

    #[tokio::test]
    async fn nothing_is_heard_before_its_ticket_is_released() {
        let (gate, mut gated, mut engine) = pair().await;
        let said = [message(b'D', ROW), ready(b'I')].concat();
        engine.write_all(&said).await.expect("writes");
        hears_nothing(&mut gated, &gate).await;
        release(&gate);
        assert_eq!(heard(&mut gated, said.len()).await, said);
    }

    #[tokio::test]
    async fn what_an_open_transaction_reads_passes_and_its_end_waits() {
        let (gate, mut gated, mut engine) = pair().await;
        let row = message(b'D', ROW);
        let begun = [message(b'C', b"BEGIN\0"), ready(b'T'), row.clone()].concat();
        engine.write_all(&begun).await.expect("writes");
        assert_eq!(heard(&mut gated, begun.len()).await, begun);
        let end = message(b'C', b"COMMIT\0");
        let last = [row.clone(), end.clone(), ready(b'I')].concat();
        engine.write_all(&last).await.expect("writes");
        assert_eq!(heard(&mut gated, row.len()).await, row);
        hears_nothing(&mut gated, &gate).await;
        release(&gate);
        let rest = end.len() + ready(b'I').len();
        assert_eq!(heard(&mut gated, rest).await, last[row.len()..]);
    }

    #[tokio::test]
    async fn the_beginning_of_a_transaction_waits_for_what_came_before() {
        let (gate, mut gated, mut engine) = pair().await;
        let said = [
            message(b'C', b"COMMIT\0"),
            message(b'C', b"BEGIN\0"),
            ready(b'T'),
        ];
        let said = said.concat();
        engine.write_all(&said).await.expect("writes");
        hears_nothing(&mut gated, &gate).await;
        release(&gate);
        assert_eq!(heard(&mut gated, said.len()).await, said);
    }

    #[tokio::test]
    async fn the_last_words_of_an_engine_wait_too_and_end_the_session_when_heard() {
        let (gate, mut gated, mut engine) = pair().await;
        let farewell = message(b'E', b"terminating");
        engine.write_all(&farewell).await.expect("writes");
        drop(engine);
        hears_nothing(&mut gated, &gate).await;
        release(&gate);
        let mut heard = Vec::new();
        gated.read_to_end(&mut heard).await.expect("reads");
        assert_eq!(heard, farewell);
    }

    #[tokio::test]
    async fn what_waits_when_the_life_of_the_engine_ends_is_never_heard() {
        let (gate, mut gated, mut engine) = pair().await;
        engine.write_all(&ready(b'I')).await.expect("writes");
        hears_nothing(&mut gated, &gate).await;
        gate.shut();
        gate.open();
        release(&gate);
        let mut heard = Vec::new();
        assert!(gated.read_to_end(&mut heard).await.is_err());
        assert!(heard.is_empty());
    }

    #[tokio::test]
    async fn an_engine_that_says_much_waits_as_for_a_slow_client() {
        let (gate, mut gated, mut engine) = pair().await;
        let row = message(b'D', &[7; 8000]);
        let rows = 200;
        let saying = async {
            for _ in 0..rows {
                engine.write_all(&row).await.expect("writes");
            }
            engine.shutdown().await.expect("ends");
        };
        let mut most = 0;
        let hearing = async {
            let mut heard = 0;
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let read = tokio::select! {
                    biased;
                    read = gated.read(&mut buffer) => read.expect("reads"),
                    () = gate.wanted() => {
                        release(&gate);
                        continue;
                    }
                };
                most = most.max(gated.held.len());
                heard += read;
                if read == 0 {
                    return heard;
                }
            }
        };
        let ((), heard) = tokio::join!(saying, hearing);
        assert_eq!(heard, row.len() * rows);
        assert!(most <= HELD_BYTES_MAX);
    }
}
