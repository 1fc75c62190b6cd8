//! The control plane's own database is lost with everything that ran, and comes back from its
//! archive.

use crate::recovering;
use crate::restoring::{self, bucket_ask, shop_with_backup};
use lumadb_e2e::account::Account;
use lumadb_e2e::cloud::{Cloud, settings_of_tests, up_command};
use lumadb_e2e::process::Process;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// A backup is made, and WAL is archived, in seconds; machines of tests are crowded.
const ARCHIVE_LIMIT: Duration = Duration::from_mins(2);

/// A drill begins, restores and checks within this.
const DRILL_LIMIT: Duration = Duration::from_mins(5);

/// The engine's own clock, as the command takes it.
const MOMENT: &str = r#"select to_char(clock_timestamp() at time zone 'utc',
                                       'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#;

pub(crate) async fn restore_control(cloud: &Cloud, more: &[&str]) -> Outcome<(bool, String)> {
    command(cloud, "restore-control", more).await
}

/// Runs a command on the data folder: whether it succeeded, and what it printed.
async fn command(cloud: &Cloud, name: &str, more: &[&str]) -> Outcome<(bool, String)> {
    let up = up_command(&cloud.data_dir())?;
    let up = up.as_std();
    let mut command = tokio::process::Command::new(up.get_program());
    for (name, value) in up.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .arg(name)
        .arg("--data-dir")
        .arg(cloud.data_dir())
        .args(more);
    let ended = command.output().await?;
    let text = [ended.stdout, ended.stderr].concat();
    Ok((
        ended.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

/// The archive in use, once it has a complete backup.
pub(crate) async fn is_backed_up(cloud: &Cloud) -> Outcome<String> {
    let record = std::fs::read(cloud.data_dir().join("keys/control-archive.json"))?;
    let record: serde_json::Value = serde_json::from_slice(&record)?;
    let archive = record["archive_id"].as_str().ok_or("no archive")?;
    let catalogue = format!("?list-type=2&max-keys=10&prefix={archive}%2Fcatalogue%2F");
    until("the control plane's backup", ARCHIVE_LIMIT, || async {
        let listed = bucket_ask(cloud, "GET", &catalogue).await?;
        Ok(listed.contains("<Key>").then_some(()))
    })
    .await?;
    Ok(archive.to_owned())
}

/// What is committed now is in the archive.
async fn is_archived(cloud: &Cloud) -> Outcome<()> {
    let committed = cloud
        .control_sql("select pg_current_wal_flush_lsn()")
        .await?;
    let archived = format!(
        "select count(*) from pg_stat_replication
         where application_name = 'lumadb-archive' and flush_lsn >= '{committed}'"
    );
    until("the control plane's WAL", ARCHIVE_LIMIT, || async {
        Ok((cloud.control_sql(&archived).await? == "1").then_some(()))
    })
    .await
}

pub(crate) async fn lose_control(cloud: &mut Cloud) -> Outcome<()> {
    cloud.kill_up().await?;
    cloud.kill(|_| true).await?;
    std::fs::remove_dir_all(cloud.control_dir())?;
    Ok(())
}

/// Removes everything of a folder but one entry.
fn keep_only(folder: &Path, kept: &[&str]) -> Outcome<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if kept.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_lost_machine_comes_back_from_object_store_and_master_key() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = shop_with_backup(&ada).await?;
    tools::psql(&shop.uri, "insert into orders values (42)").await?;
    restoring::is_archived(&ada, &shop).await?;
    is_backed_up(&cloud).await?;
    is_archived(&cloud).await?;

    cloud.kill_up().await?;
    cloud.kill(|_| true).await?;
    keep_only(&cloud.data_dir(), &["object-store", "keys"])?;
    keep_only(&cloud.data_dir().join("keys"), &["master.key"])?;
    let (restored, said) = restore_control(&cloud, &[]).await?;
    assert!(restored, "{said}");
    assert!(!said.contains("Found"), "{said}");
    let missing = format!("Missing: {}", shop.id);
    assert!(said.contains(&missing), "{said}");

    cloud.up_again().await?;
    let token = format!("Bearer {}", ada.token);
    let ada = Account {
        api: cloud.api().with("authorization", &token)?,
        ..ada
    };
    // It comes back by itself, with its password.
    recovering::recovered(&ada, &shop, 1).await?;
    let shop = ada.database(&shop.id, &shop.password).await?;
    let ids = "select id from orders";
    assert_eq!(tools::psql(&shop.uri, ids).await?, "42");
    tools::psql(&shop.uri, "insert into orders values (43)").await?;
    restoring::is_archived(&ada, &shop).await?;
    Ok(())
}

#[tokio::test]
async fn a_lost_control_plane_comes_back_from_bucket_and_master_key() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = ada.create_database("shop").await?;
    tools::psql(&shop.uri, "create table orders as select 42 as id").await?;
    is_backed_up(&cloud).await?;
    is_archived(&cloud).await?;
    let (restored, said) = restore_control(&cloud, &[]).await?;
    assert!(!restored && said.contains("already running"), "{said}");

    lose_control(&mut cloud).await?;
    // It is not replaced by an empty one.
    let mut up = up_command(&cloud.data_dir())?;
    let refused = up.envs(settings_of_tests()).output().await?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains("restore-control"), "{said}");
    // What is kept beside the keys is of use, and not needed.
    for name in ["control-spec.json", "keys/control-archive.json"] {
        std::fs::remove_file(cloud.data_dir().join(name))?;
    }
    let (restored, said) = restore_control(&cloud, &[]).await?;
    assert!(restored, "{said}");
    assert!(
        !said.contains("Found") && !said.contains("Missing"),
        "{said}"
    );
    let (again, said) = restore_control(&cloud, &[]).await?;
    assert!(!again && said.contains("move"), "{said}");

    cloud.up_again().await?;
    ada.database_is(&shop.id, "running").await?;
    let shop = ada.database(&shop.id, &shop.password).await?;
    let ids = "select id from orders";
    assert_eq!(tools::psql(&shop.uri, ids).await?, "42");
    // And once more, out of the archive that it began.
    is_backed_up(&cloud).await?;
    is_archived(&cloud).await?;
    lose_control(&mut cloud).await?;
    let (restored, said) = restore_control(&cloud, &[]).await?;
    assert!(restored, "{said}");
    cloud.up_again().await?;
    ada.database_is(&shop.id, "running").await?;
    Ok(())
}

