//! The operator's Helm chart: what Helm makes of it, what a cluster takes of that, and what alerts
//! and dashboards ask for.

mod cluster;
mod metrics;
mod rendered;
mod values;

use lumadb_e2e::{Failure, Outcome, tools};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

/// Where the operator is, and where databases are.
const SYSTEM: &str = "lumadb-system";
const TENANTS: &str = "tenants";

const RELEASE: &str = "luma";

static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();

/// Everything that can be switched on.
fn everything() -> Value {
    json!({
        "operator": { "tracesEndpoint": "http://collector.monitoring:4317" },
        "edge": {
            "enabled": true,
            "region": "eu",
            "certificateSecret": "edge-certificate",
            "service": { "type": "ClusterIP", "annotations": { "example.com/note": "c" } },
            "nodeSelector": { "kubernetes.io/os": "linux" },
            "tolerations": [{ "key": "dedicated", "operator": "Exists" }],
        },
        "controlPlaneAccess": { "enabled": true },
        "networkPolicy": { "egress": [{ "ports": [{ "port": 443 }] }] },
        "monitoring": {
            "podMonitors": { "enabled": true, "labels": { "release": "prometheus" } },
            "alerts": { "enabled": true },
            "dashboards": { "enabled": true },
        },
        "imagePullSecrets": [{ "name": "registry" }],
        "priorityClassName": "system-cluster-critical",
        "podAnnotations": { "example.com/note": "a" },
        "podLabels": { "example.com/team": "b", "app.kubernetes.io/name": "not-taken-over" },
        "nodeSelector": { "kubernetes.io/os": "linux" },
        "tolerations": [{ "key": "dedicated", "operator": "Exists" }],
        "affinity": { "nodeAffinity": {} },
    })
}

/// Helm, with a folder of its own instead of a person's settings.
struct Helm {
    program: &'static Path,
    folder: TempDir,
}

impl Helm {
    async fn new() -> Outcome<Self> {
        let program = PROGRAM
            .get_or_try_init(|| built("scripts/helm.sh"))
            .await?
            .as_path();
        let folder = lumadb_e2e::cloud::new_folder()?;
        Ok(Self { program, folder })
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(self.program);
        command.arg(verb).env("HOME", self.folder.path());
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, self.folder.path().join(name));
        }
        command
    }

    /// Writes values down, as JSON, which is YAML too.
    fn file(&self, values: &Value) -> Outcome<PathBuf> {
        let file = tempfile::Builder::new()
            .suffix(".json")
            .tempfile_in(self.folder.path())?;
        let (_, path) = file.keep()?;
        std::fs::write(&path, values.to_string())?;
        Ok(path)
    }

    fn template(&self, values: &Value) -> Outcome<Command> {
        let mut command = self.command("template");
        command
            .arg(RELEASE)
            .arg(chart())
            .args(["--namespace", SYSTEM, "--values"])
            .arg(self.file(values)?);
        Ok(command)
    }

    /// The objects of a release with these values.
    async fn objects(&self, values: &Value) -> Outcome<Vec<Value>> {
        documents(&tools::run(&mut self.template(values)?).await?)
    }

    /// What is said where values are refused.
    async fn refusal(&self, values: &Value) -> Outcome<String> {
        let output = tools::output(&mut self.template(values)?).await?;
        if output.status.success() {
            return Err(format!("{values} is admitted").into());
        }
        Ok(String::from_utf8(output.stderr)?)
    }

    /// Installs, upgrades or uninstalls the release.
    async fn release(&self, kubeconfig: &Path, verb: &str, arguments: &[&str]) -> Outcome<String> {
        let mut command = self.command(verb);
        command
            .arg(RELEASE)
            .args(arguments)
            .args(["--namespace", SYSTEM, "--wait", "--timeout", "2m"])
            .arg("--kubeconfig")
            .arg(kubeconfig);
        tools::run(&mut command).await
    }
}

/// What a script builds, once; it says where.
async fn built(script: &str) -> Result<PathBuf, Failure> {
    let mut command = Command::new(tools::workspace().join(script));
    let output = command.stderr(Stdio::inherit()).output().await?;
    if !output.status.success() {
        return Err(format!("{script} did not build").into());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn deploy() -> PathBuf {
    tools::workspace().join("deploy")
}

fn chart() -> PathBuf {
    deploy().join("chart")
}

/// The documents of a file of YAML, but for empty ones.
fn documents(text: &str) -> Outcome<Vec<Value>> {
    let mut all = Vec::new();
    for document in format!("\n{text}").split("\n---\n") {
        let value: Value = serde_saphyr::from_str(document)?;
        if !value.is_null() {
            all.push(value);
        }
    }
    Ok(all)
}

fn committed(file: &str) -> Outcome<Vec<Value>> {
    let path = deploy().join(file);
    let text = std::fs::read_to_string(&path);
    documents(&text.map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Kind, namespace and name of an object.
fn key(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let metadata = &object["metadata"];
    format!(
        "{} {} {}",
        text(&object["kind"]),
        text(&metadata["namespace"]),
        text(&metadata["name"])
    )
}

fn found<'a>(objects: &'a [Value], wanted: &str) -> Outcome<&'a Value> {
    let one = objects.iter().find(|object| key(object) == wanted);
    one.ok_or_else(|| format!("no {wanted}").into())
}
