//! An edge that has nothing of the control plane's data folder: it finds control plane and nodes by the
//! Secret that lies in its cluster.

use super::edges::{pod, run};
use super::together::Whole;
use super::{LIMIT, SYSTEM};
use crate::importing;
use crate::operator::pods::Volume;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use lumadb_contract::cluster::{EDGE_SECRET, edge_secret};
use lumadb_e2e::source::{PASSWORD_ENCODED, Source};
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, ports, tools};
use serde_json::json;
use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// An edge of its own machine; dropping it kills it.
struct Away {
    child: Child,
    port: u16,
    folder: TempDir,
}

/// What a pod mounts.
async fn mount(client: &Client, folder: &Path) -> Outcome<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    let secret = until("the Secret of edges", LIMIT, || async {
        Ok(secrets.get_opt(EDGE_SECRET).await?)
    })
    .await?;
    let control = control_dir(folder);
    std::fs::create_dir_all(&control)?;
    for (key, value) in secret.data.unwrap_or_default() {
        std::fs::write(control.join(key), value.0)?;
    }
    Ok(())
}

fn control_dir(folder: &Path) -> PathBuf {
    folder.join("control")
}

impl Away {
    async fn start(client: &Client, port: u16) -> Outcome<Self> {
        let folder = lumadb_e2e::cloud::new_folder()?;
        mount(client, folder.path()).await?;
        let output = File::create(folder.path().join("edge.log"))?;
        let mut program = Command::new(tools::program("lumadb-cloud")?);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"LUMADB_") {
                program.env_remove(name);
            }
        }
        let child = program
            .arg("edge")
            .env("LUMADB_DATA_DIR", folder.path().join("data"))
            .env("LUMADB_EDGE_LISTEN", format!("127.0.0.1:{port}"))
            .env("LUMADB_EDGE_CONTROL_DIR", control_dir(folder.path()))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let away = Self {
            child,
            port,
            folder,
        };
        until("the edge to listen", LIMIT, || async {
            TcpStream::connect(("127.0.0.1", away.port))?;
            Ok(Some(()))
        })
        .await
        .map_err(|error| format!("{error}\n{}", away.log()))?;
        Ok(away)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("edge.log")).unwrap_or_default()
    }

    async fn psql(&self, connection: &str, sql: &str) -> Outcome<String> {
        let said = tools::psql(connection, sql).await;
        said.map_err(|error| format!("{error}\n== edge\n{}", self.log()).into())
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_edge_away_from_the_control_plane_leads_to_databases_and_wakes_them() -> Outcome<()> {
    let (port, control) = (ports::free()?, ports::free()?);
    let listen = format!("127.0.0.1:{control}");
    let address = format!("https://{listen}");
    let whole = Whole::with(&[
        ("LUMADB_REGION_EDGE_HOST", "localhost"),
        ("LUMADB_REGION_EDGE_PORT", &port.to_string()),
        ("LUMADB_CLUSTER_EDGES_LISTEN", &listen),
        ("LUMADB_CLUSTER_EDGES_ADDRESS", &address),
        ("LUMADB_IMPORT_NETWORKS", "any"),
    ])
    .await?;
    let operator = whole.operator()?;
    let (world, ada) = (&whole.world, &whole.world.ada);
    let away = Away::start(&world.client, port).await?;
    let asked = whole.ask("first").await?;
    let id = asked.id.to_string();
    let volume = Volume::new()?;
    let first = pod(&whole, &asked, None).await?;
    let running = run(world, &first, &volume).await?;
    ada.operation_succeeds(&asked.operation).await?;
    let database = ada.database(&id, &asked.password).await?;
    assert_eq!(database.port, port);
    // What clients are told to know it by.
    let authority = away.folder.path().join("authority.pem");
    std::fs::write(&authority, &database.ca_certificate_pem)?;
    let known = database.uri.replace(
        "sslmode=require",
        &format!("sslmode=verify-full&sslrootcert={}", authority.display()),
    );
    assert_eq!(away.psql(&known, "select 1").await?, "1");
    let make = "create table kept as select 42 as answer";
    away.psql(&database.uri, make).await?;
    let kept = "select answer from kept";
    assert_eq!(away.psql(&database.uri, kept).await?, "42");
    whole.counts(asked.id, 3).await?;

    // It knows its routes without the control plane, and asks the one that comes back.
    world.kill_worker().await?;
    assert_eq!(away.psql(&database.uri, kept).await?, "42");
    whole.counts(asked.id, 4).await?;
    world
        .cloud
        .control_sql("update databases set idle_timeout_seconds = 1, generation = generation + 1")
        .await?;
    ada.database_is(&id, "asleep").await?;
    drop(running);
    // Its next pod is the last that is played here.
    let change = json!({ "idle_timeout_seconds": null });
    let path = format!("/v1/databases/{id}");
    ada.api.patch(&path, &change).await?.expect(200)?;
    let waking = async {
        let second = pod(&whole, &asked, Some(&first)).await?;
        run(world, &second, &volume).await
    };
    let (answer, running) = tokio::join!(away.psql(&database.uri, kept), waking);
    let running = running?;
    let answer = answer.map_err(|error| format!("{error}\n{}", running.log("node")))?;
    assert_eq!(answer, "42");

    // The control plane's own sessions come in there as well.
    let query = format!("/v1/databases/{id}/query");
    let asks = |sql: &str| {
        let query_id = "00000000-0000-0000-0000-00000000000a";
        json!({ "role": "owner", "logical_database": "main", "sql": sql, "query_id": query_id })
    };
    let answer = ada.api.post(&query, &asks(kept)).await?.expect(200)?;
    assert_eq!(answer.text_at("/results/0/rows/0/0")?, "42");
    away.psql(&database.uri, "drop table kept").await?;
    let source = Source::start().await?;
    let rows = "create table brought as select n from generate_series(1, 20000) n";
    source.sql("shop", rows).await?;
    let from = format!(
        "postgres://ada:{PASSWORD_ENCODED}@127.0.0.1:{}/shop?sslmode=disable",
        source.port()
    );
    let import = importing::ask(ada, &database, &from, None).await?;
    importing::ends(ada, &import, "succeeded").await?;
    let brought = "select count(*) from brought";
    assert_eq!(away.psql(&database.uri, brought).await?, "20000");

    // Without its token it hears of nothing new.
    let token = control_dir(away.folder.path()).join(edge_secret::TOKEN);
    std::fs::write(&token, "none")?;
    let unknown = database.uri.replace(&id, "db_00000000000000000000000000");
    assert_ne!(unknown, database.uri);
    let refused = tools::psql(&unknown, kept).await.expect_err("unknown");
    let refused = refused.to_string();
    assert!(refused.contains("cannot be looked up"), "{refused}");
    // No other edge stands in for it.
    drop(away);
    let answer = ada.api.post(&query, &asks(brought)).await?;
    answer.expect(503)?;
    operator.stop().await
}
