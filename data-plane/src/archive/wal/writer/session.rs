//! One connection to the engine.

use super::super::format::{Header, Kind, sha256};
use super::claim::{self, Engine};
use super::cutter::Cutter;
use super::{Claimed, Reach, Tail, WalWriter, WriterError};
use crate::archive::replication::{ReplicationClient, UNDEFINED_FILE, WalEvent, WalStream};
use bytes::Bytes;
use lumadb_contract::archive::Lsn;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Between two words to an engine that has nothing to send, seconds: well before it asks, so that
/// it asks only when it is about to stop.
const WORD_SECONDS: u64 = 10;

/// A chunk on its way for so long, seconds: the engine is let go.
const AWAY_SECONDS: u64 = 10;

impl WalWriter {
    /// Writes until something fails.
    pub(super) async fn session(&mut self) -> WriterError {
        let begun = self.begin().await;
        let (mut stream, mut cutter) = match begun {
            Ok(begun) => begun,
            Err(error) => return self.reach_less(error),
        };
        self.reach = Reach::Tail;
        self.progress
            .send_modify(|progress| progress.session_error = None);
        match self.follow(&mut stream, &mut cutter).await {
            Ok(never) => match never {},
            Err(error) => self.reach_less(error),
        }
    }

    /// WAL that the engine has no more is not asked for again.
    fn reach_less(&mut self, error: WriterError) -> WriterError {
        if let WriterError::Replication(error) = &error
            && error.is_code(UNDEFINED_FILE)
        {
            self.reach = match self.reach {
                Reach::Tail => Reach::End,
                Reach::End | Reach::Slot => Reach::Slot,
            };
            if self.reach == Reach::Slot {
                tracing::error!("WAL was lost before it was archived: a full backup is needed");
                self.claimed = None;
            }
        }
        error
    }

    /// Compares, fences others, and answers the stream from the archive's end on.
    async fn begin(&mut self) -> Result<(WalStream, Cutter), WriterError> {
        let (socket, role) = (&self.source.socket, &self.source.role);
        let mut client = ReplicationClient::connect(socket, role).await?;
        let engine = Engine::ask(&self.items, &self.source, &mut client).await?;
        let restart = claim::slot_restart(&mut client, &self.source.slot).await?;
        let claimed = self.claimed.as_ref();
        let (position, tail) = match claimed {
            Some(claimed) if claimed.origin != engine.origin => return Err(WriterError::Foreign),
            Some(claimed) if claimed.timeline == engine.timeline => {
                (None, Some(claimed.tail.clone()))
            }
            _ => {
                // What is on its way belongs to a chain that is to be left behind.
                while !self.sending.is_empty() {
                    self.oldest_arrived().await?;
                }
                self.claimed = None;
                claim::newest_timeline_check(&self.items, &engine).await?;
                claim::history_keep(&self.items, &engine, &mut client).await?;
                let found = claim::survey(&self.items, &engine).await?;
                (Some(found.position), found.tail)
            }
        };
        let (mut stream, rest) = self.compare(client, &engine, restart, tail).await?;
        let tail = rest.tail;
        if let Some(position) = position {
            let start = tail.end();
            let seal = claim::seal_put(&self.items, &engine, &position, start).await?;
            tracing::info!(%start, seal.epoch, seal.timeline, "this node archives WAL from here on");
            self.claim(&seal, tail);
        }
        self.flushed(engine.flushed);
        let end = rest.end;
        let archived = self.progress.borrow().archived;
        stream.confirm(archived).await?;
        let mut cutter = Cutter::new(end, engine.origin.run_bytes());
        cutter.push(&rest.more, Instant::now());
        Ok((stream, cutter))
    }

    fn claim(&mut self, seal: &Header, tail: Tail) {
        let (timeline, archived) = (seal.timeline, tail.end());
        self.progress.send_modify(|progress| {
            progress.timeline = timeline;
            progress.epoch = seal.epoch;
            progress.archived = archived;
            progress.run_bytes = seal.origin.run_bytes();
        });
        self.claimed = Some(Claimed {
            origin: seal.origin,
            timeline,
            epoch: seal.epoch,
            next: seal.next,
            hash: seal.hash(),
            tail,
        });
    }

