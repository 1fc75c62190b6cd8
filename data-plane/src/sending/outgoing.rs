//! The sending side of one socket.

use super::{polled, send_all, with_queue};
use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// How a send ended: bytes taken, or why none were.
pub(super) type Sent = Result<usize, io::ErrorKind>;

/// Nothing waits.
const CLEAR: u8 = 0;
/// Bytes wait in the queue of a thread.
const QUEUED: u8 = 1;
/// Bytes wait for room in the socket, or it has failed.
const HELD: u8 = 2;

/// A connected stream socket that does not block.
#[derive(Debug)]
pub struct Outgoing {
    socket: OwnedFd,
    /// One thread sends at a time; this only spares a lock.
    state: AtomicU8,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    sent: usize,
    failed: Option<io::ErrorKind>,
    /// Whom to tell that bytes are held.
    waker: Option<Waker>,
}

impl Outgoing {
    pub fn new(socket: impl Into<OwnedFd>) -> Self {
        Self {
            socket: socket.into(),
            state: AtomicU8::new(CLEAR),
            held: Mutex::default(),
        }
    }

    /// Takes a message that leaves before the thread sleeps, if such a message may wait; answers
    /// whether it was taken. `waker` is woken if the socket then does not take all of it.
    pub fn send_later(self: &Arc<Self>, message: &[u8], waker: &Waker) -> bool {
        if !with_queue(|queue| queue.add(self, message)) {
            return false;
        }
        self.state.store(QUEUED, Ordering::Relaxed);
        let mut held = self.held();
        if !held.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            held.waker = Some(waker.clone());
        }
        true
    }

    /// Sends what of this socket waits in the queue, and everything else there.
    pub fn send_queued(&self) {
        if self.is_queued() {
            send_all();
        }
    }

    /// Sends now as much as there is room for.
    pub fn send_now(&self, bytes: &[u8]) -> Sent {
        loop {
            match rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                sent => return sent.map_err(|error| io::Error::from(error).kind()),
            }
        }
    }

    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        polled();
        loop {
            match rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Err(rustix::io::Errno::INTR) => {}
                received => return Ok(received?.1),
            }
        }
    }

    pub fn shut(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(
            &self.socket,
            rustix::net::Shutdown::Write,
        )?)
    }

    pub(super) fn is_queued(&self) -> bool {
        self.state.load(Ordering::Relaxed) == QUEUED
    }

    /// Whether an earlier message was not taken whole.
    pub fn is_held(&self) -> bool {
        self.state.load(Ordering::Relaxed) == HELD
    }

    /// Sends of what is held as much as there is room for; answers whether nothing is left.
    pub fn send_held(&self) -> io::Result<bool> {
        let mut held = self.held();
        if let Some(kind) = held.failed {
            return Err(kind.into());
        }
        while held.sent < held.bytes.len() {
            match self.send_now(&held.bytes[held.sent..]) {
                Ok(sent) => held.sent += sent,
                Err(io::ErrorKind::WouldBlock) => return Ok(false),
                Err(kind) => {
                    held.failed = Some(kind);
                    return Err(kind.into());
                }
            }
        }
        held.bytes = Vec::new();
        held.sent = 0;
        self.state.store(CLEAR, Ordering::Relaxed);
        Ok(true)
    }

    /// Notes what became of a queued message; answers whom to wake.
    pub(super) fn settle(&self, message: &[u8], sent: Sent) -> Option<Waker> {
        let taken = match sent {
            Ok(taken) if taken == message.len() => {
                self.state.store(CLEAR, Ordering::Relaxed);
                return None;
            }
            Ok(taken) => taken,
            Err(io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(kind) => {
                self.held().failed = Some(kind);
                message.len()
            }
        };
        let mut held = self.held();
        held.bytes = message[taken..].to_vec();
        held.sent = 0;
        self.state.store(HELD, Ordering::Relaxed);
        held.waker.take()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Outgoing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Outgoing {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
