//! The API under load: reads driven by `oha`, and creations, each with a body of its own.

use super::Settings;
use crate::report::{Row, Unit};
use crate::sample::percentile;
use crate::world::{World, with_log};
use lumadb_e2e::{Failure, Outcome, tools};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::process::Command;
use tokio::task::JoinSet;

const SECTION: &str = "api";

/// Requests that are under way at once.
const CONCURRENCY: usize = 8;

/// Databases asked for in one round of creations.
const CREATIONS: usize = 16;

/// Folders that are ready: as many as a round takes.
const POOL_SIZE: usize = CREATIONS;

/// What one run saw.
#[derive(Debug, Clone, Copy)]
struct Load {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Takes one number of a load.
type Part = fn(&Load) -> f64;

pub(crate) async fn measure(settings: &Settings) -> Outcome<Vec<Row>> {
    let world = World::start(POOL_SIZE).await?;
    let rows = async {
        let mut rows = reads(&world, settings).await?;
        rows.extend(creations(&world, settings).await?);
        Ok(rows)
    };
    rows.await.map_err(|error| with_log(&world, &error))
}

async fn reads(world: &World, settings: &Settings) -> Outcome<Vec<Row>> {
    let database = world.create("bench").await?;
    let one = format!("/v1/databases/{}", database.id);
    let list = format!("/v1/projects/{}/databases", world.account.project_id);
    let paths = [one.as_str(), list.as_str(), "/health/live"];
    let mut loads: Vec<Vec<Load>> = vec![Vec::new(); paths.len()];
    let span = format!("{}s", settings.span.as_secs());
    for round in 0..=settings.rounds {
        for turn in 0..paths.len() {
            let index = (turn + round) % paths.len();
            let load = oha(world, paths[index], &span).await?;
            if round > 0 {
                loads[index].push(load);
            }
        }
        settings.progress(&format!("api: reads, round {round} of {}", settings.rounds));
    }
    let mut rows = Vec::new();
    for (what, index) in [("read a database", 0), ("list databases", 1)] {
        rows.extend(load_rows(what, &loads[index], Some(&loads[2]))?);
    }
    Ok(rows)
}

async fn creations(world: &World, settings: &Settings) -> Outcome<Vec<Row>> {
    let path = format!("/v1/projects/{}/databases", world.account.project_id);
    let mut loads = Vec::new();
    let mut ready = Vec::new();
    for round in 0..=settings.rounds {
        world.pool_is_full().await?;
        let start = Instant::now();
        let load = create_all(world, &path, round).await?;
        let made = wait_for_all(world, &path).await?;
        let spent = start.elapsed();
        if round > 0 {
            loads.push(load);
            ready.push(count(made.len()) / spent.as_secs_f64());
        }
        for id in made {
            world.delete(&id).await?;
        }
        settings.progress(&format!(
            "api: creations, round {round} of {}",
            settings.rounds
        ));
    }
    let mut rows = load_rows("ask for a database", &loads, None)?;
    let what = format!("databases ready, {CREATIONS} asked for at once");
    rows.push(Row::new(SECTION, what, Unit::PerSecond, &ready)?);
    Ok(rows)
}

/// Asks for all of them, a few at a time.
async fn create_all(world: &World, path: &str, round: usize) -> Outcome<Load> {
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..CONCURRENCY {
        let (api, path) = (world.account.api.clone(), path.to_owned());
        workers.spawn(async move {
            let mut spans = Vec::new();
            for index in (worker..CREATIONS).step_by(CONCURRENCY) {
                let body = json!({"name": format!("load-{round}-{index}")});
                let start = Instant::now();
                api.post(&path, &body).await?.expect(201)?;
                spans.push(start.elapsed().as_secs_f64() * 1e3);
            }
            Ok::<_, Failure>(spans)
        });
    }
    let mut spans = Vec::new();
    while let Some(done) = workers.join_next().await {
        spans.extend(done??);
    }
    Ok(Load {
        per_second: count(spans.len()) / start.elapsed().as_secs_f64(),
        p50_ms: percentile(&spans, 0.5).ok_or("nothing was created")?,
        p99_ms: percentile(&spans, 0.99).ok_or("nothing was created")?,
    })
}

/// Waits until every database that was asked for runs; gives their IDs.
async fn wait_for_all(world: &World, path: &str) -> Outcome<Vec<String>> {
    let list = world.account.api.read(&format!("{path}?limit=100")).await?;
    let items = list["items"].as_array().ok_or("a list without items")?;
    let mut ids = Vec::new();
    for item in items {
        let name = item["name"].as_str().unwrap_or_default();
        if let (true, Some(id)) = (name.starts_with("load-"), item["id"].as_str()) {
            world.account.database_is(id, "running").await?;
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

async fn oha(world: &World, path: &str, span: &str) -> Outcome<Load> {
    let mut command = Command::new(oha_program()?);
    command
        .args(["--no-tui", "--output-format", "json", "-c"])
        .arg(CONCURRENCY.to_string())
        .args([
            "-H",
            &format!("Authorization: Bearer {}", world.account.token),
        ])
        .args(["-z", span])
        .arg(format!("{}{path}", world.account.api.base()));
    let printed = tools::run(&mut command).await?;
    load_of(&serde_json::from_str(&printed)?)
}

fn load_of(report: &Value) -> Outcome<Load> {
    let statuses = report["statusCodeDistribution"].as_object();
    let only_expected = statuses.is_some_and(|found| found.len() == 1 && found.contains_key("200"));
    if !only_expected {
        return Err(format!(
            "not every answer was 200: {} {}",
            report["statusCodeDistribution"], report["errorDistribution"]
        )
        .into());
    }
    let number = |pointer: &str| {
        let value = report.pointer(pointer).and_then(Value::as_f64);
        value.ok_or_else(|| format!("oha tells no {pointer}"))
    };
    Ok(Load {
        per_second: number("/summary/requestsPerSec")?,
        p50_ms: number("/latencyPercentiles/p50")? * 1e3,
        p99_ms: number("/latencyPercentiles/p99")? * 1e3,
    })
}

/// `oha` as `make bench` builds it, or the one on the PATH.
fn oha_program() -> Outcome<PathBuf> {
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let cache = std::env::var_os("LUMADB_CACHE")
        .map_or_else(|| Path::new(&home).join(".cache/lumadb"), PathBuf::from);
    let built = cache.join("tools/bin/oha");
    Ok(if built.is_file() { built } else { "oha".into() })
}

fn load_rows(what: &str, ours: &[Load], peers: Option<&[Load]>) -> Outcome<Vec<Row>> {
    let of = |loads: &[Load], value: Part| -> Vec<f64> { loads.iter().map(value).collect() };
    let values: [(&str, Unit, Part); 3] = [
        ("", Unit::PerSecond, |load| load.per_second),
        (", p50", Unit::Milliseconds, |load| load.p50_ms),
        (", p99", Unit::Milliseconds, |load| load.p99_ms),
    ];
    let mut rows = Vec::new();
    for (suffix, unit, value) in values {
        let own = of(ours, value);
        let row = Row::new(SECTION, format!("API: {what}{suffix}"), unit, &own)?;
        rows.push(match peers {
            Some(peers) => row.beside(
                "an empty answer of the same server",
                &own,
                &of(peers, value),
            ),
            None => row,
        });
    }
    Ok(rows)
}

#[expect(clippy::cast_precision_loss, reason = "a handful of databases")]
fn count(number: usize) -> f64 {
    number as f64
}
