//! Backups and restores beside PostgreSQL's own tools and pgBackRest, on the same data in one run.

mod commits;

use super::Settings;
use crate::archived::pgbackrest::PgBackRest;
use crate::archived::{Archived, Made};
use crate::pgbench;
use crate::report::{Bar, Row, Unit};
use lumadb_contract::archive::BackupKind;
use lumadb_e2e::Outcome;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{interval, sleep, timeout};

const SECTION: &str = "backup";

/// MiB of a database for each step of pgbench's scale.
const MIB_OF_SCALE: u32 = 15;

/// Rows that are changed at random before an incremental backup.
const UPDATES: u32 = 20_000;

/// A node tells what is not urgent so often.
const NEXT_WORD: Duration = Duration::from_secs(12);

/// How exactly it is known when it does.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How far away a store is, milliseconds there and back.
const FAR_MS: [u64; 2] = [20, 50];

const RAW: &str = "pg_basebackup to nothing";
const PIPED: &str = "pg_basebackup | zstd -1";
const PGBACKREST: &str = "pgBackRest, 2 processes";

#[derive(Default)]
struct Speeds {
    ours: Vec<f64>,
    raw: Vec<f64>,
    piped: Vec<f64>,
    pgbackrest: Vec<f64>,
    memory: Vec<f64>,
}

pub(crate) async fn measure(settings: &Settings) -> Outcome<Vec<Row>> {
    let scale = (settings.backup_mib / MIB_OF_SCALE).max(1);
    settings.progress(&format!(
        "backup: filling two databases of {} MiB",
        settings.backup_mib
    ));
    let mut ours = Archived::start().await?;
    pgbench::initialize(&ours.through_node(), scale).await?;
    let theirs = PgBackRest::start(scale).await?;
    ours.caught_up().await?;
    let mut rows = backups(settings, &mut ours, &theirs).await?;
    rows.extend(far_store(settings, &mut ours).await?);
    rows.extend(restores(settings, &ours, &theirs).await?);
    rows.push(incremental(settings, &mut ours, &theirs, scale).await?);
    rows.push(commits::during_backup(settings, &mut ours).await?);
    rows.push(commits::waiting(settings, &mut ours).await?);
    rows.extend(puts(settings, &ours).await?);
    Ok(rows)
}

async fn backups(
    settings: &Settings,
    ours: &mut Archived,
    theirs: &PgBackRest,
) -> Outcome<Vec<Row>> {
    let mut speeds = Speeds::default();
    let file = ours.folder.path().join("piped.tar.zst");
    // Everything is read once, so that no contender meets a cold cache.
    drained(ours.base_backup().args(["-D", "-"]))?;
    for round in 1..=settings.backup_rounds {
        settings.progress(&format!(
            "backup: round {round} of {}",
            settings.backup_rounds
        ));
        let (bytes, span) = drained(ours.base_backup().args(["-D", "-"]))?;
        speeds.raw.push(mib_per_second(bytes, span));
        let span = piped(&ours.base_backup(), &file)?;
        speeds.piped.push(mib_per_second(bytes, span));
        let made = ours.backup(BackupKind::Full).await?;
        speeds.ours.push(speed(&made));
        speeds.memory.push(made.node_mib);
        let made = theirs.backup("full")?;
        speeds.pgbackrest.push(made.bytes / made.seconds / MIB);
    }
    let full = |what: &str| Row::new(SECTION, what, Unit::MebibytesPerSecond, &speeds.ours);
    Ok(vec![
        full("full backup, zstd -1, encrypted, into S3")?
            .beside(RAW, &speeds.ours, &speeds.raw)
            .bar(Bar::RatioAtLeast(0.65)),
        full("the same")?
            .beside(PIPED, &speeds.ours, &speeds.piped)
            .bar(Bar::RatioAtLeast(1.5)),
        full("the same")?
            .beside(PGBACKREST, &speeds.ours, &speeds.pgbackrest)
            .bar(Bar::RatioAtLeast(1.2)),
        Row::new(
            SECTION,
            "node during a backup, own memory at most",
            Unit::Mebibytes,
            &speeds.memory,
        )?
        .bar(Bar::ValueAtMost(150.0)),
    ])
}

