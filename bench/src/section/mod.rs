//! What is measured, one file a section of the table.

pub(crate) mod api;
pub(crate) mod backup;
pub(crate) mod billing;
pub(crate) mod connect;
pub(crate) mod kubelet;
pub(crate) mod kwok;
pub(crate) mod memory;
pub(crate) mod relay;
pub(crate) mod up;

use crate::pgbench::Workload;
use std::time::Duration;

/// How long and how often.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) quick: bool,
    /// Interleaved rounds of everything that has a peer.
    pub(crate) rounds: usize,
    /// Length of one run of `pgbench`.
    pub(crate) span: Duration,
    /// Databases created in turn; a fifth of them without a pool, and half as many wakes.
    pub(crate) creations: usize,
    /// Time under pgbench before a node's memory is read.
    pub(crate) soak: Duration,
    /// Databases awake at once.
    pub(crate) awake: usize,
    /// Databases asleep at once.
    pub(crate) asleep: usize,
    /// Size of the database that is backed up, MiB.
    pub(crate) backup_mib: u32,
    /// Rounds of backups and restores: they are long.
    pub(crate) backup_rounds: usize,
    /// Time in which requests to the archive are counted.
    pub(crate) puts_span: Duration,
    /// Rounds of samples.
    pub(crate) billing_rounds: usize,
    /// Full batches of samples of each node and round.
    pub(crate) batches_each: usize,
    /// Organizations whose month is closed.
    pub(crate) organizations: usize,
    /// Databases in a cluster of played nodes, and as many nodes; each count in turn.
    pub(crate) in_cluster: Vec<usize>,
    /// Changes of databases there, one after the other.
    pub(crate) changes: usize,
    /// Time in which an operator's requests at rest are counted.
    pub(crate) rest: Duration,
    /// Whether the node alone is measured.
    pub(crate) beside_node: bool,
    /// Whether the edge is measured.
    pub(crate) beside_edge: bool,
    /// Only workloads whose name holds this.
    pub(crate) workload: Option<String>,
    /// Only with TLS, or only without.
    pub(crate) tls: Option<bool>,
}

impl Settings {
    pub(crate) fn new(quick: bool) -> Self {
        Self {
            quick,
            rounds: if quick { 3 } else { 5 },
            span: Duration::from_secs(if quick { 2 } else { 5 }),
            creations: if quick { 10 } else { 100 },
            soak: Duration::from_secs(if quick { 10 } else { 120 }),
            awake: if quick { 5 } else { 50 },
            asleep: if quick { 10 } else { 500 },
            backup_mib: if quick { 150 } else { 1024 },
            backup_rounds: if quick { 1 } else { 3 },
            puts_span: Duration::from_secs(if quick { 20 } else { 120 }),
            billing_rounds: if quick { 1 } else { 3 },
            batches_each: if quick { 1 } else { 10 },
            organizations: if quick { 200 } else { 10_000 },
            in_cluster: if quick { vec![50] } else { vec![1000, 5000] },
            changes: if quick { 20 } else { 200 },
            rest: Duration::from_secs(if quick { 20 } else { 60 }),
            beside_node: true,
            beside_edge: true,
            workload: None,
            tls: None,
        }
    }

    fn selects(&self, workload: Workload, tls: bool) -> bool {
        self.tls.is_none_or(|only| only == tls)
            && self
                .workload
                .as_ref()
                .is_none_or(|only| workload.name().contains(only.as_str()))
    }

    /// Says on standard error how far the run is; the table goes to standard output.
    #[expect(clippy::unused_self, reason = "reads better where it is called")]
    fn progress(&self, text: &str) {
        eprintln!("{text}");
    }
}
