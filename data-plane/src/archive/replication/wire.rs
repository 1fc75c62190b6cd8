//! Messages of the walsender: what every command is made of.

use super::ReplicationError;
use bytes::{Buf, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use std::io;
use std::path::Path;
use std::str::FromStr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Largest message, bytes: WAL comes in 128 KiB at most, a backup in 32 KiB, a history file whole.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Size of a buffer that messages are read into, bytes.
const READ_BYTES: usize = 256 * 1024;

/// A buffer with less room than this, bytes, is not read into any more: more calls would bring less.
const ROOM_BYTES: usize = 64 * 1024;

/// Buffers kept to be read into again; as many as the messages fill that a backup has under way.
const SPENT_MAX: usize = 12;

/// Rows of an answer, at most.
const ROWS_MAX: usize = 10_000;

/// One message: its tag and what follows its length.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) body: Bytes,
}

/// One row of an answer; values are text.
#[derive(Debug, Default)]
pub(super) struct Row(Vec<Option<Bytes>>);

impl Row {
    pub(super) fn read(mut body: Bytes) -> Option<Self> {
        let mut values = Vec::new();
        let columns = body.try_get_u16().ok()?;
        for _ in 0..columns {
            let length = body.try_get_i32().ok()?;
            values.push(match usize::try_from(length) {
                Err(_) => None,
                Ok(length) if length <= body.len() => Some(body.split_to(length)),
                Ok(_) => return None,
            });
        }
        Some(Self(values))
    }

    pub(super) fn bytes(&self, column: usize) -> Option<Bytes> {
        self.0.get(column).cloned().flatten()
    }

    pub(super) fn text(&self, column: usize) -> Option<&str> {
        let bytes = self.0.get(column)?.as_ref()?;
        std::str::from_utf8(bytes).ok()
    }

    pub(super) fn parse<T: FromStr>(
        &self,
        doing: &'static str,
        column: usize,
    ) -> Result<T, ReplicationError> {
        let value = self.text(column).and_then(|text| text.parse().ok());
        value.ok_or(ReplicationError::Protocol {
            doing,
            what: "a value",
        })
    }

    pub(super) fn parse_optional<T: FromStr>(
        &self,
        doing: &'static str,
        column: usize,
    ) -> Result<Option<T>, ReplicationError> {
        match self.text(column) {
            None => Ok(None),
            Some(_) => self.parse(doing, column).map(Some),
        }
    }
}

#[derive(Debug)]
pub(super) struct Wire {
    stream: UnixStream,
    inbound: BytesMut,
    /// Read into before; who was given a message of one may still read it.
    spent: Vec<BytesMut>,
    outbound: BytesMut,
}

