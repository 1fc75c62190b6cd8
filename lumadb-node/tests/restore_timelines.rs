//! Restores of what was restored: timelines 1 → 2 → 3, and a second fork of the first.

use crate::bucket::{Archive, Plain, Writing, insert, run, text};
use lumadb_contract::archive::BackupKind;

/// Runs what was restored, which takes a timeline of its own, and writes two rows; answers the
/// position between them.
async fn goes_on(archive: &Archive, to: &str, first: u32) -> String {
    let engine = Plain::start(archive, to).await;
    let client = engine.client().await;
    let writing = Writing::start(archive, &engine.socket()).await;
    insert(&client, first).await;
    let between = text(&client, "select pg_current_wal_insert_lsn()").await;
    insert(&client, first + 1).await;
    writing.end(&client).await;
    between
}

#[tokio::test(flavor = "multi_thread")]
async fn each_target_on_each_timeline_is_reached_and_forks_do_not_mix() {
    let mut archive = Archive::new().await;
    let engine = Plain::make(&archive, "origin", &["--wal-segsize=1"]).await;
    let client = engine.client().await;
    let socket = engine.socket();
    let writing = Writing::start(&archive, &socket).await;
    run(&client, "create table t (n int primary key)").await;
    insert(&client, 1).await;
    archive.backup(&socket, BackupKind::Full, &writing).await;
    insert(&client, 2).await;
    let on_first = text(&client, "select pg_current_wal_insert_lsn()").await;
    insert(&client, 3).await;
    writing.end(&client).await;
    drop((client, engine));

    assert_eq!(
        archive.rows_after("second", &["--lsn", &on_first]).await,
        "1 2"
    );
    let on_second = goes_on(&archive, "second", 20).await;
    let target = ["--lsn", &on_second];
    assert_eq!(archive.rows_after("third", &target).await, "1 2 20");
    let on_third = goes_on(&archive, "third", 30).await;
    // Another fork of the first, at the same position.
    let target = ["--timeline", "1", "--lsn", &on_first];
    assert_eq!(archive.rows_after("fourth", &target).await, "1 2");
    let on_fourth = goes_on(&archive, "fourth", 40).await;

    for (number, (timeline, lsn, rows)) in [
        ("1", None, "1 2 3"),
        ("2", Some(&on_second), "1 2 20"),
        ("2", None, "1 2 20 21"),
        ("3", Some(&on_third), "1 2 20 30"),
        ("3", None, "1 2 20 30 31"),
        ("4", Some(&on_fourth), "1 2 40"),
        ("4", None, "1 2 40 41"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut target = vec!["--timeline", timeline];
        target.extend(lsn.iter().flat_map(|lsn| ["--lsn", lsn.as_str()]));
        let to = format!("target-{number}");
        assert_eq!(archive.rows_after(&to, &target).await, rows, "{target:?}");
    }
    // The newest is the one that was begun last.
    assert_eq!(archive.rows_after("newest", &[]).await, "1 2 40 41");
}
