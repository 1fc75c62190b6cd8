//! Tickets: taken by sessions, released by whoever asks the engine.

use super::questions::Number;
use futures::task::AtomicWaker;
use lumadb_contract::archive::Lsn;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// A life of the engine, as it was seen from here.
type Life = u64;

/// What is held back until its question is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(Number);

/// What became of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Waits,
    Released,
    /// The engine ended before the archive had it: nobody knows whether it is kept.
    Void,
}

/// Why a session cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the archive does not cover yet what the database holds")]
pub struct NotCovered;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nobody need wait.
    Off,
    /// The engine cannot be asked, or the archive does not cover what it began with.
    Shut,
    Open,
}

#[derive(Debug)]
struct Board {
    mode: Mode,
    /// The last one that began or is about to.
    life: Life,
    /// The question that is put next.
    next: Number,
    /// Somebody awaits the next question.
    wanted: bool,
    released: Number,
    /// By ascending question.
    waiting: VecDeque<(Number, Arc<AtomicWaker>)>,
}

/// Shared by the sessions of a node and by whoever asks for them.
#[derive(Debug)]
pub struct Gate {
    board: Mutex<Board>,
    modes: watch::Sender<Mode>,
    wanted: Notify,
    /// The archive holds everything before this.
    covered: watch::Sender<Lsn>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            board: Mutex::new(Board {
                mode: Mode::Off,
                life: 0,
                next: 1,
                wanted: false,
                released: 0,
                waiting: VecDeque::new(),
            }),
            modes: watch::Sender::new(Mode::Off),
            wanted: Notify::new(),
            covered: watch::Sender::new(Lsn(0)),
        }
    }
}

/// What a session holds tickets with.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    life: Life,
    waker: Arc<AtomicWaker>,
}

impl Gate {
    /// Waits until the archive has covered once all that the engine holds. Called before the session
    /// begins in the engine.
    pub async fn enter(self: &Arc<Self>, longest: Duration) -> Result<Pass, NotCovered> {
        let mut modes = self.modes.subscribe();
        let opened = timeout(longest, modes.wait_for(|mode| *mode == Mode::Open));
        let opened = opened.await.is_ok_and(|mode| mode.is_ok());
        let board = self.lock();
        if !opened || board.mode != Mode::Open {
            return Err(NotCovered);
        }
        Ok(Pass {
            life: board.life,
            gate: self.clone(),
            waker: Arc::default(),
        })
    }

    /// How far the archive is: it may go back to 0, when that is not known.
    pub(crate) fn archive_covers(&self, end: Lsn) {
        self.covered.send_if_modified(|covered| {
            let changed = *covered != end;
            *covered = end;
            changed
        });
    }

    pub(crate) fn covered(&self) -> watch::Receiver<Lsn> {
        self.covered.subscribe()
    }

    /// Nobody has to wait from here on, and nobody who does.
    pub(crate) fn off(&self) {
        self.turn(Mode::Off);
    }

    /// The life of the engine is over: no session begins, and what waits does so for nothing.
    pub(crate) fn shut(&self) {
        self.turn(Mode::Shut);
    }

    /// The archive covers what the engine began its life with.
    pub(crate) fn open(&self) {
        self.turn(Mode::Open);
    }

    fn turn(&self, mode: Mode) {
        let mut board = self.lock();
        board.mode = mode;
        board.life += Life::from(mode == Mode::Shut);
        let woken = match mode {
            Mode::Open => VecDeque::new(),
            Mode::Off | Mode::Shut => {
                board.wanted = false;
                std::mem::take(&mut board.waiting)
            }
        };
        // Waking may run code that takes this lock.
        drop(board);
        self.modes.send_replace(mode);
        for (_, waker) in woken {
            waker.wake();
        }
    }

    /// Whether somebody awaits the next question.
    pub(crate) fn is_wanted(&self) -> bool {
        self.lock().wanted
    }

    /// Completes when somebody does, or did.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The number of a question that is put now: whoever comes later awaits the next one.
    pub(crate) fn ask(&self) -> Number {
        let mut board = self.lock();
        let number = board.next;
        board.next += 1;
        board.wanted = false;
        number
    }

