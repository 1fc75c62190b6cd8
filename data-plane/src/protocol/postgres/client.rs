//! A client's connection: TCP or unix, in the clear or within TLS; and the first steps on it.

use super::quiet::QuietStream;
use super::scram::Binding;
use super::startup::{
    self, CancelRequest, FirstPacket, PREAMBLE_BYTES, STARTUP_BYTES_MAX, Startup,
};
use super::tls::{ALPN, TlsServer};
use super::wire::{Fatal, sqlstate};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Longest time from accepting a connection to its start-up packet, TLS included, and again for
/// authentication.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time that a client may take to hear the end of its connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// First byte of a TLS record that holds a handshake message.
const TLS_HANDSHAKE: u8 = 0x16;

/// How often a client may ask for encryption before it must go on.
const ENCRYPTION_REQUESTS_MAX: usize = 2;

/// Bounds of the pause between two looks at a packet that is not whole yet.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

#[derive(Debug)]
pub enum ClientStream {
    Tcp(QuietStream),
    Unix(QuietStream),
    Tls(Box<TlsStream<QuietStream>>),
}

impl ClientStream {
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether a client at its end does not listen any more either. A unix socket tells; TCP does
    /// not before something is written.
    pub fn is_gone(&self) -> bool {
        let Self::Unix(stream) = self else {
            return false;
        };
        let mut looked = [PollFd::new(stream, PollFlags::empty())];
        poll(&mut looked, Some(&Timespec::default())).is_ok()
            && looked[0].revents().contains(PollFlags::HUP)
    }

    /// Sends what the client did not take before. Ready when nothing of that is left.
    pub fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = match self {
            Self::Tcp(socket) | Self::Unix(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
        };
        socket.poll_held(cx)
    }

    /// Closes in the way of TLS too: a client that awaits no more than that takes a bare end for an
    /// attack.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.shutdown()).await;
    }

    /// Says why, then closes. The client may be slow or gone: that is its own affair.
    pub async fn refuse(mut self, fatal: &Fatal) {
        let farewell = async {
            self.write_all(&fatal.to_message()).await?;
            self.shutdown().await
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, farewell).await;
    }
}

macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            ClientStream::Tcp($stream) => $call,
            ClientStream::Unix($stream) => $call,
            ClientStream::Tls(boxed) => {
                let $stream = boxed.as_mut();
                $call
            }
        }
    };
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// Why a connection ended before it was a session. The client has been told what can be told.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("the client closed its connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the client was refused: {}", .0.text)]
    Refused(Fatal),
    #[error("direct TLS without the protocol name `postgresql`")]
    NoAlpn,
}

/// What the client sends next. Nothing of it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    ClientHello {
        direct: bool,
    },
    /// A start-up packet or a cancel request in the clear.
    Packet,
}

/// Answers requests for encryption until the client says something else.
pub async fn first_contact(
    socket: &mut TcpStream,
    offers_tls: bool,
) -> Result<Next, HandshakeError> {
    for _ in 0..=ENCRYPTION_REQUESTS_MAX {
        let mut preamble = [0; PREAMBLE_BYTES];
        if peek_at_least(socket, &mut preamble[..1], 1).await? == 0 {
            return Err(HandshakeError::Closed);
        }
        if preamble[0] == TLS_HANDSHAKE {
            return Ok(Next::ClientHello { direct: true });
        }
        if peek_at_least(socket, &mut preamble, PREAMBLE_BYTES).await? < PREAMBLE_BYTES {
            return Err(HandshakeError::Closed);
        }
        let [a, b, c, d, code @ ..] = preamble;
        let whole = u32::from_be_bytes([a, b, c, d]) as usize == PREAMBLE_BYTES;
        match u32::from_be_bytes(code) {
            startup::SSL_CODE if whole => {
                socket.read_exact(&mut preamble).await?;
                if offers_tls {
                    socket.write_all(b"S").await?;
                    return Ok(Next::ClientHello { direct: false });
                }
                socket.write_all(b"N").await?;
            }
            startup::GSS_CODE if whole => {
                socket.read_exact(&mut preamble).await?;
                socket.write_all(b"N").await?;
            }
            _ => return Ok(Next::Packet),
        }
    }
    Err(HandshakeError::Closed)
}

