//! The operator as a process, with a cluster to work in.

use super::install::{LIMIT, SYSTEM};
use crate::wait::until;
use crate::{Outcome, tools};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A running operator; dropping it kills it.
#[derive(Debug)]
pub struct Operator {
    child: Child,
    log: PathBuf,
    folder: TempDir,
}

impl Operator {
    /// Starts one that works by a kubeconfig.
    pub fn start(kubeconfig: &Path) -> Outcome<Self> {
        Self::start_with(kubeconfig, &[])
    }

    /// The same with more settings.
    pub fn start_with(kubeconfig: &Path, settings: &[(&str, &str)]) -> Outcome<Self> {
        let folder = crate::cloud::new_folder()?;
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

    /// Its process ID.
    pub fn pid(&self) -> Outcome<i32> {
        Ok(i32::try_from(self.child.id())?)
    }

    /// What it answers to a request for health or metrics.
    pub async fn ask(&self, path: &str) -> Outcome<String> {
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

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once.
    pub fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Has it end in order.
    pub async fn stop(mut self) -> Outcome<()> {
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
