//! Totals of one incarnation, added to by every connection.

use super::quota_gate::QuotaGate;
use lumadb_contract::usage::UsageCounters;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What a node counts. Adding is one relaxed atomic addition: connections are served by one
/// thread, so the cache line is not fought over, and a sample needs no consistency across fields.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    errors: AtomicU64,
    transfer_out_bytes: AtomicU64,
    vector_operations: AtomicU64,
    connections_opened: AtomicU64,
    connections: AtomicU32,
    quota: QuotaGate,
}

impl Counters {
    /// Commands that the engine answered, those that ended in an error among them.
    pub fn add_requests(&self, count: u64) {
        self.requests.fetch_add(count, Relaxed);
    }

    /// Answered commands that ended in an error.
    pub fn add_errors(&self, count: u64) {
        self.errors.fetch_add(count, Relaxed);
    }

    /// Bytes sent to clients, before TLS.
    pub fn add_transfer_out_bytes(&self, bytes: u64) {
        self.transfer_out_bytes.fetch_add(bytes, Relaxed);
    }

    pub fn add_vector_operations(&self, count: u64) {
        self.vector_operations.fetch_add(count, Relaxed);
    }

    /// Up to where commands are let through.
    pub fn quota(&self) -> &QuotaGate {
        &self.quota
    }

    /// How many more commands may begin. None once any meter has reached its ceiling.
    pub fn room(&self) -> u64 {
        self.quota.room(
            self.requests.load(Relaxed),
            self.transfer_out_bytes.load(Relaxed),
            self.vector_operations.load(Relaxed),
        )
    }

    /// A client connection was admitted. Answers how many are open with it.
    pub(crate) fn connection_opened(&self) -> u32 {
        self.connections_opened.fetch_add(1, Relaxed);
        self.connections.fetch_add(1, Relaxed) + 1
    }

    /// An admitted connection ended. Answers how many are left.
    pub(crate) fn connection_closed(&self) -> u32 {
        self.connections.fetch_sub(1, Relaxed) - 1
    }

    /// Client connections open now.
    pub fn connections(&self) -> u32 {
        self.connections.load(Relaxed)
    }

    pub fn snapshot(&self) -> UsageCounters {
        UsageCounters {
            requests: self.requests.load(Relaxed),
            errors: self.errors.load(Relaxed),
            transfer_out_bytes: self.transfer_out_bytes.load(Relaxed),
            vector_operations: self.vector_operations.load(Relaxed),
            connections_opened: self.connections_opened.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_and_open_connections_come_and_go() {
        let counters = Counters::default();
        counters.add_requests(3);
        counters.add_errors(1);
        counters.add_transfer_out_bytes(512);
        assert_eq!(counters.connection_opened(), 1);
        assert_eq!(counters.connection_opened(), 2);
        assert_eq!(counters.connection_closed(), 1);
        assert_eq!(
            counters.snapshot(),
            UsageCounters {
                requests: 3,
                errors: 1,
                transfer_out_bytes: 512,
                vector_operations: 0,
                connections_opened: 2,
            }
        );
        assert_eq!(counters.connections(), 1);
    }
}
