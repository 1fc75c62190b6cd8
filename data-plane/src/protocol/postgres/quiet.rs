//! A stream socket of a relay: woken by what arrives, and by room for more only while it waits for
//! some; what it sends leaves together with what others of its thread send ([`crate::sending`]).
//!
//! A stream of the runtime waits for both always. On a TCP socket that costs nothing; on a unix
//! socket the kernel says that there is room each time the other side has read, which wakes the
//! relay once more for every message that it passed on, for nothing.

use crate::sending::Outgoing;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

#[derive(Debug)]
pub struct QuietStream {
    socket: AsyncFd<Arc<Outgoing>>,
    /// Registered while the other side reads slower than we write.
    room: Option<AsyncFd<OwnedFd>>,
}

impl QuietStream {
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        Self::register(Outgoing::new(stream.into_std()?))
    }

    pub fn new_tcp(stream: TcpStream) -> io::Result<Self> {
        Self::register(Outgoing::new(stream.into_std()?))
    }

    fn register(socket: Outgoing) -> io::Result<Self> {
        Ok(Self {
            socket: register(Arc::new(socket), Interest::READABLE)?,
            room: None,
        })
    }

    /// Sends what the other side did not take before. Ready when nothing of that is left.
    pub fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.socket.get_ref().is_held() {
            return Poll::Ready(Ok(()));
        }
        while !self.socket.get_ref().send_held()? {
            ready!(self.poll_room(cx))?;
        }
        self.room = None;
        Poll::Ready(Ok(()))
    }

    /// Sends also what waits in the thread's queue.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.get_ref().send_queued();
        self.poll_held(cx)
    }

    /// Ready when there may be room.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = match &mut self.room {
            Some(room) => room,
            none => {
                // The runtime knows a descriptor once: the second interest takes a second one.
                let second = self.socket.get_ref().as_fd().try_clone_to_owned()?;
                none.insert(register(second, Interest::WRITABLE)?)
            }
        };
        ready!(room.poll_write_ready(cx))?.clear_ready();
        Poll::Ready(Ok(()))
    }
}

impl Drop for QuietStream {
    fn drop(&mut self) {
        self.socket.get_ref().send_queued();
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of types that change their descriptor; a socket \
              that nobody else registers keeps its own until it is dropped"
)]
fn register<T: AsRawFd>(socket: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(socket, interest)
}

impl AsFd for QuietStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

