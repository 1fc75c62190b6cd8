//! Which extensions a tenant may create: the list, and the engine's files made to agree with it.

use super::directory::EngineDir;
use std::io;
use std::path::{Path, PathBuf};

const LIST: &str = include_str!("extensions.txt");

/// What is appended to the name of a refused extension's control file: PostgreSQL then does not
/// know the extension, whoever asks.
const REFUSED_SUFFIX: &str = "refused";

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("changing the extension files in {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "the engine comes with `{name}`, which the list of extensions does not have: decide about it there"
    )]
    Unlisted { name: String },
}

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    pub name: &'static str,
    /// Whether a database's owner may create it.
    pub trusted: bool,
    pub reason: &'static str,
}

/// Every extension that the engine comes with, by name.
pub fn extensions() -> impl Iterator<Item = Extension> {
    LIST.lines().filter_map(|line| {
        let (name, rest) = line.split_once(char::is_whitespace)?;
        let (verdict, reason) = rest.trim_start().split_once(char::is_whitespace)?;
        (name != "#").then_some(Extension {
            name,
            trusted: verdict == "trusted",
            reason: reason.trim(),
        })
    })
}

/// Makes an unpacked engine's files agree with the list: trusted extensions are marked as such,
/// refused ones taken out of sight. Can be repeated; each file changes at once or not at all.
pub fn engine_setup(engine: &EngineDir) -> Result<(), SetupError> {
    let folder = engine.root().join("share/extension");
    let fault = |source| SetupError::Io {
        path: folder.clone(),
        source,
    };
    for entry in std::fs::read_dir(&folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path
            .extension()
            .is_none_or(|extension| extension != "control")
        {
            continue;
        }
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        match extensions().find(|extension| extension.name == name) {
            Some(extension) if extension.trusted => trust(&path).map_err(fault)?,
            Some(_) => {
                let hidden = path.with_extension(format!("control.{REFUSED_SUFFIX}"));
                std::fs::rename(&path, hidden).map_err(fault)?;
            }
            None => {
                let name = name.to_owned();
                return Err(SetupError::Unlisted { name });
            }
        }
    }
    Ok(())
}

fn trust(control: &Path) -> io::Result<()> {
    let text = std::fs::read_to_string(control)?;
    if text.lines().any(|line| line.starts_with("trusted")) {
        return Ok(());
    }
    let beside = control.with_extension("new");
    std::fs::write(&beside, format!("{}\ntrusted = true\n", text.trim_end()))?;
    std::fs::rename(beside, control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_has_a_verdict_and_a_reason() {
        let lines = LIST.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.count(), extensions().count());
        for extension in extensions() {
            assert!(!extension.reason.is_empty(), "{}", extension.name);
        }
        for line in LIST.lines().filter(|line| !line.starts_with('#')) {
            let verdict = line.split_whitespace().nth(1);
            assert!(matches!(verdict, Some("trusted" | "refused")), "{line}");
        }
    }

    #[test]
    fn what_reaches_out_of_a_database_is_refused_and_vector_is_not() {
        let trusted = |name| {
            let mut list = extensions();
            list.find(|extension| extension.name == name)
                .is_some_and(|extension| extension.trusted)
        };
        for name in [
            "dblink",
            "postgres_fdw",
            "file_fdw",
            "pageinspect",
            "pg_surgery",
        ] {
            assert!(!trusted(name), "{name}");
        }
        assert!(trusted("vector") && trusted("pg_trgm"));
    }

    #[test]
    fn setting_up_marks_hides_and_can_be_repeated() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("share/extension");
        std::fs::create_dir_all(&folder).expect("makes");
        std::fs::create_dir_all(root.path().join("bin")).expect("makes");
        for program in ["postgres", "initdb"] {
            std::fs::write(root.path().join("bin").join(program), "").expect("writes");
        }
        for name in ["vector", "dblink"] {
            let control = folder.join(format!("{name}.control"));
            std::fs::write(control, "relocatable = true\n").expect("writes");
        }
        let engine = EngineDir::open(root.path()).expect("opens");
        for _ in 0..2 {
            engine_setup(&engine).expect("sets up");
            let vector = std::fs::read_to_string(folder.join("vector.control")).expect("reads");
            assert_eq!(vector, "relocatable = true\ntrusted = true\n");
            assert!(!folder.join("dblink.control").exists());
        }
        std::fs::write(folder.join("surprise.control"), "").expect("writes");
        let error = engine_setup(&engine).expect_err("not listed");
        assert!(error.to_string().contains("`surprise`"));
    }
}
