//! What a real API server takes of the chart, and what the operator may do with what it gets.

use super::metrics::{prometheus, selected};
use super::{Helm, RELEASE, SYSTEM, TENANTS, chart, everything};
use crate::operator::{
    LIMIT, NAME, Operator, create, database, databases, namespace, until_settled,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::discovery::{Discovery, verbs};
use kube::{Api, Client, Config, ResourceExt as _};
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::kubernetes::machine::Machine;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tokio::process::Command;

const POD: &str = "db-01jdk3x5v9e8rb6w4q2n7m0c1a-1";

/// A cluster with a machine that says that pods run, and namespaces that admit restricted ones alone.
struct Site {
    client: Client,
    helm: Helm,
    cluster: Cluster,
    _machine: Machine,
}

impl Site {
    async fn new() -> Outcome<Self> {
        let cluster = Cluster::start().await?;
        let machine = Machine::join(&cluster).await?;
        let client = cluster.client().await?;
        namespace(&client, SYSTEM).await?;
        namespace(&client, TENANTS).await?;
        Ok(Self {
            client,
            helm: Helm::new().await?,
            cluster,
            _machine: machine,
        })
    }

    async fn release(&self, verb: &str, arguments: &[&str]) -> Outcome<String> {
        let kubeconfig = self.cluster.kubeconfig();
        self.helm.release(&kubeconfig, verb, arguments).await
    }

    /// Installs or upgrades from a folder, with values.
    async fn apply(&self, verb: &str, chart: &Path, values: &Value) -> Outcome<String> {
        let (chart, values) = (chart.to_string_lossy(), self.helm.file(values)?);
        self.release(verb, &[&chart, "--values", &values.to_string_lossy()])
            .await
    }

    /// A kubeconfig of the operator's account, as its pods have it.
    async fn account(&self) -> Outcome<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), SYSTEM);
        let asked = serde_json::from_value(json!({ "spec": { "audiences": [] } }))?;
        let parameters = PostParams::default();
        let token = accounts
            .create_token_request("lumadb-operator", &parameters, &asked)
            .await?;
        let token = token.status.ok_or("no token")?.token;
        self.cluster.kubeconfig_for("chart", &token)
    }

    /// An operator as its deployment starts it, but for where it listens.
    async fn operator(&self, kubeconfig: &Path) -> Outcome<Operator> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), SYSTEM);
        let deployment = json!(deployments.get("lumadb-operator").await?);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["command"], json!(["lumadb-cloud", "operator"]));
        let mut settings = Vec::new();
        for one in container["env"].as_array().into_iter().flatten() {
            let name = one["name"].as_str().ok_or("a variable without a name")?;
            let value = match one["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some("metadata.name") => "lumadb-operator-0",
                Some("metadata.namespace") => SYSTEM,
                _ => one["value"].as_str().ok_or("a variable without a value")?,
            };
            settings.push((
                name,
                if name.ends_with("_LISTEN") {
                    "127.0.0.1:0"
                } else {
                    value
                },
            ));
        }
        Operator::start_with(kubeconfig, &settings)
    }
}

async fn client_of(kubeconfig: &Path) -> Outcome<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(Client::try_from(config)?)
}

