//! Databases as pods of a real Kubernetes on this machine: kubelet, containerd, and the edges in the
//! cluster. Beside each span a bare pod of the same image, as soon as it is ready: what a pod costs here
//! in any case.

mod region;

use super::Settings;
use crate::client::Client;
use crate::report::{Bar, Row, Unit};
use crate::sample::percentile;
use lumadb_e2e::Outcome;
use lumadb_e2e::account::Database;
use region::Region;
use std::time::{Duration, Instant};

const SECTION: &str = "kubelet";

/// Longest that each may take, milliseconds.
const CREATION_BAR: f64 = 5000.0;
const WAKE_BAR: f64 = 2000.0;

/// Compute that a database begins with and is resized to, thousandths of a vCPU: of the same class, so
/// that nothing has to restart.
const SIZES: [u32; 2] = [250, 500];

/// What one database took.
#[derive(Debug)]
struct Round {
    pod: Duration,
    creation: Duration,
    wake: Duration,
    replacement: Duration,
    resize: Duration,
}

pub(crate) async fn measure(settings: &Settings) -> Outcome<Vec<Row>> {
    settings.progress("kubelet: the cluster comes up");
    let region = Region::start().await?;
    let mut rounds = Vec::new();
    for number in 0..=settings.rounds {
        let round = round(&region, number).await?;
        settings.progress(&format!(
            "kubelet, round {number} of {}: {round:.1?}",
            settings.rounds
        ));
        // The first one also has the image unpacked.
        if number > 0 {
            rounds.push(round);
        }
    }
    let mut rows = Vec::new();
    let pods = spans(&rounds, |round| round.pod);
    let mut add = |what: &str, pick: fn(&Round) -> Duration, bar: Option<f64>| {
        let ours = spans(&rounds, pick);
        let most = percentile(&ours, 1.0).ok_or("nothing was measured")?;
        let row = Row::new(SECTION, what, Unit::Milliseconds, &ours)?.beside(
            "a bare pod until it is ready",
            &ours,
            &pods,
        );
        let at_most = format!("the same, at most of {}", ours.len());
        let at_most = Row::new(SECTION, at_most, Unit::Milliseconds, &[most])?;
        for row in [row, at_most] {
            rows.push(match bar {
                Some(most) => row.bar(Bar::ValueAtMost(most)),
                None => row,
            });
        }
        Ok::<_, lumadb_e2e::Failure>(())
    };
    add(
        "create a database → first answer through an edge in the cluster",
        |round| round.creation,
        Some(CREATION_BAR),
    )?;
    add(
        "connect to a database without a pod → first answer",
        |round| round.wake,
        Some(WAKE_BAR),
    )?;
    add(
        "a database's pod is deleted → first answer from another one",
        |round| round.replacement,
        None,
    )?;
    add(
        "compute is changed → kubelet has changed it, in place",
        |round| round.resize,
        None,
    )?;
    Ok(rows)
}

async fn round(region: &Region, number: usize) -> Outcome<Round> {
    let pod = region.bare_pod().await?;
    let start = Instant::now();
    let sample = region.create(&format!("round-{number}"), SIZES[0]).await?;
    let client = Client::trusting(&sample.ca_certificate_pem)?;
    answered(&client, &sample).await;
    let creation = start.elapsed();

    region.sleeps(&sample).await?;
    let start = Instant::now();
    client.first_answer(&sample).await?;
    let wake = start.elapsed();
    region.stays_awake(&sample).await?;

    let start = Instant::now();
    region.replace_pod(&sample).await?;
    answered(&client, &sample).await;
    let replacement = start.elapsed();

    let start = Instant::now();
    region.resize(&sample, SIZES[1]).await?;
    let resize = start.elapsed();
    region.delete(&sample).await?;
    Ok(Round {
        pod,
        creation,
        wake,
        replacement,
        resize,
    })
}

/// Asks until there is an answer.
async fn answered(client: &Client, database: &Database) {
    while client.first_answer(database).await.is_err() {
        tokio::time::sleep(region::LOOK_EVERY).await;
    }
}

fn spans(rounds: &[Round], pick: impl Fn(&Round) -> Duration) -> Vec<f64> {
    let spans = rounds.iter().map(|round| pick(round).as_secs_f64() * 1e3);
    spans.collect()
}
