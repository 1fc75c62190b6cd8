//! A database is restored in place while a client writes into it and the worker is killed: its address
//! shows what was there at the moment, and what is kept has every row that was acknowledged since.

use crate::restoring::{MOMENT, is_archived, shop_with_backup};
use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Machines of tests are crowded.
const LIMIT: Duration = Duration::from_mins(2);

const IDS: &str = "select string_agg(id::text, ' ' order by id) from orders where id < 1000";

/// Writes one row after the other from 1000 on, each in a session of its own, until it is stopped;
/// then gives those that were acknowledged.
fn write(uri: String, enough: Arc<AtomicBool>) -> JoinHandle<BTreeSet<u32>> {
    tokio::spawn(async move {
        let mut acknowledged = BTreeSet::new();
        for id in 1000.. {
            if enough.load(Ordering::Relaxed) {
                break;
            }
            let insert = format!("insert into orders values ({id})");
            if tools::psql(&uri, &insert).await.is_ok() {
                acknowledged.insert(id);
            }
        }
        acknowledged
    })
}

async fn written(database: &Database) -> Outcome<BTreeSet<u32>> {
    let ids = "select coalesce(string_agg(id::text, ' '), '') from orders where id >= 1000";
    let ids = tools::psql(&database.uri, ids).await?;
    Ok(ids
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?)
}

/// Asks for a restore in place once the archive reaches as far; what will be kept, and the operation.
async fn ask(ada: &Account, shop: &Database, body: Value) -> Outcome<(String, String)> {
    let path = format!("/v1/databases/{}/restore", shop.id);
    let answer = until("the window to reach", LIMIT, || async {
        let answer = ada.api.post(&path, &body).await?;
        if answer.status == 422 {
            return Err(answer.text.into());
        }
        Ok(Some(answer))
    });
    let answer = answer.await?.expect(201)?;
    assert_eq!(answer.text_at("/database/id")?, shop.id);
    Ok((
        answer.text_at("/kept/id")?,
        answer.text_at("/operation/id")?,
    ))
}

#[tokio::test]
async fn a_database_is_as_it_was_and_what_it_had_is_kept_though_the_worker_is_killed() -> Outcome<()>
{
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    cloud
        .control_sql("update organizations set plan_id = 'enterprise'")
        .await?;
    let shop = shop_with_backup(&ada).await?;
    let insert = "insert into orders values (1), (2), (3)";
    tools::psql(&shop.uri, insert).await?;
    let at = tools::psql(&shop.uri, MOMENT).await?;
    tools::psql(&shop.uri, "delete from orders where id < 3").await?;
    tools::psql(&shop.uri, "insert into orders values (4)").await?;
    is_archived(&ada, &shop).await?;

    let enough = Arc::new(AtomicBool::new(false));
    let writer = write(shop.uri.clone(), enough.clone());
    let body = json!({ "in_place": true, "time": at });
    let (kept, operation) = ask(&ada, &shop, body).await?;
    kill_worker_at_each_step(&cloud, &ada, &operation).await?;
    ada.operation_succeeds(&operation).await?;
    enough.store(true, Ordering::Relaxed);
    let acknowledged = writer.await?;

    // The same address, the same password, the content of the moment.
    assert_eq!(tools::psql(&shop.uri, IDS).await?, "1 2 3");
    let kept = ada.database(&kept, &shop.password).await?;
    assert_eq!(tools::psql(&kept.uri, IDS).await?, "3 4");
    let (before, after) = (written(&kept).await?, written(&shop).await?);
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|id| !before.contains(id) && !after.contains(id))
        .collect();
    assert!(lost.is_empty(), "acknowledged, and nowhere: {lost:?}");
    assert!(before.intersection(&after).next().is_none());
    assert!(!before.is_empty(), "nothing was written meanwhile");

    // It is archived from its first second, and can be restored again.
    is_archived(&ada, &shop).await?;
    let window = format!("/v1/databases/{}/restore-window", kept.id);
    assert!(ada.api.read(&window).await?["earliest"].is_string());

    // Back again: nothing is restored for that.
    let back = json!({ "in_place": true, "kept_database_id": kept.id });
    let (same, operation) = ask(&ada, &shop, back).await?;
    assert_eq!(same, kept.id);
    kill_worker_at_each_step(&cloud, &ada, &operation).await?;
    ada.operation_succeeds(&operation).await?;
    assert_eq!(tools::psql(&shop.uri, IDS).await?, "3 4");
    assert_eq!(written(&shop).await?, before);
    assert_eq!(tools::psql(&kept.uri, IDS).await?, "1 2 3");
    assert_eq!(written(&kept).await?, after);
    usage_adds_up(&ada, [&shop, &kept]).await
}

/// Kills the worker whenever another step of the operation runs, until it has ended.
async fn kill_worker_at_each_step(cloud: &Cloud, ada: &Account, operation: &str) -> Outcome<()> {
    let path = format!("/v1/operations/{operation}");
    let seen = Mutex::new(BTreeSet::new());
    until("the operation to end", LIMIT, || async {
        let operation = ada.api.read(&path).await?;
        let mut running = operation["steps"].as_array().into_iter().flatten();
        let running = running.find(|step| step["state"] == "running");
        let is_new = running.is_some_and(|step| {
            let name = step["name"].to_string();
            seen.lock().expect("no panic under the lock").insert(name)
        });
        if is_new {
            cloud.kill(|process| process.is_service("worker")).await?;
        }
        Ok((!operation["ended_at"].is_null()).then_some(()))
    })
    .await?;
    let seen = seen.into_inner()?;
    assert!(!seen.is_empty(), "the worker was never killed");
    Ok(())
}

/// What the organization used is what its two databases used, each counted once.
async fn usage_adds_up(ada: &Account, databases: [&Database; 2]) -> Outcome<()> {
    let path = format!("/v1/databases/{}", databases[0].id);
    let database = ada.api.read(&path).await?;
    let made = database["created_at"].as_str().unwrap_or_default();
    let year: u32 = made.get(..4).ok_or("no year")?.parse()?;
    let path = format!(
        "/v1/organizations/{}/usage?granularity=month\
         &from={year}-01-01T00:00:00Z&to={}-12-01T00:00:00Z",
        ada.organization_id,
        year + 1
    );
    until("usage to add up", LIMIT, || async {
        let whole = ada.api.read(&path).await?;
        let whole = whole["totals"]["requests"].as_u64();
        let mut sum = 0;
        for database in databases {
            let count = ada.requests_counted(&database.id).await?;
            if count == 0 {
                return Err(format!("nothing was counted for {}", database.id).into());
            }
            sum += count;
        }
        if whole == Some(sum) {
            return Ok(Some(()));
        }
        Err(format!("{whole:?} and not {sum}").into())
    })
    .await
}
