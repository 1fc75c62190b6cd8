//! The API server judges, and Kubernetes' own controllers work.

use super::{LIMIT, config_map, create, names, namespace};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use lumadb_e2e::Outcome;
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::wait::until;
use serde_json::{Value, json};

#[tokio::test]
async fn a_cluster_answers_with_its_version() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let version = cluster.client().await?.apiserver_version().await?;
    assert_eq!(version.major, "1");
    assert!(version.git_version.starts_with("v1."), "{version:?}");
    Ok(())
}

#[tokio::test]
async fn a_resource_of_our_own_is_established_and_judged() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let client = cluster.client().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    create(&definitions, definition()).await?;
    until("the definition to be established", LIMIT, || async {
        let status = definitions.get("widgets.test.lumadb.com").await?.status;
        let conditions = status.and_then(|status| status.conditions);
        let established = conditions
            .unwrap_or_default()
            .into_iter()
            .any(|condition| condition.type_ == "Established" && condition.status == "True");
        Ok(established.then_some(()))
    })
    .await?;

    let kind = GroupVersionKind::gvk("test.lumadb.com", "v1", "Widget");
    let resource = ApiResource::from_gvk(&kind);
    let widgets: Api<DynamicObject> = Api::default_namespaced_with(client, &resource);
    // Its path is served a moment later.
    until("the resource to be served", LIMIT, || async {
        Ok(Some(widgets.list(&ListParams::default()).await?))
    })
    .await?;
    let widget = |size: u32| {
        json!({
            "apiVersion": "test.lumadb.com/v1",
            "kind": "Widget",
            "metadata": { "name": "one" },
            "spec": { "size": size },
        })
    };
    let refused = create(&widgets, widget(11)).await;
    let message = refused.err().map(|error| error.to_string());
    let message = message.unwrap_or_default();
    assert!(message.contains("at most ten"), "{message}");
    let made = create(&widgets, widget(10)).await?;
    assert_eq!(made.data["spec"]["color"], "grey");
    Ok(())
}

#[tokio::test]
async fn what_an_owner_leaves_behind_is_collected() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let client = cluster.client().await?;
    namespace(&client, "garbage", &json!({})).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client, "garbage");
    let owner = create(&maps, config_map("owner")).await?;
    let mut heir = config_map("owned");
    heir["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner.metadata.uid,
    }]);
    create(&maps, heir).await?;
    create(&maps, config_map("other")).await?;
    maps.delete("owner", &DeleteParams::default()).await?;
    until("the owned object to go", LIMIT, || async {
        Ok(maps.get_opt("owned").await?.is_none().then_some(()))
    })
    .await?;
    assert_eq!(names(&maps).await?, ["other"]);
    Ok(())
}

#[tokio::test]
async fn a_restricted_namespace_takes_restricted_pods_alone() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let client = cluster.client().await?;
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    namespace(&client, "restricted", &labels).await?;
    let pods: Api<Pod> = Api::namespaced(client, "restricted");
    let refused = create(&pods, pod("free", &json!({}))).await;
    let message = refused.err().map(|error| error.to_string());
    let message = message.unwrap_or_default();
    assert!(message.contains("violates PodSecurity"), "{message}");
    let restricted = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "runAsNonRoot": true,
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    create(&pods, pod("bound", &restricted)).await?;
    Ok(())
}

#[tokio::test]
async fn the_bearer_of_an_accounts_token_may_do_nothing_unasked() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let client = cluster.client().await?;
    namespace(&client, "rights", &json!({})).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client, "rights");
    let request: TokenRequest = serde_json::from_value(json!({ "spec": { "audiences": [] } }))?;
    let answer = accounts
        .create_token_request("default", &PostParams::default(), &request)
        .await?;
    let token = answer.status.ok_or("no token")?.token;

    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig_for("rights", &token)?)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    let bearer = Client::try_from(config)?;
    let secrets: Api<Secret> = Api::namespaced(bearer, "rights");
    let refused = secrets.list(&ListParams::default()).await;
    match refused {
        Err(kube::Error::Api(status)) if status.code == 403 => {
            let account = "system:serviceaccount:rights:default";
            assert!(status.message.contains(account), "{status:?}");
        }
        other => return Err(format!("not refused: {other:?}").into()),
    }
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_is_dropped_leaves_nothing() -> Outcome<()> {
    let cluster = Cluster::start().await?;
    let folder = cluster.kubeconfig().parent().map(ToOwned::to_owned);
    let folder = folder.ok_or("a kubeconfig lies in a folder")?;
    let of_cluster = || lumadb_e2e::process::of_folder(&folder);
    assert_eq!(of_cluster()?.len(), 3);
    drop(cluster);
    assert_eq!(of_cluster()?, []);
    assert!(!folder.exists());
    Ok(())
}

/// A resource with a default and a rule.
fn definition() -> Value {
    let spec = json!({
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": { "type": "integer" },
            "color": { "type": "string", "default": "grey" },
        },
        "x-kubernetes-validations": [{
            "rule": "self.size <= 10",
            "message": "a widget's size is at most ten",
        }],
    });
    json!({
        "metadata": { "name": "widgets.test.lumadb.com" },
        "spec": {
            "group": "test.lumadb.com",
            "scope": "Namespaced",
            "names": { "kind": "Widget", "plural": "widgets", "singular": "widget" },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": spec },
                }},
            }],
        },
    })
}

fn pod(name: &str, security: &Value) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": { "containers": [{
            "name": "main",
            "image": "nothing",
            "securityContext": security,
        }]},
    })
}
