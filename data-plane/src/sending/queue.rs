//! What waits to be sent on one thread.

use super::outgoing::{Outgoing, Sent};
use super::ring::Ring;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::Waker;

/// Messages longer than this are sent at once, bytes: a copy of them would cost more than it saves.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// Sockets whose bytes wait together.
const ENTRIES_MAX: usize = 64;

/// Bytes that wait together.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// Looks at sockets of the thread after which what waits is sent, although the thread has not slept.
const POLLS_MAX: u32 = 256;

#[derive(Debug)]
struct Entry {
    socket: Arc<Outgoing>,
    start: usize,
    end: usize,
}

#[derive(Debug)]
pub(super) struct Queue {
    /// `None`: the kernel offers none.
    ring: Option<Ring>,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    sent: Vec<Sent>,
    polls: u32,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            ring: Ring::open(ENTRIES_MAX),
            bytes: Vec::new(),
            entries: Vec::new(),
            sent: Vec::new(),
            polls: 0,
        }
    }

    /// Takes a message if it may wait; answers whether it did.
    pub(super) fn add(&mut self, socket: &Arc<Outgoing>, message: &[u8]) -> bool {
        if self.ring.is_none()
            || message.len() > MESSAGE_BYTES_MAX
            || self.bytes.len() + message.len() > WAITING_BYTES_MAX
        {
            return false;
        }
        let start = self.bytes.len();
        let full = self.entries.len() == ENTRIES_MAX;
        match self.entries.last_mut() {
            Some(last) if Arc::ptr_eq(&last.socket, socket) => last.end += message.len(),
            _ if socket.is_queued() || full => return false,
            _ => self.entries.push(Entry {
                socket: socket.clone(),
                start,
                end: start + message.len(),
            }),
        }
        self.bytes.extend_from_slice(message);
        true
    }

    /// Sends what waits; answers whom to wake, because their socket did not take everything.
    pub(super) fn send(&mut self) -> Vec<Waker> {
        self.polls = 0;
        self.sent.clear();
        match (self.entries.as_slice(), &mut self.ring) {
            ([], _) => return Vec::new(),
            ([_, _, ..], Some(ring)) => {
                let entries = self.entries.iter();
                let messages = entries
                    .map(|entry| (entry.socket.as_fd(), &self.bytes[entry.start..entry.end]));
                ring.send(messages, &mut self.sent);
            }
            (entries, _) => {
                let bytes = &self.bytes;
                let send = |entry: &Entry| entry.socket.send_now(&bytes[entry.start..entry.end]);
                self.sent.extend(entries.iter().map(send));
            }
        }
        let mut wakers = Vec::new();
        for (entry, sent) in self.entries.drain(..).zip(self.sent.drain(..)) {
            wakers.extend(
                entry
                    .socket
                    .settle(&self.bytes[entry.start..entry.end], sent),
            );
        }
        self.bytes.clear();
        wakers
    }

    pub(super) fn polled(&mut self) -> Vec<Waker> {
        self.polls += 1;
        if self.polls < POLLS_MAX {
            return Vec::new();
        }
        self.send()
    }
}
