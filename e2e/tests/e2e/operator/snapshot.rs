//! The objects of a namespace without what differs from one making to the next.

use super::{databases, instances};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::ListParams;
use kube::{Api, Client};
use lumadb_e2e::Outcome;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

/// Everything of a database, by kind and name.
pub(super) async fn snapshot(client: &Client, namespace: &str) -> Outcome<Vec<Value>> {
    let all = [
        list(&databases(client, namespace)).await?,
        list(&instances(client, namespace)).await?,
        list::<Pod>(&Api::namespaced(client.clone(), namespace)).await?,
        list::<PersistentVolumeClaim>(&Api::namespaced(client.clone(), namespace)).await?,
        list::<Service>(&Api::namespaced(client.clone(), namespace)).await?,
        list::<ServiceAccount>(&Api::namespaced(client.clone(), namespace)).await?,
        list::<NetworkPolicy>(&Api::namespaced(client.clone(), namespace)).await?,
    ];
    Ok(all.concat())
}

/// The first lines in which two snapshots differ.
pub(super) fn difference(found: &[Value], right: &[Value]) -> String {
    let [found, right] = [found, right].map(|all| format!("{:#}", json!(all)));
    let lines = found.lines().zip(right.lines());
    let differing = lines.filter(|(found, right)| found != right).take(5);
    let text = differing.map(|(found, right)| format!("\n{found}\n    instead of {right}"));
    format!("they differ:{}", text.collect::<String>())
}

async fn list<K>(api: &Api<K>) -> Outcome<Vec<Value>>
where
    K: Clone + DeserializeOwned + Serialize + Debug,
{
    let found = api.list(&ListParams::default()).await?;
    let mut found: Vec<_> = found
        .items
        .iter()
        .map(|object| plain(json!(object)))
        .collect();
    found.sort_by_key(|object| object["metadata"]["name"].to_string());
    Ok(found)
}

fn plain(mut object: Value) -> Value {
    let status = object["status"].take();
    object["status"] = json!({
        "phase": status["phase"],
        "observedGeneration": status["observedGeneration"],
        "compute": status["compute"],
        "capacity": status["storage"]["capacity"],
        "conditions": judgements(&status["conditions"]),
    });
    for given in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
        "namespace",
    ] {
        remove(&mut object["metadata"], given);
    }
    if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
        for owner in owners {
            remove(owner, "uid");
        }
    }
    // A hash over all of this.
    remove(&mut object["metadata"]["annotations"], "lumadb.cloud/built");
    remove(&mut object["spec"], "volumeName");
    object
}

fn judgements(conditions: &Value) -> Vec<Value> {
    let conditions = conditions.as_array().into_iter().flatten();
    let mut judgements: Vec<_> = conditions
        .map(|one| json!([one["type"], one["status"]]))
        .collect();
    judgements.sort_by_key(Value::to_string);
    judgements
}

fn remove(from: &mut Value, field: &str) {
    if let Some(fields) = from.as_object_mut() {
        fields.remove(field);
    }
}
