//! WAL while the object store is slow, away, forbidden or damaged.

use super::super::engine::Engine;
use super::super::store::World;
use super::{Oracle, SEGMENT, SOME_ROWS, Writing, flushed, key, reader};
use http::Method;
use lumadb_contract::scope::Access;
use lumadb_data_plane::archive::wal::{Pace, WalReader};
use lumadb_s3_server::faults::{Fault, Rule};
use nix::sys::signal::Signal;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_holds_every_byte_whatever_the_store_does() {
    let world = World::begin().await;
    let engine = Engine::start();
    let oracle = Oracle::begin(&engine);
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    writing.wait(|progress| progress.timeline == 1).await;
    for fault in [
        Fault::Refuse(503, "SlowDown"),
        Fault::Refuse(500, "InternalError"),
        Fault::LoseAnswer(500, "InternalError"),
        Fault::CutAfter,
        Fault::CutRequest(10),
        Fault::CutAnswer(0),
        Fault::Delay(Duration::from_millis(200)),
    ] {
        world.proxy.play([Rule::on(Method::PUT, "/wal/", 3, fault)]);
        for _ in 0..4 {
            engine.sql(SOME_ROWS);
        }
    }
    engine.sql("select pg_switch_wal()");
    engine.sql(SOME_ROWS);
    let end = writing.caught_up(&engine).await;
    world.proxy.calm();
    let reader = reader(&world).await;
    assert!(oracle.agrees(&engine, &reader, end).await >= 2);
    assert_eq!(reader.faults(), []);
    let [covered] = &reader.covered(1)[..] else {
        panic!("{:?}", reader.covered(1));
    };
    assert_eq!((covered.start.0 % SEGMENT, covered.end), (0, end));
    assert_eq!(reader.latest(), Some((1, end)));
    assert!(writing.progress.borrow().session_error.is_none());
    assert!(writing.store.count().put_failures > 10);
    // Nothing is written where nothing happens; now and then the engine writes of its own.
    loop {
        let end = writing.caught_up(&engine).await;
        let before = writing.store.count();
        assert_eq!(engine.sql("select count(*) > 0 from t"), "t");
        let after = writing.store.count();
        if flushed(&engine) == end {
            assert_eq!(after, before);
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_stops_neither_commits_nor_the_engine() {
    let world = World::begin().await;
    let mut engine = Engine::start();
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    writing.caught_up(&engine).await;
    let away = Fault::Refuse(503, "SlowDown");
    world
        .proxy
        .play([Rule::on(Method::PUT, "/wal/", usize::MAX, away)]);
    for _ in 0..10 {
        engine.sql(SOME_ROWS);
    }
    let away = writing.wait(|progress| progress.store_error.is_some());
    let away = away.await;
    assert!(away.archived < flushed(&engine));
    engine.end(Signal::SIGINT);
    engine.start_again();
    engine.sql(SOME_ROWS);
    world.proxy.calm();
    let end = writing.caught_up(&engine).await;
    assert!(writing.progress.borrow().store_error.is_none());
    let reader = reader(&world).await;
    assert_eq!(reader.latest(), Some((1, end)));
    assert_eq!(reader.covered(1).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_not_there_damaged_and_no_answer_are_four_answers() {
    let world = World::begin().await;
    let engine = Engine::start();
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    for _ in 0..30 {
        engine.sql("select pg_logical_emit_message(false, 'a', repeat('x', 9000), true)");
        writing.caught_up(&engine).await;
    }
    let end = writing.caught_up(&engine).await;
    let first = reader(&world).await.covered(1)[0].start.0 / SEGMENT;
    let away = Fault::Refuse(503, "SlowDown");
    world
        .proxy
        .play([Rule::on(Method::GET, "list-type", 5, away)]);
    let store = world.store(Access::ReadOnly).await;
    let refused = WalReader::open(store, world.layout, key()).await;
    assert!(refused.expect_err("away").is_transient());
    world.proxy.calm();
    let beyond = reader(&world).await;
    assert!(
        beyond
            .segment(1, first, SEGMENT)
            .await
            .expect("answers")
            .is_some()
    );
    assert_eq!(beyond.segment(1, first + 9, SEGMENT).await.ok(), Some(None));
    assert_eq!(beyond.segment(7, first, SEGMENT).await.ok(), Some(None));

    // One bit of a chunk in the middle.
    let chunks = writing.store.list(&world.layout.chunks(1), None).await;
    let damaged = chunks.expect("listed")[5].name.clone();
    let flip = || Rule::on(Method::GET, &damaged, 1, Fault::FlipAnswer(200));
    world.proxy.play([flip()]);
    let half = reader(&world).await;
    assert_eq!(half.faults()[0].name, damaged);
    assert_eq!(half.covered(1).len(), 2);
    assert_eq!(half.latest(), Some((1, end)));
    // And one that is gone.
    writing.kill().await;
    let store = world.store(Access::ReadWrite).await;
    store.delete(vec![damaged.clone()]).await.expect("deleted");
    let holed = reader(&world).await;
    assert_eq!(holed.faults()[0].name, damaged);
    assert_eq!(holed.covered(1).len(), 2);
    // A writer goes on behind it all the same.
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    engine.sql(SOME_ROWS);
    let end = writing.caught_up(&engine).await;
    assert_eq!(reader(&world).await.latest(), Some((1, end)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_were_taken_away_are_told_and_may_come_back() {
    let world = World::begin().await;
    let engine = Engine::start();
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    writing.caught_up(&engine).await;
    let denied = Fault::Refuse(403, "AccessDenied");
    let rule = |method| Rule::on(method, "/wal/", 1_000_000, denied);
    world.proxy.play([rule(Method::PUT), rule(Method::GET)]);
    engine.sql(SOME_ROWS);
    let told = writing.wait(|progress| progress.store_error.is_some());
    let told = told.await.store_error.expect("told");
    assert!(told.contains("403"), "{told}");
    let store = world.store(Access::ReadOnly).await;
    let refused = WalReader::open(store, world.layout, key()).await;
    assert!(!refused.expect_err("not allowed").is_transient());
    world.proxy.calm();
    let end = writing.caught_up(&engine).await;
    assert_eq!(reader(&world).await.latest(), Some((1, end)));
}
