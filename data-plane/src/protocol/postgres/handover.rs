//! The frames of [`lumadb_contract::handoff`]: on a unix socket, where the client's socket may travel
//! beside one, or on any other stream.

use lumadb_contract::handoff::{FRAME_BYTES_MAX, Opening, Verdict};
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::de::DeserializeOwned;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// Bytes of a frame's length field.
const LENGTH_BYTES: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error("the connection between edge and node broke: {0}")]
    Io(#[from] io::Error),
    #[error("a frame of {0} bytes")]
    Length(usize),
    #[error("a frame that is not understood: {0}")]
    Format(#[from] serde_json::Error),
}

fn frame(message: &impl serde::Serialize) -> Result<Vec<u8>, HandoverError> {
    let json = serde_json::to_vec(message)?;
    if json.len() > FRAME_BYTES_MAX {
        return Err(HandoverError::Length(json.len()));
    }
    let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
    Ok([&length.to_be_bytes()[..], &json].concat())
}

/// The frame of a verdict, to be written in front of what follows it.
pub fn verdict_frame(verdict: Verdict) -> Result<Vec<u8>, HandoverError> {
    frame(&verdict)
}

/// Writes an opening, and with it a socket (only [`Opening::Socket`] has one).
pub async fn write_opening(
    stream: &mut UnixStream,
    opening: &Opening,
    socket: Option<BorrowedFd<'_>>,
) -> Result<(), HandoverError> {
    let bytes = frame(opening)?;
    let mut written = 0;
    if let Some(socket) = socket {
        let sockets = [socket];
        written = stream
            .async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                control.push(SendAncillaryMessage::ScmRights(&sockets));
                let sent = rustix::net::sendmsg(
                    &*stream,
                    &[IoSlice::new(&bytes)],
                    &mut control,
                    SendFlags::NOSIGNAL,
                );
                Ok(sent?)
            })
            .await?;
    }
    stream.write_all(&bytes[written..]).await?;
    Ok(())
}

/// Writes an opening to a node on another machine.
pub async fn send_opening(
    stream: &mut (impl AsyncWrite + Unpin),
    opening: &Opening,
) -> Result<(), HandoverError> {
    stream.write_all(&frame(opening)?).await?;
    stream.flush().await?;
    Ok(())
}

/// Reads the opening of an edge on another machine.
pub async fn receive_opening(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Opening, HandoverError> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).await?;
    read_body(stream, length).await
}

/// Reads an opening and the socket that came with it.
pub async fn read_opening(
    stream: &mut UnixStream,
) -> Result<(Opening, Option<OwnedFd>), HandoverError> {
    let mut length = [0; LENGTH_BYTES];
    let (read, socket) = stream
        .async_io(Interest::READABLE, || receive(stream, &mut length))
        .await?;
    if read == 0 {
        return Err(HandoverError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    stream.read_exact(&mut length[read..]).await?;
    Ok((read_body(stream, length).await?, socket))
}

/// Takes the first bytes of a frame, and the socket that travels with them.
fn receive(stream: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::net::recvmsg(
        stream,
        &mut [IoSliceMut::new(bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let socket = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        })
        .flatten()
        .next();
    Ok((received.bytes, socket))
}

/// Reads the other side's verdict.
pub async fn read_verdict(stream: &mut (impl AsyncRead + Unpin)) -> Result<Verdict, HandoverError> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).await?;
    read_body(stream, length).await
}

async fn read_body<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    length: [u8; LENGTH_BYTES],
) -> Result<T, HandoverError> {
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(HandoverError::Length(length));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::handoff::{Socket, SocketStage};
    use std::os::fd::AsFd;

    #[tokio::test]
    async fn a_socket_travels_with_its_opening() {
        let (mut edge, mut node) = UnixStream::pair().expect("a pair");
        let (mut far, near) = UnixStream::pair().expect("a pair");
        let opening = Opening::Socket(Socket {
            stage: SocketStage::ClientHello { direct: true },
            client_address: None,
        });
        write_opening(&mut edge, &opening, Some(near.as_fd()))
            .await
            .expect("written");
        drop(near);
        let (read, socket) = read_opening(&mut node).await.expect("read");
        assert_eq!(read, opening);
        let socket = std::os::unix::net::UnixStream::from(socket.expect("a socket"));
        let mut socket = UnixStream::from_std(socket).expect("usable");
        socket.write_all(b"hello").await.expect("written");
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.expect("read");
        assert_eq!(&heard, b"hello");
        let verdict = verdict_frame(Verdict::TooManyConnections).expect("a frame");
        node.write_all(&verdict).await.expect("written");
        let verdict = read_verdict(&mut edge).await.expect("read");
        assert_eq!(verdict, Verdict::TooManyConnections);
    }

    #[tokio::test]
    async fn an_oversized_frame_is_refused_before_it_is_read() {
        let (mut edge, mut node) = UnixStream::pair().expect("a pair");
        edge.write_all(&u32::MAX.to_be_bytes())
            .await
            .expect("written");
        let refused = read_opening(&mut node).await;
        assert!(matches!(refused, Err(HandoverError::Length(_))));
    }
}
