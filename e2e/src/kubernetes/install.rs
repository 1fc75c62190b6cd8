//! What the operator needs of a cluster before it works: definitions, namespaces, rights.

use super::Cluster;
use crate::wait::until;
use crate::{Outcome, tools};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// Longest time for one change to be wholly there, on a busy machine.
pub const LIMIT: Duration = Duration::from_mins(1);

/// Where operator and lease are.
pub const SYSTEM: &str = "lumadb-system";

/// Installs the committed definitions, and waits until the API server serves them.
pub async fn install(client: &Client) -> Outcome<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for file in ["lumadatabases.yaml", "lumainstances.yaml"] {
        let path = tools::workspace().join("deploy/crds").join(file);
        let text = std::fs::read_to_string(path)?;
        let definition: CustomResourceDefinition = serde_saphyr::from_str(&text)?;
        let name = definition.name_any();
        let parameters = PatchParams::apply("test").force();
        definitions
            .patch(&name, &parameters, &Patch::Apply(definition))
            .await?;
        until("the definition to be served", LIMIT, || async {
            let status = json!(definitions.get(&name).await?.status);
            let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
            let served = conditions
                .iter()
                .any(|one| one["type"] == "Established" && one["status"] == "True");
            Ok(served.then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Makes a namespace that admits restricted pods alone, and waits for what each gets.
pub async fn namespace(client: &Client, name: &str) -> Outcome<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let wanted = json!({ "metadata": {
        "name": name,
        "labels": { "pod-security.kubernetes.io/enforce": "restricted" },
    }});
    let wanted = serde_json::from_value(wanted)?;
    namespaces.create(&PostParams::default(), &wanted).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    until("the namespace's service account", LIMIT, || async {
        Ok(accounts.get_opt("default").await?.map(|_| ()))
    })
    .await
}

/// A kubeconfig of the operator's own service account, with the rights that are committed.
pub async fn rights(cluster: &Cluster, client: &Client) -> Outcome<PathBuf> {
    cluster.kubeconfig_for("operator", &grant(client).await?)
}

/// Gives the operator's service account the rights that are committed; the answer is its token.
pub async fn grant(client: &Client) -> Outcome<String> {
    let text = std::fs::read_to_string(tools::workspace().join("deploy/rbac.yaml"))?;
    for document in text.split("\n---\n") {
        let object: DynamicObject = serde_saphyr::from_str(document)?;
        let types = object.types.clone().ok_or("an object without a kind")?;
        let kind = GroupVersionKind::try_from(&types)?;
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = match object.namespace() {
            Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let parameters = PatchParams::apply("test").force();
        api.patch(&object.name_any(), &parameters, &Patch::Apply(&object))
            .await?;
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM);
    let asked = serde_json::from_value(json!({ "spec": { "audiences": [] } }))?;
    let parameters = PostParams::default();
    let token = accounts
        .create_token_request("lumadb-operator", &parameters, &asked)
        .await?;
    Ok(token.status.ok_or("no token")?.token)
}

/// Databases of a namespace, as anybody sees them.
pub fn databases(client: &Client, namespace: &str) -> Api<DynamicObject> {
    ours(client, namespace, "LumaDatabase", "lumadatabases")
}

/// Instances of a namespace.
pub fn instances(client: &Client, namespace: &str) -> Api<DynamicObject> {
    ours(client, namespace, "LumaInstance", "lumainstances")
}

fn ours(client: &Client, namespace: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("lumadb.cloud", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    Api::namespaced_with(client.clone(), namespace, &resource)
}
