//! What node and helper say to each other on `run/engine.sock`: JSON documents, each behind its
//! length (4 bytes, big endian). The node says what shall be; the helper says what is, at once and
//! at each change.

use super::config::ConfigFiles;
use super::postmaster::StopMode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Largest document, bytes.
const FRAME_BYTES_MAX: u32 = 1024 * 1024;

/// What the engine shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// It shall run, with this configuration.
    Run { config: Box<ConfigFiles> },
    /// It shall not run.
    Stop { mode: StopMode },
    /// It shall not run, and neither shall the helper.
    Exit { mode: StopMode },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnginePhase {
    Stopped,
    /// Starting or recovering.
    Starting,
    /// Takes connections.
    Ready,
    Stopping,
}

/// A command and the number by which its report names it. Numbers of different nodes differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub number: u64,
    pub command: Command,
}

/// What the engine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineReport {
    pub phase: EnginePhase,
    /// Number of the order that is wholly in force; `None` while one is being carried out.
    pub settled: Option<u64>,
    /// Process ID of the postmaster.
    pub pid: Option<u32>,
    /// Why the engine does not run although it shall.
    pub error: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the other side of the engine's socket went away")]
    Io(#[from] io::Error),
    #[error("a document of {bytes} bytes is larger than {FRAME_BYTES_MAX}")]
    TooLarge { bytes: u64 },
    #[error("a document cannot be understood")]
    Malformed(#[from] serde_json::Error),
}

pub async fn frame_write<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    document: &T,
) -> Result<(), FrameError> {
    let body = serde_json::to_vec(document)?;
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge {
            bytes: body.len() as u64,
        });
    }
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend(body);
    Ok(to.write_all(&frame).await?)
}

/// Reads one document. Not to be dropped halfway: what it has read is lost then.
pub async fn frame_read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<T, FrameError> {
    let length = from.read_u32().await?;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge {
            bytes: u64::from(length),
        });
    }
    let mut body = vec![0; length as usize];
    from.read_exact(&mut body).await?;
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn documents_pass_and_an_oversized_length_is_refused() {
        let (mut left, mut right) = tokio::io::duplex(4096);
        let stop = Order {
            number: 7,
            command: Command::Stop {
                mode: StopMode::Fast,
            },
        };
        frame_write(&mut left, &stop).await.expect("writes");
        let read: Order = frame_read(&mut right).await.expect("reads");
        assert_eq!(read, stop);
        left.write_u32(u32::MAX).await.expect("writes");
        let error = frame_read::<Order>(&mut right).await.expect_err("large");
        assert!(matches!(error, FrameError::TooLarge { .. }));
    }
}