    /// Starts the stream in front of the archive's end, and finds that both hold the same there.
    async fn compare(
        &self,
        client: ReplicationClient,
        engine: &Engine,
        restart: Lsn,
        tail: Option<Tail>,
    ) -> Result<(WalStream, Compared), WriterError> {
        let nothing = |start| Tail {
            start,
            wal: Bytes::new(),
        };
        let kept = engine.origin.segment_start(restart);
        let tail = match (self.reach, tail) {
            (Reach::Slot, Some(tail)) => nothing(tail.end().max(kept)),
            (_, None) => nothing(kept),
            (_, Some(tail)) => tail,
        };
        let end = tail.end();
        if engine.flushed < end {
            return Err(WriterError::RolledBack {
                archived: end,
                flushed: engine.flushed,
            });
        }
        // Before the last segment the engine may have nothing any more.
        let segment = engine.origin.segment_start(Lsn(end.0.saturating_sub(1)));
        let from = match self.reach {
            Reach::Tail if !tail.wal.is_empty() => tail.start.max(segment),
            _ => end,
        };
        let slot = &self.source.slot;
        let mut stream = client.start_streaming(slot, from, engine.timeline).await?;
        let skipped = usize::try_from(from.0 - tail.start.0).unwrap_or(usize::MAX);
        let mut expected = tail.wal.get(skipped..).unwrap_or_default();
        let mut at = from;
        let mut more = Bytes::new();
        // What there is behind the end must come too, before anybody is fenced for its sake.
        while !expected.is_empty() || (more.is_empty() && at < engine.flushed) {
            let (start, mut data) = match stream.next().await? {
                WalEvent::Data { start, data, .. } => (start, data),
                WalEvent::Keepalive { .. } => continue,
                WalEvent::TimelineEnd { .. } => return Err(WriterError::TimelineEnd),
            };
            if start != at {
                return Err(WriterError::LeftOut);
            }
            let here = data.split_to(data.len().min(expected.len()));
            let (same, left) = expected.split_at(here.len());
            if here != same {
                return Err(WriterError::Diverged { end });
            }
            at.0 += here.len() as u64;
            expected = left;
            more = data;
        }
        Ok((stream, Compared { end, more, tail }))
    }

    /// Cuts, sends and confirms.
    async fn follow(
        &mut self,
        stream: &mut WalStream,
        cutter: &mut Cutter,
    ) -> Result<std::convert::Infallible, WriterError> {
        let mut words = interval(Duration::from_secs(WORD_SECONDS));
        words.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Up to here everything leaves as soon as it has a place: the engine asked for it.
        let mut hurry = Lsn(0);
        let mut paced = true;
        loop {
            let due = self.cut_what_is_due(cutter, hurry);
            let away = self.sending.since();
            let away = away.map(|since| since + Duration::from_secs(AWAY_SECONDS));
            tokio::select! {
                arrived = self.sending.arrived() => {
                    let archived = arrived?;
                    self.archived(archived);
                    stream.confirm(archived).await?;
                }
                event = stream.next(), if !cutter.is_full() => {
                    if self.take(event?, cutter)? {
                        hurry = cutter.end();
                        let archived = self.progress.borrow().archived;
                        stream.confirm(archived).await?;
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = sleep_until(away.unwrap_or_else(Instant::now)), if away.is_some() => {
                    return Err(WriterError::StoreAway);
                }
                _ = words.tick() => {
                    let archived = self.progress.borrow().archived;
                    stream.confirm(archived).await?;
                }
                changed = self.pace.changed(), if paced => paced = changed.is_ok(),
            }
        }
    }

    /// Takes what the engine said; answers whether it waits for an answer.
    fn take(&self, event: WalEvent, cutter: &mut Cutter) -> Result<bool, WriterError> {
        match event {
            WalEvent::Data {
                start,
                data,
                flushed,
            } => {
                if start != cutter.end() {
                    return Err(WriterError::LeftOut);
                }
                cutter.push(&data, Instant::now());
                self.flushed(flushed);
                Ok(false)
            }
            WalEvent::Keepalive { flushed, reply } => {
                self.flushed(flushed);
                Ok(reply)
            }
            WalEvent::TimelineEnd { .. } => Err(WriterError::TimelineEnd),
        }
    }

    /// Cuts as many chunks as are due and have a place; answers when the next one is due.
    fn cut_what_is_due(&mut self, cutter: &mut Cutter, hurry: Lsn) -> Option<Instant> {
        loop {
            let now = Instant::now();
            let place = self.sending.place(cutter.is_complete(), now)?;
            let claimed = self.claimed.as_mut()?;
            let due = cutter.due(*self.pace.borrow())?;
            let hurries = claimed.tail.end() < hurry;
            let leaves = if hurries { place } else { due.max(place) };
            if leaves > now {
                return Some(leaves);
            }
            let (start, wal) = cutter.cut()?;
            let header = Header {
                kind: Kind::Chunk,
                origin: claimed.origin,
                timeline: claimed.timeline,
                sequence: claimed.next,
                next: claimed.next + 1,
                first: self.sending.first().unwrap_or(claimed.next),
                epoch: claimed.epoch,
                start,
                end: Lsn(start.0 + wal.len() as u64),
                previous: claimed.hash,
                continues: [0; 32],
                content: sha256(&wal),
            };
            claimed.next = header.next;
            claimed.hash = header.hash();
            claimed.tail = Tail {
                start,
                wal: wal.clone(),
            };
            self.sending.send(header, wal);
        }
    }
}

/// What was found in front of the archive's end, and behind it.
#[derive(Debug)]
struct Compared {
    end: Lsn,
    /// WAL from `end` on that came already.
    more: Bytes,
    tail: Tail,
}