/// The record of drills, which `up` writes with its first look.
async fn drill_record(cloud: &Cloud) -> Outcome<serde_json::Value> {
    let path = cloud.data_dir().join("control-drill.json");
    until("the record of drills", DRILL_LIMIT, || async {
        match std::fs::read(&path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// Makes the next drill due.
async fn drill_now(cloud: &Cloud) -> Outcome<()> {
    let mut record = drill_record(cloud).await?;
    record["due_at"] = json!("2026-01-01T00:00:00Z");
    let path = cloud.data_dir().join("control-drill.json");
    let beside = path.with_extension("test");
    std::fs::write(&beside, record.to_string())?;
    std::fs::rename(beside, path)?;
    Ok(())
}

/// What the drill that was due found.
async fn drilled(cloud: &Cloud) -> Outcome<serde_json::Value> {
    until("a drill to end", DRILL_LIMIT, || async {
        let record = drill_record(cloud).await?;
        let has_ended = record["due_at"] != "2026-01-01T00:00:00Z";
        Ok(has_ended.then(|| record["last"].clone()))
    })
    .await
}

fn is_of_drill(process: &Process) -> bool {
    let mut arguments = process.arguments.iter();
    arguments.any(|argument| argument.contains("control-drill"))
}

fn no_drill_is_left(cloud: &Cloud) -> Outcome<()> {
    assert!(!cloud.data_dir().join("control-drill").exists());
    assert!(!cloud.processes()?.iter().any(is_of_drill));
    Ok(())
}

#[tokio::test]
async fn the_control_planes_archive_is_drilled_though_it_is_killed_and_damage_is_found()
-> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    Account::sign_up(&cloud, "ada").await?;
    is_backed_up(&cloud).await?;
    let record = drill_record(&cloud).await?;
    assert_eq!(record["last"], json!(null));
    drill_now(&cloud).await?;
    until("a drill to be under way", DRILL_LIMIT, || async {
        Ok(cloud.processes()?.iter().any(is_of_drill).then_some(()))
    })
    .await?;
    cloud.kill_up().await?;
    cloud.up_again().await?;
    let good = drilled(&cloud).await?;
    assert_eq!(good["fault"], json!(null), "{good}");
    let count = |name: &str| good[name].as_u64().ok_or("no number");
    assert!(count("tables_checked")? > 30, "{good}");
    assert!(count("indexes_checked")? > 30, "{good}");
    assert!(count("rto_ms")? > 0, "{good}");
    no_drill_is_left(&cloud)?;
    let (_, said) = command(&cloud, "status", &[]).await?;
    assert!(said.contains("without a fault"), "{said}");

    let archive = is_backed_up(&cloud).await?;
    let path = format!("?list-type=2&max-keys=10&prefix={archive}%2Fbackup%2F");
    let objects = bucket_ask(&cloud, "GET", &path).await?;
    let (_, key) = objects.split_once("<Key>").ok_or("no object")?;
    let (key, _) = key.split_once("</Key>").ok_or("no object")?;
    bucket_ask(&cloud, "DELETE", &format!("/{key}")).await?;
    drill_now(&cloud).await?;
    let bad = drilled(&cloud).await?;
    assert!(bad["fault"].is_string(), "{bad}");
    no_drill_is_left(&cloud)?;
    let (_, said) = command(&cloud, "status", &[]).await?;
    assert!(said.contains("FAILED its drill"), "{said}");

    // Ctrl-C in the middle of one leaves nothing of it.
    drill_now(&cloud).await?;
    until("a drill to be under way", DRILL_LIMIT, || async {
        Ok(cloud.processes()?.iter().any(is_of_drill).then_some(()))
    })
    .await?;
    cloud.stop().await?;
    no_drill_is_left(&cloud)
}

#[tokio::test]
async fn what_an_older_control_plane_forgot_is_found_and_stays() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = ada.create_database("shop").await?;
    is_backed_up(&cloud).await?;
    let moment = cloud.control_sql(MOMENT).await?;
    let later = ada.create_database("later").await?;
    tools::psql(&later.uri, "create table orders as select 42 as id").await?;
    is_archived(&cloud).await?;

    lose_control(&mut cloud).await?;
    let (restored, said) = restore_control(&cloud, &["--time", &moment]).await?;
    assert!(restored, "{said}");
    let found: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("Found: "))
        .collect();
    assert_eq!(found.len(), 2, "{said}");
    assert!(found.iter().all(|line| line.contains(&later.id)), "{said}");
    assert!(!said.contains("Missing"), "{said}");

    cloud.up_again().await?;
    // Its node takes the wishes of a control plane that has forgotten some.
    ada.database_is(&shop.id, "running").await?;
    let path = format!("/v1/databases/{}", later.id);
    assert_eq!(ada.api.get(&path).await?.status, 404);
    let again = ada.create_database("again").await?;
    tools::psql(&again.uri, "select 1").await?;
    assert!(
        cloud
            .instance_dir(&later.id)
            .join("data/PG_VERSION")
            .exists()
    );
    Ok(())
}
