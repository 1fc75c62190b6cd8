//! A store that is some milliseconds away: passes bytes on, each so much later than it came.

use lumadb_e2e::Outcome;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

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

/// Stands before `server`, on a thread of its own, for as long as this program runs.
pub(super) fn stand_before(server: SocketAddr, latency: Latency) -> Outcome<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (client, _) = listener.accept().await?;
                tokio::spawn(pass(client, server, latency.clone()));
            }
            #[expect(unreachable_code, reason = "gives the block its type")]
            std::io::Result::Ok(())
        })
    });
    Ok(address)
}

async fn pass(client: TcpStream, server: SocketAddr, latency: Latency) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        later(from_client, to_server, &latency),
        later(from_server, to_client, &latency)
    );
    Ok(())
}

/// Either side may end; the other then hears of it.
async fn later(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    latency: &Latency,
) {
    let (pieces, mut on_their_way) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let reading = async move {
        let mut piece = vec![0; PIECE];
        while let Ok(read @ 1..) = from.read(&mut piece).await {
            let due = Instant::now() + latency.one_way();
            if pieces.send((due, piece[..read].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = on_their_way.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
