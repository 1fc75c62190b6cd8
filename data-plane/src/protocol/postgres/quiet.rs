//! A unix stream that is woken by what arrives, and by room for more only while it waits for some.
//!
//! A stream of the runtime waits for both always. On a TCP socket that costs nothing; on a unix
//! socket the kernel says that there is room each time the other side has read, which wakes the
//! relay once more for every message that it passed on, for nothing.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

#[derive(Debug)]
pub struct QuietStream {
    stream: AsyncFd<StdStream>,
    /// Registered while the other side reads slower than we write.
    room: Option<AsyncFd<StdStream>>,
}

impl QuietStream {
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self {
            stream: register(stream.into_std()?, Interest::READABLE)?,
            room: None,
        })
    }

    /// Writes what there is room for now.
    fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.stream.get_ref().write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return written,
            }
        }
    }

    /// Ready when there may be room.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = match &mut self.room {
            Some(room) => room,
            none => {
                // The runtime knows a descriptor once: the second interest takes a second one.
                let second = self.stream.get_ref().try_clone()?;
                none.insert(register(second, Interest::WRITABLE)?)
            }
        };
        ready!(room.poll_write_ready(cx))?.clear_ready();
        Poll::Ready(Ok(()))
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of types that change their descriptor; a stream \
              that nobody else holds keeps its own until it is dropped"
)]
fn register(stream: StdStream, interest: Interest) -> io::Result<AsyncFd<StdStream>> {
    AsyncFd::with_interest(stream, interest)
}

impl AsFd for QuietStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.get_ref().as_fd()
    }
}

impl AsyncRead for QuietStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut readable = ready!(self.stream.poll_read_ready(cx))?;
            let free = buffer.initialize_unfilled();
            match self.stream.get_ref().read(free) {
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
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
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
        loop {
            match self.write_now(bytes) {
                Ok(written) => {
                    if written == bytes.len() {
                        self.room = None;
                    }
                    return Poll::Ready(Ok(written));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_room(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    #[tokio::test]
    async fn much_passes_in_both_directions_to_a_slow_reader_and_ends_with_its_end() {
        const BYTES: usize = 8 << 20;
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
        let sent: Vec<u8> = (0..BYTES)
            .map(|index| u8::try_from(index % 251).expect("small"))
            .collect();
        let writing = async {
            writer.write_all(&sent).await.expect("writes");
            writer.shutdown().await.expect("shuts");
        };
        let mut received = Vec::new();
        let reading = reader.read_to_end(&mut received);
        let both = async { tokio::join!(writing, reading) };
        let ((), read) = timeout(Duration::from_secs(30), both).await.expect("ends");
        assert_eq!(read.expect("reads"), BYTES);
        assert!(received == sent, "the bytes came back changed");
        echo.await.expect("ends");
    }

    #[tokio::test]
    async fn waiting_for_room_ends_when_the_other_side_reads_and_is_not_waited_for_after() {
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
        let (read, written) = tokio::join!(reading, near.write(b"last"));
        read.expect("reads");
        assert_eq!(written.expect("writes"), 4);
        assert!(near.room.is_none());
    }
}