impl AsyncRead for QuietStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever only reads from now on still gets rid of what it wrote; a failure shows in what
        // it reads, or writes next.
        let _ = self.poll_held(cx);
        loop {
            let mut readable = ready!(self.socket.poll_read_ready(cx))?;
            let free = buffer.initialize_unfilled();
            match self.socket.get_ref().receive(free) {
                Ok(read) => {
                    // Less than was asked for: nothing is left, and what comes later is an event of
                    // its own. Zero is the end, which stays readable.
                    if read > 0 && read < free.len() {
                        readable.clear_ready();
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => readable.clear_ready(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for QuietStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_held(cx))?;
        if self.socket.get_ref().send_later(bytes, cx.waker()) {
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_sent(cx))?;
        loop {
            match self.socket.get_ref().send_now(bytes) {
                Ok(written) => {
                    if written == bytes.len() {
                        self.room = None;
                    }
                    return Poll::Ready(Ok(written));
                }
                Err(io::ErrorKind::WouldBlock) => ready!(self.poll_room(cx))?,
                Err(kind) => return Poll::Ready(Err(kind.into())),
            }
        }
    }

    /// What waits in the thread's queue leaves before the thread sleeps: that is soon enough.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_held(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(cx))?;
        Poll::Ready(self.socket.get_ref().shut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sending;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    /// Runs on a thread that gathers what it sends, and on one that does not.
    fn on_both_threads<F: Future<Output = ()>>(test: impl Fn() -> F) {
        for gathers in [false, true] {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .on_thread_park(sending::send_all)
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                if gathers {
                    sending::gather();
                }
                let whole = timeout(Duration::from_mins(1), test());
                whole.await.expect("ends");
            });
        }
    }

    fn bytes(count: usize) -> Vec<u8> {
        (0..count)
            .map(|index| u8::try_from(index % 251).expect("small"))
            .collect()
    }

    #[test]
    fn much_passes_in_both_directions_to_a_slow_reader_and_ends_with_its_end() {
        on_both_threads(|| async {
            let (near, mut far) = UnixStream::pair().expect("a pair");
            let mut near = QuietStream::new(near).expect("registers");
            let echo = tokio::spawn(async move {
                let mut buffer = vec![0; 7000];
                loop {
                    let read = far.read(&mut buffer).await.expect("reads");
                    if read == 0 {
                        break;
                    }
                    tokio::task::yield_now().await;
                    far.write_all(&buffer[..read]).await.expect("writes");
                }
            });
            let (mut reader, mut writer) = tokio::io::split(&mut near);
            let sent = bytes(8 << 20);
            let writing = async {
                // Short and long messages in turn: some wait in the queue and some leave at once.
                let mut rest = sent.as_slice();
                for length in [40, 300, 5, 100_000, 3000].into_iter().cycle() {
                    let (message, later) = rest.split_at(length.min(rest.len()));
                    writer.write_all(message).await.expect("writes");
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                }
                writer.shutdown().await.expect("shuts");
            };
            let mut received = Vec::new();
            let reading = reader.read_to_end(&mut received);
            let ((), read) = tokio::join!(writing, reading);
            assert_eq!(read.expect("reads"), sent.len());
            assert!(received == sent, "the bytes came back changed");
            echo.await.expect("ends");
        });
    }

    #[test]
    fn many_talk_at_once_and_each_hears_its_own() {
        on_both_threads(|| async {
            let talks = (0..200_u32).map(|number| async move {
                let (near, far) = UnixStream::pair().expect("a pair");
                let mut near = QuietStream::new(near).expect("registers");
                let mut far = QuietStream::new(far).expect("registers");
                for turn in 0..20_u32 {
                    let said = [number, turn].map(u32::to_be_bytes).concat();
                    let mut heard = vec![0; said.len()];
                    near.write_all(&said).await.expect("writes");
                    far.read_exact(&mut heard).await.expect("reads");
                    assert_eq!(heard, said);
                    far.write_all(&heard).await.expect("writes");
                    near.read_exact(&mut heard).await.expect("reads");
                    assert_eq!(heard, said);
                }
            });
            futures::future::join_all(talks).await;
        });
    }

    #[test]
    fn what_a_slow_reader_did_not_take_arrives_while_its_writer_only_reads() {
        on_both_threads(|| async {
            let (near, mut far) = UnixStream::pair().expect("a pair");
            let mut near = QuietStream::new(near).expect("registers");
            let piece = bytes(4000);
            let mut sent = 0;
            while let Ok(written) = timeout(Duration::from_millis(50), near.write(&piece)).await {
                sent += written.expect("writes");
            }
            let mut received = vec![0; sent];
            let answering = async {
                far.read_exact(&mut received).await.expect("reads");
                far.write_all(b"!").await.expect("writes");
            };
            let mut answer = [0];
            let ((), read) = tokio::join!(answering, near.read_exact(&mut answer));
            read.expect("reads");
            let expected: Vec<u8> = piece.iter().copied().cycle().take(sent).collect();
            assert!(received == expected, "the bytes came out changed");
        });
    }

    #[test]
    fn last_words_leave_before_the_socket_closes() {
        on_both_threads(|| async {
            let (near, mut far) = UnixStream::pair().expect("a pair");
            let mut near = QuietStream::new(near).expect("registers");
            near.write_all(b"farewell").await.expect("writes");
            drop(near);
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.expect("reads");
            assert_eq!(heard, b"farewell");
        });
    }

    #[test]
    fn a_reader_that_is_gone_shows_in_the_next_message() {
        on_both_threads(|| async {
            let (near, far) = UnixStream::pair().expect("a pair");
            let mut near = QuietStream::new(near).expect("registers");
            drop(far);
            let refused = async {
                loop {
                    let error = near.write_all(b"anybody?").await.err();
                    if let Some(error) = error {
                        return error.kind();
                    }
                    tokio::task::yield_now().await;
                }
            };
            assert_eq!(refused.await, io::ErrorKind::BrokenPipe);
        });
    }

    #[test]
    fn waiting_for_room_ends_when_the_other_side_reads_and_is_not_waited_for_after() {
        on_both_threads(|| async {
            let (near, mut far) = UnixStream::pair().expect("a pair");
            let mut near = QuietStream::new(near).expect("registers");
            let piece = vec![1; 64 * 1024];
            let mut sent = 0;
            while let Ok(written) = timeout(Duration::from_millis(50), near.write(&piece)).await {
                sent += written.expect("writes");
            }
            assert!(near.room.is_some());
            let mut received = vec![0; sent];
            let reading = async { far.read_exact(&mut received).await.map(drop) };
            let (read, written) = tokio::join!(reading, near.write(&piece));
            read.expect("reads");
            assert_eq!(written.expect("writes"), piece.len());
            assert!(near.room.is_none());
        });
    }
}
