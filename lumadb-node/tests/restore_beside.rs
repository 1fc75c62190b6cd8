//! Restores while something else happens: backups, expiry, clocks that are wrong.

use crate::bucket::{Archive, Plain, Writing, insert, run, text};
use lumadb_contract::archive::BackupKind;
use lumadb_data_plane::archive::backup::catalogue_read;
use lumadb_data_plane::archive::expire::{expire, expired};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use time::macros::datetime;

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_beside_a_backup_and_an_expiry_is_right_or_says_why_not() {
    let mut archive = Archive::new().await;
    let engine = Plain::make(&archive, "origin", &["--wal-segsize=1"]).await;
    let client = engine.client().await;
    let socket = engine.socket();
    let mut writing = Writing::start(&archive, &socket).await;
    run(&client, "create table t (n int primary key)").await;
    let mut rows = String::new();
    let mut right = 0;
    for round in 0..6_u32 {
        let first = archive.backup(&socket, BackupKind::Full, &writing).await;
        insert(&client, round).await;
        rows = format!("{rows} {round}").trim().to_owned();
        run(&client, "select pg_switch_wal()").await;
        writing.caught_up(&client).await;
        // It stops somewhere between its first look and the last WAL that it reads.
        archive
            .proxy
            .hold_from(4 + 3 * usize::try_from(round).expect("fits"), true);
        let to = format!("beside-{round}");
        let mut tool = archive.restore_command(&to, &[]);
        let tool = tool.stdout(Stdio::piped()).stderr(Stdio::piped());
        let tool = tool.spawn().expect("runs");
        archive.proxy.held().await;
        archive.proxy.go_on();
        let second = archive.backup(&socket, BackupKind::Full, &writing).await;
        // Every other time, what it restores from is pinned, as for any restore of a database.
        let pinned: &[_] = if round % 2 == 0 {
            &[first.backup_id]
        } else {
            &[]
        };
        let listed = catalogue_read(&archive.store, &archive.layout, &archive.key).await;
        let later = datetime!(2999-01-01 0:00 UTC);
        let gone = expired(&listed.expect("read"), Some(later), pinned);
        assert!(!gone.backups.contains(&second.backup_id));
        let deleted = expire(&archive.store, &archive.layout, &gone).await;
        deleted.expect("answers");
        let output = tool.wait_with_output().expect("ends");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || pinned.is_empty(), "{log}");
        if output.status.success() {
            right += 1;
            assert_eq!(Plain::start(&archive, &to).await.rows().await, rows);
        } else {
            let said = [
                "is missing",
                "damaged",
                "is not any more",
                "no complete backup",
            ];
            assert!(said.iter().any(|said| log.contains(said)), "{log}");
            assert!(!archive.restored(&to).exists());
        }
    }
    assert!(right >= 3, "{right}");
}

