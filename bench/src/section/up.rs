//! From `lumadb-cloud up` on a folder that it knows to the console.

use super::Settings;
use crate::report::{Bar, Row, Unit};
use lumadb_e2e::Outcome;
use lumadb_e2e::cloud::Cloud;
use std::time::{Duration, Instant};

const SECTION: &str = "up";

pub(crate) async fn measure(settings: &Settings) -> Outcome<Vec<Row>> {
    let start = Instant::now();
    let mut cloud = Cloud::start().await?;
    let first = start.elapsed();
    let mut cold = Vec::new();
    let mut adopting = Vec::new();
    for round in 1..=settings.rounds {
        cloud.stop().await?;
        let start = Instant::now();
        cloud.up_again().await?;
        cold.push(milliseconds(start.elapsed()));
        cloud.kill_up().await?;
        let start = Instant::now();
        cloud.up_again().await?;
        adopting.push(milliseconds(start.elapsed()));
        settings.progress(&format!("up: round {round} of {}", settings.rounds));
    }
    let row = |what, rounds: &[f64]| Row::new(SECTION, what, Unit::Milliseconds, rounds);
    Ok(vec![
        row("`up` from cold to a ready console", &cold)?.bar(Bar::ValueAtMost(3000.0)),
        row("`up` after it was killed: adopts what runs", &adopting)?,
        row("`up` on a new folder", &[milliseconds(first)])?,
    ])
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
