//! Runs what a pod of a database asks for, as its machine would: the processes of its two containers,
//! on its volume, with its token and the certificate that it mounts.
//!
//! A container is a process here: the folders that are mounted into it lie elsewhere, and its
//! arguments say so.

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod};
use kube::{Api, Client, ResourceExt as _};
use lumadb_contract::enrollment::TOKEN_AUDIENCE;
use lumadb_e2e::kubernetes::token::pod_token;
use lumadb_e2e::{Outcome, ports, tools};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, Uid};
use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// PostgreSQL does not run as root, and initdb wants a user that has a name: `nobody`.
const NOBODY: u32 = 65_534;

/// A volume, and the port at which clients reach whatever pod has it.
pub(crate) struct Volume {
    folder: TempDir,
    pub(crate) port: u16,
}

impl Volume {
    pub(crate) fn new() -> Outcome<Self> {
        let folder = lumadb_e2e::cloud::new_folder()?;
        let instance = folder.path().join("i");
        std::fs::create_dir(&instance)?;
        give_away(&instance)?;
        let port = ports::free()?;
        Ok(Self { folder, port })
    }

    fn listen(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn instance(&self) -> PathBuf {
        self.folder.path().join("i")
    }

    /// PostgreSQL's process.
    fn engine(&self) -> Option<Pid> {
        let path = self.instance().join("data/postmaster.pid");
        let text = std::fs::read_to_string(path).ok()?;
        Some(Pid::from_raw(text.lines().next()?.trim().parse().ok()?))
    }
}

fn give_away(path: &Path) -> Outcome<()> {
    if Uid::effective().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY))?;
    }
    Ok(())
}

/// The processes of a pod. Dropping it kills them all at once, as the loss of a machine does.
pub(crate) struct Running<'a> {
    volume: &'a Volume,
    containers: Vec<(String, Child)>,
    logs: TempDir,
}

impl<'a> Running<'a> {
    /// Starts the containers of a pod, which show its own token.
    pub(crate) async fn start(client: &Client, pod: &Pod, volume: &'a Volume) -> Outcome<Self> {
        let token = pod_token(client, pod, TOKEN_AUDIENCE).await?;
        let listen = volume.listen();
        Self::start_some(client, pod, volume, (&token, &listen), |_| true).await
    }

    /// The same, and clients reach it at the pod's own address, as in a cluster.
    pub(crate) async fn start_at_its_address(
        client: &Client,
        pod: &Pod,
        volume: &'a Volume,
    ) -> Outcome<Self> {
        let token = pod_token(client, pod, TOKEN_AUDIENCE).await?;
        let status = pod.status.as_ref();
        let address = status.and_then(|status| status.pod_ip.as_ref());
        let listen = format!("{}:5432", address.ok_or("a pod without an address")?);
        Self::start_some(client, pod, volume, (&token, &listen), |_| true).await
    }

    /// Starts the node alone, with a token that is given.
    pub(crate) async fn start_node(
        client: &Client,
        pod: &Pod,
        volume: &'a Volume,
        token: &str,
    ) -> Outcome<Self> {
        let listen = volume.listen();
        let is_node = |name: &str| name == "node";
        Self::start_some(client, pod, volume, (token, &listen), is_node).await
    }

    async fn start_some(
        client: &Client,
        pod: &Pod,
        volume: &'a Volume,
        (token, listen): (&str, &str),
        is_asked: impl Fn(&str) -> bool,
    ) -> Outcome<Self> {
        let namespace = pod.namespace().unwrap_or_default();
        let authorities: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
        let authority = authorities.get("lumadb-operator-ca").await?;
        let authority = authority.data.unwrap_or_default();
        let authority = authority.get("ca.crt").ok_or("no certificate")?;
        let logs = lumadb_e2e::cloud::new_folder()?;
        for (name, text) in [("token", token), ("ca.crt", authority)] {
            let path = logs.path().join(name);
            std::fs::write(&path, text)?;
            give_away(&path)?;
        }
        let mut running = Self {
            volume,
            containers: Vec::new(),
            logs,
        };
        let spec = pod.spec.clone().ok_or("a pod without a specification")?;
        for container in spec.containers.iter().filter(|one| is_asked(&one.name)) {
            running.spawn(container, listen)?;
        }
        Ok(running)
    }

    fn spawn(&mut self, container: &Container, listen: &str) -> Outcome<()> {
        let [program, subcommand] = container.command.as_deref().unwrap_or_default() else {
            return Err("a container without a command".into());
        };
        let (instance, identity) = (self.volume.instance(), self.logs.path().display());
        let engine = self.reachable(&tools::engine_dir())?;
        let program = self.reachable(&tools::program(program)?)?;
        let arguments = container.args.iter().flatten().map(|argument| {
            argument
                .replace("=/instance", &format!("={}", instance.display()))
                .replace("=/opt/lumadb/engine", &format!("={}", engine.display()))
                .replace("=/var/run/lumadb/identity", &format!("={identity}"))
                .replace("=[::]:5432", &format!("={listen}"))
                .replace("=[::]:9187", "=127.0.0.1:0")
        });
        let output = File::create(self.log_of(&container.name))?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"LUMADB_") {
                command.env_remove(name);
            }
        }
        command
            .arg(subcommand)
            .args(arguments)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        if Uid::effective().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        self.containers
            .push((container.name.clone(), command.spawn()?));
        Ok(())
    }

    /// The same, or a copy if it lies in a folder that is closed to the pod's user, as `/root` is.
    fn reachable(&self, path: &Path) -> Outcome<PathBuf> {
        let real = path.canonicalize()?;
        let is_open = |folder: &Path| {
            std::fs::metadata(folder)
                .is_ok_and(|found| !found.is_dir() || found.mode() & 0o001 != 0)
        };
        if real.ancestors().all(is_open) {
            return Ok(real);
        }
        let copy = self.logs.path().join(real.file_name().ok_or("no name")?);
        if !copy.exists() {
            // By another program: one that this one is still writing could not be started.
            let mut cp = Command::new("cp");
            let copied = cp.arg("-a").arg("--").args([&real, &copy]).status()?;
            if !copied.success() {
                return Err(format!("{} was not copied", real.display()).into());
            }
        }
        Ok(copy)
    }

    fn log_of(&self, container: &str) -> PathBuf {
        self.logs.path().join(format!("{container}.log"))
    }

    pub(crate) fn log(&self, container: &str) -> String {
        std::fs::read_to_string(self.log_of(container)).unwrap_or_default()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // A container's other processes end with its first.
        for (_, child) in &mut self.containers {
            if let Ok(pid) = i32::try_from(child.id()) {
                let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
            }
            let _ = child.wait();
        }
        if let Some(engine) = self.volume.engine() {
            let _ = kill(engine, Signal::SIGKILL);
        }
        if std::thread::panicking() || std::env::var_os("LUMADB_TEST_LOG").is_some() {
            for (name, _) in &self.containers {
                eprintln!("== {name}\n{}", self.log(name));
            }
        }
    }
}
