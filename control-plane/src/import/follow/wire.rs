//! A replication connection to the source: commands, and the stream of what it publishes.

use super::super::Failure;
use super::super::login::{Door, LoggedIn};
use super::Trouble;
use crate::edge_door::Stream;
use bytes::{Buf as _, Bytes, BytesMut};
use lumadb_contract::archive::Lsn;
use postgres_protocol::message::frontend;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Largest message, bytes: a row whose texts are longer cannot be followed.
const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Room that is kept for reading, bytes.
const READ_BYTES: usize = 64 * 1024;

/// Rows of an answer to a command, at most.
const ROWS_MAX: usize = 100;

/// Longest time for an answer to be sent.
const SEND_TIMEOUT: Duration = Duration::from_mins(1);

/// How values are written: as the target reads them, whatever the source's own settings are; names of
/// tables among them with their schema. And nothing ends the session while it keeps a snapshot.
const PARAMETERS: [(&str, &str); 10] = [
    ("replication", "database"),
    ("search_path", "pg_catalog"),
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
];

/// A connection that takes commands.
pub(super) struct Replication {
    stream: Box<dyn Stream>,
    inbound: BytesMut,
}

/// What a stream brings.
#[derive(Debug)]
pub(super) enum Event {
    /// One message of the plugin's.
    Change(Bytes),
    /// Everything that committed before this was sent.
    Keepalive { end: Lsn, wants_answer: bool },
}

impl Replication {
    pub(super) async fn open(door: &Door) -> Result<Self, Trouble> {
        let parameters = PARAMETERS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let LoggedIn { stream, head } = door.open(&parameters).await.map_err(Trouble::Passing)?;
        let mut inbound = head;
        // It was made up for clients that see no password.
        inbound.advance(AUTHENTICATION_BYTES.min(inbound.len()));
        let mut replication = Self { stream, inbound };
        replication.answer().await?;
        Ok(replication)
    }

    /// Answers of one command, as texts.
    pub(super) async fn ask(&mut self, command: &str) -> Result<Vec<Vec<String>>, Trouble> {
        self.send_query(command).await?;
        self.answer().await
    }

    /// Begins the stream of a slot: of transactions that end after `from`, or after what was
    /// confirmed last if that is later. `name` is that of the slot and of the publication.
    pub(super) async fn start(&mut self, name: &str, from: Lsn) -> Result<(), Trouble> {
        let command = format!(
            "START_REPLICATION SLOT {name} LOGICAL {from} \
             (proto_version '1', publication_names '{name}')"
        );
        self.send_query(&command).await?;
        loop {
            let (tag, body) = self.message().await?;
            match tag {
                b'W' => return Ok(()),
                b'E' => return Err(refusal(&body)),
                b'N' | b'S' => {}
                _ => return Err(unexpected()),
            }
        }
    }

    /// The next event of the stream. May be dropped while it waits.
    pub(super) async fn event(&mut self) -> Result<Event, Trouble> {
        loop {
            let (tag, mut body) = self.message().await?;
            match tag {
                b'd' => {}
                b'E' => return Err(refusal(&body)),
                b'N' | b'S' => continue,
                // The source shuts down.
                _ => return Err(lost(&io::ErrorKind::UnexpectedEof.into())),
            }
            let kind = body.try_get_u8().map_err(|_| unexpected())?;
            match kind {
                // Start, end, clock.
                b'w' if body.len() >= 24 => {
                    body.advance(24);
                    return Ok(Event::Change(body));
                }
                b'k' if body.len() >= 17 => {
                    let end = Lsn(body.get_u64());
                    body.advance(8);
                    let wants_answer = body.get_u8() == 1;
                    return Ok(Event::Keepalive { end, wants_answer });
                }
                _ => return Err(unexpected()),
            }
        }
    }

    /// Says what is committed at the target: the source may forget what comes before it.
    pub(super) async fn confirm(
        &mut self,
        applied: Lsn,
        wants_answer: bool,
    ) -> Result<(), Trouble> {
        let mut update = vec![b'r'];
        for position in [applied.0; 3] {
            update.extend_from_slice(&position.to_be_bytes());
        }
        // Our clock, which nobody needs to know.
        update.extend_from_slice(&[0; 8]);
        update.push(u8::from(wants_answer));
        let data = frontend::CopyData::new(&update[..]).map_err(|error| lost(&error))?;
        let mut packet = BytesMut::new();
        data.write(&mut packet);
        self.send(&packet).await
    }

    async fn send_query(&mut self, command: &str) -> Result<(), Trouble> {
        let mut packet = BytesMut::new();
        frontend::query(command, &mut packet).map_err(|error| lost(&error))?;
        self.send(&packet).await
    }

