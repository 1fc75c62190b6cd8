//! Any process may be killed at any moment: no database is lost, none is made twice, no operation
//! hangs, and no process is left without an owner.

use lumadb_e2e::Outcome;
use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::api::text;
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::Process;
use lumadb_e2e::tools;
use lumadb_e2e::wait::until;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const DATABASES: usize = 20;
/// The creation in whose middle the kill comes.
const KILL_AT: usize = 7;
/// Everything has to be in order again after this, on a crowded machine.
const RECOVERY_LIMIT: Duration = Duration::from_mins(3);

#[tokio::test]
async fn twenty_databases_come_to_be_though_nodes_are_killed() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    create_while(&mut cloud, Victim::Nodes).await
}

#[tokio::test]
async fn twenty_databases_come_to_be_though_engines_are_killed() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    create_while(&mut cloud, Victim::Engines).await
}

#[tokio::test]
async fn twenty_databases_come_to_be_though_the_edge_is_killed() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    create_while(&mut cloud, Victim::Service("edge")).await
}

#[tokio::test]
async fn twenty_databases_come_to_be_though_the_control_planes_engine_is_killed() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    create_while(&mut cloud, Victim::ControlEngine).await
}

#[tokio::test]
async fn twenty_databases_come_to_be_though_the_worker_is_killed() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    create_while(&mut cloud, Victim::Service("worker")).await
}

#[tokio::test]
async fn twenty_databases_come_to_be_though_the_object_store_is_killed() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    create_while(&mut cloud, Victim::Service("s3")).await
}

#[tokio::test]
async fn twenty_databases_come_to_be_though_up_is_killed() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    create_while(&mut cloud, Victim::Up).await
}

#[derive(Debug, Clone, Copy)]
enum Victim {
    Nodes,
    Engines,
    ControlEngine,
    Service(&'static str),
    Up,
}

impl Victim {
    async fn kill(self, cloud: &mut Cloud) -> Outcome<()> {
        let control = cloud.control_dir();
        let in_control =
            move |process: &Process| process.instance_dir().as_deref() == Some(control.as_path());
        let killed = match self {
            Self::Nodes => {
                let which = |process: &Process| process.is_node() && !in_control(process);
                cloud.kill(which).await?
            }
            Self::Engines => {
                let which = |process: &Process| {
                    (process.is_postmaster() || process.is_engine_helper()) && !in_control(process)
                };
                cloud.kill(which).await?
            }
            Self::ControlEngine => {
                let which = |process: &Process| process.is_postmaster() && in_control(process);
                cloud.kill(which).await?
            }
            Self::Service(name) => cloud.kill(|process| process.is_service(name)).await?,
            Self::Up => {
                cloud.kill_up().await?;
                cloud.up_again().await?;
                1
            }
        };
        if killed == 0 {
            return Err(format!("nothing to kill: {self:?}").into());
        }
        Ok(())
    }
}

async fn create_while(cloud: &mut Cloud, victim: Victim) -> Outcome<()> {
    let ada = Account::sign_up(cloud, "ada").await?;
    // Twenty databases are more than a free organization may have.
    cloud
        .control_sql("update organizations set plan_id = 'enterprise'")
        .await?;
    let first = ada.create_database("first").await?;
    let mut answers = Vec::new();
    for number in 0..DATABASES {
        if number == KILL_AT {
            let (answer, killed) =
                tokio::join!(create_until_answered(&ada, number), victim.kill(cloud));
            killed?;
            answers.push(answer?);
        } else {
            answers.push(create_until_answered(&ada, number).await?);
        }
    }
    operations_end(cloud).await?;
    let ids = each_exists_once(cloud, &ada, &answers).await?;
    let mut databases = vec![first];
    for answer in &answers {
        let id = text(answer, "/database/id")?;
        let password = text(answer, "/password")?;
        databases.push(ada.database(&id, &password).await?);
    }
    system_identifiers_are_distinct(cloud, &databases).await?;
    every_process_has_an_owner(cloud, &ids).await
}

/// Asks for a database with one idempotency key again and again, as a client does that got no answer.
async fn create_until_answered(ada: &Account, number: usize) -> Outcome<Value> {
    let api = ada
        .api
        .with("idempotency-key", &format!("create-{number}"))?;
    let path = format!("/v1/projects/{}/databases", ada.project_id);
    let body = json!({"name": format!("db-{number}")});
    until(
        "the API to take the order",
        Duration::from_mins(1),
        || async { Ok(Some(api.post(&path, &body).await?.expect(201)?.body)) },
    )
    .await
}

async fn operations_end(cloud: &Cloud) -> Outcome<()> {
    until("every operation to end", RECOVERY_LIMIT, || async {
        let open = cloud
            .control_sql("select count(*) from operations where ended_at is null")
            .await?;
        if open == "0" {
            return Ok(Some(()));
        }
        Err(format!("{open} have not").into())
    })
    .await?;
    let sql = "select kind, state, error from operations where state <> 'succeeded'";
    let failed = cloud.control_sql(sql).await?;
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("operations that did not succeed:\n{failed}").into())
}

