//! The Kubernetes that the operator's tests stand on is a real one, and breaks as ordered.

mod cluster;
mod machine;
mod proxy;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use lumadb_e2e::Outcome;
use lumadb_e2e::wait::until;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// Kubernetes' own controllers act within a second or two.
const LIMIT: Duration = Duration::from_mins(1);

/// Makes a namespace with some labels, and waits for what each gets from Kubernetes.
async fn namespace(client: &Client, name: &str, labels: &Value) -> Outcome<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let wanted = json!({ "metadata": { "name": name, "labels": labels } });
    create(&namespaces, wanted).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    until("the namespace's service account", LIMIT, || async {
        Ok(accounts.get_opt("default").await?.map(|_| ()))
    })
    .await
}

async fn create<K>(api: &Api<K>, object: Value) -> Outcome<K>
where
    K: DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug,
{
    let object = serde_json::from_value(object)?;
    Ok(api.create(&PostParams::default(), &object).await?)
}

fn config_map(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "data": { "key": "value" } })
}

/// Names in a namespace, but for what Kubernetes puts into each.
async fn names(maps: &Api<ConfigMap>) -> Outcome<Vec<String>> {
    let mut names: Vec<_> = maps
        .list(&kube::api::ListParams::default())
        .await?
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .filter(|name| name != "kube-root-ca.crt")
        .collect();
    names.sort();
    Ok(names)
}
