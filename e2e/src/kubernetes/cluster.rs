//! One cluster on this machine, in a folder of its own.

use super::daemon::Daemon;
use super::identity::{Identity, write_kubeconfig};
use crate::wait::until;
use crate::{Outcome, ports, tools};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};

/// A busy machine of two cores starts a cluster in a fifth of it.
const START_LIMIT: Duration = Duration::from_mins(2);

/// A port that was free may be taken before it is used.
const ATTEMPTS: usize = 3;

static PROGRAMS: OnceCell<PathBuf> = OnceCell::const_new();
static SHARED: Mutex<Weak<Cluster>> = Mutex::const_new(Weak::new());

/// For how much a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// For tests: all of Kubernetes' controllers work.
    Few,
    /// For thousands of pods that are made and stay: there are no controllers but those without which no
    /// pod begins, and memory is spent rather than calculation.
    Many,
}

impl Load {
    /// Variables of programs in Go.
    pub(super) const fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Few => &[],
            Self::Many => &[("GOGC", "400")],
        }
    }

    const fn controllers(self) -> &'static str {
        match self {
            // Machines are played here, if there are any: nobody asks whether they live.
            Self::Few => "*,-node-lifecycle-controller,-taint-eviction-controller",
            Self::Many => {
                "serviceaccount-controller,root-ca-certificate-publisher-controller,persistentvolume-binder-controller"
            }
        }
    }
}

/// A running cluster. Dropping it ends its processes and removes the folder.
#[derive(Debug)]
pub struct Cluster {
    controller_manager: Option<Daemon>,
    api_server: Daemon,
    etcd: Daemon,
    identity: Identity,
    address: String,
    folder: TempDir,
    load: Load,
}

impl Cluster {
    /// Brings a cluster for tests up on free ports.
    pub async fn start() -> Outcome<Self> {
        Self::start_for(Load::Few).await
    }

    /// The same for so much.
    pub async fn start_for(load: Load) -> Outcome<Self> {
        let programs = PROGRAMS.get_or_try_init(|| programs(&[])).await?;
        let mut attempt = 1;
        loop {
            let mut cluster = Self::spawn(programs, load)?;
            match cluster.wait_until_up(programs).await {
                Ok(()) => return Ok(cluster),
                Err(error) if attempt == ATTEMPTS || cluster.check().is_ok() => {
                    return Err(format!("{error}\n{}", cluster.log_tail()).into());
                }
                Err(_) => attempt += 1,
            }
        }
    }

    /// The cluster that the tests of one program share while any of them holds it. Each makes
    /// namespaces of its own, and leaves alone what belongs to all.
    pub async fn shared() -> Outcome<Arc<Self>> {
        let mut shared = SHARED.lock().await;
        if let Some(cluster) = shared.upgrade() {
            return Ok(cluster);
        }
        let cluster = Arc::new(Self::start().await?);
        *shared = Arc::downgrade(&cluster);
        Ok(cluster)
    }

    /// Where the API server is, as a URL without a path.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A kubeconfig of the cluster's owner, who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Writes a kubeconfig for the bearer of another token, such as a service account's.
    pub fn kubeconfig_for(&self, name: &str, token: &str) -> Outcome<PathBuf> {
        let path = self.folder.path().join(format!("kubeconfig-{name}"));
        let authority = self.identity.path("ca.crt");
        write_kubeconfig(&path, &self.url(), Some(&authority), token)?;
        Ok(path)
    }

    /// A client as the cluster's owner. It lives in the runtime that asks for it.
    pub async fn client(&self) -> Outcome<Client> {
        client_of(&self.kubeconfig()).await
    }

    /// The last lines of every log: what a failed test wants to be read.
    pub fn log_tail(&self) -> String {
        let manager = self.controller_manager.as_ref();
        format!(
            "{}{}{}",
            self.etcd.log_tail(),
            self.api_server.log_tail(),
            manager.map(Daemon::log_tail).unwrap_or_default(),
        )
    }

    pub(super) fn load(&self) -> Load {
        self.load
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn authority_pem(&self) -> &str {
        self.identity.authority_pem()
    }

    /// For files of what works beside the cluster; gone with it.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn owner_token(&self) -> &str {
        self.identity.owner_token()
    }

