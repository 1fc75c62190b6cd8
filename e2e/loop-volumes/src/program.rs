//! Runs the system's programs for file systems and loop devices.

use std::ffi::OsStr;
use std::process::Stdio;
use tokio::process::Command;
use tonic::Status;

/// Where they are, also for whoever has no `sbin` on the path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs one to its end and gives what it printed. It is not stopped when whoever asked goes away: a
/// file system is not left half grown.
///
/// # Errors
///
/// `INTERNAL`, with what it said, where it could not be run or failed.
pub(crate) async fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Result<String, Status> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    // Not `output()` alone: its future, when dropped, would leave nobody to wait for the program.
    let done = tokio::spawn(async move { command.output().await });
    let failed = |why: String| Status::internal(format!("{program}: {why}"));
    let output = done
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}", output.status, said.trim())))
}

#[cfg(test)]
mod tests {
    use super::run;

    #[tokio::test]
    async fn what_a_failed_program_said_is_told() {
        assert_eq!(run("echo", &["a", "b"]).await.expect("runs"), "a b\n");
        let error = run("ls", &["/no-such-folder"]).await.expect_err("fails");
        assert!(error.message().contains("no-such-folder"), "{error}");
        let missing: [&str; 0] = [];
        let error = run("no-such-program", &missing).await.expect_err("fails");
        assert!(error.message().starts_with("no-such-program: "), "{error}");
    }
}
