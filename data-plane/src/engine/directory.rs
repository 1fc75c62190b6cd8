//! Where PostgreSQL's own programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Major version of the engine.
pub(super) const ENGINE_MAJOR: &str = "18";

/// Our module, which every engine of a database loads.
const MODULE: &str = "lumadb_limits.so";

/// Where a PostgreSQL has its modules, by how it was built.
const MODULE_FOLDERS: [&str; 4] = ["lib", "lib/postgresql", "lib64", "lib64/postgresql"];

#[derive(Debug, thiserror::Error)]
pub enum EngineDirError {
    #[error(
        "no PostgreSQL {ENGINE_MAJOR} in {}: it has no program bin/{program}; set LUMADB_ENGINE_DIR to a folder that has, or run `make engine`",
        path.display()
    )]
    Missing {
        path: PathBuf,
        program: &'static str,
    },
    #[error(
        "no PostgreSQL {ENGINE_MAJOR} was found: set LUMADB_ENGINE_DIR to its folder, put its pg_config on the PATH, or run `make engine`"
    )]
    NotFound,
    #[error(
        "the PostgreSQL {ENGINE_MAJOR} in {} lacks the module {MODULE}: run `make engine` with LUMADB_ENGINE_DIR set to that folder, which builds it there",
        path.display()
    )]
    NoModule { path: PathBuf },
    #[error("{} does not run", program.display())]
    Broken {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} says it is `{version}`; PostgreSQL {ENGINE_MAJOR} is needed", program.display())]
    Version { program: PathBuf, version: String },
}

/// A folder with `bin/postgres` and its kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineDir {
    root: PathBuf,
}

impl EngineDir {
    /// Takes a folder that has the programs, without running them.
    pub fn open(root: &Path) -> Result<Self, EngineDirError> {
        let dir = Self {
            root: root.canonicalize().unwrap_or_else(|_| root.to_owned()),
        };
        for program in ["postgres", "initdb"] {
            if !dir.program(program).is_file() {
                return Err(EngineDirError::Missing {
                    path: root.to_owned(),
                    program,
                });
            }
        }
        Ok(dir)
    }

    /// The same, if it also has the module that the engine of a database loads.
    pub fn with_module(self) -> Result<Self, EngineDirError> {
        let mut folders = MODULE_FOLDERS.iter().map(|folder| self.root.join(folder));
        if folders.any(|folder| folder.join(MODULE).is_file()) {
            return Ok(self);
        }
        Err(EngineDirError::NoModule { path: self.root })
    }

    /// Looks in `given` and nowhere else if there is one; then by `pg_config` on the PATH if it is
    /// of the right version; then in `unpacked`.
    pub fn locate(given: Option<&Path>, unpacked: &Path) -> Result<Self, EngineDirError> {
        if let Some(given) = given {
            return Self::open(given);
        }
        if let Some(found) = installed() {
            return Ok(found);
        }
        if unpacked.join("bin/postgres").is_file() {
            return Self::open(unpacked);
        }
        Err(EngineDirError::NotFound)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// Where images have a data folder to copy, made by [`prepare`](super::prepare()).
    pub fn template(&self) -> PathBuf {
        self.root.join("template")
    }

    /// Size of its pages, bytes; `None`: there is no `pg_config` beside it that would say.
    pub fn block_bytes(&self) -> Option<u32> {
        let mut command = Command::new(self.program("pg_config"));
        let output = command.arg("--configure").output().ok()?;
        let configured = output.status.success();
        configured.then(|| block_bytes_in(&String::from_utf8_lossy(&output.stdout)))
    }

    /// PostgreSQL's own word on its version, such as `18.6`. Runs it, and refuses another major
    /// version.
    pub fn version(&self) -> Result<String, EngineDirError> {
        let program = self.program("postgres");
        let output = Command::new(&program).arg("--version").output();
        let output = output.map_err(|source| EngineDirError::Broken {
            program: program.clone(),
            source,
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        match version_in(&text) {
            Some(version) => Ok(version.to_owned()),
            None => Err(EngineDirError::Version {
                program,
                version: text.trim().to_owned(),
            }),
        }
    }
}

/// Size of a page, from what `pg_config --configure` says.
fn block_bytes_in(configured: &str) -> u32 {
    let given = configured.split([' ', '\'']).find_map(|word| {
        let (name, value) = word.split_once('=')?;
        ["--with-blocksize", "-Dblocksize"]
            .contains(&name)
            .then_some(value)
    });
    let kib: u32 = given.and_then(|kib| kib.parse().ok()).unwrap_or(8);
    kib * 1024
}

/// `18.6` from `postgres (PostgreSQL) 18.6 (Debian …)`, if it is the right major version.
fn version_in(text: &str) -> Option<&str> {
    let version = text
        .split_once("(PostgreSQL) ")?
        .1
        .split_whitespace()
        .next()?;
    (version.split('.').next() == Some(ENGINE_MAJOR)).then_some(version)
}

/// PostgreSQL as `pg_config` on the PATH knows it.
fn installed() -> Option<EngineDir> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let found = EngineDir::open(Path::new(text.trim()).parent()?).ok()?;
    found.version().ok()?;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_and_another_major_one_refused() {
        assert_eq!(version_in("postgres (PostgreSQL) 18.6\n"), Some("18.6"));
        assert_eq!(
            version_in("postgres (PostgreSQL) 18.6 (Debian 18.6-1)\n"),
            Some("18.6")
        );
        assert_eq!(version_in("postgres (PostgreSQL) 17.2\n"), None);
        assert_eq!(version_in("postgres 18\n"), None);
    }

    #[test]
    fn pages_have_eight_kibibytes_unless_it_was_built_otherwise() {
        let plain = "'--prefix=/usr' '--with-wal-blocksize=64'";
        assert_eq!(block_bytes_in("'--prefix=/usr' '--with-openssl'\n"), 8192);
        assert_eq!(block_bytes_in("'--with-blocksize=16' '--with-icu'"), 16_384);
        assert_eq!(block_bytes_in("-Dblocksize=32 -Dicu=enabled"), 32_768);
        assert_eq!(block_bytes_in(plain), 8192);
    }

    #[test]
    fn a_folder_without_the_programs_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = EngineDir::open(folder.path()).expect_err("empty");
        assert!(error.to_string().contains("LUMADB_ENGINE_DIR"), "{error}");
    }

    #[test]
    fn a_folder_without_the_module_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let (bin, lib) = (folder.path().join("bin"), folder.path().join("lib"));
        for path in [&bin, &lib] {
            std::fs::create_dir(path).expect("makes");
        }
        for program in ["postgres", "initdb"] {
            std::fs::write(bin.join(program), "").expect("writes");
        }
        let open = || EngineDir::open(folder.path()).and_then(EngineDir::with_module);
        let error = open().expect_err("has none").to_string();
        assert!(error.contains("make engine"), "{error}");
        std::fs::write(lib.join(MODULE), "").expect("writes");
        open().expect("has it");
    }
}
