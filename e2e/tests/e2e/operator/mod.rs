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

use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::{Api, Client, ResourceExt as _};
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest time for one change to be wholly there, on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// Where operator and lease are.
const SYSTEM: &str = "lumadb-system";

pub(crate) const NAME: &str = "db-01jdk3x5v9e8rb6w4q2n7m0c1a";

/// Installs the committed definitions, and waits until the API server serves them.
pub(crate) async fn install(client: &Client) -> Outcome<()> {
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
pub(crate) async fn namespace(client: &Client, name: &str) -> Outcome<()> {
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
pub(crate) async fn rights(cluster: &Cluster, client: &Client) -> Outcome<PathBuf> {
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
    let token = token.status.ok_or("no token")?.token;
    cluster.kubeconfig_for("operator", &token)
}

/// Databases of a namespace, as anybody sees them.
pub(crate) fn databases(client: &Client, namespace: &str) -> Api<DynamicObject> {
    ours(client, namespace, "LumaDatabase", "lumadatabases")
}

pub(crate) fn instances(client: &Client, namespace: &str) -> Api<DynamicObject> {
    ours(client, namespace, "LumaInstance", "lumainstances")
}

fn ours(client: &Client, namespace: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("lumadb.cloud", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    Api::namespaced_with(client.clone(), namespace, &resource)
}

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

/// A running operator; dropping it kills it.
pub(crate) struct Operator {
    child: Child,
    log: PathBuf,
    folder: TempDir,
}

impl Operator {
    fn start(kubeconfig: &Path) -> Outcome<Self> {
        Self::start_with(kubeconfig, &[])
    }

    pub(crate) fn start_with(kubeconfig: &Path, settings: &[(&str, &str)]) -> Outcome<Self> {
        let folder = lumadb_e2e::cloud::new_folder()?;
        let log = folder.path().join("operator.log");
        let output = File::create(&log)?;
        let mut program = Command::new(tools::program("lumadb-cloud")?);
        // What the tests are told by variables is none of the operator's settings.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"LUMADB_") {
                program.env_remove(name);
            }
        }
        let child = program
            .arg("operator")
            .arg("--data-dir")
            .arg(folder.path())
            .env("LUMADB_OPERATOR_KUBECONFIG", kubeconfig)
            .env("LUMADB_OPERATOR_IDENTITY", "test")
            .env("LUMADB_OPERATOR_LISTEN", "127.0.0.1:0")
            .env("LUMADB_OPERATOR_PARENT_LISTEN", "127.0.0.1:0")
            .env("LUMADB_OPERATOR_SYSTEM_NAMESPACE", SYSTEM)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { child, log, folder })
    }

    /// What it answers to a request for health or metrics.
    pub(crate) async fn ask(&self, path: &str) -> Outcome<String> {
        let address = until("the operator to listen", LIMIT, || async {
            let log = self.log();
            let found = log.split_once("address=").map(|(_, rest)| rest);
            let address = found.and_then(|rest| rest.split_whitespace().next());
            Ok(address.map(str::to_owned))
        })
        .await?;
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: operator\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once.
    pub(crate) fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Has it end in order.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        let ended = until("the operator to end", LIMIT, || {
            let ended = self.child.try_wait();
            async move { Ok(ended?) }
        })
        .await;
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the operator ended with {status}: {}", self.log()).into()),
            Err(error) => Err(format!("{error}: {}", self.log()).into()),
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() || std::env::var_os("LUMADB_TEST_LOG").is_some() {
            eprintln!(
                "== operator ({})\n{}",
                self.folder.path().display(),
                self.log()
            );
        }
    }
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
