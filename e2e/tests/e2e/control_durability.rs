//! The control plane's own database where commits wait for the archive: what the API has answered is not
//! lost with the disk.

use crate::control::{is_backed_up, lose_control, restore_control};
use lumadb_e2e::account::Account;
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::Paused;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Failure, Outcome};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Callers that make projects at once.
const WRITERS: usize = 8;

/// Projects that were acknowledged before the machine is lost, at least.
const ACKNOWLEDGED_MIN: usize = 40;

/// Time in which an answer that waits for nothing would have come.
const PATIENCE: Duration = Duration::from_secs(3);

const LIMIT: Duration = Duration::from_mins(2);

fn projects_of(account: &Account) -> String {
    format!("/v1/organizations/{}/projects", account.organization_id)
}

/// The IDs of all projects, page by page.
async fn projects(account: &Account) -> Outcome<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    let mut query = "?limit=100".to_owned();
    loop {
        let page = account
            .api
            .read(&format!("{}{query}", projects_of(account)))
            .await?;
        for item in page["items"].as_array().into_iter().flatten() {
            ids.insert(item["id"].as_str().ok_or("no ID")?.to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=100&cursor={cursor}"),
            None => return Ok(ids),
        }
    }
}

/// Makes projects until it is told to stop or is not answered; gives those that were acknowledged.
async fn write(account: Account, writer: usize, stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    let path = projects_of(&account);
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = json!({"name": format!("project {writer}-{number}")});
        let answer = account.api.post(&path, &name).await;
        let Ok(id) = answer.and_then(|answer| answer.expect(201)?.text_at("/id")) else {
            break;
        };
        acknowledged.insert(id);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_has_answered_is_not_lost_with_the_disk_of_its_database() -> Outcome<()> {
    let mut cloud = Cloud::start_with(&[("LUMADB_CONTROL_DURABILITY", "s3")]).await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    is_backed_up(&cloud).await?;

    // While the archive does not take anything, nothing is acknowledged.
    let paused = Paused::service(&cloud, "s3")?;
    let (path, name) = (projects_of(&ada), json!({"name": "waits"}));
    let asking = ada.clone();
    let mut waiting = tokio::spawn(async move { asking.api.post(&path, &name).await });
    let early = tokio::time::timeout(PATIENCE, &mut waiting).await;
    assert!(early.is_err(), "answered: {early:?}");
    drop(paused);
    let answer = tokio::time::timeout(LIMIT, waiting).await???;
    let first = answer.expect(201)?.text_at("/id")?;

    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(ada.clone(), writer, Arc::clone(&stop)));
    }
    until("projects to be made", LIMIT, || async {
        let there = projects(&ada).await?.len();
        // One was there before, and of each writer one may not be answered.
        Ok((there > ACKNOWLEDGED_MIN + WRITERS).then_some(()))
    })
    .await?;
    lose_control(&mut cloud).await?;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = BTreeSet::from([first]);
    while let Some(written) = writers.join_next().await {
        acknowledged.extend(written?);
    }
    assert!(acknowledged.len() >= ACKNOWLEDGED_MIN);

    let (restored, said) = restore_control(&cloud, &[]).await?;
    assert!(restored, "{said}");
    cloud.up_again().await?;
    let back = projects(&ada).await?;
    let missing: Vec<_> = acknowledged.difference(&back).collect();
    assert!(missing.is_empty(), "of {}: {missing:?}", acknowledged.len());
    Ok::<_, Failure>(())
}
