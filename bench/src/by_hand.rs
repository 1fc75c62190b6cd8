//! PostgreSQL as a person starts it on this machine: what a created or woken database is set beside.

use crate::programs::Programs;
use crate::rig::child::{Child, Owner, maker, own};
use lumadb_e2e::{Outcome, cloud};
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::NoTls;
use tokio_postgres::config::Config;

/// Pause between two attempts to connect.
const TRY_EVERY: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(crate) struct ByHand {
    folder: TempDir,
    programs: Programs,
    owner: Option<Owner>,
    made: usize,
}

impl ByHand {
    pub(crate) fn new() -> Outcome<Self> {
        let folder = cloud::new_folder()?;
        let owner = maker()?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group))?;
        }
        Ok(Self {
            programs: Programs::reachable(folder.path())?,
            folder,
            owner,
            made: 0,
        })
    }

    /// Makes a new cluster and starts it: time to its first answer.
    pub(crate) async fn create(&mut self) -> Outcome<Duration> {
        let start = Instant::now();
        if self.made > 0 {
            std::fs::remove_dir_all(self.data())?;
        }
        self.made += 1;
        let mut command = self.command("initdb");
        command.args(["--locale=C", "--auth=trust", "--username=owner", "-D"]);
        let made = tokio::process::Command::from(with(command, &self.data()))
            .output()
            .await?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
        }
        let made_in = start.elapsed();
        Ok(made_in + self.start().await?)
    }

    /// Starts the cluster that was made last: time to its first answer. It is stopped again.
    pub(crate) async fn start(&self) -> Outcome<Duration> {
        let start = Instant::now();
        let mut command = with(
            {
                let mut command = self.command("postgres");
                command.arg("-D");
                command
            },
            &self.data(),
        );
        command.args(["-c", "listen_addresses=", "-c"]).arg(format!(
            "unix_socket_directories={}",
            self.folder.path().display()
        ));
        let log = self.folder.path().join("log");
        let _engine = Child::start(command, self.owner, &log)?;
        let mut config = Config::new();
        config
            .host_path(self.folder.path())
            .user("owner")
            .dbname("postgres");
        loop {
            if let Ok((client, connection)) = config.connect(NoTls).await {
                let connection = tokio::spawn(connection);
                client.simple_query("select 1").await?;
                let span = start.elapsed();
                drop(client);
                connection.await??;
                return Ok(span);
            }
            if start.elapsed() > Duration::from_secs(30) {
                return Err(format!(
                    "PostgreSQL does not start:\n{}",
                    std::fs::read_to_string(&log)?
                )
                .into());
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.engine.join("bin").join(program));
        own(&mut command, self.owner);
        command.env("LC_ALL", "C");
        command
    }
}

fn with(mut command: Command, folder: &std::path::Path) -> Command {
    command.arg(folder);
    command
}
