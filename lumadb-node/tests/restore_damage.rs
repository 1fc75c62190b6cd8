//! Objects of an archive that are flipped, cut, missing or another's: the restore says which, and
//! falls back or stops.

use crate::bucket::{Archive, Plain, Writing, insert, run, text};
use bytes::Bytes;
use lumadb_contract::archive::BackupKind;
use lumadb_data_plane::archive::backup::BackupEntry;
use lumadb_data_plane::archive::wal::Compactor;
use std::process::Output;

/// What becomes of an object.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flipped,
    Cut,
    Missing,
    /// It holds what another object held.
    Foreign,
}

const ALL: [Damage; 4] = [
    Damage::Flipped,
    Damage::Cut,
    Damage::Missing,
    Damage::Foreign,
];

/// An archive with a backup, a run, another backup and chunks.
struct Damaged {
    archive: Archive,
    first: BackupEntry,
    second: BackupEntry,
    /// A position between the two, behind a run.
    between: String,
}

impl Damaged {
    async fn new() -> Self {
        let mut archive = Archive::new().await;
        let engine = Plain::make(&archive, "origin", &["--wal-segsize=1"]).await;
        let client = engine.client().await;
        let socket = engine.socket();
        let mut writing = Writing::start(&archive, &socket).await;
        run(&client, "create table t (n int primary key)").await;
        insert(&client, 1).await;
        let first = archive.backup(&socket, BackupKind::Full, &writing).await;
        for n in 2..=4 {
            insert(&client, n).await;
            run(&client, "select pg_switch_wal()").await;
        }
        insert(&client, 5).await;
        let between = text(&client, "select pg_current_wal_insert_lsn()").await;
        let second = archive.backup(&socket, BackupKind::Full, &writing).await;
        for n in 6..=30 {
            insert(&client, n).await;
            writing.caught_up(&client).await;
        }
        writing.end(&client).await;
        let key = archive.key.clone();
        let compactor = Compactor::new(archive.store.clone(), archive.layout, key);
        assert!(compactor.compact(1).await.expect("made") >= 3);
        Self {
            archive,
            first,
            second,
            between,
        }
    }

    async fn get(&self, name: &str) -> Bytes {
        let content = self.archive.store.get(name).await;
        content.expect("answers").expect("there")
    }

    async fn put(&self, name: &str, content: Bytes) {
        let written = self.archive.store.put(name, content).await;
        written.expect("written");
    }

    /// Does it, and answers what was there.
    async fn damage(&self, name: &str, damage: Damage, other: &str) -> Bytes {
        let whole = self.get(name).await;
        let damaged = match damage {
            Damage::Missing => {
                let deleted = self.archive.store.delete(vec![name.to_owned()]).await;
                deleted.expect("deleted");
                return whole;
            }
            Damage::Flipped => {
                let mut content = whole.to_vec();
                let middle = content.len() / 2;
                content[middle] ^= 1;
                content.into()
            }
            Damage::Cut => whole.slice(..whole.len() - 1),
            Damage::Foreign => self.get(other).await,
        };
        self.put(name, damaged).await;
        whole
    }

    fn part(&self, entry: &BackupEntry) -> String {
        let layout = &self.archive.layout;
        layout.backup(entry.backup_id, &entry.parts[0].name)
    }

    async fn names(&self, below: &str) -> Vec<String> {
        let listed = self.archive.store.list(below, None).await;
        let listed = listed.expect("listed").into_iter();
        listed.map(|object| object.name).collect()
    }
}