    /// Starts etcd and the API server, which waits for it.
    fn spawn(programs: &Path, load: Load) -> Outcome<Self> {
        let folder = crate::cloud::new_folder()?;
        let path = folder.path();
        let identity = Identity::make(path.join("keys"))?;
        let (etcd_port, port) = (ports::free()?, ports::free()?);
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let data = format!("--data-dir={}", path.join("etcd").display());
        let etcd_arguments = [
            data,
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
            format!("--listen-client-urls={etcd_url}"),
            format!("--advertise-client-urls={etcd_url}"),
            "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        ];
        let variables = load.variables();
        let etcd = Daemon::start(programs, "etcd", path, variables, etcd_arguments)?;
        let arguments = api_server_arguments(&identity, &etcd_url, port);
        let api_server = Daemon::start(programs, "kube-apiserver", path, variables, arguments)?;
        let cluster = Self {
            controller_manager: None,
            api_server,
            etcd,
            identity,
            address: format!("127.0.0.1:{port}"),
            folder,
            load,
        };
        let (owner, authority) = (cluster.owner_token(), cluster.identity.path("ca.crt"));
        let kubeconfig = cluster.kubeconfig();
        write_kubeconfig(&kubeconfig, &cluster.url(), Some(&authority), owner)?;
        Ok(cluster)
    }

    /// Waits for the API server, and then for what the controller manager makes first.
    async fn wait_until_up(&mut self, programs: &Path) -> Outcome<()> {
        let client = self.client().await?;
        self.wait_for("the API server to be ready", async || {
            let ready = http::Request::get("/readyz").body(Vec::new())?;
            client.request_text(ready).await?;
            Ok(Some(()))
        })
        .await?;
        self.controller_manager = Some(Daemon::start(
            programs,
            "kube-controller-manager",
            self.folder.path(),
            self.load.variables(),
            controller_manager_arguments(&self.identity, &self.kubeconfig(), self.load),
        )?);
        let accounts: Api<ServiceAccount> = Api::default_namespaced(client.clone());
        let roots: Api<ConfigMap> = Api::default_namespaced(client);
        self.wait_for("the controller manager to work", async || {
            let account = accounts.get_opt("default").await?;
            let root = roots.get_opt("kube-root-ca.crt").await?;
            Ok(account.and(root).map(|_| ()))
        })
        .await
    }

    /// Waits for a condition while all that was started runs.
    async fn wait_for(
        &mut self,
        what: &str,
        look: impl AsyncFn() -> Outcome<Option<()>>,
    ) -> Outcome<()> {
        until(what, START_LIMIT, || {
            let ended = self.check();
            let look = &look;
            async move {
                match ended {
                    Err(ended) => Ok(Some(Err(ended))),
                    Ok(()) => Ok(look().await?.map(Ok)),
                }
            }
        })
        .await?
    }

    fn check(&mut self) -> Outcome<()> {
        self.etcd.check()?;
        self.api_server.check()?;
        self.controller_manager
            .as_mut()
            .map_or(Ok(()), Daemon::check)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("LUMADB_TEST_LOG").is_some() {
            eprintln!("{}", self.log_tail());
        }
    }
}

/// A client for a kubeconfig. It lives in the runtime that asks for it.
pub(super) async fn client_of(kubeconfig: &Path) -> Outcome<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(Client::try_from(config)?)
}

/// The folder of Kubernetes' programs, built now if they never were: those that are named, or where
/// none is, those of a cluster.
pub(super) async fn programs(names: &[&str]) -> Outcome<PathBuf> {
    let mut script = Command::new(tools::workspace().join("scripts/kubernetes.sh"));
    let output = script.args(names).stderr(Stdio::inherit()).output().await?;
    if !output.status.success() {
        return Err("scripts/kubernetes.sh did not build Kubernetes".into());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// The admission plugins are those that are on by default, Pod Security and quotas among them, and
/// what keeps a machine to its own pods.
fn api_server_arguments(identity: &Identity, etcd_url: &str, port: u16) -> Vec<String> {
    vec![
        format!("--etcd-servers={etcd_url}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        // It would tell pods its address, and refuses to tell one of loopback.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", identity.path("server.crt")),
        format!("--tls-private-key-file={}", identity.path("server.key")),
        format!("--client-ca-file={}", identity.path("ca.crt")),
        format!("--token-auth-file={}", identity.path("tokens.csv")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!(
            "--service-account-key-file={}",
            identity.path("accounts.pub")
        ),
        format!(
            "--service-account-signing-key-file={}",
            identity.path("accounts.key")
        ),
        "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn controller_manager_arguments(identity: &Identity, kubeconfig: &Path, load: Load) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--secure-port=0".to_owned(),
        "--leader-elect=false".to_owned(),
        format!("--controllers={}", load.controllers()),
        format!("--root-ca-file={}", identity.path("ca.crt")),
        format!("--cluster-signing-cert-file={}", identity.path("ca.crt")),
        format!("--cluster-signing-key-file={}", identity.path("ca.key")),
        format!(
            "--service-account-private-key-file={}",
            identity.path("accounts.key")
        ),
        // Tests wait for what it does.
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        "--profiling=false".to_owned(),
    ]
}
