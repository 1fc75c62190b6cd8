//! The services: API, worker, edge, S3 server and the stand-in for Stripe, each a child process of the same program.

use super::error::UpError;
use super::ports::Addresses;
use super::say;
use crate::config::{Config, RuntimeKind};
use lumadb_control_plane::runtime::local::folder::Programs;
use lumadb_control_plane::runtime::local::keeper::{Keeper, KeptState, Wish};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::runtime::local::process::{Processes, Program};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

/// Longest time for a service to be ready.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// Longest time for one probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

const PROBE_INTERVAL: Duration = Duration::from_millis(20);

/// Starts of a service that fails each time, before `up` gives up.
const ATTEMPTS_MAX: u32 = 4;

/// In the order in which they are stopped: no new clients, no new wishes, then what runs, and then
/// what that archives into.
pub(crate) const NAMES: [&str; 5] = ["edge", "api", "worker", "s3", "stripe-fake"];

/// How long one may take to end; the worker ends every node.
fn grace(name: &str) -> Duration {
    match name {
        "worker" => Duration::from_mins(3),
        "stripe-fake" => Duration::from_secs(10),
        _ => Duration::from_secs(30),
    }
}

/// What a service needs to be told besides the configuration file.
#[derive(Debug)]
pub(crate) struct ServiceSetup<'a> {
    pub(crate) data: &'a DataFolder,
    pub(crate) config: &'a Config,
    pub(crate) config_file: Option<&'a Path>,
    pub(crate) programs: &'a Programs,
    pub(crate) addresses: Addresses,
}

/// The kept services.
#[derive(Debug)]
pub(crate) struct Services {
    keepers: Vec<(&'static str, Duration, Keeper)>,
    watchers: Vec<tokio::task::JoinHandle<()>>,
}

impl ServiceSetup<'_> {
    fn program(&self, name: &str) -> Result<Program, UpError> {
        let path = std::env::current_exe()
            .map_err(|error| UpError::Other(format!("this program is gone: {error}")))?;
        let mut arguments: Vec<OsString> = vec![
            name.into(),
            "--data-dir".into(),
            self.data.root().as_os_str().to_owned(),
        ];
        if let Some(file) = self.config_file {
            arguments.extend(["--config".into(), file.as_os_str().to_owned()]);
        }
        let environment: Vec<(OsString, OsString)> = [
            ("LUMADB_HTTP_LISTEN", self.addresses.http.to_string().into()),
            ("LUMADB_EDGE_LISTEN", self.addresses.edge.to_string().into()),
            (
                "LUMADB_OBJECT_STORE_LISTEN",
                self.addresses.object_store.to_string().into(),
            ),
            (
                "LUMADB_STRIPE_LISTEN",
                self.addresses.stripe.to_string().into(),
            ),
            (
                "LUMADB_NODE_PROGRAM",
                self.programs.node.clone().into_os_string(),
            ),
            (
                "LUMADB_ENGINE_DIR",
                self.programs.engine.clone().into_os_string(),
            ),
        ]
        .map(|(name, value)| (name.into(), value))
        .into();
        Ok(Program {
            name: name.to_owned(),
            fingerprint: self.fingerprint(&path, &environment),
            path,
            arguments,
            environment,
            inherit_environment: true,
            user: None,
        })
    }

