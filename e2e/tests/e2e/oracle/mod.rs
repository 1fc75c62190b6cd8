//! Machine and disk of a database are lost at a random moment under load, and what comes back from
//! its archive is compared with what was acknowledged: the test knows that, the database does not.
//!
//! Where commits wait for the archive nothing may be missing. Otherwise what was acknowledged in the
//! last moment before may be.

mod load;
mod log;
pub(crate) mod round;

use lumadb_e2e::Outcome;
use lumadb_e2e::account::Account;
use lumadb_e2e::cloud::Cloud;
use round::{Durability, Found, round};
use std::time::Duration;

/// What may be missing by default, in nearly all rounds and in any.
const LOST_MAX: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));

/// Of 100 rounds, those that may exceed the first of them.
const EXCEPTIONS_PERCENT: usize = 1;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_missing_where_commits_wait_for_the_archive() -> Outcome<()> {
    let all = rounds(Durability::S3, 1).await?;
    judge(Durability::S3, &all)
}

#[tokio::test(flavor = "multi_thread")]
async fn seconds_at_most_are_missing_where_commits_do_not_wait() -> Outcome<()> {
    let all = rounds(Durability::Local, 1).await?;
    judge(Durability::Local, &all)
}

/// `make chaos`: half of the rounds of each kind, or of the one that is asked for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as one likes: `make chaos`"]
async fn chaos() -> Outcome<()> {
    let count = std::env::var("LUMADB_CHAOS_ROUNDS").unwrap_or_default();
    let count: usize = count.parse().unwrap_or(200);
    let kinds = match std::env::var("LUMADB_CHAOS_DURABILITY").as_deref() {
        Ok("s3") => vec![Durability::S3],
        Ok("local") => vec![Durability::Local],
        _ => vec![Durability::S3, Durability::Local],
    };
    for kind in &kinds {
        let all = rounds(*kind, count.div_ceil(kinds.len())).await?;
        judge(*kind, &all)?;
    }
    Ok(())
}

async fn rounds(durability: Durability, count: usize) -> Outcome<Vec<Found>> {
    let cloud = Cloud::start_with(&[("LUMADB_EDGE_PLAINTEXT", "loopback")]).await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    cloud
        .control_sql("update organizations set plan_id = 'pro-scale'")
        .await?;
    let mut all = Vec::new();
    for number in 1..=count {
        let found = round(&cloud, &ada, durability, number).await?;
        println!("round {number} of {count}, {durability:?}: {found}");
        all.push(found);
    }
    Ok(all)
}

fn judge(durability: Durability, all: &[Found]) -> Outcome<()> {
    let acknowledged: usize = all.iter().map(|found| found.acknowledged).sum();
    let missing: usize = all.iter().map(|found| found.missing).sum();
    let (mostly, ever) = LOST_MAX;
    let late = |limit: Duration| all.iter().filter(|found| found.lost > limit).count();
    let worst = all.iter().map(|found| found.lost).max().unwrap_or_default();
    println!(
        "{durability:?}: {} rounds, {acknowledged} rows acknowledged, {missing} missing, \
         at most the last {} ms",
        all.len(),
        worst.as_millis()
    );
    let good = match durability {
        Durability::S3 => missing == 0,
        Durability::Local => {
            late(mostly) <= all.len().div_ceil(100) * EXCEPTIONS_PERCENT && late(ever) == 0
        }
    };
    if good && acknowledged > 0 {
        return Ok(());
    }
    Err(format!("{durability:?}: {missing} of {acknowledged} are missing: {all:?}").into())
}