/// Whether a client may do something, such as `delete secrets` or `create pods/exec`.
async fn may(client: &Client, what: &str, group: &str, namespace: &str) -> Outcome<bool> {
    let (verb, resource) = what.split_once(' ').ok_or("no verb")?;
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({ "spec": { "resourceAttributes": {
        "verb": verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "namespace": namespace,
    }}});
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let review = serde_json::from_value(review)?;
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Definitions of another's resources, that the API server checks them.
async fn install_monitoring(site: &Site) -> Outcome<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(site.client.clone());
    for file in ["podmonitors", "prometheusrules"] {
        let file = format!("crds/monitoring.coreos.com_{file}.yaml");
        let text = std::fs::read_to_string(prometheus().await?.join(file))?;
        let definition: DynamicObject = serde_saphyr::from_str(&text)?;
        let name = definition.name_any();
        let parameters = PatchParams::apply("test");
        let patch = Patch::Apply(&definition);
        definitions.patch(&name, &parameters, &patch).await?;
        until("the definition to be served", LIMIT, || async {
            let status = json!(definitions.get(&name).await?.status);
            let conditions = status["conditions"].as_array().cloned();
            let served = conditions
                .unwrap_or_default()
                .iter()
                .any(|one| one["type"] == "Established" && one["status"] == "True");
            Ok(served.then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Kind, namespace and name of all that carries the label of the release, of every kind there is.
async fn of_the_release(client: &Client) -> Outcome<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let discovery = Discovery::new(client.clone()).run().await?;
    let labeled = format!("app.kubernetes.io/instance={RELEASE}");
    let parameters = ListParams::default().labels(&labeled);
    for (resource, capabilities) in discovery
        .groups()
        .flat_map(kube::discovery::ApiGroup::recommended_resources)
    {
        if !capabilities.supports_operation(verbs::LIST) {
            continue;
        }
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        for object in api.list(&parameters).await? {
            let namespace = object.namespace().unwrap_or_else(|| "-".into());
            found.insert(format!(
                "{} {namespace} {}",
                resource.kind,
                object.name_any()
            ));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn a_release_is_installed_works_is_upgraded_and_goes() -> Outcome<()> {
    let site = Site::new().await?;
    install_monitoring(&site).await?;
    // One of before, whose definitions lack something.
    let older = older_chart(&site.helm).await?;
    let mut values = everything();
    values["operator"]["log"]["json"] = false.into();
    let said = site.apply("install", &older, &values).await?;
    assert!(said.contains("get lease lumadb-operator"), "{said}");
    assert_eq!(short_names(&site.client).await?, json!(null));
    pods_are_found(&site.client).await?;

    let kubeconfig = site.account().await?;
    let operator = site.operator(&kubeconfig).await?;
    let all = databases(&site.client, TENANTS);
    create(&all, database()).await?;
    until_settled(&all).await?;
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), TENANTS);
    let pod = pods.get(POD).await?;
    pod_is_as_the_chart_says(&pod);
    let page = operator.ask("/metrics").await?;
    for one in selected().await?.iter().filter(|one| one.is_operators()) {
        // The played reasons for refusals did not happen.
        assert_eq!(one.missing_in(&page), None, "{page}");
    }
    rights_end_there(&client_of(&kubeconfig).await?).await?;
    operator.stop().await?;

    // Another number of operators; and the definitions come along.
    values["replicas"] = 1.into();
    site.apply("upgrade", &chart(), &values).await?;
    assert_eq!(short_names(&site.client).await?, json!(["ldb"]));
    let left = of_the_release(&site.client).await?;
    let budget = |name: &str| format!("PodDisruptionBudget {SYSTEM} {name}");
    assert!(!left.contains(&budget("lumadb-operator")), "{left:?}");
    assert!(left.contains(&budget("lumadb-edge")), "{left:?}");
    assert_eq!(pods.get(POD).await?.uid(), pod.uid());

    uninstalled(&site, &pod).await?;
    // And it comes back.
    site.apply("install", &chart(), &values).await?;
    let operator = site.operator(&site.account().await?).await?;
    until("the database to be looked after again", LIMIT, || async {
        let page = operator.ask("/metrics").await?;
        let ready = "lumadb_operator_databases{phase=\"Ready\"} 1\n";
        Ok(page.contains(ready).then_some(()))
    })
    .await?;
    assert_eq!(pods.get(POD).await?.uid(), pod.uid());
    operator.stop().await
}

/// A copy of the chart, with what it links to, whose databases have no short name.
async fn older_chart(helm: &Helm) -> Outcome<PathBuf> {
    let folder = helm.folder.path().join("older");
    let mut copy = Command::new("cp");
    tools::run(copy.arg("-rL").arg(chart()).arg(&folder)).await?;
    let path = folder.join("files/crds/lumadatabases.yaml");
    let text = std::fs::read_to_string(&path)?;
    let without = text.replace("    shortNames:\n    - ldb\n", "");
    assert_ne!(text, without);
    std::fs::write(path, without)?;
    Ok(folder)
}

async fn short_names(client: &Client) -> Outcome<Value> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = definitions.get("lumadatabases.lumadb.cloud").await?;
    Ok(json!(definition.spec.names)["shortNames"].clone())
}

/// Both operators were admitted as restricted pods, and nodes find them.
async fn pods_are_found(client: &Client) -> Outcome<()> {
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), SYSTEM);
    let parameters = ListParams::default().labels("kubernetes.io/service-name=lumadb-operator");
    until("both operators to be behind the service", LIMIT, || async {
        let slices = json!(slices.list(&parameters).await?.items);
        let slice = &slices[0];
        let ready = slice["endpoints"].as_array().cloned().unwrap_or_default();
        let ready = ready
            .iter()
            .filter(|one| one["conditions"]["ready"] == true);
        let is_right = ready.count() == 2 && slice["ports"][0]["port"] == 8443;
        Ok(is_right.then_some(()))
    })
    .await
}

fn pod_is_as_the_chart_says(pod: &Pod) {
    let pod = json!(pod);
    for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
        let image = concat!("lumadb/instance:", env!("CARGO_PKG_VERSION"));
        assert_eq!(container["image"], image);
    }
    let parent = format!("--parent=https://lumadb-operator.{SYSTEM}.svc:8443");
    let arguments = pod["spec"]["containers"][1]["args"].as_array();
    assert!(
        arguments.is_some_and(|all| all.contains(&json!(parent))),
        "{pod}"
    );
}

/// What the operator may not do.
async fn rights_end_there(operator: &Client) -> Outcome<()> {
    let ours = "lumadb.cloud";
    assert!(may(operator, "patch lumadatabases/status", ours, TENANTS).await?);
    for (what, group) in [
        ("create lumadatabases", ours),
        ("update lumadatabases", ours),
        ("delete lumadatabases", ours),
        ("delete lumainstances", ours),
        ("update secrets", ""),
        ("delete secrets", ""),
        ("delete persistentvolumeclaims", ""),
        ("update pods", ""),
        ("create pods/exec", ""),
        ("create serviceaccounts/token", ""),
        ("delete namespaces", ""),
        ("get nodes", ""),
        ("impersonate users", ""),
        ("create leases", "coordination.k8s.io"),
        ("create deployments", "apps"),
        ("create clusterroles", "rbac.authorization.k8s.io"),
        ("create rolebindings", "rbac.authorization.k8s.io"),
        ("patch customresourcedefinitions", "apiextensions.k8s.io"),
    ] {
        assert!(!may(operator, what, group, TENANTS).await?, "{what}");
    }
    let secrets: Api<Secret> = Api::namespaced(operator.clone(), TENANTS);
    let deleted = secrets.delete("any", &DeleteParams::default()).await;
    assert!(
        matches!(&deleted, Err(kube::Error::Api(refused)) if refused.code == 403),
        "{deleted:?}"
    );
    Ok(())
}

/// Nothing of the release is left but definitions. Databases, their pods and volumes are, and what the
/// operator keeps for nodes.
async fn uninstalled(site: &Site, pod: &Pod) -> Outcome<()> {
    site.release("uninstall", &[]).await?;
    let kept = ["lumadatabases", "lumainstances"]
        .map(|plural| format!("CustomResourceDefinition - {plural}.lumadb.cloud"));
    until("the release to be gone", LIMIT, || async {
        let left = of_the_release(&site.client).await?;
        if left.iter().eq(&kept) {
            return Ok(Some(()));
        }
        Err(format!("{left:?}").into())
    })
    .await?;
    // What nodes know the operator by is the operator's own, and is there for the next one.
    let secrets: Api<Secret> = Api::namespaced(site.client.clone(), SYSTEM);
    let secrets = secrets.list(&ListParams::default()).await?;
    let secrets: Vec<_> = secrets.iter().map(kube::ResourceExt::name_any).collect();
    assert_eq!(secrets, ["lumadb-node-authority"]);
    databases(&site.client, TENANTS).get(NAME).await?;
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), TENANTS);
    assert_eq!(pods.get(POD).await?.uid(), pod.uid());
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(site.client.clone(), TENANTS);
    claims.get(POD).await?;
    Ok(())
}

