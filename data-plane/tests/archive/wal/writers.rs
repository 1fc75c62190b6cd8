//! Writers that are killed, replaced, cloned or too late, and engines that crash or fork.

use super::super::engine::Engine;
use super::super::store::World;
use super::{Oracle, SEGMENT, SOME_ROWS, SOON, Writing, flushed, key, reader, same};
use http::Method;
use lumadb_contract::scope::Access;
use lumadb_data_plane::archive::wal::{Pace, WriterError, fence};
use lumadb_s3_server::faults::{Fault, Rule};
use nix::sys::signal::Signal;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_writer_and_a_crashed_engine_lose_nothing() {
    let world = World::begin().await;
    let mut engine = Engine::start();
    let oracle = Oracle::begin(&engine);
    for round in 0..6 {
        let mut writing = Writing::start(&world, &engine, Pace::Now).await;
        writing.wait(|progress| progress.timeline == 1).await;
        let archived = writing.progress.borrow().archived;
        world.proxy.play([Rule::on(
            Method::PUT,
            "/wal/",
            1 + round,
            Fault::Delay(Duration::from_millis(20)),
        )]);
        engine.sql(SOME_ROWS);
        writing.wait(|progress| progress.archived > archived).await;
        if round % 2 == 0 {
            writing.kill().await;
        } else {
            engine.end(Signal::SIGQUIT);
            engine.start_again();
            engine.sql(SOME_ROWS);
            writing.caught_up(&engine).await;
            writing.kill().await;
        }
        world.proxy.calm();
    }
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    let end = writing.caught_up(&engine).await;
    let reader = reader(&world).await;
    assert!(oracle.agrees(&engine, &reader, end).await >= 1);
    assert_eq!(reader.faults(), []);
    assert_eq!(reader.covered(1).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_the_first_stops_for_good() {
    let world = World::begin().await;
    let engine = Engine::start();
    let oracle = Oracle::begin(&engine);
    let mut first = Writing::start(&world, &engine, Pace::Now).await;
    first.caught_up(&engine).await;
    // What comes now it has, and does not send yet.
    first.pace.send_replace(Pace::Within(SOON));
    engine.sql(SOME_ROWS);
    let has = flushed(&engine);
    first.wait(|progress| progress.flushed >= has).await;
    let archived = first.progress.borrow().archived;
    assert!(archived < has);
    let mut second = Writing::start_on(&world, &engine, Pace::Now, "second").await;
    second.caught_up(&engine).await;
    first.pace.send_replace(Pace::Now);
    engine.sql(SOME_ROWS);
    let confirmed = first.progress.clone();
    let ended = first.fails().await;
    assert_eq!(confirmed.borrow().archived, archived);
    assert!(matches!(ended, WriterError::Fenced { .. }), "{ended}");
    let end = second.caught_up(&engine).await;
    let reader = reader(&world).await;
    assert!(oracle.agrees(&engine, &reader, end).await >= 1);
    assert_eq!(reader.faults(), []);
    assert_eq!(reader.covered(1).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_cloned_or_rolled_back_harms_nobody() {
    let world = World::begin().await;
    let mut engine = Engine::start();
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    writing.caught_up(&engine).await;
    engine.end(Signal::SIGINT);
    let clone = engine.cloned();
    engine.start_again();
    engine.sql(SOME_ROWS);
    writing.caught_up(&engine).await;

    let mut clone = Engine::start_in(clone);
    let rolled_back = Writing::start(&world, &clone, Pace::Now).await;
    let error = rolled_back.fails().await;
    assert!(matches!(error, WriterError::RolledBack { .. }), "{error}");
    clone.sql(SOME_ROWS);
    clone.sql(SOME_ROWS);
    let diverged = Writing::start(&world, &clone, Pace::Now).await;
    let error = diverged.fails().await;
    assert!(matches!(error, WriterError::Diverged { .. }), "{error}");
    clone.end(Signal::SIGQUIT);

    engine.sql(SOME_ROWS);
    let end = writing.caught_up(&engine).await;
    assert_eq!(reader(&world).await.latest(), Some((1, end)));
    let other = Engine::start();
    let foreign = Writing::start(&world, &other, Pace::Now).await;
    let error = foreign.fails().await;
    assert!(matches!(error, WriterError::Foreign), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_before_it_was_archived_is_a_hole() {
    let world = World::begin().await;
    let engine = Engine::start();
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    let end = writing.caught_up(&engine).await;
    writing.kill().await;
    let drop_slot = "select pg_drop_replication_slot('lumadb_archive') where exists \
        (select from pg_replication_slots where not active)";
    while engine.sql("select count(*) from pg_replication_slots") != "0" {
        engine.sql(drop_slot);
    }
    for _ in 0..3 {
        engine.sql(SOME_ROWS);
        engine.sql("select pg_switch_wal()");
        engine.sql("checkpoint");
    }
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    let later = writing.caught_up(&engine).await;
    let reader = reader(&world).await;
    let covered = reader.covered(1);
    assert_eq!(covered.len(), 2, "{covered:?}");
    assert_eq!((covered[0].end, covered[1].end), (end, later));
    let lost = reader.segment(1, end.0 / SEGMENT + 1, SEGMENT).await;
    assert_eq!(lost.expect("answers"), None);
    let there = reader.segment(1, covered[1].start.0 / SEGMENT, SEGMENT);
    assert!(there.await.expect("answers").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_timeline_has_its_history_and_a_chain_of_its_own() {
    let world = World::begin().await;
    let mut engine = Engine::start();
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    writing.caught_up(&engine).await;
    promote(&mut engine);
    engine.sql(SOME_ROWS);
    writing.wait(|progress| progress.timeline == 2).await;
    let end = writing.caught_up(&engine).await;
    let reader = reader(&world).await;
    assert_eq!(reader.timelines(), [1, 2]);
    assert_eq!(reader.latest(), Some((2, end)));
    let history = std::fs::read(engine.data().join("pg_wal/00000002.history"));
    let archived = reader.history(2).await.expect("answers");
    assert_eq!(archived, history.ok());
    assert_eq!(reader.history(3).await.expect("answers"), None);
    let first = reader.covered(2)[0].start.0 / SEGMENT;
    let file = format!("pg_wal/00000002{first:016X}");
    let file = engine.data().join(file);
    assert!(same(&file, &reader, end).await);
}

/// Has an engine go on with a new timeline.
fn promote(engine: &mut Engine) {
    engine.end(Signal::SIGINT);
    std::fs::write(engine.data().join("recovery.signal"), "").expect("written");
    let settings = engine.data().join("postgresql.auto.conf");
    std::fs::write(settings, "restore_command = 'false'\n").expect("written");
    engine.start_again();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wrote_before_a_restore_is_fenced_and_left_behind() {
    let world = World::begin().await;
    let store = world.store(Access::ReadWrite).await;
    let nothing = fence(store.clone(), world.layout, key()).await;
    assert_eq!(nothing.expect("answers"), None);
    let mut engine = Engine::start();
    let mut sleeping = Writing::start(&world, &engine, Pace::Now).await;
    engine.sql(SOME_ROWS);
    let end = sleeping.caught_up(&engine).await;
    // It is asleep while the archive is about to be restored from; twice, for a restore may break off.
    for _ in 0..2 {
        let fenced = fence(store.clone(), world.layout, key()).await;
        assert_eq!(fenced.expect("answers"), Some(1));
    }
    let before = reader(&world).await;
    assert_eq!((before.latest(), before.faults()), (Some((1, end)), vec![]));
    engine.end(Signal::SIGINT);
    let clone = engine.cloned();
    engine.start_again();
    engine.sql(SOME_ROWS);
    let confirmed = sleeping.progress.clone();
    let ended = sleeping.fails().await;
    assert!(matches!(ended, WriterError::Fenced { .. }), "{ended}");
    assert_eq!(confirmed.borrow().archived, end);

    // What was restored goes on with the next timeline, in the same archive.
    let mut restored = Engine::start_in(clone);
    promote(&mut restored);
    let mut writing = Writing::start(&world, &restored, Pace::Now).await;
    restored.sql(SOME_ROWS);
    let after = writing.caught_up(&restored).await;
    let late = Writing::start(&world, &engine, Pace::Now)
        .await
        .fails()
        .await;
    let left = matches!(
        late,
        WriterError::LeftBehind {
            timeline: 1,
            newer: 2
        }
    );
    assert!(left, "{late}");
    let reader = reader(&world).await;
    assert_eq!(reader.faults(), []);
    assert_eq!(reader.latest(), Some((2, after)));
    assert!(reader.covered(2)[0].start <= end, "no hole between the two");
}
