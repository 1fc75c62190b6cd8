//! From sign-up to the first query, and the first steps of the clients that customers use.

use lumadb_e2e::account::{Account, Database, connection_string};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::{self, Process};
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;
use tokio::task::JoinHandle;

/// Longest time for what takes moments.
const SOON: Duration = Duration::from_secs(10);

/// Growth of the edge's own memory that a large transfer may cost, KiB.
const EDGE_GROWTH_KIB_MAX: u64 = 4096;

/// The same of a node, which archives at the same time what the transfer writes: chunks on their way,
/// and pieces of a run that is put together.
const NODE_GROWTH_KIB_MAX: u64 = 40 * 1024;

#[tokio::test]
async fn a_person_signs_up_and_the_copied_string_works_in_psql() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("first").await?;
    assert_eq!(tools::psql(&database.uri, "select 1").await?, "1");
    let vector = "create extension vector; \
        create table items (id int primary key, place vector(3)); \
        create index on items using hnsw (place vector_l2_ops); \
        insert into items values (1, '[1,2,3]'), (2, '[4,5,6]'); \
        select id from items order by place <-> '[4,5,5]' limit 1";
    assert_eq!(tools::psql(&database.uri, vector).await?, "2");

    let path = format!("/v1/databases/{}/connection", database.id);
    let connection = ada
        .api
        .read(&format!("{path}?role=owner&logical_database=main"))
        .await?;
    let keyword_value = connection_string(&connection, "keyword_value")?;
    assert_eq!(tools::psql(&keyword_value, "select 2").await?, "2");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!(
        "{} -X -A -t -c 'select 3'",
        connection_string(&connection, "psql")?
    ));
    assert_eq!(tools::run(&mut shell).await?.trim(), "3");
    for id in ["jdbc", "sqlalchemy", "prisma", "django", "rails", "dotenv"] {
        let text = connection_string(&connection, id)?;
        assert!(text.contains(&database.port.to_string()), "{id}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_database_is_renamed_suspended_resumed_and_deleted() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("first").await?;
    let path = format!("/v1/databases/{}", database.id);
    tools::psql(&database.uri, "create table kept as select 42 as answer").await?;

    let change = json!({"name": "renamed", "deletion_protection": true});
    let renamed = ada.api.patch(&path, &change).await?.expect(200)?;
    assert_eq!(renamed.text_at("/database/name")?, "renamed");
    let refused = ada.api.delete(&path).await?.expect(409)?;
    assert_eq!(refused.problem(), "deletion_protected");

    let suspend = ada.api.post(&format!("{path}/suspend"), &json!({})).await?;
    ada.operation_succeeds(&suspend.text_at("/operation/id")?)
        .await?;
    ada.database_is(&database.id, "suspended").await?;
    let refused = tools::psql(&database.uri, "select 1").await;
    assert!(refused.is_err_and(|error| error.to_string().contains("suspended")));

    let resume = ada.api.post(&format!("{path}/resume"), &json!({})).await?;
    ada.operation_succeeds(&resume.text_at("/operation/id")?)
        .await?;
    let kept = tools::psql(&database.uri, "select answer from kept").await?;
    assert_eq!(kept, "42");

    let change = json!({"deletion_protection": false});
    ada.api.patch(&path, &change).await?.expect(200)?;
    let deleted = ada.api.delete(&path).await?;
    ada.operation_succeeds(&deleted.text_at("/operation/id")?)
        .await?;
    ada.api.get(&path).await?.expect(404)?;
    assert!(tools::psql(&database.uri, "select 1").await.is_err());
    assert!(!cloud.instance_dir(&database.id).exists());
    Ok(())
}

/// A client in the middle of a query.
async fn sleeping(cloud: &Cloud, id: &str, uri: &str) -> Outcome<JoinHandle<Outcome<String>>> {
    let uri = uri.to_owned();
    let sleeper = tokio::spawn(async move { tools::psql(&uri, "select pg_sleep(60)").await });
    until("the session to run", SOON, || async {
        let sql = "select count(*) from pg_stat_activity where query like 'select pg_sleep%'";
        let running = cloud
            .admin_sql(&cloud.instance_dir(id), "main", sql)
            .await?;
        Ok((running == "1").then_some(()))
    })
    .await?;
    Ok(sleeper)
}

#[tokio::test]
async fn a_rotated_password_cuts_the_old_sessions_and_a_deleted_role_is_gone() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("first").await?;
    let roles = format!("/v1/databases/{}/roles", database.id);
    let made = ada.api.post(&roles, &json!({"name": "app"})).await?;
    let made = made.expect(201)?;
    ada.operation_succeeds(&made.text_at("/operation/id")?)
        .await?;
    let role = made.text_at("/role/id")?;
    let uri = |password: &str| {
        let old = format!("owner.{}:{}", database.id, database.password);
        let new = format!("app.{}:{password}", database.id);
        database.uri.replace(&old, &new)
    };
    let first = uri(&made.text_at("/password")?);
    assert_eq!(tools::psql(&first, "select current_user").await?, "app");

    let sleeper = sleeping(&cloud, &database.id, &first).await?;
    let rotated = ada
        .api
        .post(&format!("{roles}/{role}/rotate-password"), &json!({}))
        .await?;
    ada.operation_succeeds(&rotated.text_at("/operation/id")?)
        .await?;
    assert!(sleeper.await?.is_err(), "the old session went on");
    assert!(tools::psql(&first, "select 1").await.is_err());
    let second = uri(&rotated.text_at("/password")?);
    assert_eq!(tools::psql(&second, "select 1").await?, "1");

    let deleted = ada.api.delete(&format!("{roles}/{role}")).await?;
    ada.operation_succeeds(&deleted.text_at("/operation/id")?)
        .await?;
    assert!(tools::psql(&second, "select 1").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_database_is_open_to_the_networks_that_its_owner_allows() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("first").await?;
    let path = format!("/v1/databases/{}", database.id);
    let allow = async |networks: serde_json::Value| {
        let body = json!({ "allowed_networks": networks });
        ada.api.patch(&path, &body).await?.expect(200)
    };
    let sleeper = sleeping(&cloud, &database.id, &database.uri).await?;
    allow(json!(["203.0.113.0/24"])).await?;
    let cut = sleeper
        .await?
        .expect_err("the session from elsewhere went on");
    assert!(cut.to_string().contains("allowed networks"), "{cut}");
    let refused = until("others to be refused", SOON, || async {
        Ok(tools::psql(&database.uri, "select 1").await.err())
    })
    .await?
    .to_string();
    assert!(
        refused.contains("is not in the allowed networks"),
        "{refused}"
    );
    // The owner is not shut out of the console.
    let query = json!({
        "role": "owner", "logical_database": "main", "sql": "select 42",
        "query_id": "00000000-0000-0000-0000-00000000000a",
    });
    let answer = ada.api.post(&format!("{path}/query"), &query).await?;
    assert_eq!(answer.expect(200)?.text_at("/results/0/rows/0/0")?, "42");
    allow(json!(["203.0.113.0/24", "127.0.0.1", "::1"])).await?;
    until("this machine to be let in", SOON, || async {
        tools::psql(&database.uri, "select 1").await.map(Some)
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_sleeping_database_wakes_for_a_password_and_for_nothing_less() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("first").await?;
    tools::psql(&database.uri, "create table kept as select 42 as answer").await?;
    let path = format!("/v1/databases/{}", database.id);
    let change = json!({"idle_timeout_seconds": 60});
    // Free databases have their plan's time; the test takes a shorter one where it is stored.
    if ada.api.patch(&path, &change).await?.status != 200 {
        cloud
            .control_sql("update databases set idle_timeout_seconds = 1")
            .await?;
    }
    cloud
        .control_sql("update databases set idle_timeout_seconds = 1, generation = generation + 1")
        .await?;
    ada.database_is(&database.id, "asleep").await?;
    let engines = |processes: &[Process]| {
        let instance = cloud.instance_dir(&database.id);
        processes
            .iter()
            .filter(|process| process.instance_dir().as_deref() == Some(instance.as_path()))
            .count()
    };
    assert_eq!(engines(&cloud.processes()?), 0);
    let wrong = database.uri.replace(&database.password, "wrong");
    assert!(tools::psql(&wrong, "select 1").await.is_err());
    assert_eq!(engines(&cloud.processes()?), 0, "a wrong password woke it");
    let kept = tools::psql(&database.uri, "select answer from kept").await?;
    assert_eq!(kept, "42");
    Ok(())
}

#[tokio::test]
async fn the_clients_that_customers_use_work_unchanged() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("first").await?;
    let ca_file = cloud.data_dir().with_file_name("ca.pem");
    std::fs::write(&ca_file, &database.ca_certificate_pem)?;
    let scripts: &[&[&str]] = &[
        &["sqlalchemy_first_steps.py"],
        &["alembic_first_steps.py"],
        &["django_first_steps.py"],
        &["asyncpg_first_steps.py"],
        &["psycopg_first_steps.py"],
        &["psycopg_first_steps.py", "--protocol-3.2"],
    ];
    for script in scripts {
        client_script(script, &database, &ca_file)
            .await
            .map_err(|error| format!("{script:?}: {error}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn clients_see_the_certificate_that_the_operator_of_a_cloud_names() -> Outcome<()> {
    let folder = lumadb_e2e::cloud::new_folder()?;
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(vec!["localhost".into()])?.self_signed(&key)?;
    let [chain_file, key_file] = ["chain.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&chain_file, certificate.pem())?;
    std::fs::write(&key_file, key.serialize_pem())?;
    let [chain, private] = [&chain_file, &key_file].map(|path| path.display().to_string());
    let cloud = Cloud::start_with(&[
        ("LUMADB_EDGE_CERTIFICATE_FILE", &chain),
        ("LUMADB_EDGE_KEY_FILE", &private),
        ("LUMADB_REGION_EDGE_AUTHORITY", &chain),
    ])
    .await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("first").await?;
    assert_eq!(database.ca_certificate_pem, certificate.pem());
    let verified = database.uri.replace(
        "sslmode=require",
        &format!("sslmode=verify-full&sslrootcert={chain}"),
    );
    assert_ne!(verified, database.uri);
    assert_eq!(tools::psql(&verified, "select 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_million_rows_pass_both_ways_with_flat_memory() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("first").await?;
    tools::psql(&database.uri, "select 1").await?;
    let watched = between_client_and_engine(&cloud, &database)?;
    assert!(watched.len() >= 2, "neither node nor edge was found");
    let before = largest_growth(&watched, &[])?;
    let ca_file = PathBuf::from("/dev/null");
    let script = client_script(&["copy_million_rows.py"], &database, &ca_file);
    let mut most = vec![0; watched.len()];
    tokio::pin!(script);
    let mut look = tokio::time::interval(std::time::Duration::from_millis(100));
    loop {
        tokio::select! {
            done = &mut script => { done?; break; }
            _ = look.tick() => {
                let grown = largest_growth(&watched, &before)?;
                for (most, grown) in most.iter_mut().zip(grown) {
                    *most = grown.max(*most);
                }
            }
        }
    }
    for ((_, limit), grown) in watched.iter().zip(most) {
        println!("grew by {grown} KiB of {limit}");
        assert!(grown <= *limit, "{grown} KiB, and {limit} are allowed");
    }
    Ok(())
}

fn between_client_and_engine(cloud: &Cloud, database: &Database) -> Outcome<Vec<(i32, u64)>> {
    let instance = cloud.instance_dir(&database.id);
    let processes = cloud.processes()?.into_iter();
    let watched = processes.filter_map(|process| {
        if process.is_service("edge") {
            return Some((process.pid, EDGE_GROWTH_KIB_MAX));
        }
        let ours = process.is_node() && process.instance_dir().as_deref() == Some(&instance);
        ours.then_some((process.pid, NODE_GROWTH_KIB_MAX))
    });
    Ok(watched.collect())
}

/// Anonymous memory of each process, less what it had before.
fn largest_growth(watched: &[(i32, u64)], before: &[u64]) -> Outcome<Vec<u64>> {
    let mut growth = Vec::new();
    for (index, (pid, _)) in watched.iter().enumerate() {
        let now = process::anonymous_kib(*pid)?;
        growth.push(now.saturating_sub(before.get(index).copied().unwrap_or(0)));
    }
    Ok(growth)
}

async fn client_script(script: &[&str], database: &Database, ca_file: &Path) -> Outcome<String> {
    let mut command = Command::new(tools::python_tool("python")?);
    command
        .args(script)
        .current_dir(tools::workspace().join("e2e/clients"))
        .env("DATABASE_URI", &database.uri)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if ca_file.is_file() {
        command.env("DATABASE_CA_FILE", ca_file);
    }
    tools::run(&mut command).await
}
