//! Open sessions, and orders to end them from outside.

use super::wire::Fatal;
use futures::task::AtomicWaker;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use tokio::sync::Notify;

/// When a session ends that was ordered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Between two commands, outside of a transaction.
    WhenIdle,
    /// At once, whatever runs.
    Now,
}

/// The side of an order that a relay watches.
#[derive(Debug, Default)]
pub struct SessionControl {
    /// 0: none; then [`Order`] in its own order.
    order: AtomicU8,
    reason: Mutex<Option<Fatal>>,
    waker: AtomicWaker,
}

impl SessionControl {
    /// Orders the end; a later order can only make it sooner.
    pub fn end(&self, order: Order, reason: &Fatal) {
        let number = match order {
            Order::WhenIdle => 1,
            Order::Now => 2,
        };
        if self.order.load(Ordering::Acquire) >= number {
            return;
        }
        *lock(&self.reason) = Some(reason.clone());
        self.order.fetch_max(number, Ordering::AcqRel);
        self.waker.wake();
    }

    /// The order in force; `waker` is called at the next one.
    pub fn watch(&self, waker: &Waker) -> Option<Order> {
        self.waker.register(waker);
        match self.order.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Order::WhenIdle),
            _ => Some(Order::Now),
        }
    }

    pub fn reason(&self) -> Option<Fatal> {
        lock(&self.reason).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sessions under a label: whose they are.
#[derive(Debug)]
pub struct SessionTable<Label> {
    sessions: Mutex<HashMap<u64, (Label, Arc<SessionControl>)>>,
    next: AtomicU64,
    left: Notify,
}

impl<Label> Default for SessionTable<Label> {
    fn default() -> Self {
        Self {
            sessions: Mutex::default(),
            next: AtomicU64::new(0),
            left: Notify::new(),
        }
    }
}

impl<Label> SessionTable<Label> {
    /// Enters a session; dropping the answer takes it out.
    pub fn enter(self: &Arc<Self>, label: Label) -> Session<Label> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let control = Arc::new(SessionControl::default());
        lock(&self.sessions).insert(number, (label, control.clone()));
        Session {
            table: self.clone(),
            number,
            control,
        }
    }

    pub fn len(&self) -> usize {
        lock(&self.sessions).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Orders the end of every session for which `decide` gives a reason.
    pub fn end_each(&self, mut decide: impl FnMut(&Label) -> Option<(Order, Fatal)>) {
        // Collected first: waking a relay may run code that takes this lock.
        let ended: Vec<_> = lock(&self.sessions)
            .values()
            .filter_map(|(label, control)| Some((control.clone(), decide(label)?)))
            .collect();
        for (control, (order, reason)) in ended {
            control.end(order, &reason);
        }
    }

    /// Has every session look at what may have changed for it.
    pub fn wake_each(&self) {
        let controls: Vec<_> = lock(&self.sessions)
            .values()
            .map(|(_, control)| control.clone())
            .collect();
        for control in controls {
            control.waker.wake();
        }
    }

    /// Completes when no session is left.
    pub async fn emptied(&self) {
        loop {
            let left = self.left.notified();
            if self.is_empty() {
                return;
            }
            left.await;
        }
    }
}

/// A session's place in its table.
#[derive(Debug)]
pub struct Session<Label> {
    table: Arc<SessionTable<Label>>,
    number: u64,
    control: Arc<SessionControl>,
}

impl<Label> Session<Label> {
    pub fn control(&self) -> &SessionControl {
        &self.control
    }
}

impl<Label> Drop for Session<Label> {
    fn drop(&mut self) {
        lock(&self.table.sessions).remove(&self.number);
        self.table.left.notify_waiters();
    }
}