async fn each_exists_once(
    cloud: &Cloud,
    ada: &Account,
    answers: &[Value],
) -> Outcome<BTreeSet<String>> {
    let path = format!("/v1/projects/{}/databases?limit=100", ada.project_id);
    let list = ada.api.read(&path).await?;
    let items = list["items"].as_array().ok_or("no items")?;
    let ids: BTreeSet<String> = items
        .iter()
        .filter_map(|item| item["id"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(items.len(), DATABASES + 1, "{list}");
    assert_eq!(ids.len(), DATABASES + 1);
    for answer in answers {
        let id = text(answer, "/database/id")?;
        assert!(ids.contains(&id), "{id} was answered and is not listed");
    }
    let mut folders = BTreeSet::new();
    for entry in std::fs::read_dir(cloud.data_dir().join("instances"))? {
        folders.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    assert_eq!(folders, ids, "folders and databases differ");
    Ok(ids)
}

async fn system_identifiers_are_distinct(cloud: &Cloud, databases: &[Database]) -> Outcome<()> {
    let mut seen = BTreeSet::new();
    for database in databases {
        assert_eq!(tools::psql(&database.uri, "select 1").await?, "1");
        let sql = "select system_identifier from pg_control_system()";
        let instance = cloud.instance_dir(&database.id);
        seen.insert(cloud.admin_sql(&instance, "main", sql).await?);
    }
    assert_eq!(seen.len(), databases.len());
    Ok(())
}

/// An owner is `up` itself, one of its recorded children, or what descends from one; PostgreSQL that
/// outlived its helper belongs to the helper that adopted it.
async fn every_process_has_an_owner(cloud: &Cloud, ids: &BTreeSet<String>) -> Outcome<()> {
    let what = "every process to have an owner";
    until(what, Duration::from_secs(30), || async {
        let processes = cloud.processes()?;
        let mut owned = recorded(cloud)?;
        owned.insert(cloud.up_pid()?);
        let helpers: BTreeSet<_> = processes
            .iter()
            .filter(|process| process.is_engine_helper())
            .filter_map(Process::instance_dir)
            .collect();
        for process in &processes {
            let adopted = process
                .instance_dir()
                .is_some_and(|folder| process.is_postmaster() && helpers.contains(&folder));
            if adopted {
                owned.insert(process.pid);
            }
        }
        loop {
            let before = owned.len();
            let heirs = processes
                .iter()
                .filter(|process| owned.contains(&process.parent));
            let heirs: Vec<i32> = heirs.map(|process| process.pid).collect();
            owned.extend(heirs);
            if owned.len() == before {
                break;
            }
        }
        if let Some(stray) = processes
            .iter()
            .find(|process| !owned.contains(&process.pid))
        {
            return Err(format!("no owner: {stray:?}").into());
        }
        let instances = cloud.data_dir().join("instances");
        for id in ids {
            let folder = instances.join(id);
            let nodes = processes.iter().filter(|process| process.is_node());
            let nodes = nodes.filter(|node| node.instance_dir().as_deref() == Some(&folder));
            let count = nodes.count();
            if count != 1 {
                return Err(format!("{id} has {count} nodes").into());
            }
        }
        Ok(Some(()))
    })
    .await
}

/// The processes that `up` and the runtime have written down.
fn recorded(cloud: &Cloud) -> Outcome<BTreeSet<i32>> {
    let mut pids = BTreeSet::new();
    for entry in std::fs::read_dir(cloud.data_dir().join("processes"))? {
        let Ok(text) = std::fs::read(entry?.path()) else {
            continue;
        };
        let record: Value = serde_json::from_slice(&text).unwrap_or(Value::Null);
        if let Some(pid) = record["pid"].as_i64() {
            pids.insert(i32::try_from(pid)?);
        }
    }
    Ok(pids)
}
