//! Passes bytes between a client and its engine (or the node in front of it).
//!
//! One hand-polled future per connection. Both directions read into one buffer that all
//! connections of a thread share; only what the other side does not take at once is copied into a
//! buffer of the connection's own, and nothing more is read in that direction until it is gone.

use super::client::ClientStream;
use super::frame::{InvalidLength, Scanner};
use super::quiet::QuietStream;
use super::quota::{CommandGate, Commands};
use super::requests::{Counted, OUTSTANDING_MAX, RequestTracker};
use super::session::{Order, SessionControl};
use super::wire::{Fatal, sqlstate};
use crate::metering::Counters;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::client::TlsStream;

/// Size of the buffer that the connections of a thread share.
const SHARED_BUFFER_BYTES: usize = 64 * 1024;

/// How long a client that is told farewell may take to hear it.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

thread_local! {
    static SHARED_BUFFER: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; SHARED_BUFFER_BYTES].into_boxed_slice());
}

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub cause: Cause,
    /// Nobody awaits the answer to a command that the engine may still be running.
    pub abandoned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The engine closed, after the client or on its own.
    Closed,
    /// The client's connection broke, or closed in both directions.
    Vanished,
    /// Ordered from outside.
    Ordered,
    /// The client broke the framing.
    Violation,
}

/// Bytes of one direction that are still to be written, and how far the direction has come.
#[derive(Debug, Default)]
struct Lane {
    waiting: Vec<u8>,
    written: usize,
    /// The writer may hold bytes back that a flush brings out (TLS).
    unflushed: bool,
    state: LaneState,
    /// Bytes that the writer took.
    moved: u64,
    /// The reader's end was looked into already.
    seen_closed: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum LaneState {
    #[default]
    Open,
    /// The reader is at its end: what waits is written, then the writer is shut.
    Ending,
    Closed,
}

impl Lane {
    fn is_clear(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Writes what waits. Ready when nothing does.
    fn drain<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            let taken =
                ready!(Pin::new(&mut *writer).poll_write(cx, &self.waiting[self.written..]))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += taken;
            self.moved += taken as u64;
            self.unflushed = true;
        }
        self.waiting = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Writes `bytes`, keeping what the writer does not take now.
    fn pass<W: AsyncWrite + Unpin>(
        &mut self,
        bytes: &[u8],
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let taken = match Pin::new(writer).poll_write(cx, bytes) {
            Poll::Ready(taken) => taken?,
            Poll::Pending => 0,
        };
        self.unflushed = true;
        self.moved += taken as u64;
        if taken < bytes.len() {
            self.waiting = bytes[taken..].to_vec();
            self.written = 0;
        }
        Ok(())
    }

    fn flush<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(writer).poll_flush(cx)
        {
            flushed?;
            self.unflushed = false;
        }
        Ok(())
    }
}

/// What looks at the bytes of one direction.
trait Inspect {
    /// Answers how many of the bytes go on; the rest it keeps.
    fn inspect(&mut self, bytes: &[u8]) -> Result<usize, InvalidLength>;
    /// Nothing more shall be read for now.
    fn is_full(&self) -> bool {
        false
    }
    /// A reader that breaks counts as one that ends: what it sent before still goes on.
    fn tolerates_reset(&self) -> bool;
}

struct FromClient<'a> {
    scanner: &'a mut Scanner,
    tracker: &'a mut RequestTracker,
    gate: &'a mut CommandGate,
    counters: Option<&'a Counters>,
}

impl Inspect for FromClient<'_> {
    fn inspect(&mut self, bytes: &[u8]) -> Result<usize, InvalidLength> {
        if let Some(counters) = self.counters {
            let mut commands = Commands {
                scanner: &mut *self.scanner,
                tracker: &mut *self.tracker,
                counters,
            };
            return self.gate.admit(bytes, &mut commands);
        }
        self.scanner
            .feed(bytes, |head| self.tracker.sent(head.letter))?;
        Ok(bytes.len())
    }

    fn is_full(&self) -> bool {
        self.tracker.outstanding() >= OUTSTANDING_MAX || self.gate.is_shut()
    }

    fn tolerates_reset(&self) -> bool {
        false
    }
}

struct FromEngine<'a> {
    scanner: &'a mut Scanner,
    tracker: &'a mut RequestTracker,
    counted: Counted,
}

