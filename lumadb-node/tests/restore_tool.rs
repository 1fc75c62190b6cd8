//! The tool for the worst day: nothing is left but the bucket and the master key.

use crate::bucket::{ADMIN, Archive, Plain, Writing, insert, run, text};
use crate::world::{World, spec};
use bytes::Bytes;
use lumadb_contract::archive::BackupKind;
use lumadb_contract::key_chain::Key;
use lumadb_data_plane::archive::store::ObjectStore;

#[tokio::test(flavor = "multi_thread")]
async fn every_target_is_reached_with_nothing_but_bucket_and_master_key() {
    let mut archive = Archive::new().await;
    let world = World::running(&spec(1)).await;
    let socket = world.instance().join("run/.s.PGSQL.5432");
    let client = world.direct(ADMIN, "main").await;
    let writing = Writing::start(&archive, &socket).await;
    run(&client, "create table t (n int primary key)").await;
    insert(&client, 1).await;
    archive.backup(&socket, BackupKind::Full, &writing).await;
    insert(&client, 2).await;
    let lsn = text(&client, "select pg_current_wal_insert_lsn()").await;
    let insert_3 = "with i as (insert into t values (3)) select pg_current_xact_id()";
    let transaction = text(&client, insert_3).await;
    run(&client, "select pg_create_restore_point('here')").await;
    insert(&client, 4).await;
    let now =
        "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    let moment = text(&client, now).await;
    insert(&client, 5).await;
    archive
        .backup(&socket, BackupKind::Incremental, &writing)
        .await;
    insert(&client, 6).await;
    let after = text(&client, now).await;
    writing.end(&client).await;
    drop(client);
    drop(world);

    for (to, target, rows) in [
        ("latest", vec!["--latest"], "1 2 3 4 5 6"),
        ("time", vec!["--time", &moment], "1 2 3 4"),
        // Nothing happened behind it.
        ("after", vec!["--time", &after], "1 2 3 4 5 6"),
        ("lsn", vec!["--lsn", &lsn], "1 2"),
        ("transaction", vec!["--transaction", &transaction], "1 2 3"),
        ("name", vec!["--name", "here"], "1 2 3"),
    ] {
        assert_eq!(archive.rows_after(to, &target).await, rows, "{target:?}");
    }

    for (target, said) in [
        (
            ["--name", "elsewhere"],
            "There is no restore point named `elsewhere`",
        ),
        (
            ["--transaction", "3000000"],
            "Transaction 3000000 did not end",
        ),
        (
            ["--lsn", "F000/0"],
            "The archive reaches up to WAL position",
        ),
        (
            ["--time", "2001-01-01T00:00:00Z"],
            "The oldest backup is of",
        ),
    ] {
        let output = archive.restore("refused", &target);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(log.contains(said), "{target:?}: {log}");
        assert!(!archive.restored("refused").exists());
    }

    // What was restored goes on, on a timeline of its own, in the same archive.
    let engine = Plain::start(&archive, "latest").await;
    let client = engine.client().await;
    let writing = Writing::start(&archive, &engine.socket()).await;
    insert(&client, 7).await;
    let socket = engine.socket();
    archive
        .backup(&socket, BackupKind::Incremental, &writing)
        .await;
    insert(&client, 8).await;
    writing.end(&client).await;
    drop(engine);
    assert_eq!(archive.rows_after("second", &[]).await, "1 2 3 4 5 6 7 8");
    let first = archive.rows_after("first", &["--timeline", "1"]).await;
    assert_eq!(first, "1 2 3 4 5 6");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_named_and_never_used() {
    let mut archive = Archive::new().await;
    let world = World::running(&spec(1)).await;
    let socket = world.instance().join("run/.s.PGSQL.5432");
    let client = world.direct(ADMIN, "main").await;
    let writing = Writing::start(&archive, &socket).await;
    run(&client, "create table t (n int primary key)").await;
    insert(&client, 1).await;
    archive.backup(&socket, BackupKind::Full, &writing).await;
    insert(&client, 2).await;
    let second = archive.backup(&socket, BackupKind::Full, &writing).await;
    insert(&client, 3).await;
    let third = archive
        .backup(&socket, BackupKind::Incremental, &writing)
        .await;
    insert(&client, 4).await;
    writing.end(&client).await;
    drop(client);
    drop(world);

    let (store, layout) = (&archive.store, &archive.layout);
    // A bit of the second flipped, so the third, which builds on it, is of no use either.
    let part = layout.backup(second.backup_id, &second.parts[0].name);
    flip(store, &part).await;
    let output = archive.restore("older", &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(
        said.contains(&format!("damaged, and not needed: {part}")),
        "{said}"
    );
    assert_eq!(
        Plain::start(&archive, "older").await.rows().await,
        "1 2 3 4"
    );

    // The entry of the third is another's: it does not open.
    let entry = layout.catalogue_entry(third.backup_id);
    let other = layout.catalogue_entry(second.backup_id);
    let moved = store.get(&other).await.expect("answers").expect("there");
    store.put(&entry, moved).await.expect("written");
    // A chunk of WAL is damaged.
    let chunks = store.list(&layout.chunks(1), None).await.expect("answers");
    let chunk = chunks[chunks.len() - 2].name.clone();
    flip(store, &chunk).await;
    let output = archive.restore("holed", &[]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(log.contains(&entry) && log.contains(&chunk), "{log}");
    assert!(log.contains("is missing, so nothing behind it"), "{log}");
    assert!(!archive.restored("holed").exists());

    // Nor does another master key open it.
    let key = Key::new([9; 32]).to_base64();
    std::fs::write(archive.folder.path().join("master.key"), key.expose()).expect("written");
    let output = archive.restore("keyless", &[]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("the keys are wrapped by master key"), "{log}");
}

/// One bit of an object.
async fn flip(store: &ObjectStore, name: &str) {
    let content = store.get(name).await.expect("answers").expect("there");
    let mut content = content.to_vec();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    let written = store.put(name, Bytes::from(content)).await;
    written.expect("written");
}
