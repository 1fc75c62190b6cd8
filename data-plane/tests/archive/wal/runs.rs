//! Chunks that are put together into runs.

use super::super::engine::Engine;
use super::super::store::World;
use super::{Oracle, SOME_ROWS, Writing, compactor, reader};
use http::Method;
use lumadb_contract::scope::Access;
use lumadb_data_plane::archive::wal::Pace;
use lumadb_s3_server::faults::{Fault, Rule};

/// What is left of the chain as it was written: names of chunks and seals.
async fn chunks(world: &World) -> Vec<String> {
    let store = world.store(Access::ReadOnly).await;
    let listed = store.list(&world.layout.chunks(1), None).await;
    let names = listed.expect("listed").into_iter();
    names.map(|object| object.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_become_runs_and_a_kill_at_any_step_loses_nothing() {
    let world = World::begin().await;
    let engine = Engine::start();
    let oracle = Oracle::begin(&engine);
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    for _ in 0..3 {
        engine.sql(SOME_ROWS);
        writing.caught_up(&engine).await;
        engine.sql(SOME_ROWS);
        engine.sql("select pg_switch_wal()");
    }
    engine.sql(SOME_ROWS);
    let end = writing.caught_up(&engine).await;
    writing.kill().await;
    let before = chunks(&world).await;
    let refuse = |method, contains: &str| {
        let away = Fault::Refuse(503, "SlowDown");
        Rule::on(method, contains, usize::MAX, away)
    };
    let compactor = compactor(&world).await;
    for step in [
        refuse(Method::PUT, "/segments/"),
        refuse(Method::GET, "/segments/"),
        refuse(Method::DELETE, &before[2]),
        refuse(Method::DELETE, "/wal/"),
    ] {
        world.proxy.play([step]);
        let killed = compactor.compact(1).await;
        assert!(killed.expect_err("killed").is_transient());
        world.proxy.calm();
        let reader = reader(&world).await;
        assert_eq!(oracle.agrees(&engine, &reader, end).await, 4);
        assert_eq!(reader.covered(1).len(), 1);
    }
    // One that was opened before sees no difference.
    let opened_before = reader(&world).await;
    compactor.compact(1).await.expect("made");
    assert_eq!(compactor.compact(1).await.expect("nothing to do"), 0);
    assert_eq!(oracle.agrees(&engine, &opened_before, end).await, 4);
    let after = chunks(&world).await;
    assert!(after.len() < before.len(), "{after:?}");
    assert_eq!(after[0], before[0], "seals stay");

    // A writer goes on behind the runs, and what it writes becomes runs too.
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    engine.sql(SOME_ROWS);
    engine.sql("select pg_switch_wal()");
    engine.sql(SOME_ROWS);
    let end = writing.caught_up(&engine).await;
    assert_eq!(compactor.compact(1).await.expect("made"), 1);
    let reader = reader(&world).await;
    assert_eq!(oracle.agrees(&engine, &reader, end).await, 5);
    assert_eq!(reader.covered(1).len(), 1);
    assert_eq!(reader.faults(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_another_size_come_back_as_they_were() {
    let world = World::begin().await;
    let engine = Engine::start_with(&["--wal-segsize=1"]);
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    writing.wait(|progress| progress.timeline == 1).await;
    engine.sql("create table t as select generate_series(1, 50000) as n");
    let end = writing.caught_up(&engine).await;
    assert_eq!(writing.progress.borrow().run_bytes, 1 << 20);
    assert!(compactor(&world).await.compact(1).await.expect("made") >= 3);
    let reader = reader(&world).await;
    let [covered] = &reader.covered(1)[..] else {
        panic!("{:?}", reader.covered(1));
    };
    assert_eq!((covered.start.0 % (1 << 20), covered.end), (0, end));
    let mut compared = 0;
    for number in covered.start.0 >> 20..=(end.0 - 1) >> 20 {
        let name = format!("00000001{:08X}{:08X}", number >> 12, number & 0xFFF);
        let Ok(file) = std::fs::read(engine.data().join("pg_wal").join(&name)) else {
            continue;
        };
        let segment = reader.segment(1, number, 1 << 20).await;
        let segment = segment.expect("answers").expect("there");
        let until = usize::try_from((end.0 - (number << 20)).min(1 << 20)).expect("fits");
        assert!(segment[..until] == file[..until], "{name} differs");
        compared += 1;
    }
    assert!(compared >= 3, "{compared}");
}