impl Inspect for FromEngine<'_> {
    fn inspect(&mut self, bytes: &[u8]) -> Result<usize, InvalidLength> {
        self.scanner.feed(bytes, |head| {
            let counted = self.tracker.answered(head.letter, head.status);
            self.counted.requests += counted.requests;
            self.counted.errors += counted.errors;
        })?;
        Ok(bytes.len())
    }

    fn tolerates_reset(&self) -> bool {
        true
    }
}

enum Broken {
    Reading,
    Writing,
    Violation,
}

/// Moves one direction as far as it goes without waiting.
fn pump<R, W>(
    lane: &mut Lane,
    reader: &mut R,
    writer: &mut W,
    inspector: &mut impl Inspect,
    buffer: &mut [u8],
    cx: &mut Context<'_>,
) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    loop {
        if lane.state == LaneState::Closed {
            return Ok(());
        }
        match lane.drain(writer, cx) {
            Poll::Ready(drained) => drained.map_err(|_| Broken::Writing)?,
            Poll::Pending => return Ok(()),
        }
        if lane.state == LaneState::Ending {
            if Pin::new(&mut *writer).poll_shutdown(cx).is_ready() {
                lane.state = LaneState::Closed;
            }
            return Ok(());
        }
        if inspector.is_full() {
            break;
        }
        let mut read = ReadBuf::new(buffer);
        match Pin::new(&mut *reader).poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) if inspector.tolerates_reset() => {
                lane.state = LaneState::Ending;
                continue;
            }
            Poll::Ready(Err(_)) => return Err(Broken::Reading),
            Poll::Pending => break,
        }
        let bytes = read.filled();
        if bytes.is_empty() {
            lane.state = LaneState::Ending;
            continue;
        }
        let passed = inspector.inspect(bytes).map_err(|_| Broken::Violation)?;
        if passed > 0 {
            lane.pass(&bytes[..passed], writer, cx)
                .map_err(|_| Broken::Writing)?;
        }
    }
    lane.flush(writer, cx).map_err(|_| Broken::Writing)
}

/// The engine, or the node in front of it.
pub trait EngineSide: AsyncRead + AsyncWrite + Unpin {
    /// Sends what the engine did not take before. Ready when nothing of that is left.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl EngineSide for QuietStream {
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        QuietStream::poll_held(self, cx)
    }
}

/// A node on another machine.
impl EngineSide for Box<TlsStream<QuietStream>> {
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.poll_held(cx)
    }
}

/// One connection between its start-up and its end.
#[derive(Debug)]
pub struct Relay<'a, Engine = QuietStream> {
    client: ClientStream,
    engine: Engine,
    up: Lane,
    down: Lane,
    from_client: Scanner,
    from_engine: Scanner,
    tracker: RequestTracker,
    gate: CommandGate,
    counters: Option<&'a Counters>,
    control: &'a SessionControl,
}

impl<'a, Engine: EngineSide> Relay<'a, Engine> {
    /// `greeting` goes to the client before anything that the engine sends; it ends a message.
    pub fn new(
        client: ClientStream,
        engine: Engine,
        greeting: Vec<u8>,
        counters: Option<&'a Counters>,
        control: &'a SessionControl,
    ) -> Self {
        Self {
            client,
            engine,
            up: Lane::default(),
            down: Lane {
                waiting: greeting,
                ..Lane::default()
            },
            from_client: Scanner::default(),
            from_engine: Scanner::default(),
            tracker: RequestTracker::default(),
            gate: CommandGate::default(),
            counters,
            control,
        }
    }

    /// Passes bytes until either side is done or the session is ordered to end; then says farewell.
    pub async fn run(mut self) -> End {
        let cause = std::future::poll_fn(|cx| self.poll(cx)).await;
        let farewell = match cause {
            Cause::Closed | Cause::Vanished => None,
            Cause::Ordered => self.control.reason(),
            Cause::Violation => Some(Fatal::new(
                sqlstate::PROTOCOL_VIOLATION,
                "invalid message length",
            )),
        };
        if let Some(fatal) = farewell {
            self.say_farewell(&fatal).await;
        }
        End {
            cause,
            abandoned: cause != Cause::Closed && self.tracker.outstanding() > 0,
        }
    }

