//! The node's side: a data folder that the engine's user owns, reached through its helper.

use super::protocol::{Answer, Call, DataState};
use super::serve::blocking_write;
use super::site::{Replay, Site, SiteError};
use crate::archive::restore::{PartKind, PartSink};
use crate::engine::{InstanceDir, frame_read, frame_write};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::PathBuf;
use tokio::net::UnixStream;

/// Longest answer to an object that was written, bytes.
const ANSWER_BYTES_MAX: u32 = 64 * 1024;

#[derive(Debug, Clone)]
pub(crate) struct RemoteSite {
    socket: PathBuf,
}

impl RemoteSite {
    pub(crate) fn new(instance: &InstanceDir) -> Self {
        Self {
            socket: instance.restore_socket(),
        }
    }

    /// What the data folder is.
    pub(crate) async fn look(&self) -> Result<DataState, SiteError> {
        match self.call(&Call::Look).await? {
            Answer::Looked(state) => Ok(state),
            other => Err(unexpected(&other)),
        }
    }

    async fn call(&self, call: &Call) -> Result<Answer, SiteError> {
        let asked = async {
            let mut stream = UnixStream::connect(&self.socket).await?;
            frame_write(&mut stream, call).await?;
            frame_read(&mut stream).await
        };
        match asked.await.map_err(SiteError::Helper)? {
            Answer::Failed(said) => Err(SiteError::Refused(said)),
            answer => Ok(answer),
        }
    }

    async fn done(&self, call: Call) -> Result<(), SiteError> {
        match self.call(&call).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(answer: &Answer) -> SiteError {
    SiteError::Refused(format!("another answer than to what was asked: {answer:?}"))
}

impl Site for RemoteSite {
    async fn begin(&self, backups: usize) -> Result<(), SiteError> {
        self.done(Call::Begin { backups }).await
    }

    fn part(&self, number: usize, kind: PartKind) -> io::Result<Box<dyn PartSink>> {
        let mut stream = BlockingStream::connect(&self.socket)?;
        blocking_write(&mut stream, &Call::Part { number, kind })?;
        Ok(Box::new(RemotePart(stream)))
    }

    async fn verify(&self, backups: usize) -> Result<Option<String>, SiteError> {
        match self.call(&Call::Verify { backups }).await? {
            Answer::Verified(said) => Ok(said),
            other => Err(unexpected(&other)),
        }
    }

    async fn combine(&self, backups: usize) -> Result<(), SiteError> {
        self.done(Call::Combine { backups }).await
    }

    async fn replay(&self, settings: &str) -> Result<Replay, SiteError> {
        let settings = settings.to_owned();
        match self.call(&Call::Replay { settings }).await? {
            Answer::Replayed(replay) => Ok(replay),
            other => Err(unexpected(&other)),
        }
    }

    async fn finish(&self) -> Result<(), SiteError> {
        self.done(Call::Finish).await
    }
}

/// An object on its way to the helper.
struct RemotePart(BlockingStream);

impl RemotePart {
    fn answer(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::other("an answer that is too long"));
        }
        let mut body = vec![0; length as usize];
        self.0.read_exact(&mut body)?;
        match serde_json::from_slice(&body)? {
            Answer::Done => Ok(()),
            Answer::Failed(said) => Err(io::Error::other(said)),
            _ => Err(io::Error::other("another answer than to what was asked")),
        }
    }
}

impl PartSink for RemotePart {
    fn push(&mut self, data: &[u8]) -> io::Result<()> {
        match self.0.write_all(data) {
            // It stopped reading because it could not write, and has said why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.answer()?;
                Err(error)
            }
            written => written,
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)?;
        self.answer()
    }
}
