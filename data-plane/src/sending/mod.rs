//! Sends what one turn of the event loop has to say in one call of the kernel.
//!
//! A relay that sends message by message is interrupted by almost each: the process that it just
//! woke takes its place, answers, and sleeps again, two switches of context for one message. Here a
//! turn reads whatever has arrived on all connections first; what it sends waits in a queue of the
//! thread and leaves through one submission to `io_uring` just before the thread would sleep. Those
//! who were woken then find several messages at once.
//!
//! Invariants:
//! - The bytes of a socket leave in the order in which they were given; a socket whose bytes wait
//!   gets no others but behind them.
//! - Nothing waits while the thread sleeps, nor for longer than a bounded number of polls.
//! - Memory is bounded: one queue per thread, and what a slow reader does not take stays with its
//!   socket, which then takes no more.
//!
//! Without [`gather`] on the thread, or where the kernel offers no `io_uring`, everything works as
//! before, one call for each message.

mod outgoing;
mod queue;
mod ring;

pub use outgoing::Outgoing;

use queue::Queue;
use std::cell::RefCell;
use std::task::Waker;

thread_local! {
    static QUEUE: RefCell<Option<Queue>> = const { RefCell::new(None) };
}

/// Gathers what this thread sends from now on. Whoever calls it lets the runtime call [`send_all`]
/// before the thread sleeps (`on_thread_park`).
pub fn gather() {
    QUEUE.with_borrow_mut(|queue| {
        queue.get_or_insert_with(Queue::new);
    });
}

/// Sends what waits on this thread.
pub fn send_all() {
    wake(with_queue(Queue::send));
}

/// Says that a socket of this thread was looked at, so that others' bytes do not wait for ever
/// behind a thread that never sleeps.
fn polled() {
    wake(with_queue(Queue::polled));
}

fn with_queue<T: Default>(act: impl FnOnce(&mut Queue) -> T) -> T {
    QUEUE.with_borrow_mut(|queue| queue.as_mut().map(act).unwrap_or_default())
}

/// Outside of the queue's borrow: waking may run code that sends.
fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}
