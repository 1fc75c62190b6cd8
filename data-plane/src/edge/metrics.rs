//! What an edge counts of itself, as Prometheus reads it.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $label:literal),+ $(,)?) => {
        /// How a connection went on, or ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Outcome {
            $($(#[$doc])* $name),+
        }

        impl Outcome {
            const LABELS: &'static [&'static str] = &[$($label),+];
        }
    };
}

outcomes! {
    /// More connections without authentication than the limits admit.
    HalfOpenLimit = "half_open_limit",
    /// The client broke off, broke the protocol or took too long.
    Handshake = "handshake_failed",
    TlsRequired = "tls_required",
    NoDatabase = "no_database_named",
    UnknownDatabase = "unknown_database",
    /// Too many failed log-ins from that address.
    AddressLimit = "address_limited",
    /// The database's allowed networks do not hold that address.
    NetworkNotAllowed = "network_not_allowed",
    WrongPassword = "authentication_failed",
    Suspended = "suspended",
    TooManyConnections = "too_many_connections",
    /// The database could not be reached or woken in time.
    Unreachable = "unreachable",
    Session = "session",
    SqlSession = "sql_session",
    /// The node serves the client on its own.
    HandedOver = "handed_over",
    Cancel = "cancel",
}

#[derive(Debug, Default)]
pub(super) struct Metrics {
    accepted: AtomicU64,
    outcomes: [AtomicU64; Outcome::LABELS.len()],
    pub(super) wakes: AtomicU64,
    pub(super) wakes_failed: AtomicU64,
    pub(super) control_connected: AtomicBool,
    /// Routes are here: from the control plane, or from the file.
    pub(super) has_routes: AtomicBool,
    /// Told to end: nobody is to be led here any more.
    pub(super) leaving: AtomicBool,
}

impl Metrics {
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    pub(super) fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// The text format of Prometheus.
    pub(super) fn render(&self, sessions: usize, routes: usize) -> String {
        let mut text = String::with_capacity(2048);
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let one = |value: u64| [(String::new(), value)];
        family(
            "lumadb_edge_connections_accepted_total",
            "counter",
            "Connections of clients that were accepted.",
            &one(self.accepted.load(Relaxed)),
        );
        let outcomes: Vec<_> = Outcome::LABELS
            .iter()
            .zip(&self.outcomes)
            .map(|(label, count)| (format!("{{outcome=\"{label}\"}}"), count.load(Relaxed)))
            .collect();
        family(
            "lumadb_edge_connections_total",
            "counter",
            "What became of connections.",
            &outcomes,
        );
        family(
            "lumadb_edge_wakes_total",
            "counter",
            "Databases that the control plane was asked to wake.",
            &one(self.wakes.load(Relaxed)),
        );
        family(
            "lumadb_edge_wakes_failed_total",
            "counter",
            "Those of them that did not wake in time.",
            &one(self.wakes_failed.load(Relaxed)),
        );
        family(
            "lumadb_edge_sessions",
            "gauge",
            "Sessions that pass through this edge.",
            &one(sessions as u64),
        );
        family(
            "lumadb_edge_routes",
            "gauge",
            "Databases that this edge knows.",
            &one(routes as u64),
        );
        family(
            "lumadb_edge_control_plane_connected",
            "gauge",
            "Whether routes are being received.",
            &one(u64::from(self.control_connected.load(Relaxed))),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_a_line_of_its_own() {
        let metrics = Metrics::default();
        metrics.count(Outcome::Cancel);
        let text = metrics.render(2, 3);
        assert!(text.contains("lumadb_edge_connections_total{outcome=\"cancel\"} 1\n"));
        assert!(text.contains("lumadb_edge_connections_total{outcome=\"half_open_limit\"} 0\n"));
        assert!(text.contains("lumadb_edge_sessions 2\n"));
    }
}
