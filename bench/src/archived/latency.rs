//! A store that is some milliseconds away: passes bytes on, each so much later than it came.

use lumadb_e2e::Outcome;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Pieces on their way in one direction; each is at most as large as what is read at once.
const PIECES_MAX: usize = 1024;
const PIECE: usize = 64 * 1024;

/// Half of a round trip, microseconds: what one direction takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latency(Arc<AtomicU64>);

impl Latency {
    /// From now on a request and its answer take so much longer.
    pub(crate) fn set(&self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros() / 2).unwrap_or(u64::MAX);
        self.0.store(micros, Ordering::Relaxed);
    }

    fn one_way(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Stands before `server`, on threads of its own, for as long as this program runs.
pub(super) fn stand_before(server: SocketAddr, latency: Latency) -> Outcome<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // One that cannot be passed on sees its connection end.
            let _ = pass(&client, server, &latency);
        }
    });
    Ok(address)
}

fn pass(client: &TcpStream, server: SocketAddr, latency: &Latency) -> io::Result<()> {
    let server = &TcpStream::connect(server)?;
    for (from, to) in [(client, server), (server, client)] {
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        to.set_nodelay(true)?;
        let (pieces, on_their_way) = sync_channel(PIECES_MAX);
        let latency = latency.clone();
        std::thread::spawn(move || take(from, &pieces, &latency));
        std::thread::spawn(move || give(to, &on_their_way));
    }
    Ok(())
}

/// Either side may end; the other then hears of it.
fn take(mut from: TcpStream, pieces: &SyncSender<(Instant, Vec<u8>)>, latency: &Latency) {
    let mut piece = vec![0; PIECE];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        let due = Instant::now() + latency.one_way();
        if pieces.send((due, piece[..read].to_vec())).is_err() {
            return;
        }
    }
}

/// A thread's sleep is exact to a tenth of a millisecond, a timer of tokio to one.
fn give(mut to: TcpStream, pieces: &Receiver<(Instant, Vec<u8>)>) {
    for (due, piece) in pieces {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