    /// Changes with the build and with the configuration.
    fn fingerprint(&self, program: &Path, environment: &[(OsString, OsString)]) -> String {
        let mut hasher = DefaultHasher::new();
        if let Ok(found) = std::fs::metadata(program) {
            (found.len(), found.mtime(), found.mtime_nsec()).hash(&mut hasher);
        }
        environment.hash(&mut hasher);
        format!("{:?}", self.config).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Starts or adopts all of them and waits until each is ready. Those that ask the control plane's
    /// database come once `answers`: it may need the object store for that.
    pub(crate) async fn start(
        &self,
        answers: impl Future<Output = Result<(), UpError>>,
    ) -> Result<Services, (UpError, Services)> {
        let mut services = Services {
            keepers: Vec::new(),
            watchers: Vec::new(),
        };
        match self.start_into(&mut services, answers).await {
            Ok(()) => Ok(services),
            Err(error) => Err((error, services)),
        }
    }

    async fn start_into(
        &self,
        services: &mut Services,
        answers: impl Future<Output = Result<(), UpError>>,
    ) -> Result<(), UpError> {
        for name in ["s3", "stripe-fake"] {
            self.keep(services, name).await?;
        }
        answers.await?;
        for name in ["edge", "api", "worker"] {
            self.keep(services, name).await?;
        }
        // The edge last: it is ready when the API answers it.
        for name in ["s3", "stripe-fake", "worker", "api", "edge"] {
            self.wait_ready(services, name).await?;
        }
        for (name, _, keeper) in &services.keepers {
            services
                .watchers
                .push(tokio::spawn(watch(name, keeper.state())));
        }
        Ok(())
    }

    /// Starts or adopts one, if it is wanted.
    async fn keep(&self, services: &mut Services, name: &'static str) -> Result<(), UpError> {
        let processes = Processes::new(self.data.clone());
        let grace = grace(name);
        if !self.is_wanted(name) {
            leave_off(&processes, name, grace).await;
            return Ok(());
        }
        let wish = Wish::Run(Arc::new(self.program(name)?));
        let keeper = Keeper::new(processes, name.to_owned(), wish);
        services.keepers.push((name, grace, keeper));
        let place = |name: &str| NAMES.iter().position(|known| *known == name);
        services.keepers.sort_by_key(|(name, ..)| place(name));
        Ok(())
    }

    /// Our own S3 server runs only where no other one was named, and a server stands in for Stripe
    /// only where Stripe's keys are not given.
    fn is_wanted(&self, name: &str) -> bool {
        match name {
            "s3" => self.config.object_store.is_built_in(),
            "stripe-fake" => self.config.stripe.is_stand_in(),
            _ => true,
        }
    }

    async fn wait_ready(&self, services: &Services, name: &'static str) -> Result<(), UpError> {
        let kept = services.keepers.iter().find(|(known, ..)| *known == name);
        let Some((_, _, keeper)) = kept else {
            return Ok(());
        };
        let deadline = Instant::now() + READY_TIMEOUT;
        let state = keeper.state();
        loop {
            let now = *state.borrow();
            if let KeptState::Running { pid, adopted } = now
                && self.probe(name).await
            {
                say::service(name, adopted, Some(pid));
                return Ok(());
            }
            let gave_up = matches!(now, KeptState::Waiting { attempt } if attempt > ATTEMPTS_MAX);
            if gave_up || Instant::now() > deadline {
                return Err(self.not_up(name, gave_up));
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    }

    fn not_up(&self, name: &str, ended: bool) -> UpError {
        let processes = Processes::new(self.data.clone());
        let tail = processes.log_tail(name, 4000);
        if let full @ UpError::DiskFull(_) = UpError::explain_text(self.data.root(), &tail) {
            return full;
        }
        let last = tail.lines().last().unwrap_or_default();
        let last: String = last.chars().take(200).collect();
        UpError::NotUp {
            what: format!("the {name}"),
            why: if ended {
                format!("it ends again and again ({last})")
            } else {
                format!("not ready after {} s ({last})", READY_TIMEOUT.as_secs())
            },
            log: self.data.logs().join(format!("{name}.log")),
        }
    }

    async fn probe(&self, name: &str) -> bool {
        let probing = async {
            match name {
                "worker" => match self.config.region.runtime {
                    RuntimeKind::Local => {
                        UnixStream::connect(self.data.parent_socket()).await.is_ok()
                    }
                    RuntimeKind::Kubernetes => {
                        let link = reachable(self.config.cluster.link_listen);
                        TcpStream::connect(link).await.is_ok()
                    }
                },
                "edge" => TcpStream::connect(reachable(self.addresses.edge))
                    .await
                    .is_ok(),
                "s3" => TcpStream::connect(reachable(self.addresses.object_store))
                    .await
                    .is_ok(),
                "stripe-fake" => TcpStream::connect(reachable(self.addresses.stripe))
                    .await
                    .is_ok(),
                _ => is_ready(reachable(self.addresses.http)).await,
            }
        };
        tokio::time::timeout(PROBE_TIMEOUT, probing)
            .await
            .unwrap_or(false)
    }
}

/// Ends a service that an earlier configuration had and this one has not.
async fn leave_off(processes: &Processes, name: &str, grace: Duration) {
    if let Some((mut process, _)) = processes.find(name) {
        process.stop_with(Signal::SIGTERM, grace).await;
        processes.forget(name);
    }
}

/// Where a listener on all addresses is reached from this machine.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Asks the API whether it is ready, in the least of HTTP.
async fn is_ready(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = "GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    asked.await.is_ok_and(|answer| answer.ends_with(b" 200"))
}

/// Tells when a service died and when it is back.
async fn watch(name: &'static str, mut state: tokio::sync::watch::Receiver<KeptState>) {
    let mut before = *state.borrow_and_update();
    while state.changed().await.is_ok() {
        let now = *state.borrow_and_update();
        match (before, now) {
            (_, KeptState::Waiting { .. }) => {
                say::line(&format!("The {name} died and is started again"));
            }
            (KeptState::Waiting { .. }, KeptState::Running { pid, .. }) => {
                say::line(&format!("The {name} started again (process {pid})"));
            }
            _ => {}
        }
        before = now;
    }
}

impl Services {
    /// Ends them in order; the worker ends the nodes.
    pub(crate) async fn stop(self) {
        for watcher in self.watchers {
            watcher.abort();
        }
        for (name, grace, keeper) in self.keepers {
            say::line(&format!("Stopping the {name}"));
            // The worker leaves nodes running on SIGTERM, and ends them on SIGINT.
            let signal = if name == "worker" {
                Signal::SIGINT
            } else {
                Signal::SIGTERM
            };
            keeper.stop(signal, grace).await;
        }
    }

    /// Leaves them running.
    pub(crate) async fn leave(self) {
        for watcher in self.watchers {
            watcher.abort();
        }
        for (_, _, keeper) in self.keepers {
            keeper.leave().await;
        }
    }
}

/// Ends services by their records: those who kept them are gone.
pub(crate) async fn end_all(data: &DataFolder) {
    let processes = Processes::new(data.clone());
    for name in NAMES {
        if let Some((mut process, _)) = processes.find(name) {
            let signal = if name == "worker" {
                Signal::SIGINT
            } else {
                Signal::SIGTERM
            };
            process.stop_with(signal, Duration::from_mins(1)).await;
            processes.forget(name);
        }
    }
}

/// Whether any service of this folder runs.
pub(crate) fn any_runs(data: &DataFolder) -> bool {
    let processes = Processes::new(data.clone());
    NAMES.iter().any(|name| processes.find(name).is_some())
}

/// Log of `up` itself.
pub(crate) fn log_path(data: &DataFolder) -> PathBuf {
    data.logs().join("up.log")
}