fn stdout(output: &Output) -> String {
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refusal(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_named_and_the_one_before_is_taken() {
    let world = Damaged::new().await;
    let layout = world.archive.layout;
    let (first, second) = (&world.first, &world.second);
    let manifest = |entry: &BackupEntry| layout.backup(entry.backup_id, &entry.manifest.name);
    let parts = (world.part(second), world.part(first));
    let manifests = (manifest(second), manifest(first));
    let entries = (
        layout.catalogue_entry(second.backup_id),
        layout.catalogue_entry(first.backup_id),
    );
    let cases = ALL.map(|damage| (parts.clone(), damage)).into_iter();
    let cases = cases.chain([
        (manifests.clone(), Damage::Flipped),
        (manifests, Damage::Missing),
        (entries.clone(), Damage::Cut),
        (entries.clone(), Damage::Foreign),
        (entries, Damage::Missing),
    ]);
    for (number, ((name, other), damage)) in cases.enumerate() {
        let whole = world.damage(&name, damage, &other).await;
        let to = format!("older-{number}");
        let said = stdout(&world.archive.restore(&to, &[]));
        let base = format!("backup            {}", first.backup_id);
        assert!(said.contains(&base), "{name} {damage:?}: {said}");
        let named = said.contains(&format!("damaged, and not needed: {name}"));
        // An entry that is gone is no entry: nothing says that it was there.
        let is_known = !(name.contains("/catalogue/") && matches!(damage, Damage::Missing));
        assert_eq!(named, is_known, "{name} {damage:?}: {said}");
        if number == 0 {
            let rows = Plain::start(&world.archive, &to).await.rows().await;
            assert_eq!(rows.split(' ').count(), 30, "{rows}");
        }
        world.put(&name, whole).await;
    }
    // Where there is none before, it ends.
    for (entry, damage) in [(first, Damage::Flipped), (second, Damage::Missing)] {
        world.damage(&world.part(entry), damage, "").await;
    }
    let log = refusal(&world.archive.restore("none", &[]));
    assert!(log.contains("Every backup that this could be restored from is damaged"));
    assert!(log.contains(&world.part(first)) && log.contains(&world.part(second)));
    assert!(!world.archive.restored("none").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_wal_is_named_and_ends_the_restore() {
    let world = Damaged::new().await;
    let layout = world.archive.layout;
    // A run between the two backups is needed for a position before the second one.
    let runs = world.names(&layout.segments(1)).await;
    let (needed, other_run) = (&runs[runs.len() - 2], &runs[0]);
    for damage in ALL {
        let whole = world.damage(needed, damage, other_run).await;
        let log = refusal(&world.archive.restore("holed", &["--lsn", &world.between]));
        let named = match damage {
            // It is not known what it was called: the position is.
            Damage::Missing => "The archive reaches up to WAL position",
            _ => needed.as_str(),
        };
        assert!(log.contains(named), "{damage:?}: {log}");
        assert!(!world.archive.restored("holed").exists());
        world.put(needed, whole).await;
    }
    // Chunks behind the second one, of which many follow and of which few do.
    let chunks = world.names(&layout.chunks(1)).await;
    let (last, other) = (chunks.len() - 1, &chunks[1]);
    for (chunk, damage) in [
        (last - 20, Damage::Flipped),
        (last - 20, Damage::Missing),
        (last - 4, Damage::Cut),
        (last - 4, Damage::Foreign),
        (last - 4, Damage::Missing),
    ] {
        let chunk = &chunks[chunk];
        let whole = world.damage(chunk, damage, other).await;
        let log = refusal(&world.archive.restore("holed", &[]));
        assert!(log.contains(chunk), "{damage:?}: {log}");
        assert!(log.contains("is missing, so nothing behind it"), "{log}");
        world.put(chunk, whole).await;
    }
    // What says whose archive it is.
    let identity = layout.identity();
    for (damage, said) in [
        (Damage::Flipped, "archive"),
        (Damage::Missing, identity.as_str()),
        (Damage::Foreign, identity.as_str()),
    ] {
        let whole = world.damage(&identity, damage, other).await;
        let log = refusal(&world.archive.restore("unknown", &[]));
        assert!(log.contains(said), "{damage:?}: {log}");
        world.put(&identity, whole).await;
    }
    let said = stdout(&world.archive.restore("whole", &[]));
    assert!(!said.contains("damaged"), "{said}");
    let rows = Plain::start(&world.archive, "whole").await.rows().await;
    assert_eq!(rows.split(' ').count(), 30, "{rows}");
}
