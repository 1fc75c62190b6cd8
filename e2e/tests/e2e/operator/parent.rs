//! The parent of nodes: a pod's processes come up for what a database asks, show who they are, and
//! go on when whoever they talk to does not.

use super::pods::{Running, Volume};
use super::region::{Heard, Region};
use super::{
    LIMIT, NAME, Operator, SYSTEM, change, create, database, databases, install, instances,
    namespace, rights,
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use lumadb_contract::enrollment::TOKEN_AUDIENCE;
use lumadb_contract::instance::InstancePhase;
use lumadb_contract::scram::ScramVerifier;
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::kubernetes::machine::Machine;
use lumadb_e2e::kubernetes::token::pod_token;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, ports};
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio_postgres::{Config, NoTls};

const NAMESPACE: &str = "tenants";
/// Of the owner, where the control plane gives it out.
const PASSWORD: &str = "correct-horse";

const POD: &str = "db-01jdk3x5v9e8rb6w4q2n7m0c1a-1";

/// A cluster with a machine that says that pods run, and the operator's rights in it.
struct Site {
    client: Client,
    pods: Api<Pod>,
    kubeconfig: PathBuf,
    port: u16,
    _machine: Machine,
    _cluster: Cluster,
}

impl Site {
    async fn new() -> Outcome<Self> {
        let cluster = Cluster::start().await?;
        let machine = Machine::join(&cluster).await?;
        let client = cluster.client().await?;
        install(&client).await?;
        namespace(&client, SYSTEM).await?;
        namespace(&client, NAMESPACE).await?;
        Ok(Self {
            kubeconfig: rights(&cluster, &client).await?,
            pods: Api::namespaced(client.clone(), NAMESPACE),
            client,
            port: ports::free()?,
            _machine: machine,
            _cluster: cluster,
        })
    }

    /// An operator that nodes reach at the same place each time.
    fn operator(&self) -> Outcome<Operator> {
        operator_at(&self.kubeconfig, self.port)
    }

    /// The database's pod, once it is another than before.
    async fn pod(&self, before: Option<&str>) -> Outcome<Pod> {
        until("the pod of the database", LIMIT, || async {
            let pod = self.pods.get_opt(POD).await?;
            let is_new = |pod: &Pod| pod.metadata.uid.as_deref() != before;
            Ok(pod.filter(|pod| is_new(pod) && pod.metadata.deletion_timestamp.is_none()))
        })
        .await
    }
}

pub(crate) fn operator_at(kubeconfig: &Path, port: u16) -> Outcome<Operator> {
    let parent = format!("https://localhost:{port}");
    let listen = format!("127.0.0.1:{port}");
    let settings = [
        ("LUMADB_OPERATOR_PARENT", parent.as_str()),
        ("LUMADB_OPERATOR_PARENT_LISTEN", &listen),
    ];
    Operator::start_with(kubeconfig, &settings)
}

/// How clients reach a database on a volume.
pub(crate) fn connection(volume: &Volume, password: &str) -> Config {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(volume.port)
        .user("owner")
        .password(password)
        .dbname("main");
    config
}

/// Runs one statement once the database takes it; answers the first column of the first row.
async fn query(config: &Config, sql: &str) -> Outcome<Option<String>> {
    until("the database to answer", LIMIT, || async {
        let (client, connection) = config.connect(NoTls).await?;
        let speaking = tokio::spawn(connection);
        let rows = client.simple_query(sql).await?;
        drop(client);
        speaking.await??;
        let first = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(Some(first))
    })
    .await
}

async fn password(client: &Client) -> Outcome<String> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let name = format!("{NAME}-owner");
    let secret = until("the owner's password", LIMIT, || async {
        Ok(secrets.get_opt(&name).await?)
    })
    .await?;
    let data = secret.data.unwrap_or_default();
    let password = data.get("password").ok_or("no password")?;
    Ok(String::from_utf8(password.0.clone())?)
}

