//! Authentication of a client on its connection: SCRAM over the protocol's SASL messages.

use super::client::ClientStream;
use super::scram::{Binding, Credentials, Exchange, NONCE_BYTES, ScramError};
use super::wire::{self, Fatal, sqlstate};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longest SASL message of a client, bytes (`PG_MAX_SASL_MESSAGE_LENGTH`).
const SASL_MESSAGE_BYTES_MAX: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// The client has not been told yet: [`AuthenticationError::fatal`].
    #[error(transparent)]
    Scram(#[from] ScramError),
    #[error("a message of type {0:#04x} where a SASL message was due")]
    Unexpected(u8),
    #[error("a SASL message of {0} bytes")]
    Length(usize),
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}

impl AuthenticationError {
    /// What to tell the client; the text for a wrong password is the same as for no such role.
    pub fn fatal(&self, role: &str) -> Option<Fatal> {
        match self {
            Self::Scram(ScramError::WrongPassword) => Some(Fatal::new(
                sqlstate::INVALID_PASSWORD,
                format!("password authentication failed for user \"{role}\""),
            )),
            Self::Scram(ScramError::ChannelBinding) => Some(Fatal::new(
                sqlstate::INVALID_AUTHORIZATION,
                "SCRAM channel binding check failed",
            )),
            Self::Scram(ScramError::Malformed(_)) => Some(Fatal::new(
                sqlstate::PROTOCOL_VIOLATION,
                "malformed SCRAM message",
            )),
            Self::Unexpected(_) | Self::Length(_) => Some(Fatal::new(
                sqlstate::PROTOCOL_VIOLATION,
                "expected a SASL response",
            )),
            Self::Io(_) => None,
        }
    }

    pub fn is_wrong_password(&self) -> bool {
        matches!(self, Self::Scram(ScramError::WrongPassword))
    }
}

/// Goes through the dialogue up to AuthenticationSASLFinal; AuthenticationOk is the engine's.
pub async fn authenticate(
    stream: &mut ClientStream,
    credentials: Credentials,
    binding: &Binding,
    nonce: &[u8; NONCE_BYTES],
) -> Result<(), AuthenticationError> {
    stream
        .write_all(&wire::authentication_sasl(binding.mechanisms()))
        .await?;
    stream.flush().await?;
    let initial = read_sasl(stream).await?;
    let (mechanism, first) = initial_response(&initial)?;
    let (exchange, answer) = Exchange::begin(credentials, binding, mechanism, first, nonce)?;
    stream
        .write_all(&wire::authentication_sasl_continue(&answer))
        .await?;
    stream.flush().await?;
    let last = exchange.finish(&read_sasl(stream).await?)?;
    stream
        .write_all(&wire::authentication_sasl_final(&last))
        .await?;
    stream.flush().await?;
    Ok(())
}

async fn read_sasl(stream: &mut ClientStream) -> Result<Vec<u8>, AuthenticationError> {
    let letter = stream.read_u8().await?;
    if letter != b'p' {
        return Err(AuthenticationError::Unexpected(letter));
    }
    let length = stream.read_u32().await? as usize;
    if !(4..=SASL_MESSAGE_BYTES_MAX + 4).contains(&length) {
        return Err(AuthenticationError::Length(length));
    }
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// `SASLInitialResponse`: the mechanism's name, the length of the response, the response.
fn initial_response(body: &[u8]) -> Result<(&str, &[u8]), ScramError> {
    let malformed = ScramError::Malformed("no initial response");
    let end = body.iter().position(|byte| *byte == 0).ok_or(malformed)?;
    let mechanism = std::str::from_utf8(&body[..end]).map_err(|_| malformed)?;
    let (length, response) = body[end + 1..].split_first_chunk::<4>().ok_or(malformed)?;
    if u32::from_be_bytes(*length) as usize != response.len() {
        return Err(malformed);
    }
    Ok((mechanism, response))
}
