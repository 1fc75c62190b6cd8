//! A backup is restored on a schedule and checked, and what is wrong with it is told.

use crate::restoring::{archive_id, bucket_ask, bucket_list};
use lumadb_e2e::account::Account;
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::{Value, json};
use std::time::Duration;

/// A backup is made, restored and checked in seconds; machines of tests are crowded.
const LIMIT: Duration = Duration::from_mins(4);

/// Makes whatever is done on a schedule due.
const LATER: &str = "update archives set created_at = created_at - interval '40 days';
    update drills set started_at = started_at - interval '40 days',
        ready_at = ready_at - interval '40 days'";

async fn drill(ada: &Account, id: &str, count: usize) -> Outcome<Value> {
    let path = format!("/v1/databases/{id}/drills");
    until("a drill to end", LIMIT, || async {
        let list = ada.api.read(&path).await?;
        let items = list["items"].as_array().ok_or("no items")?;
        let ended = items.len() == count && items[0]["ended_at"].is_string();
        if ended {
            return Ok(Some(items[0].clone()));
        }
        Err(list.to_string().into())
    })
    .await
}

/// Backs a database up; gives the backup's ID.
async fn backed_up(ada: &Account, id: &str) -> Outcome<String> {
    let backups = format!("/v1/databases/{id}/backups");
    let asked = ada.api.post(&backups, &json!({})).await?.expect(201)?;
    let backup = asked.text_at("/id")?;
    let path = format!("/v1/backups/{backup}");
    until("the backup to be complete", LIMIT, || async {
        Ok((ada.api.read(&path).await?["state"] == "complete").then_some(()))
    })
    .await?;
    Ok(backup)
}

async fn nothing_left(cloud: &Cloud) -> Outcome<()> {
    until("the scratch instance to be removed", LIMIT, || async {
        let folders = std::fs::read_dir(cloud.data_dir().join("instances"))?;
        let open = "select count(*) from drills where removed_at is null";
        let is_clean = folders.count() == 1 && cloud.control_sql(open).await? == "0";
        Ok(is_clean.then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_killed_drill_is_tried_again_and_a_damaged_backup_fails_its_own() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = ada.create_database("shop").await?;
    backed_up(&ada, &shop.id).await?;

    cloud.control_sql(LATER).await?;
    until("a drill to be under way", LIMIT, || async {
        let folders = std::fs::read_dir(cloud.data_dir().join("instances"))?;
        Ok((folders.count() == 2).then_some(()))
    })
    .await?;
    // With everything that it started.
    cloud.kill_up().await?;
    cloud.kill(|_| true).await?;
    cloud.up_again().await?;
    let again = drill(&ada, &shop.id, 1).await?;
    assert_eq!(again["state"], "succeeded", "{again}");
    nothing_left(&cloud).await?;

    let newest = backed_up(&ada, &shop.id).await?;
    let archive = archive_id(&cloud, &shop).await?;
    let objects = bucket_list(&cloud, &archive).await?;
    let mut keys = objects
        .split("<Key>")
        .filter_map(|text| text.split_once("</Key>"));
    let (key, _) = keys
        .find(|(key, _)| key.contains(&newest))
        .ok_or("no object of it")?;
    bucket_ask(&cloud, "DELETE", &format!("/{key}")).await?;
    cloud.control_sql(LATER).await?;
    let bad = drill(&ada, &shop.id, 2).await?;
    assert_eq!(
        bad["state"], "failed",
        "the one before must not stand in: {bad}"
    );
    let fault = bad["fault"].as_str().ok_or("no fault")?;
    assert!(fault.contains(&newest), "{fault}");
    nothing_left(&cloud).await
}

#[tokio::test]
async fn drills_find_good_backups_good_and_a_broken_index_broken() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = ada.create_database("shop").await?;
    let rows = "create table orders (id int primary key);
                insert into orders select generate_series(1, 1000)";
    tools::psql(&shop.uri, rows).await?;
    backed_up(&ada, &shop.id).await?;

    cloud.control_sql(LATER).await?;
    let good = drill(&ada, &shop.id, 1).await?;
    assert_eq!(good["state"], "succeeded", "{good}");
    for number in [
        "tables_checked",
        "indexes_checked",
        "restored_bytes",
        "rto_ms",
    ] {
        assert!(good[number].as_u64() > Some(100), "{number}: {good}");
    }
    nothing_left(&cloud).await?;
    // Nobody pays for it.
    let stray = "select count(*) from compute_spans s where not exists (
        select from databases d where d.id = s.database_id)";
    assert_eq!(cloud.control_sql(stray).await?, "0");

    // A row that the index does not hold.
    let folder = cloud.instance_dir(&shop.id);
    let ready = |is: bool| {
        format!("update pg_index set indisready = {is} where indexrelid = 'orders_pkey'::regclass")
    };
    cloud.admin_sql(&folder, "main", &ready(false)).await?;
    tools::psql(&shop.uri, "insert into orders values (1001)").await?;
    cloud.admin_sql(&folder, "main", &ready(true)).await?;
    let window = format!("/v1/databases/{}/restore-window", shop.id);
    let flushed = "select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')";
    let committed: u64 = tools::psql(&shop.uri, flushed).await?.parse()?;
    until("the WAL to be archived", LIMIT, || async {
        let window = ada.api.read(&window).await?;
        let latest = window["latest_lsn"]
            .as_str()
            .and_then(|at| at.split_once('/'));
        let half = |digits| u64::from_str_radix(digits, 16).ok();
        let latest = latest.and_then(|(high, low)| Some(half(high)? << 32 | half(low)?));
        Ok((latest >= Some(committed)).then_some(()))
    })
    .await?;
    cloud.control_sql(LATER).await?;
    let bad = drill(&ada, &shop.id, 2).await?;
    assert_eq!(bad["state"], "failed", "{bad}");
    let fault = bad["fault"].as_str().ok_or("no fault")?;
    assert!(fault.contains("public.orders_pkey of main"), "{fault}");
    nothing_left(&cloud).await?;
    until("the owner to be told", LIMIT, || async {
        let mails = std::fs::read_dir(cloud.data_dir().join("outbox"))?;
        for mail in mails {
            let text = std::fs::read_to_string(mail?.path())?;
            if text.contains("drill failed") && text.contains(&ada.email) {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
    .await?;
    let metrics = cloud.api().get("/metrics").await?.expect(200)?;
    let alarm = "lumadb_databases_by_last_drill{state=\"failed\"} 1";
    assert!(metrics.text.contains(alarm), "{}", metrics.text);
    Ok(())
}