async fn until_metric(operator: &Operator, words: &str) -> Outcome<()> {
    until(&format!("metrics to say {words}"), LIMIT, || async {
        let text = operator.ask("/metrics").await?;
        Ok(text.contains(words).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_database_is_served_and_outlives_its_pod_and_the_operator() -> Outcome<()> {
    let site = Site::new().await?;
    let operator = site.operator()?;
    let databases = databases(&site.client, NAMESPACE);
    create(&databases, database()).await?;
    let pod = site.pod(None).await?;
    let volume = Volume::new()?;
    let first = Running::start(&site.client, &pod, &volume).await?;

    // Asked for in the cluster, and there for a client of PostgreSQL.
    let owner = connection(&volume, &password(&site.client).await?);
    query(&owner, "create table kept as select 42 as answer").await?;
    until_metric(&operator, "lumadb_operator_nodes 1\n").await?;
    until_metric(&operator, "lumadb_operator_certificates_total 1\n").await?;
    until_the_volume_is_reported(&site.client).await?;

    // The pod is killed, with all that runs in it.
    let before = pod.uid().unwrap_or_default();
    site.pods.delete(POD, &DeleteParams::default()).await?;
    drop(first);
    let pod = site.pod(Some(&before)).await?;
    let second = Running::start(&site.client, &pod, &volume).await?;
    let answer = query(&owner, "select answer from kept").await?;
    assert_eq!(answer.as_deref(), Some("42"));

    // The operator is killed: clients do not notice, and the node finds the next one.
    until_metric(&operator, "lumadb_operator_nodes 1\n").await?;
    operator.kill()?;
    let answer = query(&owner, "select answer from kept").await?;
    assert_eq!(answer.as_deref(), Some("42"));
    let operator = site.operator()?;
    until_metric(&operator, "lumadb_operator_nodes 1\n").await?;

    // What is asked for from now on reaches it: it rests.
    change(&databases, json!({ "suspend": true })).await?;
    until("the node to have come to rest", LIMIT, || async {
        let gone = query_once(&owner).await.is_err();
        Ok(gone.then_some(()))
    })
    .await?;
    drop(second);
    operator.stop().await
}

async fn query_once(config: &Config) -> Outcome<()> {
    let (client, connection) = config.connect(NoTls).await?;
    let speaking = tokio::spawn(connection);
    client.simple_query("select 1").await?;
    drop(client);
    speaking.await??;
    Ok(())
}

async fn until_the_volume_is_reported(client: &Client) -> Outcome<()> {
    let instances = instances(client, NAMESPACE);
    until("the room of the volume to be reported", LIMIT, || async {
        let instance = instances.get(POD).await?;
        let volume = &instance.data["status"]["volume"];
        Ok(volume["capacityBytes"].as_u64().map(|_| ()))
    })
    .await
}

#[tokio::test]
async fn whoever_is_not_the_databases_pod_is_refused() -> Outcome<()> {
    let site = Site::new().await?;
    let operator = site.operator()?;
    let databases = databases(&site.client, NAMESPACE);
    create(&databases, database()).await?;
    let pod = site.pod(None).await?;

    // Another pod that has the database's account; and the database's own, for another server.
    let mut stranger = pod.clone();
    stranger.metadata = serde_json::from_value(json!({ "name": "stranger" }))?;
    stranger.status = None;
    let stranger = site.pods.create(&PostParams::default(), &stranger).await?;
    let others = [
        (
            pod_token(&site.client, &stranger, TOKEN_AUDIENCE).await?,
            "other_pod",
        ),
        (
            pod_token(&site.client, &pod, "https://kubernetes.default.svc").await?,
            "token",
        ),
        ("no token at all".to_owned(), "token"),
    ];
    let volume = Volume::new()?;
    for (token, why) in &others {
        let running = Running::start_node(&site.client, &pod, &volume, token).await?;
        let refused = format!("lumadb_operator_nodes_refused_total{{why=\"{why}\"}}");
        until_metric(&operator, &refused).await?;
        until("the node to say why", LIMIT, || async {
            let said = running.log("node").contains("does not certify this node");
            Ok(said.then_some(()))
        })
        .await?;
        assert!(operator.log().contains("a node was not certified"));
    }
    until_metric(&operator, "lumadb_operator_certificates_total 0\n").await?;
    until_metric(&operator, "lumadb_operator_nodes 0\n").await?;

    // And the right one is not.
    let running = Running::start(&site.client, &pod, &volume).await?;
    until_metric(&operator, "lumadb_operator_nodes 1\n").await?;
    drop(running);
    operator.stop().await
}

#[tokio::test]
async fn samples_reach_the_control_plane_once_and_wait_while_it_is_away() -> Outcome<()> {
    let site = Site::new().await?;
    let region = Region::new(ports::free()?)?;
    let serving = region.serve().await?;
    lay_down(&site.client, &region).await?;
    let operator = site.operator()?;
    create(&databases(&site.client, NAMESPACE), database()).await?;
    tell(&site.client).await?;
    let pod = site.pod(None).await?;
    let volume = Volume::new()?;
    let running = Running::start(&site.client, &pod, &volume).await?;
    let owner = connection(&volume, PASSWORD);
    query(&owner, "select 1").await?;
    until_heard(&region, "the node's state and what it counted", |heard| {
        heard.phase == Some(InstancePhase::Ready) && heard.complete == 1 && heard.requests() > 0
    })
    .await?;
    until_metric(&operator, "lumadb_operator_linked 1\n").await?;
    let secrets: Api<Secret> = Api::namespaced(site.client.clone(), NAMESPACE);
    let made = secrets.get_opt(&format!("{NAME}-owner")).await?;
    assert!(made.is_none(), "the control plane gives out passwords");

    // It is away: the database serves, and what is counted waits.
    drop(serving);
    until_metric(&operator, "lumadb_operator_linked 0\n").await?;
    let before = region.heard().requests();
    for _ in 0..20 {
        query(&owner, "select 1").await?;
    }
    assert_eq!(region.heard().requests(), before);
    // The operator dies meanwhile: it holds nothing that is not with the nodes.
    operator.kill()?;
    let operator = site.operator()?;
    until_metric(&operator, "lumadb_operator_nodes 1\n").await?;

    let serving = region.serve().await?;
    until_heard(&region, "what was counted meanwhile", |heard| {
        heard.streams == 2 && heard.complete == 2 && heard.requests() >= before + 20
    })
    .await?;
    site.pods.delete(POD, &DeleteParams::default()).await?;
    drop(running);
    until_heard(&region, "the node to be absent", |heard| heard.absent > 0).await?;
    assert_eq!(region.heard().wrongs, [""; 0]);
    drop(serving);
    operator.stop().await
}

async fn until_heard(region: &Region, what: &str, is_it: impl Fn(&Heard) -> bool) -> Outcome<()> {
    until(what, LIMIT, || async {
        let heard = region.heard();
        if is_it(&heard) {
            return Ok(Some(()));
        }
        Err(format!("{heard:?}").into())
    })
    .await
}

/// Says where the control plane is.
async fn lay_down(client: &Client, region: &Region) -> Outcome<()> {
    let secret = json!({
        "metadata": { "name": "lumadb-control-plane" },
        "stringData": {
            "address": region.address(),
            "ca.crt": region.authority,
            "token": "token",
        },
    });
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM);
    let secret = serde_json::from_value(secret)?;
    secrets.create(&PostParams::default(), &secret).await?;
    Ok(())
}

/// Says what the control plane has the node be told.
async fn tell(client: &Client) -> Outcome<()> {
    let password = lumadb_contract::secret::Secret::new(PASSWORD);
    let verifier = ScramVerifier::of_password(&password, &[7; 16])?;
    let told = json!({
        "generation": 3,
        "connections_max": 20,
        "route_number": 1,
        "roles": [{ "name": "owner", "verifier": verifier, "owner": true }],
        "logical_databases": [{ "name": "main", "owner": "owner" }],
    });
    let secret = json!({
        "metadata": { "name": NAME },
        "type": "lumadb.cloud/instance",
        "stringData": { "instance.json": told.to_string() },
    });
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let secret = serde_json::from_value(secret)?;
    secrets.create(&PostParams::default(), &secret).await?;
    Ok(())
}
