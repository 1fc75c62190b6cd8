//! A session with the source: connected, encrypted, logged in.

use super::Failure;
use super::source::Source;
use crate::edge_door::{Stream, keep_alive};
use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::fallible_iterator::FallibleIterator as _;

/// Longest time to connect, encrypt and log in.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time to connect to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most that a server says before it has let a client in, bytes.
const LOGIN_BYTES_MAX: usize = 64 * 1024;

/// What the client is told of the source's answer: it has no password to show.
const AUTHENTICATION_OK: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];

/// A session that is let in; `head` is what the server has said of it already.
pub(super) struct LoggedIn {
    pub(super) stream: Box<dyn Stream>,
    pub(super) head: BytesMut,
}

/// How sessions with one source are opened: its addresses were checked, and no others are used.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) source: Source,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Door {
    /// Opens a session as the source's user; `parameters` are the client's own.
    pub(super) async fn open(&self, parameters: &[(String, String)]) -> Result<LoggedIn, Failure> {
        match tokio::time::timeout(LOGIN_TIMEOUT, self.log_in(parameters)).await {
            Ok(opened) => opened,
            Err(_) => Err(Failure::new(format!(
                "The source did not let us in within {} s.",
                LOGIN_TIMEOUT.as_secs()
            ))),
        }
    }

    async fn log_in(&self, parameters: &[(String, String)]) -> Result<LoggedIn, Failure> {
        let socket = self.connect().await?;
        let mut stream = self.encrypt(socket).await?;
        let source = &self.source;
        let mut all: Vec<(&str, &str)> = vec![
            ("user", source.user.as_str()),
            ("database", source.database.as_str()),
            ("application_name", "LumaDB import"),
        ];
        if let Some(options) = &source.options {
            all.push(("options", options));
        }
        for (name, value) in parameters {
            if !all.iter().any(|(known, _)| known == name) {
                all.push((name, value));
            }
        }
        let mut packet = BytesMut::new();
        frontend::startup_message(all, &mut packet).map_err(|error| lost(&error))?;
        let sent = stream.write_all(&packet).await;
        sent.map_err(|error| lost(&error))?;
        let rest = self.authenticate(&mut stream).await?;
        let mut head = BytesMut::from(&AUTHENTICATION_OK[..]);
        head.extend_from_slice(&rest);
        Ok(LoggedIn { stream, head })
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let mut last = String::from("it has no address");
        for address in &self.addresses {
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => {
                    keep_alive(&socket).map_err(|error| lost(&error))?;
                    return Ok(socket);
                }
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = "it does not answer".into(),
            }
        }
        Err(Failure::new(format!(
            "The source {}:{} cannot be reached: {last}.",
            self.source.host, self.source.port
        )))
    }

    async fn encrypt(&self, mut socket: TcpStream) -> Result<Box<dyn Stream>, Failure> {
        let Some(tls) = &self.tls else {
            return Ok(Box::new(socket));
        };
        let mut packet = BytesMut::new();
        frontend::ssl_request(&mut packet);
        let answered = async {
            socket.write_all(&packet).await?;
            // One byte and no more: what came after it in the clear would be taken as encrypted.
            socket.read_u8().await
        };
        match answered.await.map_err(|error| lost(&error))? {
            b'S' => {}
            b'N' => {
                return Err(Failure::new(
                    "The source does not speak TLS. With sslmode=disable it is copied from \
                     unencrypted, over whatever lies between.",
                ));
            }
            _ => return Err(Failure::new("The source does not speak PostgreSQL.")),
        }
        let name = ServerName::try_from(self.source.host.clone())
            .map_err(|_| Failure::new("The source's host is no name that a certificate has."))?;
        let encrypted = tokio_rustls::TlsConnector::from(Arc::clone(tls)).connect(name, socket);
        let encrypted = encrypted
            .await
            .map_err(|error| Failure::new(format!("The source's TLS is not accepted: {error}.")))?;
        Ok(Box::new(encrypted))
    }

    /// Answers what the server asks until it lets us in; what it said since is handed on.
    async fn authenticate(&self, stream: &mut Box<dyn Stream>) -> Result<BytesMut, Failure> {
        let password = self.source.password.expose().as_bytes();
        let mut buffer = BytesMut::with_capacity(1024);
        let mut scram = None;
        loop {
            let message = next_message(stream, &mut buffer).await?;
            let mut answer = BytesMut::new();
            let bad = |_: io::Error| Failure::new("The source's SCRAM answer is not right.");
            match message {
                Message::AuthenticationOk => return Ok(buffer),
                Message::AuthenticationCleartextPassword if self.tls.is_some() => {
                    frontend::password_message(password, &mut answer).map_err(bad)?;
                }
                Message::AuthenticationCleartextPassword => {
                    return Err(Failure::new(
                        "The source asks for the password in the clear, over a connection that \
                         is not encrypted.",
                    ));
                }
                Message::AuthenticationMd5Password(body) => {
                    let user = self.source.user.as_bytes();
                    let hash = md5_hash(user, password, body.salt());
                    frontend::password_message(hash.as_bytes(), &mut answer).map_err(bad)?;
                }
                Message::AuthenticationSasl(body) => {
                    let mut known = body.mechanisms();
                    let offered = loop {
                        match known.next().map_err(bad)? {
                            Some(name) if name == SCRAM_SHA_256 => break true,
                            Some(_) => {}
                            None => break false,
                        }
                    };
                    if !offered {
                        return Err(Failure::new(
                            "The source offers no way to log in by password.",
                        ));
                    }
                    let begun = ScramSha256::new(password, ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), &mut answer)
                        .map_err(bad)?;
                    scram = Some(begun);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let begun = scram.as_mut().ok_or_else(unexpected)?;
                    begun.update(body.data()).map_err(bad)?;
                    frontend::sasl_response(begun.message(), &mut answer).map_err(bad)?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    let begun = scram.as_mut().ok_or_else(unexpected)?;
                    begun.finish(body.data()).map_err(bad)?;
                }
                Message::ErrorResponse(body) => {
                    let text = error_text(&body);
                    return Err(Failure::new(format!("The source refuses us: {text}.")));
                }
                Message::NoticeResponse(_) => {}
                _ => return Err(unexpected()),
            }
            if !answer.is_empty() {
                let sent = stream.write_all(&answer).await;
                sent.map_err(|error| lost(&error))?;
            }
        }
    }
}

async fn next_message(
    stream: &mut Box<dyn Stream>,
    buffer: &mut BytesMut,
) -> Result<Message, Failure> {
    loop {
        if let Some(message) = Message::parse(buffer).map_err(|_| unexpected())? {
            return Ok(message);
        }
        if buffer.len() > LOGIN_BYTES_MAX {
            return Err(unexpected());
        }
        let read = stream.read_buf(buffer).await;
        if read.map_err(|error| lost(&error))? == 0 {
            return Err(lost(&io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

fn unexpected() -> Failure {
    Failure::new("The source answers what PostgreSQL does not.")
}

fn lost(error: &io::Error) -> Failure {
    Failure::new(format!("The connection to the source broke: {error}."))
}

/// The message of an error of PostgreSQL's, without its location.
fn error_text(body: &ErrorResponseBody) -> String {
    let mut fields = body.fields();
    while let Ok(Some(field)) = fields.next() {
        if field.type_() == b'M' {
            return String::from_utf8_lossy(field.value_bytes()).into_owned();
        }
    }
    "it does not say why".into()
}