#[tokio::test]
async fn rights_in_one_namespace_are_enough_for_it() -> Outcome<()> {
    const OTHER: &str = "others";
    let site = Site::new().await?;
    namespace(&site.client, OTHER).await?;
    let values = json!({ "operator": { "watchNamespace": TENANTS, "log": { "json": false } } });
    site.apply("install", &chart(), &values).await?;
    let kubeconfig = site.account().await?;
    let operator = site.operator(&kubeconfig).await?;
    let others = databases(&site.client, OTHER);
    create(&others, database()).await?;
    let watched = databases(&site.client, TENANTS);
    create(&watched, database()).await?;
    until_settled(&watched).await?;

    // The other was there first, and nobody looked at it.
    let other = others.get(NAME).await?;
    assert!(other.data.get("status").is_none(), "{other:?}");
    let client = client_of(&kubeconfig).await?;
    for place in [OTHER, "kube-system", ""] {
        for (what, group) in [
            ("list secrets", ""),
            ("create pods", ""),
            ("list lumadatabases", "lumadb.cloud"),
            ("patch lumadatabases/status", "lumadb.cloud"),
        ] {
            assert!(
                !may(&client, what, group, place).await?,
                "{what} in {place}"
            );
        }
    }
    assert!(may(&client, "create tokenreviews", "authentication.k8s.io", "").await?);
    let log = operator.log();
    assert!(!log.contains("forbidden"), "{log}");
    operator.stop().await
}

#[tokio::test]
async fn a_second_release_and_missing_namespaces_are_refused() -> Outcome<()> {
    let site = Site::new().await?;
    let values = json!({ "controlPlaneAccess": { "enabled": true, "namespace": "nowhere" } });
    let refused = site.apply("install", &chart(), &values).await;
    let refused = refused.expect_err("there is no such namespace").to_string();
    assert!(refused.contains("\"nowhere\" not found"), "{refused}");
    site.release("uninstall", &[]).await?;

    site.apply("install", &chart(), &json!({})).await?;
    let mut second = site.helm.command("install");
    second
        .arg("second")
        .arg(chart())
        .args(["--namespace", TENANTS, "--kubeconfig"])
        .arg(site.cluster.kubeconfig());
    let refused = tools::run(&mut second).await;
    let refused = refused.expect_err("there is one already").to_string();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    assert!(refused.contains(RELEASE), "{refused}");
    Ok(())
}