/// Looks at what has arrived without reading it, until it is `enough` bytes; answers how many of
/// `buffer` are filled, fewer only if the client sends no more.
///
/// Readiness does not tell that *more* has come than was seen before, hence the pauses; they are
/// rare (a packet in two segments) and grow.
pub async fn peek_at_least(
    socket: &TcpStream,
    buffer: &mut [u8],
    enough: usize,
) -> io::Result<usize> {
    let (mut pause, pause_max) = LOOK_AGAIN;
    let mut seen_before = 0;
    loop {
        let seen = socket.peek(buffer).await?;
        if seen >= enough || seen == 0 {
            return Ok(seen);
        }
        if has_ended(socket) {
            // The rest may have come just before the end.
            return socket.peek(buffer).await;
        }
        if seen > seen_before {
            (pause, seen_before) = (LOOK_AGAIN.0, seen);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(pause_max);
    }
}

/// Whether the client sends nothing more: looking at what it sent does not tell.
fn has_ended(socket: &TcpStream) -> bool {
    let mut looked = [PollFd::new(socket, PollFlags::RDHUP)];
    poll(&mut looked, Some(&Timespec::default())).is_ok()
        && looked[0]
            .revents()
            .intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}

/// Looks at a start-up packet in the clear without reading it.
pub async fn peek_packet(socket: &TcpStream) -> Result<FirstPacket, HandshakeError> {
    let mut buffer = vec![0; STARTUP_BYTES_MAX];
    let seen = peek_at_least(socket, &mut buffer, 4).await?;
    let Some((length, _)) = buffer.split_first_chunk::<4>().filter(|_| seen >= 4) else {
        return Err(HandshakeError::Closed);
    };
    let body = startup::body_bytes(u32::from_be_bytes(*length)).map_err(HandshakeError::Refused)?;
    if peek_at_least(socket, &mut buffer, 4 + body).await? < 4 + body {
        return Err(HandshakeError::Closed);
    }
    startup::parse(&buffer[4..4 + body]).map_err(HandshakeError::Refused)
}

/// A connection whose first packet has been read.
#[derive(Debug)]
pub struct Opened {
    pub stream: ClientStream,
    pub request: Request,
    /// Host name that the client gave in TLS.
    pub server_name: Option<String>,
    pub binding: Binding,
}

#[derive(Debug)]
pub enum Request {
    Startup(Startup),
    Cancel(CancelRequest),
}

/// Goes on from [`first_contact`]: TLS if the client wants it, then the first packet.
pub async fn open(
    socket: TcpStream,
    next: Next,
    tls: Option<&TlsServer>,
) -> Result<Opened, HandshakeError> {
    let socket = QuietStream::new_tcp(socket)?;
    let (stream, server_name, binding) = match (next, tls) {
        (Next::ClientHello { direct }, Some(tls)) => {
            let stream = tls.acceptor().accept(socket).await?;
            let (_, connection) = stream.get_ref();
            if direct && connection.alpn_protocol() != Some(ALPN) {
                return Err(HandshakeError::NoAlpn);
            }
            let server_name = connection.server_name().map(str::to_owned);
            (
                ClientStream::Tls(Box::new(stream)),
                server_name,
                tls.binding().clone(),
            )
        }
        (Next::ClientHello { .. }, None) => return Err(HandshakeError::Closed),
        (Next::Packet, _) => (ClientStream::Tcp(socket), None, Binding::None),
    };
    let (stream, request) = read_request(stream).await?;
    Ok(Opened {
        stream,
        request,
        server_name,
        binding,
    })
}

/// Reads the first packet of a stream on which encryption is settled, and answers what a client
/// asks beyond protocol 3.2.
pub async fn read_request(
    mut stream: ClientStream,
) -> Result<(ClientStream, Request), HandshakeError> {
    let fatal = match read_first_packet(&mut stream).await? {
        Ok(FirstPacket::Startup(startup)) => {
            if let Some(negotiation) = startup.negotiation() {
                stream.write_all(&negotiation).await?;
            }
            return Ok((stream, Request::Startup(startup)));
        }
        Ok(FirstPacket::Cancel(cancel)) => return Ok((stream, Request::Cancel(cancel))),
        Ok(FirstPacket::Ssl | FirstPacket::Gss) => Fatal::new(
            sqlstate::PROTOCOL_VIOLATION,
            "encryption was requested a second time",
        ),
        Err(fatal) => fatal,
    };
    stream.refuse(&fatal).await;
    Err(HandshakeError::Refused(fatal))
}

async fn read_first_packet(
    stream: &mut ClientStream,
) -> Result<Result<FirstPacket, Fatal>, HandshakeError> {
    let length = match stream.read_u32().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(HandshakeError::Closed);
        }
        Err(error) => return Err(error.into()),
    };
    let bytes = match startup::body_bytes(length) {
        Ok(bytes) => bytes,
        Err(fatal) => return Ok(Err(fatal)),
    };
    let mut body = vec![0; bytes];
    stream.read_exact(&mut body).await?;
    Ok(startup::parse(&body))
}
