//! A database whose disk is gone comes back from its archive by itself: with all that was archived,
//! under the same address and password, whatever is killed on the way, and whoever wakes up late.

use crate::restoring::{is_archived, shop_with_backup};
use lumadb_e2e::account::{Account, CHANGE_LIMIT, Database};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::{self, Process};
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, mail, tools};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const IDS: &str = "select string_agg(id::text, ' ' order by id) from orders";
/// Subject of the mail that says so.
const BACK: &str = "Your database shop lost its disk and is back";

const TIMELINE: &str = "select timeline_id from pg_control_checkpoint()";

/// Whether a process is of an instance: node, helper, PostgreSQL.
fn of_instance(folder: PathBuf) -> impl Fn(&Process) -> bool {
    move |process| process.instance_dir().as_deref() == Some(folder.as_path())
}

/// Kills everything of an instance and removes its folder.
pub(crate) async fn lose(cloud: &Cloud, database: &Database) -> Outcome<()> {
    let folder = cloud.instance_dir(&database.id);
    let of_it = of_instance(folder.clone());
    cloud.kill(&of_it).await?;
    remove(&folder).await?;
    // What was started again in between.
    cloud.kill(&of_it).await?;
    Ok(())
}

/// Removes a folder in which something may still be writing.
async fn remove(folder: &Path) -> Outcome<()> {
    until("the folder to be gone", CHANGE_LIMIT, || async {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(Some(())),
        }
    })
    .await
}

/// The recoveries of a database, newest first.
async fn recoveries(ada: &Account, database: &Database) -> Outcome<Vec<Value>> {
    let path = format!("/v1/databases/{}/operations", database.id);
    let operations = ada.api.read(&path).await?;
    let items = operations["items"].as_array().cloned().unwrap_or_default();
    let is_one = |operation: &Value| operation["kind"] == "database_recover";
    Ok(items.into_iter().filter(is_one).collect())
}

/// Waits until so many recoveries have succeeded, and there is no other.
pub(crate) async fn recovered(ada: &Account, database: &Database, count: usize) -> Outcome<()> {
    until("the database to come back", CHANGE_LIMIT, || async {
        let all = recoveries(ada, database).await?;
        let is_done = |operation: &Value| operation["state"] == "succeeded";
        if all.len() == count && all.iter().all(is_done) {
            return Ok(Some(()));
        }
        Err(format!("{all:?}").into())
    })
    .await?;
    ada.database_is(&database.id, "running").await?;
    Ok(())
}

/// A database with a backup and two rows that are archived.
async fn shop_with_rows(ada: &Account) -> Outcome<Database> {
    let shop = shop_with_backup(ada).await?;
    tools::psql(&shop.uri, "insert into orders values (1), (2)").await?;
    is_archived(ada, &shop).await?;
    Ok(shop)
}

#[tokio::test]
async fn a_database_whose_folder_is_gone_comes_back_by_itself() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = shop_with_rows(&ada).await?;
    let path = format!("/v1/databases/{}", shop.id);
    let before = ada.api.read(&path).await?;
    lose(&cloud, &shop).await?;
    recovered(&ada, &shop, 1).await?;
    assert_eq!(tools::psql(&shop.uri, IDS).await?, "1 2");
    assert_eq!(tools::psql(&shop.uri, TIMELINE).await?, "2");
    let after = ada.api.read(&path).await?;
    for field in ["id", "name", "created_at", "durability"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    let told =
        mail::text_mailed(&cloud.data_dir(), &ada.email, "lost its disk and is back").await?;
    assert!(
        told.contains("Everything that was committed until 20"),
        "{told}"
    );

    // Its archive goes on: what came after is there the next time, and so is the moment before.
    tools::psql(&shop.uri, "insert into orders values (3)").await?;
    is_archived(&ada, &shop).await?;
    lose(&cloud, &shop).await?;
    recovered(&ada, &shop, 2).await?;
    assert_eq!(tools::psql(&shop.uri, IDS).await?, "1 2 3");
    assert_eq!(tools::psql(&shop.uri, TIMELINE).await?, "3");
    let backups = ada.api.read(&format!("{path}/backups")).await?;
    let is_first = |backup: &&Value| backup["name"] == "first" && backup["state"] == "complete";
    let items = backups["items"].as_array().cloned().unwrap_or_default();
    assert!(items.iter().any(|backup| is_first(&backup)), "{backups}");
    let window = ada.api.read(&format!("{path}/restore-window")).await?;
    let windows = cloud.control_sql("select windows from archives").await?;
    assert_eq!(window["gaps"], json!([]), "{window} {windows}");
    Ok(())
}

