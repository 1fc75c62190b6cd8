//! Tenants do not notice that the control plane is away, and nothing that they used is lost.

use lumadb_e2e::account::Account;
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::{self, Process};
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use nix::sys::signal::Signal;
use std::time::Duration;
use tokio::process::Command;

/// How long API, worker and the control plane's PostgreSQL are away.
const AWAY: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_minute_without_the_control_plane_costs_tenants_nothing() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("busy").await?;
    let pgbench = tools::pgbench()?;
    let mut fill = Command::new(&pgbench);
    tools::run(fill.args(["-i", "-q", "-s", "1"]).arg(&database.uri)).await?;
    let seconds = (AWAY.as_secs() + 10).to_string();
    let mut bench = Command::new(&pgbench);
    bench
        .args(["-n", "-S", "-c", "4", "-T", &seconds])
        .arg(&database.uri);
    let (bench, away) = tokio::join!(tools::run(&mut bench), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let up = cloud.up_pid()?;
        // Frozen, `up` does not start its children again.
        process::signal(up, Signal::SIGSTOP)?;
        let control = cloud.control_dir();
        let which = |process: &Process| {
            process.is_service("api")
                || process.is_service("worker")
                || process.instance_dir().as_deref() == Some(control.as_path())
        };
        let killed = cloud.kill(which).await;
        let start = std::time::Instant::now();
        let mut queries = 0;
        let mut failure = None;
        while start.elapsed() < AWAY && failure.is_none() {
            match tools::psql(&database.uri, "select 1").await {
                Ok(_) => queries += 1,
                Err(error) => failure = Some(error),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        process::signal(up, Signal::SIGCONT)?;
        match failure {
            Some(error) => Err(error),
            None => Ok((killed?, queries)),
        }
    });
    let (killed, queries) = away?;
    assert!(killed >= 4, "only {killed} processes were killed");
    let report = bench?;
    let transactions: u64 = report
        .lines()
        .find_map(|line| line.split_once("actually processed: "))
        .and_then(|(_, number)| number.split('/').next()?.trim().parse().ok())
        .ok_or_else(|| format!("pgbench tells no count: {report}"))?;
    assert!(queries > 20, "only {queries} new connections");

    let least = transactions + queries;
    until("the usage to arrive", Duration::from_mins(2), || async {
        let counted = ada.requests_counted(&database.id).await?;
        if counted >= least {
            return Ok(Some(()));
        }
        Err(format!("{counted} of {least} requests").into())
    })
    .await?;
    // Only what fills pgbench's tables and asks for their shape is sent besides.
    let counted = ada.requests_counted(&database.id).await?;
    assert!(counted < least + 100, "{counted} counted, {least} sent");
    Ok(())
}
