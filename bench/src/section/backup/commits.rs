//! Commits that wait for the archive, and commits while a backup is made.

use super::{SECTION, Settings};
use crate::archived::Archived;
use crate::pgbench::{self, CLIENTS, Workload};
use crate::report::{Bar, Row, Unit};
use lumadb_contract::archive::{BackupKind, Durability};
use lumadb_e2e::Outcome;
use std::time::Duration;

/// Connections that commit at once where commits wait for the store.
const WAITING: u32 = 64;

/// How long the store takes to answer where commits wait for it.
const STORE_ANSWERS: Duration = Duration::from_millis(20);

/// What a paid plan lets the archive lag.
const LAG: Durability = Durability::Lag { lag_ms: 1000 };

pub(super) async fn waiting(settings: &Settings, ours: &mut Archived) -> Outcome<Row> {
    ours.latency.set(STORE_ANSWERS);
    let (mut waits, mut lags) = (Vec::new(), Vec::new());
    for round in 1..=settings.backup_rounds {
        settings.progress(&format!("backup: commits that wait, round {round}"));
        for (durability, speeds) in [(Durability::S3, &mut waits), (LAG, &mut lags)] {
            ours.durability(durability).await?;
            // What is changed first since a checkpoint is logged as a whole page: here, all by both.
            ours.sql("checkpoint").await?;
            let address = ours.through_node();
            let run = pgbench::run_with(&address, Workload::TpcB, WAITING, settings.span).await?;
            speeds.push(run.transactions_per_second);
        }
    }
    ours.latency.set(Duration::ZERO);
    let what = format!("TPC-B, {WAITING} clients, `durability = s3`, store 20 ms away");
    let row = Row::new(SECTION, what, Unit::PerSecond, &waits)?;
    Ok(row
        .beside("the same with a lag of 1 s", &waits, &lags)
        .bar(Bar::RatioAtLeast(0.6)))
}

pub(super) async fn during_backup(settings: &Settings, ours: &mut Archived) -> Outcome<Row> {
    let (mut during, mut without) = (Vec::new(), Vec::new());
    let address = ours.through_node();
    for round in 1..=settings.backup_rounds {
        settings.progress(&format!("backup: commits during a backup, round {round}"));
        let run = pgbench::run(&address, Workload::TpcB, settings.span).await?;
        without.push(run.transactions_per_second);
        let stop = tokio::sync::watch::Sender::new(false);
        let backups = async {
            // As long as pgbench runs, one after the other.
            while !*stop.borrow() {
                ours.backup(BackupKind::Full).await?;
            }
            Outcome::Ok(())
        };
        let load = async {
            let run = pgbench::run(&address, Workload::TpcB, settings.span).await;
            stop.send_replace(true);
            run
        };
        let (made, run) = tokio::join!(backups, load);
        made?;
        during.push(run?.transactions_per_second);
    }
    let what = format!("TPC-B, {CLIENTS} clients, while full backups are made");
    let row = Row::new(SECTION, what, Unit::PerSecond, &during)?;
    Ok(row.beside("without a backup", &during, &without))
}