#[tokio::test]
async fn a_recovery_comes_to_its_end_though_the_worker_is_killed_all_the_time() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = shop_with_rows(&ada).await?;
    lose(&cloud, &shop).await?;
    // Each lives a little longer than the one before, so that each step is cut off once.
    for round in 0..14 {
        tokio::time::sleep(Duration::from_millis(300 + round * 150)).await;
        cloud.kill(|process| process.is_service("worker")).await?;
    }
    recovered(&ada, &shop, 1).await?;
    assert_eq!(tools::psql(&shop.uri, IDS).await?, "1 2");
    assert_eq!(mail::sent(&cloud.data_dir(), &ada.email, BACK)?, 1);
    Ok(())
}

#[tokio::test]
async fn who_slept_while_the_database_came_back_is_ended() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = shop_with_rows(&ada).await?;
    let folder = cloud.instance_dir(&shop.id);
    let mut sleeping = cloud.processes()?;
    sleeping.retain(of_instance(folder.clone()));
    assert!(sleeping.len() >= 3, "node, helper, engine: {sleeping:?}");
    for sleeper in &sleeping {
        process::signal(sleeper.pid, Signal::SIGSTOP)?;
    }
    remove(&folder).await?;
    // The next one finds processes without a folder.
    cloud.kill(|process| process.is_service("worker")).await?;
    recovered(&ada, &shop, 1).await?;
    for sleeper in &sleeping {
        // It may be gone already.
        let _ = process::signal(sleeper.pid, Signal::SIGCONT);
    }
    for sleeper in &sleeping {
        process::gone(sleeper.pid, CHANGE_LIMIT).await?;
    }
    assert_eq!(tools::psql(&shop.uri, IDS).await?, "1 2");
    tools::psql(&shop.uri, "insert into orders values (3)").await?;
    is_archived(&ada, &shop).await?;
    Ok(())
}

#[tokio::test]
async fn what_lies_on_a_disk_that_is_not_mounted_is_left_alone() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = shop_with_rows(&ada).await?;
    cloud.stop().await?;
    let (instances, disk) = (
        cloud.data_dir().join("instances"),
        cloud.data_dir().join("disk"),
    );
    std::fs::rename(&instances, &disk)?;
    cloud.up_again().await?;
    let ada = at_new_address(&cloud, ada)?;
    ada.database_is(&shop.id, "failed").await?;
    assert_eq!(recoveries(&ada, &shop).await?, Vec::<Value>::new());
    cloud.stop().await?;
    std::fs::remove_dir_all(&instances)?;
    std::fs::rename(&disk, &instances)?;
    cloud.up_again().await?;
    let ada = at_new_address(&cloud, ada)?;
    ada.database_is(&shop.id, "running").await?;
    let shop = ada.database(&shop.id, &shop.password).await?;
    assert_eq!(tools::psql(&shop.uri, IDS).await?, "1 2");
    assert_eq!(tools::psql(&shop.uri, TIMELINE).await?, "1");
    assert_eq!(recoveries(&ada, &shop).await?, Vec::<Value>::new());
    Ok(())
}

/// The same person, where the cloud listens now.
fn at_new_address(cloud: &Cloud, ada: Account) -> Outcome<Account> {
    let token = format!("Bearer {}", ada.token);
    Ok(Account {
        api: cloud.api().with("authorization", &token)?,
        ..ada
    })
}
