//! The stream of changes, and the eye on the source beside it.

use super::apply::{Applier, Next};
use super::pgoutput::{self, Message};
use super::wire::{Event, Replication};
use super::{Failure, Follower, Session, Trouble, origin, query, schema};
use lumadb_contract::archive::Lsn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

/// Time between two words to the source: well within its `wal_sender_timeout`.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Time between two looks at the source, and looks between two at its schema.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const SCHEMA_LOOKS: u64 = 60;

/// What the stream and the eye beside it tell each other.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Everything of the source before this is applied.
    applied: AtomicU64,
    /// Where to stop, once everything before it is applied; 0: nobody asked.
    until: AtomicU64,
}

/// Applies what arrives until the position that the switch-over asks for is reached.
pub(super) async fn apply(
    follower: &Follower<'_>,
    name: &str,
    mut applier: Applier,
    watched: &Watched,
) -> Result<Applier, Trouble> {
    let mut wire = Replication::open(follower.door).await?;
    wire.start(name, applier.position()).await?;
    let mut reached = applier.position();
    let mut beat = interval(HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let until = Lsn(watched.until.load(Ordering::Relaxed));
        watched.applied.store(reached.0, Ordering::Relaxed);
        if until > Lsn(0) && reached >= until && !applier.is_open() {
            return Ok(applier);
        }
        let commit_at = applier.commit_at();
        let pause = async {
            match commit_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = wire.event() => match event? {
                Event::Change(body) => {
                    change(&mut wire, &mut applier, reached, body).await?;
                    if applier.is_due() {
                        reached = commit(follower, &mut wire, &mut applier, reached).await?;
                    }
                }
                Event::Keepalive { end, wants_answer } => {
                    // All that committed before it was sent: and where nothing is open, applied.
                    if !applier.is_open() {
                        reached = reached.max(end);
                    }
                    if wants_answer {
                        wire.confirm(reached, false).await?;
                    }
                }
            },
            () = pause => reached = commit(follower, &mut wire, &mut applier, reached).await?,
            // Asked for an answer, the source says how far its stream is though nothing is in it.
            _ = beat.tick() => wire.confirm(reached, until > Lsn(0)).await?,
        }
    }
}

async fn change(
    wire: &mut Replication,
    applier: &mut Applier,
    reached: Lsn,
    body: bytes::Bytes,
) -> Result<(), Trouble> {
    let message = pgoutput::decode(body)
        .map_err(|error| Trouble::Lasting(Failure::new(error.to_string())))?;
    if let Message::Relation(relation) = message {
        return meanwhile(wire, reached, applier.learn(relation)).await;
    }
    match applier.take(message)? {
        Next::Read => Ok(()),
        Next::Flush => meanwhile(wire, reached, applier.flush()).await,
    }
}

/// Commits; gives what the source may be told.
async fn commit(
    follower: &Follower<'_>,
    wire: &mut Replication,
    applier: &mut Applier,
    reached: Lsn,
) -> Result<Lsn, Trouble> {
    let committed_at = meanwhile(wire, reached, applier.commit()).await?;
    if let Some(at) = committed_at {
        follower.progress.applied(at);
    }
    Ok(reached.max(applier.position()))
}

/// Lets the source hear of us while the target takes its time.
async fn meanwhile<T>(
    wire: &mut Replication,
    reached: Lsn,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep(HEARTBEAT) => wire.confirm(reached, false).await?,
        }
    }
}

const END: &str = "select pg_current_wal_lsn()";

/// Tells how far behind following is, and notices what ends it. Comes back with trouble alone.
pub(super) async fn watch(
    follower: &Follower<'_>,
    name: &str,
    source: &Session,
    copied: &[Vec<String>],
    watched: &Watched,
) -> Trouble {
    let looking = async {
        for look in 1u64.. {
            let end = position(source, END).await?;
            let reached = watched.applied.load(Ordering::Relaxed);
            follower.progress.lag(end.0.saturating_sub(reached));
            origin::slot_holds(source, name).await?;
            let is_asked = follower.progress.is_completing();
            if is_asked && watched.until.load(Ordering::Relaxed) == 0 {
                let end = origin::end_now(source).await?;
                watched.until.store(end.0, Ordering::Relaxed);
            }
            if look % SCHEMA_LOOKS == 0 {
                schema::is_same(copied, &schema::read(source).await?)?;
            }
            let next = Instant::now() + LOOK_INTERVAL;
            tokio::select! {
                () = sleep_until(next) => {}
                () = follower.progress.completing(), if !is_asked => {}
            }
        }
        Ok::<_, Trouble>(())
    };
    match looking.await {
        Err(trouble) => trouble,
        Ok(()) => Trouble::Passing(Failure::new("The look at the source ended.")),
    }
}

/// The one position that a query answers.
pub(super) async fn position(source: &Session, sql: &str) -> Result<Lsn, Trouble> {
    let rows = query(source, sql).await?;
    let text = rows.first().and_then(|row| row.first());
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Trouble::Lasting(Failure::new("The source answers what PostgreSQL does not."))
    })
}
