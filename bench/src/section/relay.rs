//! Throughput and CPU of everything that can stand between a client and the engine.

use super::Settings;
use crate::pgbench::{self, Address, Run, Workload};
use crate::report::{Bar, Row, Unit};
use crate::rig::behind_edge::BehindEdge;
use crate::rig::{Rig, Way};
use crate::world::with_log;
use lumadb_e2e::Outcome;

const SECTION: &str = "pgbench";

/// What each way has to reach beside PgBouncer: throughput at least, CPU at most.
fn bars(way: Way) -> (Option<Bar>, Option<Bar>) {
    match way {
        Way::Node => (Some(Bar::RatioAtLeast(1.0)), Some(Bar::RatioAtMost(0.95))),
        Way::EdgeRelay => (Some(Bar::RatioAtLeast(0.85)), None),
        Way::EdgeHandOver => (Some(Bar::RatioAtLeast(1.0)), None),
        Way::EngineSocket | Way::EngineTcp | Way::Bouncer => (None, None),
    }
}

pub(crate) async fn measure(settings: &Settings) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    if settings.beside_node {
        let rig = Rig::start().await?;
        for tls in [false, true] {
            rows.extend(measure_each(&rig.addresses(tls), tls, settings).await?);
        }
    }
    if settings.beside_edge {
        let rig = BehindEdge::start().await?;
        for tls in [false, true] {
            let measured = measure_each(&rig.addresses(tls), tls, settings).await;
            rows.extend(measured.map_err(|error| with_log(rig.world(), &error))?);
        }
    }
    Ok(rows)
}

async fn measure_each(
    ways: &[(Way, Address)],
    tls: bool,
    settings: &Settings,
) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for workload in Workload::ALL {
        if settings.selects(workload, tls) {
            rows.extend(measure_one(ways, workload, tls, settings).await?);
        }
    }
    Ok(rows)
}

async fn measure_one(
    ways: &[(Way, Address)],
    workload: Workload,
    tls: bool,
    settings: &Settings,
) -> Outcome<Vec<Row>> {
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); ways.len()];
    for round in 0..settings.rounds {
        for turn in 0..ways.len() {
            // Another way begins each round, so that no one always follows the same.
            let index = (turn + round) % ways.len();
            runs[index].push(pgbench::run(&ways[index].1, workload, settings.span).await?);
        }
        settings.progress(&format!(
            "pgbench {}{}: round {} of {}",
            workload.name(),
            if tls { " with TLS" } else { "" },
            round + 1,
            settings.rounds
        ));
    }
    let ways: Vec<Way> = ways.iter().map(|(way, _)| *way).collect();
    rows_of(workload, tls, &ways, &runs)
}

fn rows_of(workload: Workload, tls: bool, ways: &[Way], runs: &[Vec<Run>]) -> Outcome<Vec<Row>> {
    let peer_name = Way::Bouncer.name();
    let peer = ways
        .iter()
        .position(|way| *way == Way::Bouncer)
        .ok_or("PgBouncer was not measured")?;
    let throughput = |index: usize| -> Vec<f64> {
        let each = runs[index].iter();
        each.map(|run| run.transactions_per_second).collect()
    };
    let cpu =
        |index: usize| -> Vec<f64> { runs[index].iter().map(|run| run.relay_cpu_us).collect() };
    let mut rows = Vec::new();
    for (index, way) in ways.iter().enumerate() {
        if index == peer {
            continue;
        }
        let what = format!(
            "`pgbench` {}{}: {}",
            workload.name(),
            if tls { ", TLS" } else { "" },
            way.name()
        );
        let (throughput_bar, cpu_bar) = bars(*way);
        let own = throughput(index);
        let mut row = Row::new(SECTION, &what, Unit::TransactionsPerSecond, &own)?;
        row = row.beside(peer_name, &own, &throughput(peer));
        rows.push(match throughput_bar {
            Some(bar) => row.bar(bar),
            None => row,
        });
        if way.is_relay() {
            let own = cpu(index);
            let what = format!("{what}, CPU a transaction");
            let mut row = Row::new(SECTION, what, Unit::MicrosecondsCpu, &own)?;
            row = row.beside(peer_name, &own, &cpu(peer));
            rows.push(match cpu_bar {
                Some(bar) => row.bar(bar),
                None => row,
            });
        }
    }
    Ok(rows)
}
