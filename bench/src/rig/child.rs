//! A process of the rig: under a user of its own where we are root, and gone when dropped.

use lumadb_e2e::{Outcome, process, wait};
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest time that a process of the rig may take to come up or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A user and a group by number.
pub(crate) type Owner = (u32, u32);

#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
}

impl Child {
    /// Starts a command; what it prints goes to a log file.
    pub(crate) fn start(mut command: Command, owner: Option<Owner>, log: &Path) -> Outcome<Self> {
        let log = std::fs::File::create(log)?;
        own(&mut command, owner);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = command
            .spawn()
            .map_err(|error| format!("{command:?} does not start: {error}"))?;
        Ok(Self { process })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = process::signal(self.pid(), Signal::SIGTERM);
        for _ in 0..PATIENCE.as_millis() / 20 {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Gives a command to another user; no group of ours stays with it.
pub(crate) fn own(command: &mut Command, owner: Option<Owner>) {
    use std::os::unix::process::CommandExt;
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
}

/// Who runs initdb: it refuses root and wants a user that has a name.
pub(crate) fn maker() -> Outcome<Option<Owner>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let nobody = User::from_name("nobody")?.ok_or("this system has no user `nobody`")?;
    Ok(Some((nobody.uid.as_raw(), nobody.gid.as_raw())))
}

/// Waits until something listens.
pub(super) async fn listening(port: u16, log: &Path) -> Outcome<()> {
    let what = format!("port {port} to be listened on");
    wait::until(&what, PATIENCE, || async {
        TcpStream::connect(("127.0.0.1", port)).await?;
        Ok(Some(()))
    })
    .await
    .map_err(|error| {
        let printed = std::fs::read_to_string(log).unwrap_or_default();
        format!("{error}\n{printed}").into()
    })
}
