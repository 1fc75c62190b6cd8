//! The cluster of `make kube` with its control plane, a customer there, and the pods of its databases.

use crate::world::database_of;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Config, ResourceExt};
use lumadb_contract::id::OrganizationId;
use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::api;
use lumadb_e2e::kubernetes::install::SYSTEM;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// Between two looks at a pod.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Longest for whatever is waited for there.
const LIMIT: Duration = Duration::from_mins(3);

/// As `scripts/kube/lib.sh` has them.
const API: &str = "http://10.198.0.1:8400";
const CLOUD_DIR: &str = "/var/lib/lumadb-kube";
const NAMESPACE: &str = "tenants";

/// Container of a database's pod that compute is for.
const ENGINE: &str = "engine";

/// The cluster. It ends with this value, unless it was there before.
pub(super) struct Region {
    account: Account,
    pods: Api<Pod>,
    image: String,
    ends: bool,
}

impl Region {
    pub(super) async fn start() -> Outcome<Self> {
        let folder = kube_dir()?;
        let ends = !folder.exists();
        tools::run(
            Command::new(script("kube_up.sh"))
                .arg("--unchecked")
                .env_remove("KUBECONFIG")
                .env("LUMADB_KUBE_PROGRAMS", programs()?),
        )
        .await?;
        let file = Kubeconfig::read_from(folder.join("keys/admin.kubeconfig"))?;
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(file, &options).await?;
        let client = kube::Client::try_from(config)?;
        let api = api::Api::new(API);
        let name = format!("bench-{}", uuid::Uuid::new_v4().simple());
        let account = Account::sign_up_at(&api, Path::new(CLOUD_DIR), &name).await?;
        // No compute but the smallest is to be had without payment.
        let organization: OrganizationId = account.organization_id.parse()?;
        let plan = format!(
            "update organizations set plan_id = 'pro-payg' where id = '{}'",
            organization.uuid()
        );
        let control = format!("host={CLOUD_DIR}/control/run user=lumadb_admin dbname=control");
        tools::psql(&control, &plan).await?;
        Ok(Self {
            account,
            image: instance_image(&client).await?,
            pods: Api::namespaced(client, NAMESPACE),
            ends,
        })
    }

