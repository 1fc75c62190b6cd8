//! A region that is a cluster: what the control plane writes there, what it hears from there, and
//! what is left when either side breaks. The API server is a real one; the operator is played, but in
//! `together`, `edges` and `edges_elsewhere`.

mod away;
mod deaths;
mod edges;
mod edges_elsewhere;
mod life;
mod operator;
mod together;

use crate::operator::{databases, install, namespace};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{
    ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Api, Client, ResourceExt as _};
use lumadb_contract::id::DatabaseId;
use lumadb_e2e::account::Account;
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::kubernetes::proxy::Proxy;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, ports, tools};
use serde_json::json;
use std::time::Duration;

/// Longest time for one change to be wholly there, on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);

/// Where the operator is, and where databases are.
const SYSTEM: &str = "lumadb-system";
const NAMESPACE: &str = "tenants";

/// A cluster, and a cloud whose region it is. The worker reaches it through the proxy, with the
/// rights that are committed.
struct World {
    cloud: Cloud,
    ada: Account,
    proxy: Proxy,
    client: Client,
    cluster: Cluster,
}

impl World {
    async fn new() -> Outcome<Self> {
        Self::with(&[]).await
    }

    /// With more settings of the cloud.
    async fn with(more: &[(&str, &str)]) -> Outcome<Self> {
        // Where nobody is: no node runs here that would archive.
        let nowhere: [(&str, &str); 4] = [
            ("LUMADB_OBJECT_STORE_BUCKET", "archives"),
            ("LUMADB_OBJECT_STORE_ENDPOINT", "http://127.0.0.1:9"),
            ("LUMADB_OBJECT_STORE_PREFIX", "luma"),
            ("LUMADB_CONTROL_DURABILITY", "lag"),
        ];
        Self::with_store(&[nowhere.as_slice(), more].concat()).await
    }

    /// With settings that name an object store.
    async fn with_store(more: &[(&str, &str)]) -> Outcome<Self> {
        let cluster = Cluster::start().await?;
        let client = cluster.client().await?;
        install(&client).await?;
        namespace(&client, SYSTEM).await?;
        namespace(&client, NAMESPACE).await?;
        let token = rights(&client).await?;
        let proxy = Proxy::start(&cluster).await?;
        let kubeconfig = proxy.kubeconfig_for("control-plane", &token)?;
        let link = format!("127.0.0.1:{}", ports::free()?);
        let kubeconfig = kubeconfig.to_string_lossy();
        let link_address = format!("https://{link}");
        let settings: [(&str, &str); 6] = [
            ("LUMADB_REGION_RUNTIME", "kubernetes"),
            ("LUMADB_CLUSTER_KUBECONFIG", &*kubeconfig),
            ("LUMADB_CLUSTER_NAMESPACE", NAMESPACE),
            ("LUMADB_CLUSTER_LINK_LISTEN", &link),
            ("LUMADB_CLUSTER_LINK_ADDRESS", &link_address),
            ("LUMADB_CLUSTER_STORAGE_GIB", "5"),
        ];
        let cloud = Cloud::start_with(&[settings.as_slice(), more].concat()).await?;
        let ada = Account::sign_up(&cloud, "ada").await?;
        cloud
            .control_sql("update organizations set plan_id = 'enterprise'")
            .await?;
        Ok(Self {
            cloud,
            ada,
            proxy,
            client,
            cluster,
        })
    }

    fn databases(&self) -> Api<DynamicObject> {
        databases(&self.client, NAMESPACE)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Waits for a database's object to be as `is` says.
    async fn object(
        &self,
        id: DatabaseId,
        what: &str,
        is: impl Fn(&DynamicObject) -> bool,
    ) -> Outcome<DynamicObject> {
        let (databases, name) = (self.databases(), id.host_label());
        until(what, LIMIT, || async {
            match databases.get_opt(&name).await? {
                Some(object) if is(&object) => Ok(Some(object)),
                Some(object) => Err(format!("it says {}", object.data["spec"]).into()),
                None => Ok(None),
            }
        })
        .await
    }

    /// Waits until databases and their Secrets are these and no other.
    async fn holds(&self, ids: &[DatabaseId]) -> Outcome<()> {
        let mut wanted: Vec<_> = ids.iter().map(|id| id.host_label()).collect();
        wanted.sort();
        let (databases, secrets) = (self.databases(), self.secrets());
        until("the cluster to hold what it shall", LIMIT, || async {
            let all = ListParams::default();
            let mut objects: Vec<_> = databases.list(&all).await?.iter().map(name).collect();
            let mut beside: Vec<_> = secrets.list(&all).await?.iter().map(name).collect();
            objects.sort();
            beside.sort();
            if objects == wanted && beside == wanted {
                return Ok(Some(()));
            }
            Err(format!("it holds {objects:?} and {beside:?}").into())
        })
        .await
    }

    /// Kills the worker without warning; another one takes its place.
    async fn kill_worker(&self) -> Outcome<()> {
        let killed = self
            .cloud
            .kill(|process| process.is_service("worker"))
            .await?;
        assert_eq!(killed, 1);
        Ok(())
    }

    /// Asks for a change of a database, and waits until it is done.
    async fn act(&self, id: DatabaseId, action: &str) -> Outcome<()> {
        let path = format!("/v1/databases/{id}/{action}");
        let asked = self.ada.api.post(&path, &json!({})).await?.expect(200)?;
        let operation = asked.text_at("/operation/id")?;
        self.ada.operation_succeeds(&operation).await?;
        Ok(())
    }

    async fn delete(&self, id: DatabaseId) -> Outcome<()> {
        let asked = self.ada.api.delete(&format!("/v1/databases/{id}")).await?;
        let operation = asked.text_at("/operation/id")?;
        self.ada.operation_succeeds(&operation).await?;
        Ok(())
    }
}

fn name(object: &impl kube::Resource) -> String {
    object.meta().name.clone().unwrap_or_default()
}

/// Gives the control plane's service account the rights that are committed; answers its token.
async fn rights(client: &Client) -> Outcome<String> {
    let file = tools::workspace().join("deploy/control-plane-rbac.yaml");
    let text = std::fs::read_to_string(file)?;
    for document in text.split("\n---\n") {
        let object: DynamicObject = serde_saphyr::from_str(document)?;
        let types = object.types.clone().ok_or("an object without a kind")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
        let namespace = object.namespace().ok_or("a right beyond a namespace")?;
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
        let parameters = PatchParams::apply("test").force();
        api.patch(&object.name_any(), &parameters, &Patch::Apply(&object))
            .await?;
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM);
    let asked = serde_json::from_value(json!({ "spec": { "audiences": [] } }))?;
    let token = accounts
        .create_token_request("lumadb-control-plane", &PostParams::default(), &asked)
        .await?;
    Ok(token.status.ok_or("no token")?.token)
}
