//! The operator against a real API server: what it admits, makes, changes and leaves behind.

mod admission;
mod deaths;
mod life;
pub(crate) mod parent;
pub(crate) mod pods;
mod quiet;
mod region;
mod several;
mod snapshot;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use lumadb_e2e::Outcome;
pub(crate) use lumadb_e2e::kubernetes::install::{
    LIMIT, SYSTEM, databases, install, instances, namespace, rights,
};
pub(crate) use lumadb_e2e::kubernetes::operator::Operator;
use lumadb_e2e::wait::until;
use serde_json::{Value, json};

pub(crate) const NAME: &str = "db-01jdk3x5v9e8rb6w4q2n7m0c1a";

/// A small database.
pub(crate) fn database() -> Value {
    json!({
        "apiVersion": "lumadb.cloud/v1alpha1",
        "kind": "LumaDatabase",
        "metadata": { "name": NAME },
        "spec": {
            "compute": { "cpu": "500m", "memory": "1Gi" },
            "storage": { "size": "2Gi" },
        },
    })
}

pub(crate) async fn create(api: &Api<DynamicObject>, object: Value) -> Outcome<DynamicObject> {
    let object = serde_json::from_value(object)?;
    Ok(api.create(&PostParams::default(), &object).await?)
}

/// Changes the specification of the database.
async fn change(api: &Api<DynamicObject>, spec: Value) -> Outcome<()> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    api.patch(NAME, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Status of one of its conditions.
fn condition<'a>(database: &'a DynamicObject, kind: &str) -> &'a str {
    let conditions = database.data["status"]["conditions"].as_array();
    conditions
        .and_then(|all| all.iter().find(|one| one["type"] == kind))
        .and_then(|one| one["status"].as_str())
        .unwrap_or("missing")
}

/// Waits until what is asked of the database was seen and done.
pub(crate) async fn until_settled(api: &Api<DynamicObject>) -> Outcome<DynamicObject> {
    until("the database to be as it shall be", LIMIT, || async {
        let database = api.get(NAME).await?;
        if is_settled(&database) {
            return Ok(Some(database));
        }
        Err(format!("status {}", database.data["status"]).into())
    })
    .await
}

fn is_settled(database: &DynamicObject) -> bool {
    let status = &database.data["status"];
    let phase = if database.data["spec"]["suspend"] == true {
        "Suspended"
    } else {
        "Ready"
    };
    status["observedGeneration"] == json!(database.metadata.generation)
        && condition(database, "Reconciling") == "False"
        && status["phase"] == phase
}

/// Names of pods and of claims in a namespace.
async fn pods_and_claims(client: &Client, namespace: &str) -> Outcome<(Vec<String>, Vec<String>)> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let all = ListParams::default();
    let pods = pods.list(&all).await?;
    let claims = claims.list(&all).await?;
    Ok((
        pods.iter().map(kube::ResourceExt::name_any).collect(),
        claims.iter().map(kube::ResourceExt::name_any).collect(),
    ))
}