impl Wire {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            inbound: BytesMut::with_capacity(READ_BYTES),
            spent: Vec::new(),
            outbound: BytesMut::new(),
        }
    }

    pub(super) async fn connect(socket: &Path, role: &str) -> Result<Self, ReplicationError> {
        let doing = "connecting for replication";
        let mut wire = Self::new(UnixStream::connect(socket).await?);
        let parameters = [
            ("user", role),
            ("replication", "true"),
            ("application_name", "lumadb-archive"),
        ];
        frontend::startup_message(parameters, &mut wire.outbound)?;
        wire.flush().await?;
        loop {
            let message = wire.expect(doing).await?;
            match message.tag {
                b'R' if message.body[..] == [0; 4] => {}
                b'R' => {
                    return Err(ReplicationError::Protocol {
                        doing,
                        what: "a password",
                    });
                }
                b'Z' => return Ok(wire),
                _ => {}
            }
        }
    }

    /// The next message, whatever it is. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Message, ReplicationError> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(message);
            }
            self.make_room();
            if self.stream.read_buf(&mut self.inbound).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Memory that was read into before costs nothing; the first touch of new memory costs more than
    /// the reading.
    fn make_room(&mut self) {
        let filled = self.inbound.len();
        if self.inbound.capacity() - filled >= ROOM_BYTES {
            return;
        }
        // Twice what is there: a message that is larger than a buffer comes whole at last.
        let wanted = READ_BYTES.max(2 * filled + ROOM_BYTES);
        if self.inbound.try_reclaim(wanted - filled) {
            return;
        }
        let unread = |spent: &mut BytesMut| spent.try_reclaim(wanted);
        let mut next = match self.spent.iter_mut().position(unread) {
            Some(free) => self.spent.swap_remove(free),
            None => BytesMut::with_capacity(wanted),
        };
        next.extend_from_slice(&self.inbound);
        let mut spent = std::mem::replace(&mut self.inbound, next);
        if self.spent.len() < SPENT_MAX {
            spent.clear();
            self.spent.push(spent);
        }
    }

    fn buffered(&mut self) -> Result<Option<Message>, ReplicationError> {
        let Some(head) = self.inbound.first_chunk::<5>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(ReplicationError::Protocol {
                doing: "reading a message",
                what: "its length",
            });
        }
        if self.inbound.len() <= length {
            return Ok(None);
        }
        let tag = head[0];
        let mut message = self.inbound.split_to(length + 1);
        message.advance(5);
        Ok(Some(Message {
            tag,
            body: message.freeze(),
        }))
    }

    /// The next message that is no notice; the engine's error as an error, with the connection
    /// ready for another command where it can be.
    pub(super) async fn expect(
        &mut self,
        doing: &'static str,
    ) -> Result<Message, ReplicationError> {
        loop {
            let message = self.next().await?;
            match message.tag {
                b'N' | b'S' | b'A' => {}
                b'E' => {
                    let error = engine_error(doing, &message.body);
                    // A fatal one is followed by nothing.
                    while let Ok(message) = self.next().await {
                        if message.tag == b'Z' {
                            break;
                        }
                    }
                    return Err(error);
                }
                _ => return Ok(message),
            }
        }
    }

    pub(super) fn queue_query(&mut self, command: &str) -> Result<(), ReplicationError> {
        Ok(frontend::query(command, &mut self.outbound)?)
    }

    pub(super) fn queue_copy_data(&mut self, data: &[u8]) -> Result<(), ReplicationError> {
        frontend::CopyData::new(data)?.write(&mut self.outbound);
        Ok(())
    }

    pub(super) fn queue_copy_done(&mut self) {
        frontend::copy_done(&mut self.outbound);
    }

    /// Sends what is queued. May be dropped while it waits: the rest goes with the next call.
    pub(super) async fn flush(&mut self) -> Result<(), ReplicationError> {
        while !self.outbound.is_empty() {
            self.stream.write_buf(&mut self.outbound).await?;
        }
        Ok(())
    }

    /// Runs a command and answers all its rows.
    pub(super) async fn command(
        &mut self,
        doing: &'static str,
        command: &str,
    ) -> Result<Vec<Row>, ReplicationError> {
        self.queue_query(command)?;
        self.flush().await?;
        self.rows_until_ready(doing).await
    }

    pub(super) async fn rows_until_ready(
        &mut self,
        doing: &'static str,
    ) -> Result<Vec<Row>, ReplicationError> {
        let mut rows = Vec::new();
        loop {
            let message = self.expect(doing).await?;
            match message.tag {
                b'D' if rows.len() < ROWS_MAX => rows.extend(Row::read(message.body)),
                b'D' => {
                    return Err(ReplicationError::Protocol {
                        doing,
                        what: "too many rows",
                    });
                }
                b'Z' => return Ok(rows),
                _ => {}
            }
        }
    }
}

fn engine_error(doing: &'static str, body: &[u8]) -> ReplicationError {
    let (mut code, mut message) = (String::new(), String::new());
    for field in body.split(|byte| *byte == 0) {
        let Some((kind, text)) = field.split_first() else {
            continue;
        };
        let text = String::from_utf8_lossy(text);
        match kind {
            b'C' => code = text.into_owned(),
            b'M' => message = text.into_owned(),
            _ => {}
        }
    }
    ReplicationError::Engine {
        doing,
        code,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of this length whose every byte is `fill`.
    fn message(fill: u8, length: usize) -> Vec<u8> {
        let mut message = vec![b'd'];
        let whole = u32::try_from(length + 4).expect("is short");
        message.extend_from_slice(&whole.to_be_bytes());
        message.resize(5 + length, fill);
        message
    }

    fn is_whole(message: &Message, fill: u8, length: usize) -> bool {
        message.body.len() == length && message.body.iter().all(|byte| *byte == fill)
    }

    #[tokio::test]
    async fn what_is_still_read_is_not_written_over_and_what_is_not_is_used_again() {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let mut wire = Wire::new(near);
        let lengths = [32_768, 100_000, 3, 1_000_000, 32_768, 0, 250_000, 8_000];
        let sending = async {
            for round in 0..40 {
                for length in lengths {
                    let sent = far.write_all(&message(round, length)).await;
                    sent.expect("is taken");
                }
            }
        };
        let reading = async {
            let mut kept = std::collections::VecDeque::new();
            for round in 0..40 {
                for length in lengths {
                    let message = wire.next().await.expect("a message");
                    kept.push_back((message, round, length));
                    if kept.len() > 20 {
                        let (message, round, length) = kept.pop_front().expect("the oldest");
                        assert!(is_whole(&message, round, length));
                    }
                }
            }
            assert!(
                kept.iter()
                    .all(|(it, round, length)| is_whole(it, *round, *length))
            );
            wire.spent.len()
        };
        let ((), spent) = tokio::join!(sending, reading);
        assert!((1..=SPENT_MAX).contains(&spent), "{spent}");
    }

    #[tokio::test]
    async fn messages_that_nobody_keeps_need_no_second_buffer() {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let mut wire = Wire::new(near);
        let sending = async {
            for _ in 0..100 {
                far.write_all(&message(1, 32_768)).await.expect("is taken");
            }
        };
        let reading = async {
            for _ in 0..100 {
                assert!(is_whole(&wire.next().await.expect("a message"), 1, 32_768));
            }
        };
        tokio::join!(sending, reading);
        assert!(wire.spent.is_empty());
    }
}
