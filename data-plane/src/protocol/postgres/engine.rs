//! Opening a session at the engine, as a role that has authenticated already.

use super::cancel::EngineKey;
use super::quiet::QuietStream;
use super::startup::Startup;
use super::wire;
use crate::gate::NotCovered;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Longest time in which the engine answers a start-up packet.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest answer to a start-up packet, bytes: a few hundred in practice.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the engine does not take connections: {0}")]
    NotReady(io::Error),
    #[error(transparent)]
    NotCovered(#[from] NotCovered),
    #[error("the engine is starting up, shutting down or recovering")]
    CannotConnectNow,
    #[error("the engine did not answer in time")]
    Timeout,
    #[error("the engine's answer is not understood: {0}")]
    Protocol(&'static str),
    #[error("the connection to the engine broke: {0}")]
    Io(#[from] io::Error),
}

/// What the engine answered to the start-up packet.
#[derive(Debug)]
pub enum Answer {
    /// The session stands. `before_key` and `after_key` are the answer's bytes around
    /// BackendKeyData, which is replaced by one of ours.
    Session {
        stream: QuietStream,
        before_key: Vec<u8>,
        engine_key: EngineKey,
        after_key: Vec<u8>,
    },
    /// The engine refused, with an ErrorResponse for the client.
    Refused(Vec<u8>),
}

/// Opens a session. `startup` names the role as `user`.
pub async fn open_session(socket: &Path, startup: &Startup) -> Result<Answer, EngineError> {
    let opening = async {
        let mut stream = UnixStream::connect(socket)
            .await
            .map_err(EngineError::NotReady)?;
        stream.write_all(&wire::startup_packet(startup)).await?;
        read_answer(stream).await
    };
    tokio::time::timeout(ANSWER_TIMEOUT, opening)
        .await
        .map_err(|_| EngineError::Timeout)?
}

async fn read_answer(mut stream: UnixStream) -> Result<Answer, EngineError> {
    let mut bytes = Vec::with_capacity(1024);
    let mut position = 0;
    let mut key = None;
    loop {
        let Some((letter, end)) = message_at(&bytes, position)? else {
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(EngineError::Protocol("too long"));
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(EngineError::CannotConnectNow);
            }
            continue;
        };
        let body = &bytes[position + 5..end];
        match letter {
            b'R' if body != [0; 4] => {
                return Err(EngineError::Protocol("it asks for authentication"));
            }
            b'K' => {
                let (process_id, secret) = body
                    .split_first_chunk::<4>()
                    .ok_or(EngineError::Protocol("a cancel key without process ID"))?;
                let engine_key = EngineKey {
                    process_id: i32::from_be_bytes(*process_id),
                    secret: secret.to_vec(),
                };
                key = Some((engine_key, position, end));
            }
            b'E' if wire::error_sqlstate(body) == Some(b"57P03") => {
                return Err(EngineError::CannotConnectNow);
            }
            b'E' => return Ok(Answer::Refused(bytes)),
            b'Z' => {
                let (engine_key, start, end) = key.ok_or(EngineError::Protocol("no cancel key"))?;
                let after_key = bytes.split_off(end);
                bytes.truncate(start);
                return Ok(Answer::Session {
                    stream: QuietStream::new(stream)?,
                    before_key: bytes,
                    engine_key,
                    after_key,
                });
            }
            _ => {}
        }
        position = end;
    }
}

/// The letter of the message at `position` and where it ends; `None` while it is not whole.
fn message_at(bytes: &[u8], position: usize) -> Result<Option<(u8, usize)>, EngineError> {
    let Some(header) = bytes.get(position..position + 5) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    if !(4..=ANSWER_BYTES_MAX).contains(&length) {
        return Err(EngineError::Protocol("a message of an impossible length"));
    }
    let end = position + 1 + length;
    Ok((end <= bytes.len()).then_some((header[0], end)))
}
