//! The master key is changed while everything serves: killed on the way it goes on, and in the end
//! nothing needs the key of before.

use crate::control::{is_backed_up, lose_control, restore_control};
use crate::restoring::{self, shop_with_backup};
use lumadb_e2e::account::Account;
use lumadb_e2e::cloud::{Cloud, up_command};
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Nodes take their changes within a minute; machines of tests are crowded.
const NODES_LIMIT: Duration = Duration::from_mins(3);

fn command(cloud: &Cloud, arguments: &[&str]) -> Outcome<Command> {
    let up = up_command(&cloud.data_dir())?;
    let up = up.as_std();
    let mut command = Command::new(up.get_program());
    for (name, value) in up.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .arg("master-key")
        .args(arguments)
        .arg("--data-dir")
        .arg(cloud.data_dir());
    Ok(command)
}

/// What it printed, and whether it succeeded.
async fn master_key(cloud: &Cloud, arguments: &[&str]) -> Outcome<(bool, String)> {
    master_key_with(cloud, arguments, &[]).await
}

/// The same with some variables.
pub(crate) async fn master_key_with(
    cloud: &Cloud,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Outcome<(bool, String)> {
    let mut command = command(cloud, arguments)?;
    let ended = command.envs(variables.iter().copied()).output().await?;
    let text = [ended.stdout, ended.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok((ended.status.success(), text))
}

/// Kills it when it has printed so many lines.
async fn killed_after(cloud: &Cloud, arguments: &[&str], lines: usize) -> Outcome<()> {
    let mut command = command(cloud, arguments)?;
    let mut running = command.stdout(Stdio::piped()).spawn()?;
    let mut printed = BufReader::new(running.stdout.take().ok_or("no output")?).lines();
    for _ in 0..lines {
        if printed.next_line().await?.is_none() {
            break;
        }
    }
    running.kill().await?;
    Ok(())
}

/// Fingerprints of all master keys, the active one first.
async fn fingerprints(cloud: &Cloud) -> Outcome<(String, BTreeSet<String>)> {
    let (told, said) = master_key(cloud, &["status"]).await?;
    assert!(told, "{said}");
    let mut active = None;
    let mut others = BTreeSet::new();
    for line in said.lines().filter(|line| !line.starts_with(' ')) {
        match line.split_once(": ") {
            Some((fingerprint, "active")) => active = Some(fingerprint.to_owned()),
            Some((fingerprint, "readable" | "NOT HERE")) => {
                others.insert(fingerprint.to_owned());
            }
            _ => {}
        }
    }
    Ok((active.ok_or("no active key")?, others))
}

#[tokio::test]
async fn the_master_key_is_changed_whatever_is_killed_on_the_way() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = shop_with_backup(&ada).await?;
    tools::psql(&shop.uri, "insert into orders values (42)").await?;
    restoring::is_archived(&ada, &shop).await?;
    is_backed_up(&cloud).await?;
    let (first, others) = fingerprints(&cloud).await?;
    assert!(others.is_empty(), "{others:?}");

    for lines in 0..=2 {
        killed_after(&cloud, &["rotate"], lines).await?;
    }
    let (rotated, said) = master_key(&cloud, &["rotate"]).await?;
    assert!(rotated, "{said}");
    let secret = std::fs::read_to_string(cloud.data_dir().join("keys/master.key"))?;
    assert!(!said.contains(secret.trim()), "a key was printed");
    let (active, others) = fingerprints(&cloud).await?;
    assert!(active != first && others.contains(&first), "{others:?}");
    // Everything that was made is under the key of before.
    let (removed, said) = master_key(&cloud, &["remove", &first]).await?;
    assert!(!removed && said.contains("still needed"), "{said}");
    let (removed, said) = master_key(&cloud, &["remove", &active]).await?;
    assert!(!removed && said.contains("active"), "{said}");

    for lines in 0..=4 {
        killed_after(&cloud, &["rewrap"], lines).await?;
    }
    let (rewrapped, said) = master_key(&cloud, &["rewrap"]).await?;
    assert!(rewrapped, "{said}");
    for other in &others {
        until("a key of before to be removed", NODES_LIMIT, || async {
            let (removed, said) = master_key(&cloud, &["remove", other]).await?;
            if removed {
                return Ok(Some(()));
            }
            Err(said.into())
        })
        .await?;
    }
    let (still, others) = fingerprints(&cloud).await?;
    assert!(still == active && others.is_empty(), "{others:?}");

    // With this key alone everything goes on, old and new, after everything began anew.
    cloud.stop().await?;
    cloud.up_again().await?;
    let bob = Account::sign_up(&cloud, "bob").await?;
    bob.create_database("new").await?;
    let body = json!({ "name": "again", "latest": true });
    let again = restoring::restore(&ada, &shop, body).await?;
    let ids = "select id from orders";
    assert_eq!(tools::psql(&again.uri, ids).await?, "42");
    lose_control(&mut cloud).await?;
    let (restored, said) = restore_control(&cloud, &[]).await?;
    assert!(restored, "{said}");
    cloud.up_again().await?;
    ada.database_is(&again.id, "running").await?;
    Ok(())
}
