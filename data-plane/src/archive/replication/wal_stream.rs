//! WAL as the engine writes it.

use super::wire::{Row, Wire};
use super::{ReplicationClient, ReplicationError};
use bytes::{Buf, Bytes};
use lumadb_contract::archive::Lsn;

const DOING: &str = "streaming WAL";

/// What a stream brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalEvent {
    Data {
        start: Lsn,
        /// WAL from `start` on, 128 KiB at most; never beyond what the engine has flushed.
        data: Bytes,
        /// The engine has flushed up to here.
        flushed: Lsn,
    },
    /// The engine asks whether anybody is there; with `reply`, [`WalStream::confirm`] soon.
    Keepalive { flushed: Lsn, reply: bool },
    /// There is no more on this timeline; the stream is over.
    TimelineEnd { next_timeline: u32, switch: Lsn },
}

/// A stream of WAL. [`Self::next`] and [`Self::confirm`] may be dropped while they wait.
#[derive(Debug)]
pub struct WalStream {
    wire: Wire,
    /// The engine has said its last; it waits for ours.
    ending: bool,
    next: Option<(u32, Lsn)>,
    over: bool,
}

impl WalStream {
    pub(super) async fn start(mut wire: Wire, command: &str) -> Result<Self, ReplicationError> {
        wire.queue_query(command)?;
        wire.flush().await?;
        let mut stream = Self {
            wire,
            ending: false,
            next: None,
            over: false,
        };
        loop {
            let message = stream.wire.expect(DOING).await?;
            match message.tag {
                b'W' => return Ok(stream),
                b'D' => stream.next = next_timeline(message.body),
                b'Z' => {
                    stream.over = true;
                    return Ok(stream);
                }
                // A row's description (`T`) among them: there is nothing to stream, because the
                // timeline ended where we wanted to begin.
                _ => {}
            }
        }
    }

    pub async fn next(&mut self) -> Result<WalEvent, ReplicationError> {
        loop {
            if self.over {
                return self.over();
            }
            self.wire.flush().await?;
            let message = self.wire.expect(DOING).await?;
            match message.tag {
                b'd' => {
                    if let Some(event) = event(message.body)? {
                        return Ok(event);
                    }
                }
                b'c' if !self.ending => {
                    self.ending = true;
                    self.wire.queue_copy_done();
                }
                b'D' => self.next = next_timeline(message.body),
                b'Z' => self.over = true,
                // Without our end of the copy before it: the engine shuts down.
                b'C' if !self.ending => return Err(ReplicationError::Ended),
                _ => {}
            }
        }
    }

    fn over(&mut self) -> Result<WalEvent, ReplicationError> {
        let (next_timeline, switch) = self.next.ok_or(ReplicationError::Ended)?;
        Ok(WalEvent::TimelineEnd {
            next_timeline,
            switch,
        })
    }

    /// Tells the engine that it need not keep WAL before `archived`. At least every half of
    /// `wal_sender_timeout`, or it takes us for dead.
    pub async fn confirm(&mut self, archived: Lsn) -> Result<(), ReplicationError> {
        if self.ending || self.over {
            return Ok(());
        }
        let mut update = vec![b'r'];
        for position in [archived.0, archived.0, 0] {
            update.extend_from_slice(&position.to_be_bytes());
        }
        // Our clock, which nobody needs to know; and no answer is wanted.
        update.extend_from_slice(&[0; 9]);
        self.wire.queue_copy_data(&update)?;
        self.wire.flush().await
    }

    /// The connection again, after [`WalEvent::TimelineEnd`].
    pub fn into_client(self) -> Option<ReplicationClient> {
        let wire = self.wire;
        self.over.then_some(ReplicationClient { wire })
    }
}

fn next_timeline(body: Bytes) -> Option<(u32, Lsn)> {
    let row = Row::read(body)?;
    Some((row.text(0)?.parse().ok()?, row.text(1)?.parse().ok()?))
}

/// `w`: start, end, clock, WAL. `k`: end, clock, whether to answer.
fn event(mut body: Bytes) -> Result<Option<WalEvent>, ReplicationError> {
    let short = |_| ReplicationError::Protocol {
        doing: DOING,
        what: "a short message",
    };
    match body.try_get_u8().map_err(short)? {
        b'w' => {
            let start = Lsn(body.try_get_u64().map_err(short)?);
            let flushed = Lsn(body.try_get_u64().map_err(short)?);
            body.try_get_u64().map_err(short)?;
            Ok(Some(WalEvent::Data {
                start,
                data: body,
                flushed,
            }))
        }
        b'k' => {
            let flushed = Lsn(body.try_get_u64().map_err(short)?);
            body.try_get_u64().map_err(short)?;
            let reply = body.try_get_u8().map_err(short)? == 1;
            Ok(Some(WalEvent::Keepalive { flushed, reply }))
        }
        _ => Ok(None),
    }
}