/// Full backups into a store that is farther away, beside one that is not.
async fn far_store(settings: &Settings, ours: &mut Archived) -> Outcome<Vec<Row>> {
    let mut near = Vec::new();
    let mut far = FAR_MS.map(|ms| (ms, Vec::new()));
    for round in 1..=settings.backup_rounds {
        settings.progress(&format!("backup: stores that are far away, round {round}"));
        near.push(speed(&ours.backup(BackupKind::Full).await?));
        for (ms, speeds) in &mut far {
            ours.latency.set(Duration::from_millis(*ms));
            let made = ours.backup(BackupKind::Full).await;
            ours.latency.set(Duration::ZERO);
            speeds.push(speed(&made?));
        }
    }
    far.iter()
        .map(|(ms, speeds)| {
            let what = format!("full backup, store {ms} ms away");
            let row = Row::new(SECTION, what, Unit::MebibytesPerSecond, speeds)?;
            Ok(row.beside("store 0 ms away", speeds, &near))
        })
        .collect()
}

/// From the store to a server that has replayed everything: ours ends in order then, pgBackRest's
/// answers. Of the plain archive only the files are unpacked.
async fn restores(settings: &Settings, ours: &Archived, theirs: &PgBackRest) -> Outcome<Vec<Row>> {
    let file = ours.folder.path().join("piped.tar.zst");
    let folder = ours.folder.path().join("unpacked");
    let (mut own, mut peer, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=settings.backup_rounds {
        settings.progress(&format!(
            "restore: round {round} of {}",
            settings.backup_rounds
        ));
        let per_minute = |span: Duration| 60.0 / span.as_secs_f64();
        own.push(per_minute(ours.restore("bench")?));
        peer.push(per_minute(theirs.restore().await?));
        plain.push(per_minute(unpacked(&file, &folder)?));
    }
    let row = |what: &str| Row::new(SECTION, what, Unit::PerMinute, &own);
    Ok(vec![
        row("restores, with replay")?
            .beside(PGBACKREST, &own, &peer)
            .bar(Bar::RatioAtLeast(1.5)),
        row("the same")?.beside("zstd -d | tar -x", &own, &plain),
    ])
}

async fn incremental(
    settings: &Settings,
    ours: &mut Archived,
    theirs: &PgBackRest,
    scale: u32,
) -> Outcome<Row> {
    settings.progress("backup: incremental after random updates");
    let folder = ours.folder.path().to_owned();
    let (full, changed) = (folder.join("native"), folder.join("native-changed"));
    crate::programs::run(ours.base_backup().arg("-D").arg(&full))?;
    ours.backup(BackupKind::Full).await?;
    let update = format!(
        "update pgbench_accounts set abalance = abalance + 1 where aid in \
         (select 1 + (random() * {})::int from generate_series(1, {UPDATES}))",
        100_000 * scale - 1
    );
    ours.sql(&update).await?;
    theirs.sql(&update).await?;
    let own = ours.backup(BackupKind::Incremental).await?;
    let mut native = ours.base_backup();
    let manifest = format!("--incremental={}", full.join("backup_manifest").display());
    crate::programs::run(native.arg(manifest).arg("-D").arg(&changed))?;
    let native = as_f64(std::fs::metadata(changed.join("base.tar"))?.len());
    let peer = theirs.backup("incr")?;
    settings.progress(&format!(
        "backup: pgBackRest stored {:.0} % of the database again",
        100.0 * peer.bytes_changed / peer.bytes
    ));
    let what = format!("incremental after {UPDATES} random updates");
    let row = Row::new(SECTION, what, Unit::Mebibytes, &[own.bytes_read / MIB])?;
    Ok(row
        .beside_value("PostgreSQL's own", native / MIB)
        .bar(Bar::RatioAtMost(1.3)))
}

/// What a database on a paid plan costs that does nothing, and one that commits once a second.
async fn puts(settings: &Settings, ours: &Archived) -> Outcome<Vec<Row>> {
    ours.sql("checkpoint").await?;
    ours.caught_up().await?;
    // What the engine writes down of itself after that.
    sleep(settings.puts_span / 2).await;
    ours.caught_up().await?;
    settings.progress("backup: requests while nothing happens");
    let idle = counted(ours, settings.puts_span, async || Ok(())).await?;
    settings.progress("backup: requests at a commit a second");
    let busy = counted(ours, settings.puts_span, async || {
        ours.sql("update pgbench_branches set bbalance = bbalance + 1 where bid = 1")
            .await?;
        Ok(())
    })
    .await?;
    Ok(vec![
        Row::new(SECTION, "PUTs, idle", Unit::PerHour, &[idle.puts])?.bar(Bar::ValueAtMost(0.0)),
        Row::new(
            SECTION,
            "PUTs, one commit a second",
            Unit::PerHour,
            &[busy.puts],
        )?
        .beside_value("commits", busy.done)
        .bar(Bar::ValueAtMost(3600.0)),
    ])
}

/// What was counted in the same time, for an hour.
struct Counted {
    puts: f64,
    done: f64,
}

/// Counts requests while `each` is done every second.
async fn counted(
    ours: &Archived,
    span: Duration,
    each: impl AsyncFn() -> Outcome<()>,
) -> Outcome<Counted> {
    let done = AtomicU64::new(0);
    let working = async {
        let mut ticks = interval(Duration::from_secs(1));
        loop {
            ticks.tick().await;
            each().await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let counting = async {
        let (begun, puts) = next_word(ours).await;
        let before = done.load(Ordering::Relaxed);
        sleep(span).await;
        let (ended, puts_then) = next_word(ours).await;
        let hours = (ended - begun).as_secs_f64() / 3600.0;
        Counted {
            puts: as_f64(puts_then - puts) / hours,
            done: as_f64(done.load(Ordering::Relaxed) - before) / hours,
        }
    };
    tokio::select! {
        failed = working => failed,
        counted = counting => Ok(counted),
    }
}

/// When the node next told of requests, and how many it had made until then. If it made none it
/// tells of none: then it is when that is certain.
async fn next_word(ours: &Archived) -> (Instant, u64) {
    let before = ours.puts();
    let told = async {
        while ours.puts() == before {
            sleep(LOOK_EVERY).await;
        }
    };
    // That nothing was told is an answer too.
    let _ = timeout(NEXT_WORD, told).await;
    (Instant::now(), ours.puts())
}

const MIB: f64 = 1024.0 * 1024.0;

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes of one database and requests of some minutes are far below 2^52"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}

/// Of a backup, MiB a second.
fn speed(made: &Made) -> f64 {
    made.bytes_read / made.seconds / MIB
}

fn mib_per_second(bytes: u64, span: Duration) -> f64 {
    as_f64(bytes) / MIB / span.as_secs_f64()
}

/// Runs a command and throws away what it prints: bytes and time.
fn drained(command: &mut Command) -> Outcome<(u64, Duration)> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut printed = child.stdout.take().ok_or("no output")?;
    let mut bytes = 0;
    let mut piece = vec![0; 256 * 1024];
    loop {
        match printed.read(&mut piece)? {
            0 => break,
            read => bytes += read as u64,
        }
    }
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}").into());
    }
    Ok((bytes, start.elapsed()))
}

fn piped(base_backup: &Command, file: &Path) -> Outcome<Duration> {
    let words = base_backup.get_args().map(|word| word.to_string_lossy());
    let script = format!(
        "set -o pipefail; {} {} -D - | zstd -1 -T1 -q -f -o {}",
        base_backup.get_program().to_string_lossy(),
        words.collect::<Vec<_>>().join(" "),
        file.display()
    );
    let start = Instant::now();
    crate::programs::run(Command::new("bash").args(["-c", &script]))?;
    Ok(start.elapsed())
}

fn unpacked(file: &Path, folder: &Path) -> Outcome<Duration> {
    std::fs::create_dir(folder)?;
    let script = format!(
        "set -o pipefail; zstd -d -q -c {} | tar -x -C {}",
        file.display(),
        folder.display()
    );
    let start = Instant::now();
    crate::programs::run(Command::new("bash").args(["-c", &script]))?;
    let span = start.elapsed();
    std::fs::remove_dir_all(folder)?;
    Ok(span)
}
