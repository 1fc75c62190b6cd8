//! A database in a cluster, reached through an edge: by its connection string, counted, cancelled,
//! put to sleep and woken, and found again in another pod.

use super::together::{Asked, Whole};
use super::{LIMIT, World};
use crate::operator::pods::{Running, Volume};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use lumadb_contract::edge_link::ALPN;
use lumadb_e2e::account::Database;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Failure, Outcome, ports, tools};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_postgres::{Config, NoTls};
use tokio_rustls::TlsConnector;

/// The pod of a database, once it has an address and is another than before.
pub(super) async fn pod(whole: &Whole, asked: &Asked, before: Option<&Pod>) -> Outcome<Pod> {
    let name = format!("{}-1", asked.id.host_label());
    let before = before.and_then(ResourceExt::uid);
    until("the pod of the database", LIMIT, || async {
        let pod = whole.pods.get_opt(&name).await?;
        Ok(pod.filter(|pod| {
            pod.uid() != before
                && pod.metadata.deletion_timestamp.is_none()
                && address(pod).is_some()
        }))
    })
    .await
}

fn address(pod: &Pod) -> Option<String> {
    pod.status.as_ref()?.pod_ip.clone()
}

pub(super) async fn run<'a>(world: &World, pod: &Pod, volume: &'a Volume) -> Outcome<Running<'a>> {
    Running::start_at_its_address(&world.client, pod, volume).await
}

/// `psql` by a connection string; says what the node thought of it where it fails.
async fn psql(running: &Running<'_>, connection: &str, sql: &str) -> Outcome<String> {
    let said = tools::psql(connection, sql).await;
    said.map_err(|error| format!("{error}\n== node\n{}", running.log("node")).into())
}

/// The same database, named by the host name of TLS.
fn by_host(database: &Database, asked: &Asked) -> String {
    format!(
        "host={}.localhost hostaddr=127.0.0.1 port={} user=owner password={} dbname=main \
         sslmode=require",
        asked.id.host_label(),
        database.port,
        database.password,
    )
}

/// A command that runs long is cancelled by way of the edge.
async fn is_cancelled(database: &Database) -> Outcome<()> {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(database.port)
        .user(&database.user)
        .password(&database.password)
        .dbname("main");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    let token = client.cancel_token();
    let cancelling = async {
        loop {
            // One that comes before the command does nothing.
            tokio::time::sleep(Duration::from_millis(500)).await;
            if let Err(error) = token.cancel_query(NoTls).await {
                break error;
            }
        }
    };
    let slept = tokio::select! {
        slept = client.batch_execute("select pg_sleep(60)") => slept,
        error = cancelling => return Err(error.into()),
    };
    let error = slept.err().ok_or("it slept on")?;
    assert_eq!(
        error.code().map(|code| code.code()),
        Some("57014"),
        "{error}"
    );
    Ok(())
}

/// Whoever shows no certificate at the door of edges hears nothing.
async fn is_closed_to_strangers(pod: &Pod, asked: &Asked, authority: &str) -> Outcome<()> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    let address = address(pod).ok_or("no address")?;
    let socket = TcpStream::connect((address.as_str(), 5432)).await?;
    let name = ServerName::try_from(asked.id.host_label())?;
    let connector = TlsConnector::from(Arc::new(config));
    let heard = match connector.connect(name, socket).await {
        Ok(mut stream) => stream.read(&mut [0]).await,
        Err(error) => Err(error),
    };
    let error = heard.err().ok_or("a stranger was let in")?;
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    Ok(())
}

/// Keeps a pod from being gone, or lets it go.
async fn hold(whole: &Whole, pod: &Pod, finalizers: &[&str]) -> Outcome<()> {
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }));
    let name = pod.name_any();
    whole
        .pods
        .patch(&name, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

/// A pod is told to end, and its node serves on: no client is sent there any more.
async fn is_left_before_its_end(whole: &Whole, pod: &Pod) -> Outcome<()> {
    hold(whole, pod, &["test.example.com/held"]).await?;
    let name = pod.name_any();
    whole.pods.delete(&name, &DeleteParams::default()).await?;
    until("its clients to wait for another pod", LIMIT, || async {
        let observed = "select observed from databases";
        let observed = whole.world.cloud.control_sql(observed).await?;
        if observed.trim() == "pending" {
            return Ok(Some(()));
        }
        Err(format!("it is {observed}").into())
    })
    .await
}

#[tokio::test]
async fn a_database_in_a_cluster_is_served_by_an_edge_whatever_becomes_of_its_pod() -> Outcome<()> {
    let port = ports::free()?.to_string();
    let whole = Whole::with(&[
        ("LUMADB_REGION_EDGE_HOST", "localhost"),
        ("LUMADB_REGION_EDGE_PORT", &port),
        ("LUMADB_EDGE_LISTEN", &format!("127.0.0.1:{port}")),
        ("LUMADB_EDGE_PLAINTEXT", "loopback"),
    ])
    .await?;
    let operator = whole.operator()?;
    let (world, ada) = (&whole.world, &whole.world.ada);
    let asked = whole.ask("first").await?;
    let id = asked.id.to_string();
    let volume = Volume::new()?;
    let first = pod(&whole, &asked, None).await?;
    let running = run(world, &first, &volume).await?;
    ada.operation_succeeds(&asked.operation).await?;
    let database = ada.database(&id, &asked.password).await?;
    assert_eq!(database.port.to_string(), port);

    psql(
        &running,
        &database.uri,
        "create table kept as select 42 as answer",
    )
    .await?;
    let kept = "select answer from kept";
    assert_eq!(psql(&running, &database.uri, kept).await?, "42");
    assert_eq!(
        psql(&running, &by_host(&database, &asked), kept).await?,
        "42"
    );
    whole.counts(asked.id, 3).await?;
    let wrong = database.uri.replace(&asked.password, "wrong");
    assert!(tools::psql(&wrong, kept).await.is_err());
    is_cancelled(&database).await?;
    is_closed_to_strangers(&first, &asked, &database.ca_certificate_pem).await?;
    whole.counts(asked.id, 4).await?;

    is_left_before_its_end(&whole, &first).await?;
    drop(running);
    hold(&whole, &first, &[]).await?;
    let another = async {
        let second = pod(&whole, &asked, Some(&first)).await?;
        assert_ne!(address(&first), address(&second));
        Ok::<_, Failure>((run(world, &second, &volume).await?, second))
    };
    let (answer, another) = tokio::join!(tools::psql(&database.uri, kept), another);
    let (running, second) = another?;
    let answer = answer.map_err(|error| format!("{error}\n{}", running.log("node")))?;
    assert_eq!(answer, "42");
    whole.counts(asked.id, 5).await?;

    // Nobody is there, and then somebody comes.
    world
        .cloud
        .control_sql("update databases set idle_timeout_seconds = 1, generation = generation + 1")
        .await?;
    ada.database_is(&id, "asleep").await?;
    drop(running);
    let waking = async {
        let third = pod(&whole, &asked, Some(&second)).await?;
        run(world, &third, &volume).await
    };
    let (answer, running) = tokio::join!(tools::psql(&database.uri, kept), waking);
    let running = running?;
    let answer = answer.map_err(|error| format!("{error}\n{}", running.log("node")))?;
    assert_eq!(answer, "42");
    whole.counts(asked.id, 6).await?;
    operator.stop().await
}
