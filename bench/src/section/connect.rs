//! From wanting a database to its first answer, and from sleep to the first answer.

use super::Settings;
use crate::by_hand::ByHand;
use crate::report::{Bar, Row, Unit};
use crate::sample::percentile;
use crate::world::{World, database_of, with_log};
use lumadb_e2e::Outcome;
use std::time::{Duration, Instant};

const SECTION: &str = "connect";

/// Folders that are ready: enough that a creation never waits for one.
const POOL_SIZE: usize = 4;

pub(crate) async fn measure(settings: &Settings) -> Outcome<Vec<Row>> {
    let rounds = settings.creations;
    let mut rows = creations(settings, POOL_SIZE, rounds).await?;
    rows.extend(creations(settings, 0, rounds / 5).await?);
    rows.extend(wakes(settings, rounds / 2).await?);
    Ok(rows)
}

async fn creations(settings: &Settings, pool_size: usize, rounds: usize) -> Outcome<Vec<Row>> {
    let world = World::start(pool_size).await?;
    let mut by_hand = ByHand::new()?;
    let mut ours = Vec::new();
    let mut peers = Vec::new();
    for round in 0..=rounds {
        let spent = creation(&world, round)
            .await
            .map_err(|error| with_log(&world, &error))?;
        let peer = by_hand.create().await?;
        // The first one also fills caches and opens connections that stay.
        if round > 0 {
            ours.push(milliseconds(spent));
            peers.push(milliseconds(peer));
        }
        settings.progress(&format!("creation {round} of {rounds}: {spent:.1?}"));
    }
    let pooled = pool_size > 0;
    let what = if pooled {
        "create a database → first answer through the edge"
    } else {
        "the same without a ready pool"
    };
    let bars = pooled.then_some((150.0, 500.0));
    percentiles(what, "initdb, start, ask by hand", &ours, &peers, bars)
}

/// Time from asking for a database to its first answer, over a connection of its own.
async fn creation(world: &World, round: usize) -> Outcome<Duration> {
    world.pool_is_full().await?;
    let start = Instant::now();
    let answer = world.request(&format!("bench-{round}")).await?;
    let database = database_of(&answer)?;
    World::client(&database)?.first_answer(&database).await?;
    let spent = start.elapsed();
    let operation = answer.text_at("/operation/id")?;
    world.account.operation_succeeds(&operation).await?;
    world.delete(&database.id).await?;
    Ok(spent)
}

async fn wakes(settings: &Settings, rounds: usize) -> Outcome<Vec<Row>> {
    let world = World::start(POOL_SIZE).await?;
    let database = world.create("sleeper").await?;
    world
        .control_sql("update databases set idle_timeout_seconds = 1")
        .await?;
    let client = World::client(&database)?;
    let mut by_hand = ByHand::new()?;
    by_hand.create().await?;
    let mut ours = Vec::new();
    let mut peers = Vec::new();
    for round in 0..=rounds {
        world.falls_asleep(&database.id).await?;
        let start = Instant::now();
        client
            .first_answer(&database)
            .await
            .map_err(|error| with_log(&world, &error))?;
        let spent = start.elapsed();
        let peer = by_hand.start().await?;
        if round > 0 {
            ours.push(milliseconds(spent));
            peers.push(milliseconds(peer));
        }
        settings.progress(&format!("wake {round} of {rounds}: {spent:.1?}"));
    }
    let what = "connect to a sleeping database → first answer";
    percentiles(
        what,
        "start, ask by hand",
        &ours,
        &peers,
        Some((200.0, f64::MAX)),
    )
}

fn percentiles(
    what: &str,
    peer_name: &str,
    ours: &[f64],
    peers: &[f64],
    bars: Option<(f64, f64)>,
) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
        let own = percentile(ours, share).ok_or("nothing was measured")?;
        let peer = percentile(peers, share).ok_or("no peer was measured")?;
        let what = format!("{what}, {name} of {}", ours.len());
        let row = Row::new(SECTION, what, Unit::Milliseconds, &[own])?;
        let row = row.beside_value(peer_name, peer);
        let bar = bars.map(|(p50, p99)| if name == "p50" { p50 } else { p99 });
        rows.push(match bar.filter(|most| *most < f64::MAX) {
            Some(most) => row.bar(Bar::ValueAtMost(most)),
            None => row,
        });
    }
    Ok(rows)
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
