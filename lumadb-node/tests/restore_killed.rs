//! The tool, killed at each of its requests and while PostgreSQL replays: it begins anew, and what
//! comes of it is the same.

use crate::bucket::{Archive, Plain, Writing, insert, run};
use http::Method;
use lumadb_contract::archive::BackupKind;
use lumadb_data_plane::archive::wal::Compactor;
use lumadb_s3_server::faults::{Fault, Rule};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Child;
use std::time::Duration;

const ROWS: &str = "1 2 3 4 5 6";

/// An archive with a full and an incremental backup, WAL in segments of 1 MiB, and a table that no
/// crash keeps.
async fn archived() -> Archive {
    let mut archive = Archive::new().await;
    let engine = Plain::make(&archive, "origin", &["--wal-segsize=1"]).await;
    let client = engine.client().await;
    let socket = engine.socket();
    let writing = Writing::start(&archive, &socket).await;
    run(&client, "create table t (n int primary key)").await;
    run(&client, "create unlogged table u as select 1 as n").await;
    insert(&client, 1).await;
    archive.backup(&socket, BackupKind::Full, &writing).await;
    insert(&client, 2).await;
    archive
        .backup(&socket, BackupKind::Incremental, &writing)
        .await;
    for n in 3..=5 {
        insert(&client, n).await;
        run(&client, "select pg_switch_wal()").await;
    }
    insert(&client, 6).await;
    writing.end(&client).await;
    let compactor = Compactor::new(archive.store.clone(), archive.layout, archive.key.clone());
    assert!(compactor.compact(1).await.expect("made") >= 3);
    archive
}

/// Waits for the end; answers whether it succeeded.
async fn ended(child: &mut Child) -> bool {
    loop {
        if let Some(status) = child.try_wait().expect("waits") {
            return status.success();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_killed_at_any_request_begins_anew_and_ends_the_same() {
    let archive = archived().await;
    for nth in 1.. {
        archive.proxy.hold_from(nth, nth % 2 == 0);
        let mut tool = archive.restore_command("again", &[]).spawn().expect("runs");
        let finished = tokio::select! {
            () = archive.proxy.held() => false,
            success = ended(&mut tool) => success,
        };
        if finished {
            archive.proxy.cut();
            assert!(nth > 15, "only {nth} requests");
            break;
        }
        tool.kill().expect("kills");
        tool.wait().expect("ends");
        archive.proxy.cut();
        assert!(
            !archive.restored("again").exists(),
            "killed at request {nth}"
        );
    }
    let engine = Plain::start(&archive, "again").await;
    assert_eq!(engine.rows().await, ROWS);
    let client = engine.client().await;
    let unlogged = crate::bucket::text(&client, "select count(*) from u").await;
    assert_eq!(unlogged, "0");
    let size = crate::bucket::text(&client, "show wal_segment_size").await;
    assert_eq!(size, "1MB");
}

/// PostgreSQL, where it replays.
fn replaying(archive: &Archive) -> Option<Pid> {
    let folder = archive.restored("crashed.restoring");
    let file = std::fs::read_to_string(folder.join("data/postmaster.pid")).ok()?;
    let pid = Pid::from_raw(file.lines().next()?.parse().ok()?);
    kill(pid, None).is_ok().then_some(pid)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_whose_postgresql_is_killed_says_so_and_begins_anew() {
    let archive = archived().await;
    // The first run that is read tells where chunks go on; those behind it are for PostgreSQL.
    for nth in [2, 3] {
        let never = Fault::Delay(Duration::from_hours(1));
        let rule = Rule::on(Method::GET, "/segments/", usize::MAX, never);
        archive.proxy.play([rule.from_nth(nth)]);
        let mut tool = archive.restore_command("crashed", &[]);
        let mut tool = tool.spawn().expect("runs");
        let engine = loop {
            if let Some(engine) = replaying(&archive) {
                break engine;
            }
            assert!(tool.try_wait().expect("waits").is_none());
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        kill(engine, Signal::SIGKILL).expect("kills");
        archive.proxy.calm();
        assert!(!ended(&mut tool).await);
        assert!(!archive.restored("crashed").exists());
    }
    assert_eq!(archive.rows_after("crashed", &[]).await, ROWS);
}