    /// Question `number` and those before it are done with.
    pub(crate) fn release(&self, number: Number) {
        let mut board = self.lock();
        board.released = board.released.max(number);
        let count = board.waiting.partition_point(|(of, _)| *of <= number);
        let woken: Vec<_> = board.waiting.drain(..count).collect();
        drop(board);
        for (_, waker) in woken {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// A ticket for what has arrived by now. `None`: it comes from an engine whose life is over, as
    /// far as is known here.
    pub fn ticket(&self) -> Option<Ticket> {
        let mut board = self.gate.lock();
        if board.life != self.life {
            return None;
        }
        let number = board.next;
        let last = board.waiting.back();
        let known =
            last.is_some_and(|(of, waker)| *of == number && Arc::ptr_eq(waker, &self.waker));
        if !known {
            board.waiting.push_back((number, self.waker.clone()));
        }
        let first = !std::mem::replace(&mut board.wanted, true);
        drop(board);
        if first {
            self.gate.wanted.notify_one();
        }
        Some(Ticket(number))
    }

    /// What became of a ticket; `waker` is called when that changes.
    pub fn look(&self, ticket: Ticket, waker: &Waker) -> Standing {
        self.waker.register(waker);
        let board = self.gate.lock();
        if board.life != self.life {
            Standing::Void
        } else if board.mode == Mode::Off || ticket.0 <= board.released {
            Standing::Released
        } else {
            Standing::Waits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(pass: &Pass, ticket: Option<Ticket>) -> Standing {
        pass.look(ticket.expect("a ticket"), Waker::noop())
    }

    async fn entered(gate: &Arc<Gate>) -> Pass {
        gate.enter(Duration::ZERO).await.expect("is open")
    }

    #[tokio::test]
    async fn what_arrives_while_a_question_is_out_awaits_the_next_one() {
        let gate = Arc::new(Gate::default());
        gate.shut();
        gate.open();
        let pass = entered(&gate).await;
        assert!(!gate.is_wanted());
        let first = pass.ticket();
        assert!(gate.is_wanted());
        let asked = gate.ask();
        assert!(!gate.is_wanted());
        let second = pass.ticket();
        assert_eq!(pass.ticket(), second);
        gate.release(asked);
        assert_eq!(look(&pass, first), Standing::Released);
        assert_eq!(look(&pass, second), Standing::Waits);
        gate.release(gate.ask());
        assert_eq!(look(&pass, second), Standing::Released);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_when_its_question_is_done_with() {
        let gate = Arc::new(Gate::default());
        gate.shut();
        gate.open();
        let pass = entered(&gate).await;
        let ticket = pass.ticket().expect("a ticket");
        let released = std::future::poll_fn(|cx| match pass.look(ticket, cx.waker()) {
            Standing::Waits => std::task::Poll::Pending,
            other => std::task::Poll::Ready(other),
        });
        let asking = async {
            gate.wanted().await;
            gate.release(gate.ask());
        };
        let (standing, ()) = tokio::join!(released, asking);
        assert_eq!(standing, Standing::Released);
    }

    #[tokio::test]
    async fn what_an_engine_said_before_its_end_is_never_released() {
        let gate = Arc::new(Gate::default());
        gate.shut();
        assert!(gate.enter(Duration::ZERO).await.is_err());
        gate.open();
        let pass = entered(&gate).await;
        let (asked, not_asked) = (pass.ticket(), {
            gate.ask();
            pass.ticket()
        });
        gate.shut();
        assert!(gate.enter(Duration::ZERO).await.is_err());
        assert!(pass.ticket().is_none());
        gate.open();
        assert!(pass.ticket().is_none(), "it may have come before the end");
        let later = entered(&gate).await;
        let new = later.ticket();
        gate.release(gate.ask());
        assert_eq!(look(&later, new), Standing::Released);
        for old in [asked, not_asked] {
            assert_eq!(look(&pass, old), Standing::Void);
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_a_gate_that_is_off() {
        let gate = Arc::new(Gate::default());
        gate.shut();
        gate.open();
        let pass = entered(&gate).await;
        let waits = pass.ticket();
        gate.off();
        assert_eq!(look(&pass, waits), Standing::Released);
        assert_eq!(look(&pass, pass.ticket()), Standing::Released);
    }
}
