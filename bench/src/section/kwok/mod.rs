//! An operator with thousands of databases in a cluster whose machines and pods are played, and as many
//! played nodes that keep their streams to it: its memory, what it asks at rest, how soon a change is
//! acted upon, how soon many creations are done.
//!
//! API server, etcd, scheduler, kwok and the nodes run on the same machine: spans are theirs too.

mod crowd;
mod nodes;

use super::Settings;
use crate::process::peak_kib;
use crate::report::{Bar, Row, Unit};
use crate::sample::percentile;
use crowd::Crowd;
use lumadb_e2e::Outcome;
use std::time::Duration;

const SECTION: &str = "kwok";

/// Most that the operator may take, by the number of databases, megabytes.
const MEMORY_BARS: [(usize, f64); 2] = [(1000, 150.0), (5000, 400.0)];

/// 99 of 100 changes are acted upon so soon, milliseconds.
const CHANGE_MS_BAR: f64 = 1000.0;

const MEBIBYTES_OF_A_MEGABYTE: f64 = 1_000_000.0 / 1_048_576.0;

/// Each count of databases in turn, from the smallest on, in one cluster.
pub(crate) async fn measure(settings: &Settings) -> Outcome<Vec<Row>> {
    let mut counts = settings.in_cluster.clone();
    counts.sort_unstable();
    counts.dedup();
    let mut crowd = Crowd::start().await?;
    let mut rows = Vec::new();
    for count in counts {
        rows.extend(with(settings, &mut crowd, count).await?);
    }
    Ok(rows)
}

async fn with(settings: &Settings, crowd: &mut Crowd, count: usize) -> Outcome<Vec<Row>> {
    settings.progress(&format!("kwok: up to {count} databases"));
    let added = count.saturating_sub(crowd.count());
    let converged = crowd.grow_to(count).await?;
    let peak_mib = as_f64(peak_kib(crowd.operator_pid()?)?) / 1024.0;
    settings.progress("kwok: at rest");
    let rest = crowd.rest(settings.rest).await?;
    settings.progress(&format!("kwok: {} changes", settings.changes));
    let changes = crowd.change(settings.changes).await?;
    let row = |what: &str, unit: Unit, value: f64| {
        Row::new(
            SECTION,
            format!("{what}, {count} databases"),
            unit,
            &[value],
        )
    };
    let bar = MEMORY_BARS
        .iter()
        .find(|(databases, _)| *databases == count);
    let mut memory = row("operator, at most", Unit::Mebibytes, peak_mib)?;
    if let Some((_, megabytes)) = bar {
        memory = memory.bar(Bar::ValueAtMost(megabytes * MEBIBYTES_OF_A_MEGABYTE));
    }
    let change = |share: f64| {
        let value = percentile(&changes, share).ok_or("no change was made")?;
        let what = format!("a change until it is acted upon, p{:.0}", share * 100.0);
        row(&what, Unit::Milliseconds, value)
    };
    Ok(vec![
        memory,
        row(
            "requests at rest but for lease, watches and certificates",
            Unit::PerMinute,
            per_minute(rest.other, settings.rest),
        )?
        .bar(Bar::ValueAtMost(0.0)),
        row(
            "renewals of lease, watches and certificates",
            Unit::PerMinute,
            per_minute(rest.renewals, settings.rest),
        )?,
        change(0.5)?,
        change(0.99)?.bar(Bar::ValueAtMost(CHANGE_MS_BAR)),
        row(
            &format!("{added} creations until all are ready"),
            Unit::Milliseconds,
            converged.as_secs_f64() * 1000.0,
        )?,
    ])
}

fn per_minute(count: usize, span: Duration) -> f64 {
    as_f64(count as u64) * 60.0 / span.as_secs_f64()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes and counts are far below 2^53"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}
