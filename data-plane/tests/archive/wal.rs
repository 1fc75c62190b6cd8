//! WAL of a real engine in a real object store, and what comes back.

use super::engine::{Engine, ROLE, command, folder, succeeds};
use super::store::World;
use http::Method;
use lumadb_contract::archive::Lsn;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::key_chain::Key;
use lumadb_contract::scope::Access;
use lumadb_data_plane::archive::sealed::ArchiveKey;
use lumadb_data_plane::archive::store::ObjectStore;
use lumadb_data_plane::archive::wal::{
    Compactor, Pace, Progress, WalReader, WalSource, WalWriter, WriterError,
};
use lumadb_s3_server::faults::{Fault, Rule};
use nix::sys::signal::Signal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

const SEGMENT: u64 = 16 << 20;

/// Longest wait for what shall happen soon.
pub(super) const SOON: Duration = Duration::from_mins(2);

/// Some hundred kilobytes of WAL.
pub(super) const SOME_ROWS: &str =
    "create table if not exists t (n int); insert into t select generate_series(1, 5000)";

pub(super) fn key() -> Arc<ArchiveKey> {
    let secret = Key::new([7; 32]).to_base64();
    Arc::new(ArchiveKey::parse(&secret).expect("a key"))
}

pub(super) struct Writing {
    pub(super) store: ObjectStore,
    pace: watch::Sender<Pace>,
    pub(super) progress: watch::Receiver<Progress>,
    task: JoinHandle<WriterError>,
}

impl Writing {
    pub(super) async fn start(world: &World, engine: &Engine, pace: Pace) -> Self {
        Self::start_on(world, engine, pace, "lumadb_archive").await
    }

    pub(super) async fn start_on(world: &World, engine: &Engine, pace: Pace, slot: &str) -> Self {
        let store = world.store(Access::ReadWrite).await;
        Self::start_with(store, world, engine, pace, slot)
    }

    /// The same, by a way of its own.
    pub(super) fn start_with(
        store: ObjectStore,
        world: &World,
        engine: &Engine,
        pace: Pace,
        slot: &str,
    ) -> Self {
        let (pace, pace_end) = watch::channel(pace);
        let (progress_end, progress) = watch::channel(Progress::default());
        let source = WalSource {
            database_id: DatabaseId::from_uuid(Uuid::from_u128(3)),
            engine_version: 18,
            socket: engine.socket(),
            role: ROLE.to_owned(),
            slot: slot.to_owned(),
        };
        let writer = WalWriter::new(
            store.clone(),
            world.layout,
            key(),
            source,
            pace_end,
            progress_end,
        );
        Self {
            store,
            pace,
            progress,
            task: tokio::spawn(writer.run()),
        }
    }

    pub(super) async fn wait(&mut self, until: impl FnMut(&Progress) -> bool) -> Progress {
        let reached = timeout(SOON, self.progress.wait_for(until)).await;
        reached.expect("in time").expect("the writer lives").clone()
    }

    /// Waits until all that the engine has is archived.
    pub(super) async fn caught_up(&mut self, engine: &Engine) -> Lsn {
        let flushed = flushed(engine);
        self.wait(|progress| progress.archived >= flushed).await;
        flushed
    }

    /// As a kill: nothing that is under way is finished.
    pub(super) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.expect_err("ended").is_cancelled());
    }

    pub(super) async fn fails(self) -> WriterError {
        let ended = timeout(SOON, self.task).await.expect("in time");
        ended.expect("ends")
    }
}

pub(super) fn flushed(engine: &Engine) -> Lsn {
    let text = engine.sql("select pg_current_wal_flush_lsn()");
    text.parse().expect("a position")
}

pub(super) async fn reader(world: &World) -> WalReader {
    let store = world.store(Access::ReadOnly).await;
    let reader = WalReader::open(store, world.layout, key()).await;
    reader.expect("opens")
}

/// What `pg_receivewal` writes down.
pub(super) struct Oracle(tempfile::TempDir);

impl Oracle {
    /// Keeps WAL from now on.
    pub(super) fn begin(engine: &Engine) -> Self {
        engine.sql("select pg_create_physical_replication_slot('oracle', true)");
        Self(folder())
    }

    fn command(&self, engine: &Engine) -> std::process::Command {
        let mut command = command("pg_receivewal");
        command.args(["-n", "-S", "oracle", "-U", ROLE, "-D"]);
        command.arg(self.0.path()).arg("-h");
        command.arg(engine.folder.path());
        command
    }

    /// Compares every byte up to `end` with what the archive holds; answers how many segments.
    pub(super) async fn agrees(&self, engine: &Engine, reader: &WalReader, end: Lsn) -> usize {
        let mut receive = self.command(engine);
        succeeds(receive.args(["--endpos", &end.to_string()]));
        let files = std::fs::read_dir(self.0.path()).expect("reads");
        let mut compared = 0;
        for file in files {
            let path = file.expect("reads").path();
            compared += usize::from(same(&path, reader, end).await);
        }
        compared
    }
}

/// Whether it is a file of WAL; an assertion that the archive holds the same up to `end`.
async fn same(path: &Path, reader: &WalReader, end: Lsn) -> bool {
    let name = path.file_stem().expect("a name").to_string_lossy();
    let number = |at: std::ops::Range<usize>| u64::from_str_radix(name.get(at)?, 16).ok();
    let (Some(timeline), Some(high), Some(low)) = (number(0..8), number(8..16), number(16..24))
    else {
        return false;
    };
    let segment = high * (0x1_0000_0000 / SEGMENT) + low;
    let timeline = u32::try_from(timeline).expect("fits");
    let archived = reader.segment(timeline, segment, SEGMENT).await;
    let archived = archived.expect("answers").expect("there");
    let file = std::fs::read(path).expect("reads");
    let until = (end.0 - (segment * SEGMENT).min(end.0)).min(SEGMENT);
    let until = usize::try_from(until).expect("fits");
    assert!(archived[..until] == file[..until], "{name} differs");
    true
}

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
    engine.end(Signal::SIGINT);
    std::fs::write(engine.data().join("recovery.signal"), "").expect("written");
    let settings = engine.data().join("postgresql.auto.conf");
    std::fs::write(settings, "restore_command = 'false'\n").expect("written");
    engine.start_again();
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

pub(super) async fn compactor(world: &World) -> Compactor {
    Compactor::new(world.store(Access::ReadWrite).await, world.layout, key())
}

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
