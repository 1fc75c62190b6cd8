//! The client of the walsender, with PostgreSQL's own programs as oracles.

use super::engine::{Engine, ROLE, command, folder, succeeds, unpack};
use lumadb_contract::archive::Lsn;
use lumadb_data_plane::archive::replication::{
    BackupEvent, BackupOptions, DUPLICATE_OBJECT, ReplicationClient, WalEvent,
};
use std::io::Write;

async fn client(engine: &Engine) -> ReplicationClient {
    let client = ReplicationClient::connect(&engine.socket(), ROLE).await;
    client.expect("connects")
}

/// Archive and manifest of one backup.
async fn backup(client: ReplicationClient, incremental: bool) -> (Vec<u8>, Vec<u8>, Lsn, Lsn) {
    let options = BackupOptions {
        label: "test".to_owned(),
        incremental,
        rate_kib: None,
    };
    let (start, mut backup) = client.base_backup(&options).await.expect("starts");
    assert!(start.bytes_expected > 1_000_000);
    let (mut parts, mut in_manifest) = ([Vec::new(), Vec::new()], 0);
    loop {
        match backup.next().await.expect("goes on") {
            BackupEvent::Archive | BackupEvent::Progress(_) => {}
            BackupEvent::Manifest => in_manifest = 1,
            BackupEvent::Data(data) => parts[in_manifest].extend_from_slice(&data),
            BackupEvent::End { end, .. } => {
                let [archive, manifest] = parts;
                return (archive, manifest, start.start, end);
            }
        }
    }
}

#[tokio::test]
async fn wal_is_streamed_as_it_is_on_the_disk() {
    let engine = Engine::start();
    let mut client = client(&engine).await;
    let identity = client.identify_system().await.expect("answers");
    assert_eq!(client.wal_segment_bytes().await.ok(), Some(16 << 20));
    assert_eq!(client.slot_read("archive").await.ok(), Some(None));
    client.slot_create("archive").await.expect("made");
    let again = client.slot_create("archive").await.expect_err("there");
    assert!(again.is_code(DUPLICATE_OBJECT), "{again}");
    let slot = client.slot_read("archive").await.expect("answers");
    let from = slot.and_then(|slot| slot.restart).expect("reserved");
    engine.sql("create table t as select generate_series(1, 20000) as n");
    let timeline = identity.timeline;
    let streaming = client.start_streaming("archive", from, timeline).await;
    let mut stream = streaming.expect("streams");
    let wanted: Lsn = engine
        .sql("select pg_current_wal_flush_lsn()")
        .parse()
        .expect("reads");
    let mut wal = Vec::new();
    while from.0 + (wal.len() as u64) < wanted.0 {
        if let WalEvent::Data { start, data, .. } = stream.next().await.expect("goes on") {
            assert_eq!(start.0, from.0 + wal.len() as u64);
            wal.extend_from_slice(&data);
        }
    }
    stream.confirm(wanted).await.expect("sends");
    let name = engine.sql(&format!("select pg_walfile_name('{from}')"));
    let file = std::fs::read(engine.data().join("pg_wal").join(name)).expect("reads");
    let within = (from.0 % (16 << 20)) as usize;
    let same = wal.len().min(file.len() - within);
    assert!(wal[..same] == file[within..within + same]);
    let confirmed = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let at = engine.sql("select restart_lsn from pg_replication_slots");
        at.parse() == Ok(wanted)
    });
    assert!(confirmed, "the slot moves");
}

#[tokio::test]
async fn a_full_and_an_incremental_backup_verify() {
    let engine = Engine::start();
    engine.sql("create table t as select generate_series(1, 100000) as n");
    let (archive, manifest, start, end) = backup(client(&engine).await, false).await;
    assert!(start < end);
    engine.sql("update t set n = -n where n % 100 = 0");
    let mut upload = client(&engine)
        .await
        .manifest_upload()
        .await
        .expect("takes it");
    upload.write(&manifest).await.expect("sends");
    let again = upload.finish().await.expect("understands it");
    let (changed, changed_manifest, ..) = backup(again, true).await;
    assert!(changed.len() < archive.len() / 2, "{} bytes", changed.len());

    let work = folder();
    for (name, archive, manifest) in [
        ("full", archive, manifest),
        ("incremental", changed, changed_manifest),
    ] {
        let into = work.path().join(name);
        std::fs::create_dir(&into).expect("made");
        let tar = work.path().join("tar");
        std::fs::File::create(&tar)
            .expect("made")
            .write_all(&archive)
            .expect("written");
        unpack(&tar, &into);
        std::fs::write(into.join("backup_manifest"), manifest).expect("written");
        succeeds(
            std::process::Command::new("chown")
                .args(["-R", "nobody"])
                .arg(&into),
        );
        succeeds(command("pg_verifybackup").arg("-n").arg(&into));
    }
    let whole = work.path().join("data");
    let mut combine = command("pg_combinebackup");
    combine
        .arg(work.path().join("full"))
        .arg(work.path().join("incremental"));
    succeeds(combine.arg("-o").arg(&whole));
    succeeds(command("pg_verifybackup").arg("-n").arg(&whole));
}
