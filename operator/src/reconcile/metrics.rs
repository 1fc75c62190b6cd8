//! What the operator counts of itself.

use super::stores::Guarded;
use crate::api::DatabasePhase;
use crate::parent::Nodes;
use kube::runtime::reflector::Store;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

#[derive(Default)]
pub(super) struct Metrics {
    /// Whether this process holds the lease.
    pub(super) leads: AtomicBool,
    /// Whether the API server answered lately.
    pub(super) connected: AtomicBool,
    pub(super) reconciles: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) refusals: AtomicU64,
    actions: Mutex<BTreeMap<&'static str, u64>>,
    databases: OnceLock<Store<Guarded>>,
    nodes: OnceLock<Arc<Nodes>>,
}

impl Metrics {
    pub(super) fn action(&self, name: &'static str) {
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        *actions.entry(name).or_default() += 1;
    }

    /// From here on databases are counted too.
    pub(super) fn count(&self, databases: Store<Guarded>) {
        let _ = self.databases.set(databases);
    }

    /// And nodes.
    pub(super) fn count_nodes(&self, nodes: Arc<Nodes>) {
        let _ = self.nodes.set(nodes);
    }

    /// In the text format of Prometheus.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for (name, kind, help, value) in [
            (
                "leader",
                "gauge",
                "Whether this process holds the lease.",
                u64::from(self.leads.load(Relaxed)),
            ),
            (
                "reconciles_total",
                "counter",
                "Looks at databases.",
                self.reconciles.load(Relaxed),
            ),
            (
                "reconcile_failures_total",
                "counter",
                "Looks that ended early and are made again.",
                self.failures.load(Relaxed),
            ),
            (
                "refusals_total",
                "counter",
                "Actions that the cluster refused.",
                self.refusals.load(Relaxed),
            ),
        ] {
            // Writing into a string does not fail.
            let _ = writeln!(
                text,
                "# HELP lumadb_operator_{name} {help}\n# TYPE lumadb_operator_{name} {kind}\n\
                 lumadb_operator_{name} {value}"
            );
        }
        let _ = writeln!(
            text,
            "# HELP lumadb_operator_writes_total Writes to the cluster.\n\
             # TYPE lumadb_operator_writes_total counter"
        );
        let actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, count) in &*actions {
            let _ = writeln!(
                text,
                "lumadb_operator_writes_total{{write=\"{name}\"}} {count}"
            );
        }
        drop(actions);
        if let Some(databases) = self.databases.get() {
            text.push_str(&phases(databases));
        }
        if let Some(nodes) = self.nodes.get() {
            nodes.render(&mut text);
        }
        text
    }
}

fn phases(databases: &Store<Guarded>) -> String {
    let mut counts = BTreeMap::from(DatabasePhase::ALL.map(|phase| (phase.to_string(), 0_u64)));
    for database in databases.state() {
        let phase = database
            .0
            .as_ref()
            .ok()
            .and_then(|database| database.status.as_ref()?.phase);
        *counts
            .entry(phase.unwrap_or(DatabasePhase::Pending).to_string())
            .or_default() += 1;
    }
    let mut text = "# HELP lumadb_operator_databases Databases by phase.\n\
                    # TYPE lumadb_operator_databases gauge\n"
        .to_owned();
    for (phase, count) in counts {
        let _ = writeln!(
            text,
            "lumadb_operator_databases{{phase=\"{phase}\"}} {count}"
        );
    }
    text
}
