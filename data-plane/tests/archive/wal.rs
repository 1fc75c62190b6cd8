//! WAL of a real engine in a real object store, and what comes back.

mod faults;
mod runs;
mod writers;

use super::engine::{Engine, ROLE, command, folder, succeeds};
use super::store::World;
use lumadb_contract::archive::Lsn;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::key_chain::Key;
use lumadb_contract::scope::Access;
use lumadb_data_plane::archive::sealed::ArchiveKey;
use lumadb_data_plane::archive::store::ObjectStore;
use lumadb_data_plane::archive::wal::{
    Compactor, Pace, Progress, WalReader, WalSource, WalWriter, WriterError,
};
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

/// Whether it is a file of WAL from before `end`; an assertion that the archive holds the same up to
/// there.
async fn same(path: &Path, reader: &WalReader, end: Lsn) -> bool {
    let name = path.file_stem().expect("a name").to_string_lossy();
    let number = |at: std::ops::Range<usize>| u64::from_str_radix(name.get(at)?, 16).ok();
    let (Some(timeline), Some(high), Some(low)) = (number(0..8), number(8..16), number(16..24))
    else {
        return false;
    };
    let segment = high * (0x1_0000_0000 / SEGMENT) + low;
    if segment * SEGMENT >= end.0 {
        return false;
    }
    let timeline = u32::try_from(timeline).expect("fits");
    let archived = reader.segment(timeline, segment, SEGMENT).await;
    let archived = archived.expect("answers").expect("there");
    let file = std::fs::read(path).expect("reads");
    let until = (end.0 - segment * SEGMENT).min(SEGMENT);
    let until = usize::try_from(until).expect("fits");
    assert!(archived[..until] == file[..until], "{name} differs");
    true
}

pub(super) async fn compactor(world: &World) -> Compactor {
    Compactor::new(world.store(Access::ReadWrite).await, world.layout, key())
}

/// `pg_receivewal` ends only when it has seen WAL behind the position that it was told, and begins a
/// file for it where that position is the end of a segment: as after a switch, or after a backup.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_between_two_segments_asks_for_nothing_behind_it() {
    let world = World::begin().await;
    let engine = Engine::start();
    let oracle = Oracle::begin(&engine);
    let mut writing = Writing::start(&world, &engine, Pace::Now).await;
    writing.wait(|progress| progress.timeline == 1).await;
    engine.sql(SOME_ROWS);
    let (reader, end) = loop {
        engine.sql("select pg_switch_wal()");
        let end = writing.caught_up(&engine).await;
        let reader = reader(&world).await;
        // Now and then the engine writes of its own.
        if end.0 % SEGMENT == 0 && reader.latest() == Some((1, end)) {
            break (reader, end);
        }
        engine.sql(SOME_ROWS);
    };
    engine.sql(SOME_ROWS);
    assert!(oracle.agrees(&engine, &reader, end).await >= 1);
}
