//! What is counted is what was sent. The judge is the engine's own log of every statement.

use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::Process;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// Traffic that a kill may leave uncounted: what was not sealed yet.
const UNSEALED_MS_MAX: f64 = 200.0;

#[tokio::test]
async fn the_counter_read_by_api_equals_what_was_sent() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("counted").await?;
    let before = judged(&cloud, &ada, &database).await?;
    for mode in ["simple", "extended", "prepared"] {
        pgbench(&database, &["-n", "-S", "-M", mode, "-c", "4", "-t", "500"]).await?;
    }
    pgbench(&database, &["-n", "-c", "2", "-t", "50"]).await?;
    let sent = statements_logged(&cloud, &database).await?;
    assert!(sent >= 6700, "the judge saw only {sent}");
    counter_becomes(&ada, &database, before + sent).await?;

    // One message with three commands is three requests, though the log has one line.
    tools::psql(&database.uri, "select 1; select 2; select 3").await?;
    counter_becomes(&ada, &database, before + sent + 3).await?;
    // What was counted does not change by waiting.
    tokio::time::sleep(Duration::from_secs(2)).await;
    counter_becomes(&ada, &database, before + sent + 3).await
}

#[tokio::test]
async fn a_killed_node_never_counts_more_and_loses_at_most_what_was_unsealed() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("counted").await?;
    let before = judged(&cloud, &ada, &database).await?;
    let instance = cloud.instance_dir(&database.id);
    let node = |process: &Process| {
        process.is_node() && process.instance_dir().as_deref() == Some(instance.as_path())
    };
    let mut bound = 0.0;
    for _ in 0..3 {
        let sent_before = statements_logged(&cloud, &database).await?;
        let start = Instant::now();
        // No faster than the judge's log, of which the oldest is dropped, holds all of it.
        let load = ["-n", "-S", "-c", "4", "-T", "30", "-R", "2000"];
        let (bench, killed) = tokio::join!(pgbench(&database, &load), async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            cloud.kill(node).await
        });
        assert_eq!(killed?, 1, "one node serves the database");
        assert!(bench.is_err(), "pgbench noticed nothing");
        let elapsed_ms = start.elapsed().as_secs_f64() * 1000.0;
        let sent = f64::from(u32::try_from(
            statements_logged(&cloud, &database).await? - sent_before,
        )?);
        // The rate of the busy part, for the tool's own start is in the elapsed time.
        bound += sent / (elapsed_ms - 500.0).max(1.0) * UNSEALED_MS_MAX + 4.0;
        serves_again(&database).await?;
    }
    let sent = before + statements_logged(&cloud, &database).await?;
    let counted = settled(&ada, &database).await?;
    assert!(sent > 1000, "the judge saw only {sent}");
    assert!(counted <= sent, "{counted} counted, {sent} sent");
    let lost = f64::from(u32::try_from(sent - counted)?);
    assert!(lost <= bound, "{lost} lost, {bound} allowed");
    Ok(())
}

/// Fills pgbench's tables, makes the engine log every statement, and gives what was counted till then.
pub(crate) async fn judged(cloud: &Cloud, ada: &Account, database: &Database) -> Outcome<u64> {
    pgbench(database, &["-i", "-q", "-s", "1"]).await?;
    // Of the tenant's role alone, and in every session from now on.
    let sql = "alter role owner set log_statement = 'all'";
    let instance = cloud.instance_dir(&database.id);
    cloud.admin_sql(&instance, "main", sql).await?;
    let logged = statements_logged(cloud, database).await?;
    Ok(settled(ada, database).await? - logged)
}

async fn serves_again(database: &Database) -> Outcome<()> {
    until(
        "the database to serve again",
        Duration::from_secs(30),
        || async { tools::psql(&database.uri, "select 1").await.map(Some) },
    )
    .await?;
    Ok(())
}

async fn pgbench(database: &Database, arguments: &[&str]) -> Outcome<String> {
    let mut command = Command::new(tools::pgbench()?);
    command.args(arguments).arg(&database.uri);
    tools::run(&mut command).await
}

async fn counter_becomes(ada: &Account, database: &Database, wanted: u64) -> Outcome<()> {
    let what = format!("{wanted} requests to be counted");
    until(&what, Duration::from_secs(20), || async {
        let counted = ada.requests_counted(&database.id).await?;
        if counted == wanted {
            return Ok(Some(()));
        }
        Err(format!("{counted} are").into())
    })
    .await
}

/// The counter once it stands still: samples travel every few hundred milliseconds.
pub(crate) async fn settled(ada: &Account, database: &Database) -> Outcome<u64> {
    let mut last = (ada.requests_counted(&database.id).await?, Instant::now());
    let what = "the counter to stand still";
    let last = &mut last;
    let start = Instant::now();
    loop {
        let counted = ada.requests_counted(&database.id).await?;
        if counted != last.0 {
            *last = (counted, Instant::now());
        }
        if last.1.elapsed() > Duration::from_secs(3) {
            return Ok(counted);
        }
        if start.elapsed() > Duration::from_mins(1) {
            return Err(format!("waited for {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Statements of the tenant in its engine's log, once it stands still: lines are copied into it a
/// moment after they were printed.
pub(crate) async fn statements_logged(cloud: &Cloud, database: &Database) -> Outcome<u64> {
    let name = format!("engine.{}.log", database.id);
    let path = cloud.data_dir().join("log").join(name);
    let mut length = 0;
    let log = until("the log to stand still", Duration::from_secs(30), || {
        let log = std::fs::read(&path);
        let before = length;
        length = log.as_ref().map_or(0, Vec::len);
        async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let log = log?;
            Ok((log.len() == before).then_some(log))
        }
    })
    .await?;
    let log = String::from_utf8_lossy(&log);
    let sent = |line: &&str| line.contains("LOG:  statement: ") || line.contains("LOG:  execute ");
    Ok(log.lines().filter(sent).count() as u64)
}
