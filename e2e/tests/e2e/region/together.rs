//! Operator and control plane together, neither of them played: a database asked of the API is made
//! by the operator, its pod's processes run here, and what they count is in the API, once.

use super::{LIMIT, NAMESPACE, World};
use crate::operator::parent::{connection, operator_at};
use crate::operator::pods::{Running, Volume, free_port};
use crate::operator::{self, Operator, instances};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use lumadb_contract::id::DatabaseId;
use lumadb_e2e::Outcome;
use lumadb_e2e::api::Answer;
use lumadb_e2e::kubernetes::machine::Machine;
use lumadb_e2e::wait::until;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::path::PathBuf;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

/// The edge that leads into the cluster, if there were one.
const EDGE: (&str, u16) = ("eu.example.com", 6543);

/// A cloud, the cluster that is its region, the operator there, and a machine that says that pods
/// run.
struct Whole {
    world: World,
    pods: Api<Pod>,
    kubeconfig: PathBuf,
    /// Where nodes find the operator, whichever process that is.
    port: u16,
    _machine: Machine,
}

/// A database that was asked for.
struct Asked {
    id: DatabaseId,
    operation: String,
    password: String,
}

impl Asked {
    fn read(answer: &Answer) -> Outcome<Self> {
        Ok(Self {
            id: answer.text_at("/database/id")?.parse()?,
            operation: answer.text_at("/operation/id")?,
            password: answer.text_at("/password")?,
        })
    }
}

impl Whole {
    async fn new() -> Outcome<Self> {
        let world = World::with(&[
            ("LUMADB_REGION_EDGE_HOST", EDGE.0),
            ("LUMADB_REGION_EDGE_PORT", "6543"),
        ])
        .await?;
        let machine = Machine::join(&world.cluster).await?;
        Ok(Self {
            kubeconfig: operator::rights(&world.cluster, &world.client).await?,
            pods: Api::namespaced(world.client.clone(), NAMESPACE),
            port: free_port()?,
            world,
            _machine: machine,
        })
    }

    fn operator(&self) -> Outcome<Operator> {
        operator_at(&self.kubeconfig, self.port)
    }

    async fn ask(&self, name: &str) -> Outcome<Asked> {
        Asked::read(&self.world.ada.request_database(name).await?.expect(201)?)
    }

    async fn pod(&self, id: DatabaseId) -> Outcome<Pod> {
        let name = format!("{}-1", id.host_label());
        until("the pod of the database", LIMIT, || async {
            Ok(self.pods.get_opt(&name).await?)
        })
        .await
    }

    /// Runs a database's pod until what was asked has succeeded.
    async fn runs<'a>(&self, asked: &Asked, volume: &'a Volume) -> Outcome<Running<'a>> {
        let pod = self.pod(asked.id).await?;
        let running = Running::start(&self.world.client, &pod, volume).await?;
        let ada = &self.world.ada;
        if let Err(error) = ada.operation_succeeds(&asked.operation).await {
            let (node, engine) = (running.log("node"), running.log("engine"));
            return Err(format!("{error}\n== node\n{node}\n== engine\n{engine}").into());
        }
        ada.database_is(&asked.id.to_string(), "running").await?;
        Ok(running)
    }

    /// Waits until the API has this count of requests; one that is higher was counted twice.
    async fn counts(&self, id: DatabaseId, requests: u64) -> Outcome<()> {
        let id = id.to_string();
        let counted = until("the requests to be counted", LIMIT, || async {
            let counted = self.world.ada.requests_counted(&id).await?;
            if counted >= requests {
                return Ok(Some(counted));
            }
            Err(format!("{counted} of {requests}").into())
        })
        .await?;
        assert_eq!(counted, requests);
        Ok(())
    }

    async fn names<K>(&self) -> Outcome<Vec<String>>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
        K: Clone + DeserializeOwned + Debug,
    {
        let api: Api<K> = Api::namespaced(self.world.client.clone(), NAMESPACE);
        Ok(names(&api.list(&ListParams::default()).await?.items))
    }

    /// Waits until nothing of any database is in the cluster.
    async fn nothing_is_left(&self) -> Outcome<()> {
        until("nothing to be left behind", LIMIT, || async {
            let all = ListParams::default();
            let databases = self.world.databases().list(&all).await?;
            let instances = instances(&self.world.client, NAMESPACE).list(&all).await?;
            let mut left: Vec<String> = [names(&databases.items), names(&instances.items)].concat();
            left.extend(self.names::<Pod>().await?);
            left.extend(self.names::<PersistentVolumeClaim>().await?);
            left.extend(self.names::<Secret>().await?);
            left.extend(self.names::<Service>().await?);
            left.extend(self.names::<NetworkPolicy>().await?);
            let accounts = self.names::<ServiceAccount>().await?;
            left.extend(accounts.into_iter().filter(|name| name != "default"));
            if left.is_empty() {
                return Ok(Some(()));
            }
            Err(format!("there are {left:?}").into())
        })
        .await
    }
}

fn names<K: kube::Resource>(objects: &[K]) -> Vec<String> {
    objects.iter().map(K::name_any).collect()
}

/// Runs a statement once, in a session of its own; answers the first column of the first row.
async fn once(config: &Config, sql: &str) -> Outcome<Option<String>> {
    let (client, connection) = config.connect(NoTls).await?;
    let speaking = tokio::spawn(connection);
    let rows = client.simple_query(sql).await?;
    drop(client);
    speaking.await??;
    Ok(rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

/// Sends as many requests as it is told.
async fn send(config: &Config, requests: u64) -> Outcome<()> {
    for _ in 0..requests {
        once(config, "select 1").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_database_of_the_api_is_served_counted_once_over_deaths_and_removed() -> Outcome<()> {
    let whole = Whole::new().await?;
    let operator = whole.operator()?;
    let asked = whole.ask("first").await?;
    let id = asked.id;
    let volume = Volume::new()?;
    let running = whole.runs(&asked, &volume).await?;
    let owner = connection(&volume, &asked.password);
    once(&owner, "create table kept as select 42 as answer").await?;
    let answer = once(&owner, "select answer from kept").await?;
    assert_eq!(answer.as_deref(), Some("42"));
    whole.counts(id, 2).await?;
    let ada = &whole.world.ada;
    let told = ada.database(&id.to_string(), &asked.password).await?;
    assert_eq!((told.host.as_str(), told.port), EDGE);
    assert!(
        told.uri.contains("@eu.example.com:6543/main"),
        "{}",
        told.uri
    );

    // No operator: what is counted waits with the node.
    operator.kill()?;
    send(&owner, 10).await?;
    let counted = whole.world.ada.requests_counted(&id.to_string()).await?;
    assert_eq!(counted, 2, "nobody hands anything in");
    let operator = whole.operator()?;
    whole.counts(id, 12).await?;

    // The control plane dies while more is counted.
    send(&owner, 5).await?;
    let is_control = |process: &lumadb_e2e::process::Process| {
        process.is_service("worker") || process.is_service("api")
    };
    assert_eq!(whole.world.cloud.kill(is_control).await?, 2);
    send(&owner, 5).await?;
    whole.counts(id, 22).await?;

    // And both, with samples on the way.
    send(&owner, 5).await?;
    whole.world.kill_worker().await?;
    operator.kill()?;
    send(&owner, 5).await?;
    let operator = whole.operator()?;
    whole.counts(id, 32).await?;

    // Each of them looks at everything again; nothing is counted anew.
    send(&owner, 1).await?;
    whole.counts(id, 33).await?;
    whole.world.delete(id).await?;
    drop(running);
    whole.nothing_is_left().await?;
    operator.stop().await
}
