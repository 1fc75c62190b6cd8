//! A new data folder as a copy of one that was made ahead of time and lies beside the engine, as in
//! our images: initdb takes a small engine seconds.
//!
//! What is a cluster's own is made anew. The system identifier, by which PostgreSQL knows whose WAL it
//! reads, is written into `pg_control`, as `pg_createsubscriber` does it for a copied cluster; WAL of
//! that identifier is begun by `pg_resetwal`.

use super::directory::EngineDir;
use crc_fast::crc32_iscsi;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// Where WAL lies in a data folder. That of the template stays where it is.
const WAL: &str = "pg_wal";

/// Where a cluster says what it is: `system_identifier` first, last a CRC-32C of all that is before it
/// (`pg_control.h`).
const CONTROL: &str = "global/pg_control";

/// What of that file counts is no longer (`PG_CONTROL_MAX_SAFE_SIZE`).
const CONTROL_MAX: usize = 512;

const IDENTIFIER_BYTES: usize = size_of::<u64>();

/// Copies the template to `data`, which must not be there, and has it on disk before it ends.
///
/// # Errors
/// Where files cannot be read or written, where the template's `pg_control` is damaged, and what
/// `pg_resetwal` complains of.
pub(super) async fn template_copy(
    engine: &EngineDir,
    template: &Path,
    data: &Path,
) -> io::Result<()> {
    folder_copy(template, data)?;
    let control = data.join(CONTROL);
    let mut content = std::fs::read(&control)?;
    // PostgreSQL shows it as a signed number.
    identifier_set(&mut content, rand::random::<u64>() >> 1)?;
    std::fs::write(&control, content)?;
    let output = Command::new(engine.program("pg_resetwal"))
        .arg("--pgdata")
        .arg(data)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(said.trim().replace('\n', "; ")));
    }
    Ok(nix::unistd::syncfs(File::open(data)?)?)
}

/// Files keep their modes; folders are for their owner alone, as PostgreSQL wants it.
fn folder_copy(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            folder_copy(&entry.path(), &place)?;
        } else if !from.ends_with(WAL) {
            std::fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

fn identifier_set(control: &mut [u8], identifier: u64) -> io::Result<()> {
    let sum_of = |before: &[u8]| crc32_iscsi(before).to_ne_bytes();
    // Where the sum lies differs between versions of PostgreSQL.
    let mut places = (IDENTIFIER_BYTES..CONTROL_MAX.min(control.len())).step_by(4);
    let place = places.find(|place| {
        let (before, rest) = control.split_at(*place);
        rest.starts_with(&sum_of(before))
    });
    let place = place.ok_or_else(|| io::Error::other("pg_control of the template is damaged"))?;
    let (before, rest) = control.split_at_mut(place);
    before[..IDENTIFIER_BYTES].copy_from_slice(&identifier.to_ne_bytes());
    rest[..4].copy_from_slice(&sum_of(before));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(identifier: u64) -> Vec<u8> {
        let mut content = vec![7; 296];
        content[..8].copy_from_slice(&identifier.to_ne_bytes());
        content.extend(crc32_iscsi(&content).to_ne_bytes());
        content.resize(8192, 0);
        content
    }

    #[test]
    fn another_identifier_changes_nothing_but_itself_and_the_sum() {
        let mut changed = control(1);
        identifier_set(&mut changed, u64::MAX / 3).expect("is whole");
        assert_eq!(changed, control(u64::MAX / 3));
    }

    #[test]
    fn a_damaged_template_is_refused() {
        let mut content = control(1);
        content[100] ^= 1;
        let before = content.clone();
        assert!(identifier_set(&mut content, 2).is_err());
        assert!(identifier_set(&mut [0; 5], 2).is_err());
        assert_eq!(content, before);
    }
}