    async fn send(&mut self, packet: &[u8]) -> Result<(), Trouble> {
        let sending = async {
            self.stream.write_all(packet).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(SEND_TIMEOUT, sending).await {
            Ok(sent) => sent.map_err(|error| lost(&error)),
            Err(_) => Err(lost(&io::ErrorKind::TimedOut.into())),
        }
    }

    /// Rows until the server is ready again.
    async fn answer(&mut self) -> Result<Vec<Vec<String>>, Trouble> {
        let mut rows = Vec::new();
        let mut refused = None;
        loop {
            let (tag, body) = self.message().await?;
            match tag {
                b'D' if rows.len() < ROWS_MAX => rows.push(row(body).ok_or_else(unexpected)?),
                // A server that does not let us in says nothing after that.
                b'E' => refused = Some(refusal(&body)),
                b'Z' => return refused.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    async fn message(&mut self) -> Result<(u8, Bytes), Trouble> {
        loop {
            if let Some(message) = take(&mut self.inbound)? {
                return Ok(message);
            }
            self.inbound.reserve(READ_BYTES);
            let read = self.stream.read_buf(&mut self.inbound).await;
            if read.map_err(|error| lost(&error))? == 0 {
                return Err(lost(&io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

/// Length of the message that says that a client is let in.
const AUTHENTICATION_BYTES: usize = 9;

/// A whole message, if one has arrived: its tag and what follows its length.
fn take(inbound: &mut BytesMut) -> Result<Option<(u8, Bytes)>, Trouble> {
    let Some(head) = inbound.first_chunk::<5>() else {
        return Ok(None);
    };
    let [tag, length @ ..] = *head;
    let length = u32::from_be_bytes(length) as usize;
    if length < 4 {
        return Err(unexpected());
    }
    if length > MESSAGE_BYTES_MAX {
        return Err(Trouble::Lasting(Failure::new(format!(
            "A row of the source is larger than {} MiB: such changes cannot be followed.",
            MESSAGE_BYTES_MAX / 1024 / 1024
        ))));
    }
    if inbound.len() < length + 1 {
        return Ok(None);
    }
    inbound.advance(5);
    Ok(Some((tag, inbound.split_to(length - 4).freeze())))
}

fn row(mut body: Bytes) -> Option<Vec<String>> {
    let mut values = Vec::new();
    for _ in 0..body.try_get_u16().ok()? {
        let length = body.try_get_i32().ok()?;
        let bytes = match usize::try_from(length) {
            Err(_) => Bytes::new(),
            Ok(length) if length <= body.len() => body.split_to(length),
            Ok(_) => return None,
        };
        values.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    Some(values)
}

/// What the source says no to, or ends a session by: fields of a letter and a text each.
fn refusal(body: &[u8]) -> Trouble {
    let field = |letter: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        let found = fields.find(|field| field.first() == Some(&letter));
        String::from_utf8_lossy(found.and_then(|field| field.get(1..)).unwrap_or_default())
    };
    Trouble::said(&field(b'C'), &format!("The source says: {}.", field(b'M')))
}

fn unexpected() -> Trouble {
    Trouble::Lasting(Failure::new("The source answers what PostgreSQL does not."))
}

fn lost(error: &io::Error) -> Trouble {
    Trouble::Passing(Failure::new(format!(
        "The replication connection to the source broke: {error}."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_source() {
        let slots = b"SERROR\0VERROR\0C53400\0Mall replication slots are in use\0\0";
        let Trouble::Lasting(failure) = refusal(slots) else {
            panic!("it does not pass by itself");
        };
        let text = failure.to_string();
        assert_eq!(text, "The source says: all replication slots are in use.");
        assert!(matches!(
            refusal(b"C57P01\0Mgoodbye\0\0"),
            Trouble::Passing(_)
        ));
    }

    #[test]
    fn a_message_is_taken_when_all_of_it_is_there() {
        let whole = b"d\0\0\0\x06ab";
        for end in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..end]);
            assert!(matches!(take(&mut part), Ok(None)), "{end}");
        }
        let mut two = BytesMut::from(&[&whole[..], b"Z"].concat()[..]);
        let (tag, body) = take(&mut two).ok().flatten().expect("a message");
        assert_eq!((tag, &body[..]), (b'd', &b"ab"[..]));
        assert_eq!(&two[..], b"Z");
        for wrong in [b"d\0\0\0\x03", b"d\xff\xff\xff\xff"] {
            assert!(take(&mut BytesMut::from(&wrong[..])).is_err());
        }
    }
}
