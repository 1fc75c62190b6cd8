//! Operator and control plane together, neither of them played: a database asked of the API is made
//! by the operator, its pod's processes run here, and what they count is in the API, once.

use super::{LIMIT, NAMESPACE, World};
use crate::operator::parent::{connection, operator_at};
use crate::operator::pods::{Running, Volume};
use crate::operator::{self, Operator, instances};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::{Api, ResourceExt as _};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::secret::Secret as Hidden;
use lumadb_e2e::api::Answer;
use lumadb_e2e::kubernetes::machine::Machine;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, ports};
use lumadb_s3_server::{Config, serve};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// The edge that leads into the cluster, if there were one.
const EDGE: (&str, u16) = ("eu.example.com", 6543);

/// A cloud, the cluster that is its region, the operator there, and a machine that says that pods
/// run.
pub(super) struct Whole {
    pub(super) world: World,
    pub(super) pods: Api<Pod>,
    kubeconfig: PathBuf,
    /// Where nodes find the operator, whichever process that is.
    port: u16,
    _machine: Machine,
}

const BUCKET: &str = "archives";

/// An object store that nodes reach. Dropping it ends it.
struct Store {
    folder: TempDir,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Store {
    async fn start() -> Outcome<Self> {
        const SECRET: &str = "of-the-root";
        let folder = TempDir::new()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let objects = folder.path().join("objects");
        let mut config = Config::new(objects, "root", Hidden::new(SECRET));
        config.buckets.push(BUCKET.to_owned());
        let serving = tokio::spawn(async move {
            if let Err(error) = serve(config, listener, std::future::pending()).await {
                eprintln!("the object store: {error}");
            }
        });
        let text = format!("access_key_id = root\nsecret_access_key = {SECRET}\n");
        std::fs::write(folder.path().join("credentials"), text)?;
        Ok(Self {
            folder,
            address,
            serving,
        })
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn credentials(&self) -> String {
        let path = self.folder.path().join("credentials");
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A database that was asked for.
pub(super) struct Asked {
    pub(super) id: DatabaseId,
    pub(super) operation: String,
    pub(super) password: String,
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
        Self::with(&[
            ("LUMADB_REGION_EDGE_HOST", EDGE.0),
            ("LUMADB_REGION_EDGE_PORT", "6543"),
        ])
        .await
    }

    pub(super) async fn with(settings: &[(&str, &str)]) -> Outcome<Self> {
        Self::of(World::with(settings).await?).await
    }

    async fn of(world: World) -> Outcome<Self> {
        let machine = Machine::join_on_loopback(&world.cluster).await?;
        Ok(Self {
            kubeconfig: operator::rights(&world.cluster, &world.client).await?,
            pods: Api::namespaced(world.client.clone(), NAMESPACE),
            port: ports::free()?,
            world,
            _machine: machine,
        })
    }

    pub(super) fn operator(&self) -> Outcome<Operator> {
        operator_at(&self.kubeconfig, self.port)
    }

    pub(super) async fn ask(&self, name: &str) -> Outcome<Asked> {
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
    pub(super) async fn counts(&self, id: DatabaseId, requests: u64) -> Outcome<()> {
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

    /// Waits for the first backup of a database.
    async fn is_backed_up(&self, id: DatabaseId) -> Outcome<()> {
        let path = format!("/v1/databases/{id}/backups");
        let ada = &self.world.ada;
        until("the first backup", LIMIT, || async {
            let backups = ada.api.read(&path).await?;
            let items = backups["items"].as_array().cloned().unwrap_or_default();
            if items.iter().any(|backup| backup["state"] == "complete") {
                return Ok(Some(()));
            }
            Err(backups.to_string().into())
        })
        .await
    }

    /// Waits until all that is committed now is in the archive.
    async fn is_archived(&self, id: DatabaseId, owner: &tokio_postgres::Config) -> Outcome<()> {
        let flushed = once(owner, "select pg_current_wal_flush_lsn() - '0/0'::pg_lsn").await?;
        let flushed = flushed.ok_or("no position")?;
        let archived = format!(
            "select count(*) from archives where database_id = '{}'
               and archived_lsn - '0/0'::pg_lsn >= {flushed}",
            id.uuid()
        );
        until("the WAL to be archived", LIMIT, || async {
            let count = self.world.cloud.control_sql(&archived).await?;
            Ok((count.trim() == "1").then_some(()))
        })
        .await
    }

    /// The operation that brings a database back.
    async fn recovery(&self, id: DatabaseId) -> Outcome<String> {
        let path = format!("/v1/databases/{id}/operations");
        let operations = self.world.ada.api.read(&path).await?;
        let items = operations["items"].as_array().cloned().unwrap_or_default();
        let mut items = items.iter();
        let found = items.find(|operation| operation["kind"] == "database_recover");
        let found = found.ok_or_else(|| format!("no recovery among {operations}"))?;
        lumadb_e2e::api::text(found, "/id")
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
async fn once(config: &tokio_postgres::Config, sql: &str) -> Outcome<Option<String>> {
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
async fn send(config: &tokio_postgres::Config, requests: u64) -> Outcome<()> {
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

/// What is there of a database whose volume is lost: its object, with what it says.
async fn volume_is_lost(whole: &Whole, id: DatabaseId) -> Outcome<String> {
    let name = id.host_label();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(whole.world.client.clone(), NAMESPACE);
    let of_database = ListParams::default().labels(&format!("lumadb.cloud/database={name}"));
    let before = whole.world.databases().get(&name).await?;
    for claim in claims.list(&of_database).await? {
        claims
            .delete(&claim.name_any(), &DeleteParams::default())
            .await?;
    }
    let pods = whole.pods.list(&of_database).await?;
    let now = DeleteParams::default().grace_period(0);
    for pod in pods {
        whole.pods.delete(&pod.name_any(), &now).await?;
    }
    before.uid().ok_or_else(|| "no UID".into())
}

#[tokio::test]
async fn a_database_whose_volume_is_lost_comes_back_from_its_archive() -> Outcome<()> {
    let store = Store::start().await?;
    let (endpoint, credentials) = (store.endpoint(), store.credentials());
    let settings = [
        ("LUMADB_OBJECT_STORE_BUCKET", BUCKET),
        ("LUMADB_OBJECT_STORE_ENDPOINT", &*endpoint),
        ("LUMADB_OBJECT_STORE_PATH_STYLE", "true"),
        ("LUMADB_OBJECT_STORE_CREDENTIALS_FILE", &*credentials),
    ];
    let whole = Whole::of(World::with_store(&settings).await?).await?;
    let operator = whole.operator()?;
    let asked = whole.ask("first").await?;
    let id = asked.id;
    let volume = Volume::new()?;
    let running = whole.runs(&asked, &volume).await?;
    let owner = connection(&volume, &asked.password);
    once(&owner, "create table kept as select 42 as answer").await?;
    let ada = &whole.world.ada;
    whole.is_backed_up(id).await?;
    once(&owner, "insert into kept values (43)").await?;
    whole.is_archived(id, &owner).await?;
    whole.counts(id, 3).await?;

    drop(running);
    let uid = volume_is_lost(&whole, id).await?;
    let another = |object: &DynamicObject| object.uid().is_some_and(|other| other != uid);
    whole
        .world
        .object(id, "an object of its own for the new volume", another)
        .await?;
    let volume = Volume::new()?;
    let operation = whole.recovery(id).await?;
    let back = Asked {
        id,
        operation,
        password: asked.password.clone(),
    };
    let running = whole.runs(&back, &volume).await?;
    let owner = connection(&volume, &asked.password);
    let rows = "select string_agg(answer::text, ' ' order by answer) from kept";
    assert_eq!(once(&owner, rows).await?.as_deref(), Some("42 43"));
    let count = ada.requests_counted(&id.to_string()).await?;
    assert!(count >= 3, "{count}");
    whole.counts(id, 4).await?;
    whole.world.delete(id).await?;
    drop(running);
    whole.nothing_is_left().await?;
    operator.stop().await
}