/// A library that shifts the clock of the program that loads it.
fn shifting(archive: &Archive) -> PathBuf {
    let (code, library) = ["shift.c", "shift.so"]
        .map(|name| archive.folder.path().join(name))
        .into();
    let text = "
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdlib.h>
        #include <sys/time.h>
        #include <time.h>
        static long by(void) { const char *s = getenv(\"SHIFT\"); return s ? atol(s) : 0; }
        int clock_gettime(clockid_t clock, struct timespec *at) {
            static int (*real)(clockid_t, struct timespec *);
            if (!real) *(void **)&real = dlsym(RTLD_NEXT, \"clock_gettime\");
            int result = real(clock, at);
            if (clock == CLOCK_REALTIME) at->tv_sec += by();
            return result;
        }
        int gettimeofday(struct timeval *restrict at, void *restrict zone) {
            struct timespec now;
            int result = clock_gettime(CLOCK_REALTIME, &now);
            at->tv_sec = now.tv_sec;
            at->tv_usec = now.tv_nsec / 1000;
            return result;
        }
        time_t time(time_t *at) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (at) *at = now.tv_sec;
            return now.tv_sec;
        }";
    std::fs::write(&code, text).expect("written");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&code)
        .arg("-ldl");
    let compiled = cc.output().expect("a compiler");
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{said}");
    library
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_an_hour_off_lose_nothing() {
    let mut archive = Archive::new().await;
    let library = shifting(&archive);
    let library = library.to_str().expect("a path");
    let mut engine = Plain::make(&archive, "origin", &["--wal-segsize=1"]).await;
    let mut client = engine.client().await;
    let socket = engine.socket();
    let mut writing = Writing::start(&archive, &socket).await;
    run(&client, "create table t (n int primary key)").await;
    insert(&client, 1).await;
    archive.backup(&socket, BackupKind::Full, &writing).await;
    insert(&client, 2).await;
    let now =
        "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    let moment = text(&client, now).await;
    let mut lsn = String::new();
    for (shift, n) in [("3600", 3), ("-3600", 5)] {
        writing.end(&client).await;
        drop((client, engine));
        let environment = [("LD_PRELOAD", library), ("SHIFT", shift)];
        engine = Plain::start_with(&archive, "origin", &environment).await;
        client = engine.client().await;
        let shifted = text(&client, now).await;
        assert_eq!(shifted > moment, shift == "3600", "{shifted}");
        writing = Writing::start(&archive, &socket).await;
        insert(&client, n).await;
        archive.backup(&socket, BackupKind::Full, &writing).await;
        lsn = text(&client, "select pg_current_wal_insert_lsn()").await;
        insert(&client, n + 1).await;
    }
    writing.end(&client).await;
    drop((client, engine));

    // PostgreSQL stops at the first commit that says that it is later.
    assert_eq!(
        archive.rows_after("time", &["--time", &moment]).await,
        "1 2"
    );
    assert_eq!(
        archive.rows_after("lsn", &["--lsn", &lsn]).await,
        "1 2 3 4 5"
    );
    // Nor does the clock of whoever restores matter: the store's is asked for.
    for (to, shift) in [("ahead", "3600"), ("behind", "-3600")] {
        let mut tool = archive.restore_command(to, &[]);
        tool.env("LD_PRELOAD", library).env("SHIFT", shift);
        let output = tool.output().expect("runs");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
        let rows = Plain::start(&archive, to).await.rows().await;
        assert_eq!(rows, "1 2 3 4 5 6");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_sorted_otherwise_here_is_refused_unless_it_is_asked_for() {
    let mut archive = Archive::new().await;
    let engine = Plain::make(&archive, "origin", &["--wal-segsize=1"]).await;
    let client = engine.client().await;
    let socket = engine.socket();
    let writing = Writing::start(&archive, &socket).await;
    run(&client, "create table t (n int primary key)").await;
    insert(&client, 1).await;
    let older = "update pg_collation set collversion = '0' where collname = 'pg_c_utf8'";
    run(&client, older).await;
    archive.backup(&socket, BackupKind::Full, &writing).await;
    writing.end(&client).await;
    // Nothing is sorted by it.
    assert_eq!(archive.rows_after("unused", &[]).await, "1");

    let writing = Writing::start(&archive, &socket).await;
    run(
        &client,
        "create table s (name text collate pg_c_utf8 primary key)",
    )
    .await;
    run(
        &client,
        "update pg_database set datcollversion = '0' where datname = 'main'",
    )
    .await;
    writing.end(&client).await;
    let output = archive.restore("refused", &[]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for said in [
        "so indexes would be corrupt",
        "the database main was sorted by PostgreSQL's own version 0, which is 1 here",
        "the collation pg_c_utf8 in main",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert!(!archive.restored("refused").exists());
    let output = archive.restore("accepted", &["--other-collations"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    assert!(said.contains("run REINDEX: the database main"), "{said}");
    assert_eq!(Plain::start(&archive, "accepted").await.rows().await, "1");
}
