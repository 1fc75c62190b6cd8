//! Samples taken in, and a month closed for many organizations.

mod customers;
mod limits;
mod samples;

use super::Settings;
use crate::report::{Bar, Row, Unit};
use crate::world::World;
use customers::{Customers, DATABASES_EACH};
use lumadb_contract::usage::BATCH_SAMPLES_MAX;
use lumadb_e2e::Outcome;
use lumadb_e2e::process::{Process, anonymous_kib};
use samples::Nodes;
use std::time::{Duration, Instant};

const SECTION: &str = "billing";

/// Databases whose nodes send samples.
const NODES: usize = 1000;

/// Longest that closing a month may take.
const CLOSE_LIMIT: Duration = Duration::from_hours(1);

/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn measure(settings: &Settings) -> Outcome<Vec<Row>> {
    let limits = limits::measure(settings).await?;
    let world = World::start(0).await?;
    let mut rows = intake(settings, &world).await?;
    rows.push(limits);
    rows.extend(closing(settings, &world).await?);
    Ok(rows)
}

async fn intake(settings: &Settings, world: &World) -> Outcome<Vec<Row>> {
    let customers = Customers::insert(world, NODES.div_ceil(DATABASES_EACH)).await?;
    let nodes = Nodes::new(world, customers.databases(NODES));
    let (mut stored, mut streamed, mut resent) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=settings.billing_rounds {
        settings.progress(&format!(
            "billing: samples, round {round} of {}",
            settings.billing_rounds
        ));
        let batches = nodes.batches(settings.batches_each);
        stored.push(nodes.store(&batches).await?);
        let batches = nodes.batches(settings.batches_each);
        streamed.push(nodes.stream(&batches).await?);
        let before = counted(world).await?;
        resent.push(nodes.stream(&batches).await?);
        let after = counted(world).await?;
        if before != after {
            return Err(format!("samples sent twice changed `{before}` to `{after}`").into());
        }
    }
    let row = |what: &str, rounds: &[f64]| Row::new(SECTION, what, Unit::PerSecond, rounds);
    let each_round = NODES * settings.batches_each * BATCH_SAMPLES_MAX;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let whole = |rate: &f64| 1000.0 * each_round as f64 / rate;
    let spans: Vec<f64> = stored.iter().map(whole).collect();
    let what = format!("{each_round} samples rolled up into hours, at the store");
    Ok(vec![
        Row::new(SECTION, what, Unit::Milliseconds, &spans)?,
        row("samples at the store", &stored)?.bar(Bar::ValueAtLeast(100_000.0)),
        row("samples from 1,000 nodes over HTTP/2", &streamed)?.bar(Bar::ValueAtLeast(20_000.0)),
        row("the same again, nothing changes", &resent)?,
    ])
}

/// What a second delivery must not change.
async fn counted(world: &World) -> Outcome<String> {
    let sql = "select (select count(*) from usage_samples), sum(requests), \
               sum(transfer_out_bytes), sum(storage_byte_us) from usage_hours";
    world.control_sql(sql).await
}

/// From the moment at which months are due to the last invoice, by the worker of the product.
async fn closing(settings: &Settings, world: &World) -> Outcome<Vec<Row>> {
    let organizations = settings.organizations;
    settings.progress(&format!(
        "billing: a month of {organizations} organizations"
    ));
    let customers = Customers::insert(world, organizations).await?;
    customers.use_this_month(world).await?;
    let worker = worker(world)?;
    customers.owe_this_month(world).await?;
    let start = Instant::now();
    let mut most = 0;
    loop {
        most = most.max(anonymous_kib(worker)?);
        if customers.invoices(world).await? >= organizations {
            break;
        }
        if start.elapsed() > CLOSE_LIMIT {
            return Err("the month was not closed within an hour".into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let span = start.elapsed();
    #[expect(
        clippy::cast_precision_loss,
        reason = "organizations and KiB are far below 2^52"
    )]
    let (count, mib) = (organizations as f64, most as f64 / 1024.0);
    let what = format!(
        "months closed, {organizations} organizations with {DATABASES_EACH} databases, \
         {} hours each",
        customers::HOURS
    );
    Ok(vec![
        Row::new(
            SECTION,
            what,
            Unit::PerSecond,
            &[count / span.as_secs_f64()],
        )?,
        Row::new(
            SECTION,
            "worker meanwhile, at most",
            Unit::Mebibytes,
            &[mib],
        )?,
    ])
}

fn worker(world: &World) -> Outcome<i32> {
    let processes = world.cloud.processes()?;
    let worker = processes
        .iter()
        .find(|process| process.is_service("worker"));
    Ok(worker
        .map(|process: &Process| process.pid)
        .ok_or("no worker runs")?)
}