    /// An error can be told only between two messages; otherwise the connection just closes.
    async fn say_farewell(&mut self, fatal: &Fatal) {
        if !self.from_engine.at_boundary() {
            return;
        }
        let waiting = self.down.waiting.split_off(self.down.written);
        let bytes = [waiting, fatal.to_message()].concat();
        let telling = async {
            self.client.write_all(&bytes).await?;
            self.client.shutdown().await
        };
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, telling).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        let order = self.control.watch(cx.waker());
        if order == Some(Order::Now) {
            return Poll::Ready(Cause::Ordered);
        }
        let end = SHARED_BUFFER.with_borrow_mut(|buffer| self.move_bytes(buffer, cx));
        if end.is_pending() && order == Some(Order::WhenIdle) && self.is_at_rest() {
            return Poll::Ready(Cause::Ordered);
        }
        end
    }

    fn is_at_rest(&self) -> bool {
        self.tracker.is_idle()
            && self.up.is_clear()
            && self.from_client.at_boundary()
            && self.from_engine.at_boundary()
    }

    fn move_bytes(&mut self, buffer: &mut [u8], cx: &mut Context<'_>) -> Poll<Cause> {
        // A direction that stands still must not keep what was written in the other one. A failure
        // shows below, in what is read or written next.
        let _ = self.client.poll_held(cx);
        let _ = self.engine.poll_held(cx);
        loop {
            if self.resume().is_err() {
                return Poll::Ready(Cause::Violation);
            }
            let mut inspector = FromClient {
                scanner: &mut self.from_client,
                tracker: &mut self.tracker,
                gate: &mut self.gate,
                counters: self.counters,
            };
            match pump(
                &mut self.up,
                &mut self.client,
                &mut self.engine,
                &mut inspector,
                buffer,
                cx,
            ) {
                Ok(()) => {}
                // The engine went while the client still talks: its last words are read below.
                Err(Broken::Writing) => self.up.state = LaneState::Closed,
                Err(Broken::Reading) => return Poll::Ready(Cause::Vanished),
                Err(Broken::Violation) => return Poll::Ready(Cause::Violation),
            }
            if self.up.state != LaneState::Open && !self.up.seen_closed {
                self.up.seen_closed = true;
                if self.client.is_gone() {
                    return Poll::Ready(Cause::Vanished);
                }
            }
            let was_full = self.tracker.outstanding() >= OUTSTANDING_MAX;
            let mut inspector = FromEngine {
                scanner: &mut self.from_engine,
                tracker: &mut self.tracker,
                counted: Counted::default(),
            };
            let moved_before = self.down.moved;
            let outcome = pump(
                &mut self.down,
                &mut self.engine,
                &mut self.client,
                &mut inspector,
                buffer,
                cx,
            );
            let counted = inspector.counted;
            self.count(counted, self.down.moved - moved_before);
            match outcome {
                Ok(()) if self.down.state == LaneState::Closed => {
                    return Poll::Ready(Cause::Closed);
                }
                Ok(()) => {}
                Err(Broken::Violation) => return Poll::Ready(Cause::Closed),
                Err(_) => return Poll::Ready(Cause::Vanished),
            }
            let has_room = was_full && self.tracker.outstanding() < OUTSTANDING_MAX;
            if !has_room && !self.can_resume() {
                return Poll::Pending;
            }
        }
    }

    /// Whether commands that were held back may go on, or can be refused: an answer of ours fits
    /// between two of the engine's messages, once the client has taken what came before.
    fn can_resume(&mut self) -> bool {
        let Some(counters) = self.counters.filter(|_| self.gate.is_shut()) else {
            return false;
        };
        let commands = Commands {
            scanner: &mut self.from_client,
            tracker: &mut self.tracker,
            counters,
        };
        self.gate.can_resume(&commands)
            && self.up.is_clear()
            && self.down.is_clear()
            && self.from_engine.at_boundary()
    }

    fn resume(&mut self) -> Result<(), InvalidLength> {
        if !self.can_resume() {
            return Ok(());
        }
        let Some(counters) = self.counters else {
            return Ok(());
        };
        let mut commands = Commands {
            scanner: &mut self.from_client,
            tracker: &mut self.tracker,
            counters,
        };
        let (for_engine, for_client) = self.gate.resume(&mut commands)?;
        self.up.waiting = for_engine;
        self.down.waiting = for_client;
        Ok(())
    }

    fn count(&self, counted: Counted, bytes: u64) {
        let Some(counters) = self.counters else {
            return;
        };
        if counted.requests > 0 {
            counters.add_requests(counted.requests);
        }
        if counted.errors > 0 {
            counters.add_errors(counted.errors);
        }
        if bytes > 0 {
            counters.add_transfer_out_bytes(bytes);
        }
    }
}
