//! What was measured, as one table: ratios first, each beside its bar.

use crate::sample::{median, ratios};
use lumadb_e2e::Outcome;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;

/// What a value is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Milliseconds,
    MicrosecondsCpu,
    TransactionsPerSecond,
    PerSecond,
    Kibibytes,
    Mebibytes,
    MebibytesPerSecond,
    PerMinute,
    PerHour,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Milliseconds if value < 10.0 => format!("{value:.2} ms"),
            Self::Milliseconds => format!("{value:.0} ms"),
            Self::MicrosecondsCpu => format!("{value:.1} µs CPU"),
            Self::TransactionsPerSecond => format!("{value:.0} tps"),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Kibibytes => format!("{value:.1} KiB"),
            Self::Mebibytes => format!("{value:.1} MiB"),
            Self::MebibytesPerSecond => format!("{value:.0} MiB/s"),
            Self::PerMinute => format!("{value:.1} /min"),
            Self::PerHour => format!("{value:.0} /h"),
        }
    }
}

/// What a measurement has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    ValueAtMost(f64),
    ValueAtLeast(f64),
    RatioAtLeast(f64),
    RatioAtMost(f64),
}

/// One line: our value, and where there is one the peer's in the same run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    section: &'static str,
    what: String,
    unit: Unit,
    ours: f64,
    peer: Option<f64>,
    peer_name: Option<String>,
    /// Median over the rounds of ours ÷ the peer's.
    ratio: Option<f64>,
    /// Smallest and largest of those.
    ratio_range: Option<(f64, f64)>,
    bar: Option<Bar>,
    rounds: usize,
}

impl Row {
    /// A value of ours; the median of its rounds.
    pub(crate) fn new(
        section: &'static str,
        what: impl Into<String>,
        unit: Unit,
        rounds: &[f64],
    ) -> Outcome<Self> {
        let what = what.into();
        let ours = median(rounds).ok_or_else(|| format!("nothing was measured of: {what}"))?;
        Ok(Self {
            section,
            what,
            unit,
            ours,
            peer: None,
            peer_name: None,
            ratio: None,
            ratio_range: None,
            bar: None,
            rounds: rounds.len(),
        })
    }

    /// Sets it beside a peer that was measured in the same rounds.
    pub(crate) fn beside(mut self, name: &str, own_rounds: &[f64], peer_rounds: &[f64]) -> Self {
        let each = ratios(own_rounds, peer_rounds);
        self.peer = median(peer_rounds);
        self.peer_name = Some(name.to_owned());
        self.ratio = median(&each);
        self.ratio_range = each
            .iter()
            .copied()
            .reduce(f64::min)
            .zip(each.iter().copied().reduce(f64::max));
        self
    }

    /// Sets one value beside one of a peer, where there are no rounds.
    pub(crate) fn beside_value(mut self, name: &str, peer: f64) -> Self {
        self.peer = Some(peer);
        self.peer_name = Some(name.to_owned());
        self.ratio = (peer > 0.0).then(|| self.ours / peer);
        self
    }

    pub(crate) fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    /// Whether the bar is met; `None` where there is none.
    fn met(&self) -> Option<bool> {
        match self.bar? {
            Bar::ValueAtMost(most) => Some(self.ours <= most),
            Bar::ValueAtLeast(least) => Some(self.ours >= least),
            Bar::RatioAtLeast(least) => self.ratio.map(|ratio| ratio >= least),
            Bar::RatioAtMost(most) => self.ratio.map(|ratio| ratio <= most),
        }
    }

    fn bar_text(&self) -> String {
        match self.bar {
            None => String::new(),
            Some(Bar::ValueAtMost(most)) => format!("≤ {}", self.unit.write(most)),
            Some(Bar::ValueAtLeast(least)) => format!("≥ {}", self.unit.write(least)),
            Some(Bar::RatioAtLeast(least)) => format!("≥ {least:.2} ×"),
            Some(Bar::RatioAtMost(most)) => format!("≤ {most:.2} ×"),
        }
    }
}

/// Everything that one run measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    date: String,
    machine: String,
    quick: bool,
    rows: Vec<Row>,
    /// What could not be measured, and why.
    missing: Vec<String>,
}

impl Report {
    pub(crate) fn new(date: String, machine: String, quick: bool) -> Self {
        Self {
            date,
            machine,
            quick,
            rows: Vec::new(),
            missing: Vec::new(),
        }
    }

    pub(crate) fn extend(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    pub(crate) fn missing(&mut self, what: String) {
        self.missing.push(what);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// The table, as the README quotes it.
    pub(crate) fn to_markdown(&self) -> String {
        let mut out = format!("{}, {}", self.date, self.machine);
        if self.quick {
            out.push_str(", quick (few and short rounds)");
        }
        out.push_str(
            "\n\n| measured | ratio | (range) | bar | met | ours | peer |\n|---|--:|---|---|---|--:|--:|\n",
        );
        for row in &self.rows {
            let ratio = row.ratio.map(|ratio| format!("{ratio:.2} ×"));
            let range = row
                .ratio_range
                .map(|(least, most)| format!("{least:.2}–{most:.2}"));
            let met = row.met().map(|met| if met { "yes" } else { "**no**" });
            let peer = row
                .peer
                .zip(row.peer_name.as_ref())
                .map(|(value, name)| format!("{} ({name})", row.unit.write(value)));
            let cells = [
                row.what.clone(),
                ratio.unwrap_or_default(),
                range.unwrap_or_default(),
                row.bar_text(),
                met.unwrap_or_default().to_owned(),
                row.unit.write(row.ours),
                peer.unwrap_or_default(),
            ];
            let cells = cells.map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
        for what in &self.missing {
            let _ = writeln!(out, "\nNot measured: {what}");
        }
        out
    }

    /// Writes `<name>.md` and `<name>.json` into a folder.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Outcome<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join(format!("{name}.md")), self.to_markdown())?;
        let json = serde_json::to_vec_pretty(self)?;
        std::fs::write(folder.join(format!("{name}.json")), json)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_that_is_missed_says_so() {
        let row = |ours: f64| {
            Row::new("x", "throughput", Unit::TransactionsPerSecond, &[ours])
                .expect("measured")
                .beside("PgBouncer", &[ours], &[100.0])
                .bar(Bar::RatioAtLeast(1.0))
        };
        let mut report = Report::new("2026-11-23".into(), "2 cores".into(), false);
        report.extend(vec![row(99.0), row(100.0)]);
        let table = report.to_markdown();
        assert!(table.contains("| 0.99 × | 0.99–0.99 | ≥ 1.00 × | **no** | 99 tps | 100 tps"));
        assert!(table.contains("| 1.00 × | 1.00–1.00 | ≥ 1.00 × | yes | 100 tps | 100 tps"));
    }

    #[test]
    fn nothing_measured_is_an_error_and_not_a_zero() {
        assert!(Row::new("x", "y", Unit::Kibibytes, &[]).is_err());
    }
}
