//! Up to where commands of tenants are let through.
//!
//! The connections look here, the node's leases are set here. While there is plenty of room a look
//! is a few relaxed loads for everything that a client sent at once; single commands are told apart
//! only where what arrived could use up the room.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Why commands are refused: a text for the tenant, and what lifts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaRefusal {
    pub message: String,
    pub detail: String,
    pub hint: String,
}

/// Totals at which counting stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    pub requests: u64,
    pub transfer_out_bytes: u64,
    pub vector_operations: u64,
}

impl Ceilings {
    pub const NONE: Self = Self {
        requests: u64::MAX,
        transfer_out_bytes: u64::MAX,
        vector_operations: u64::MAX,
    };
}

/// The ceilings in force, and what becomes of who reaches one.
#[derive(Debug)]
pub struct QuotaGate {
    requests: AtomicU64,
    transfer_out_bytes: AtomicU64,
    vector_operations: AtomicU64,
    refusal: Mutex<Option<Arc<QuotaRefusal>>>,
    /// Somebody looked in vain since the last change.
    is_waited_for: AtomicBool,
    reached: Notify,
    moved: Notify,
}

impl Default for QuotaGate {
    fn default() -> Self {
        let none = Ceilings::NONE;
        Self {
            requests: AtomicU64::new(none.requests),
            transfer_out_bytes: AtomicU64::new(none.transfer_out_bytes),
            vector_operations: AtomicU64::new(none.vector_operations),
            refusal: Mutex::default(),
            is_waited_for: AtomicBool::new(false),
            reached: Notify::new(),
            moved: Notify::new(),
        }
    }
}

impl QuotaGate {
    pub(super) fn room(&self, requests: u64, transfer_out_bytes: u64, vectors: u64) -> u64 {
        if transfer_out_bytes >= self.transfer_out_bytes.load(Relaxed)
            || vectors >= self.vector_operations.load(Relaxed)
        {
            return 0;
        }
        self.requests.load(Relaxed).saturating_sub(requests)
    }

    pub fn ceilings(&self) -> Ceilings {
        Ceilings {
            requests: self.requests.load(Relaxed),
            transfer_out_bytes: self.transfer_out_bytes.load(Relaxed),
            vector_operations: self.vector_operations.load(Relaxed),
        }
    }

    /// Puts ceilings in force. With a refusal, who reaches one is refused; without, it waits until
    /// there is more room or a refusal.
    pub fn set(&self, ceilings: Ceilings, refusal: Option<QuotaRefusal>) {
        let mut current = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ceilings() == ceilings && current.as_deref() == refusal.as_ref() {
            return;
        }
        *current = refusal.map(Arc::new);
        drop(current);
        self.requests.store(ceilings.requests, Relaxed);
        self.transfer_out_bytes
            .store(ceilings.transfer_out_bytes, Relaxed);
        self.vector_operations
            .store(ceilings.vector_operations, Relaxed);
        if self.is_waited_for.swap(false, Relaxed) {
            self.moved.notify_one();
        }
    }

    pub fn refusal(&self) -> Option<Arc<QuotaRefusal>> {
        self.refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Somebody waits for more room.
    pub fn ask(&self) {
        self.is_waited_for.store(true, Relaxed);
        self.reached.notify_one();
    }

    /// Completes when something changed for those who wait.
    pub(crate) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Completes when somebody waits for more room.
    pub(crate) async fn asked(&self) {
        self.reached.notified().await;
    }
}