    /// Makes a pod that does nothing, and gives the time until it is ready.
    pub(super) async fn bare_pod(&self) -> Outcome<Duration> {
        let pod = serde_json::from_value(json!({
            "metadata": {"name": "bare"},
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 0,
                "securityContext": {
                    "runAsNonRoot": true,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "bare",
                    "image": self.image,
                    // It waits for somebody to say something.
                    "command": ["sh"],
                    "stdin": true,
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        }))?;
        // A run that was cut off may have left one.
        self.no_bare_pod().await?;
        let start = Instant::now();
        self.pods.create(&PostParams::default(), &pod).await?;
        self.pod_is("bare", |pod| pod.is_some_and(is_ready)).await?;
        let span = start.elapsed();
        self.no_bare_pod().await?;
        Ok(span)
    }

    async fn no_bare_pod(&self) -> Outcome<()> {
        // It may not be there.
        let _ = self.pods.delete("bare", &DeleteParams::default()).await;
        self.pod_is("bare", |pod| pod.is_none()).await
    }

    /// Asks for a database, and does not wait for it.
    pub(super) async fn create(&self, name: &str, milli_vcpu: u32) -> Outcome<Database> {
        let path = format!("/v1/projects/{}/databases", self.account.project_id);
        let asked = json!({"name": name, "milli_vcpu": milli_vcpu});
        let answer = self.account.api.post(&path, &asked).await?.expect(201)?;
        database_of(&answer)
    }

    /// Has it fall asleep, and waits until its pod is gone.
    pub(super) async fn sleeps(&self, database: &Database) -> Outcome<()> {
        self.change(database, &json!({"idle_timeout_seconds": 5}))
            .await?;
        let name = pod_of(database);
        self.pod_is(&name, |pod| pod.is_none()).await?;
        self.account.database_is(&database.id, "asleep").await?;
        Ok(())
    }

    pub(super) async fn stays_awake(&self, database: &Database) -> Outcome<()> {
        self.change(database, &json!({"idle_timeout_seconds": null}))
            .await
    }

    /// Deletes its pod, and waits until there is another one.
    pub(super) async fn replace_pod(&self, database: &Database) -> Outcome<()> {
        let name = pod_of(database);
        let before = self.pods.get(&name).await?.uid();
        self.pods.delete(&name, &DeleteParams::default()).await?;
        self.pod_is(&name, |pod| pod.is_some_and(|pod| pod.uid() != before))
            .await
    }

    /// Gives it other compute, and waits until its containers have it; fails if they were replaced.
    pub(super) async fn resize(&self, database: &Database, milli_vcpu: u32) -> Outcome<()> {
        let name = pod_of(database);
        let pod = self.pods.get(&name).await?;
        let (before, limit) = (lives(&pod), cpu_limit(&pod));
        self.change(database, &json!({"milli_vcpu": milli_vcpu}))
            .await?;
        self.pod_is(&name, |pod| pod.is_some_and(|pod| cpu_limit(pod) != limit))
            .await?;
        let after = lives(&self.pods.get(&name).await?);
        if after == before {
            return Ok(());
        }
        Err(format!("not resized in place: {before:?} became {after:?}").into())
    }

    pub(super) async fn delete(&self, database: &Database) -> Outcome<()> {
        let path = format!("/v1/databases/{}", database.id);
        let answer = self.account.api.delete(&path).await?;
        let operation = answer.text_at("/operation/id")?;
        self.account.operation_succeeds(&operation).await?;
        self.pod_is(&pod_of(database), |pod| pod.is_none()).await
    }

    async fn change(&self, database: &Database, to: &serde_json::Value) -> Outcome<()> {
        let path = format!("/v1/databases/{}", database.id);
        let answer = self.account.api.patch(&path, to).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        Err(format!("{to} was refused: {}", answer.text).into())
    }

    async fn pod_is(&self, name: &str, is: impl Fn(Option<&Pod>) -> bool) -> Outcome<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let pod = self.pods.get_opt(name).await?;
            if is(pod.as_ref()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("waited {} s for {name}: {pod:?}", LIMIT.as_secs()).into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.ends {
            let ended = std::process::Command::new(script("kube_down.sh")).status();
            if !ended.is_ok_and(|status| status.success()) {
                eprintln!("the cluster did not end: make kube-down");
            }
        }
    }
}

fn pod_of(database: &Database) -> String {
    let label = database.id.trim_start_matches("db_");
    format!("db-{label}-1")
}

fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let mut conditions = status
        .and_then(|status| status.conditions.as_deref())
        .into_iter()
        .flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The pod, and how often each of its containers has started again.
fn lives(pod: &Pod) -> (Option<String>, Vec<i32>) {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    (
        pod.uid(),
        statuses.map(|container| container.restart_count).collect(),
    )
}

/// What kubelet says that the engine may take.
fn cpu_limit(pod: &Pod) -> Option<Quantity> {
    let mut statuses = pod.status.as_ref()?.container_statuses.iter().flatten();
    let engine = statuses.find(|container| container.name == ENGINE)?;
    engine
        .resources
        .as_ref()?
        .limits
        .as_ref()?
        .get("cpu")
        .cloned()
}

/// The image of databases' pods, as the operator was told it.
async fn instance_image(client: &kube::Client) -> Outcome<String> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), SYSTEM);
    let operator = deployments.get("lumadb-operator").await?;
    let template = operator.spec.and_then(|spec| spec.template.spec);
    let mut variables = template
        .into_iter()
        .flat_map(|spec| spec.containers)
        .flat_map(|container| container.env.unwrap_or_default());
    let image = variables.find(|variable| variable.name == "LUMADB_OPERATOR_IMAGE");
    Ok(image
        .and_then(|variable| variable.value)
        .ok_or("the operator has no image")?)
}

fn script(name: &str) -> PathBuf {
    tools::workspace().join("scripts").join(name)
}

/// Where the cluster lies.
fn kube_dir() -> Outcome<PathBuf> {
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let cache = std::env::var_os("LUMADB_CACHE").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| Path::new(&home).join(".cache/lumadb"));
    Ok(std::env::var_os("LUMADB_KUBE_DIR").map_or_else(|| cache.join("cluster"), PathBuf::from))
}

/// The folder of the programs that are measured.
fn programs() -> Outcome<PathBuf> {
    let cloud = tools::program("lumadb-cloud")?;
    Ok(cloud.parent().ok_or("a program has no folder")?.to_owned())
}
