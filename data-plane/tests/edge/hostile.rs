//! What strangers may try.

use super::sessions::config;
use super::tls_client::plain;
use super::world::{Wishes, World};
use lumadb_data_plane::edge::EdgeLimits;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends bytes and answers everything that comes back until the other side closes.
async fn send(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("open");
    stream.write_all(bytes).await.expect("written");
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let outcome = timeout(Duration::from_secs(5), reading).await;
    if let Err(error) = outcome.expect("it is closed") {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    answer
}

fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).expect("short");
    [&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
}

const SSL: u32 = (1234 << 16) + 5679;
const GSS: u32 = (1234 << 16) + 5680;
const V3: u32 = 3 << 16;

#[tokio::test]
async fn broken_first_packets_are_answered_and_closed() {
    let limits = EdgeLimits {
        handshake_timeout: Duration::from_millis(500),
        ..EdgeLimits::default()
    };
    for hand_over in [false, true] {
        let world = World::new(Wishes {
            hand_over,
            limits,
            ..Wishes::default()
        })
        .await;
        let tail = |code: &str| format!("C{code}\0").into_bytes();
        let long = [b"user\0", &[b'a'; 12_000][..], b"\0\0"].concat();
        for (bytes, code) in [
            (packet(V3, &long), "08P01"),
            (packet(V3, b"user\0app"), "08P01"),
            (packet(V3, b"database\0main\0\0"), "28000"),
            (packet(2 << 16, b"user\0app\0\0"), "0A000"),
            (packet(V3, b"user\0\xff\0\0"), "08P01"),
            (vec![0; 64], "08P01"),
            (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), "08P01"),
        ] {
            let answer = send(world.edge, &bytes).await;
            assert!(answer.starts_with(b"E"), "{code}: {answer:?}");
            let code = tail(code);
            assert!(
                answer.windows(code.len()).any(|part| part == code),
                "{answer:?}"
            );
        }
        // No TLS behind the answer to SSLRequest, and encryption asked for again and again.
        let stuffed = [packet(SSL, b""), packet(V3, b"user\0app\0\0")].concat();
        assert!(send(world.edge, &stuffed).await.starts_with(b"S"));
        assert_eq!(send(world.edge, &packet(GSS, b"").repeat(9)).await, b"NNN");
        // Silence, and half a packet.
        assert_eq!(send(world.edge, b"").await, b"");
        assert_eq!(
            send(world.edge, &packet(V3, b"user\0app\0\0")[..9]).await,
            b""
        );
        assert_eq!(send(world.edge, b"\x16\x03\x01\x02\x00\x01").await, b"");
        // Half a packet of a client that then leaves is not waited for.
        let mut leaving = TcpStream::connect(world.edge).await.expect("open");
        leaving.write_all(b"\x00\x00\x00").await.expect("written");
        leaving.shutdown().await.expect("shut");
        let closing = timeout(limits.handshake_timeout / 2, async {
            leaving.read(&mut [0]).await
        });
        let _ = closing.await.expect("closed at once");
        plain(world.edge, &config())
            .await
            .expect("others are served");
    }
}

#[tokio::test]
async fn a_message_of_an_impossible_length_ends_its_session() {
    let world = World::new(Wishes::default()).await;
    let mut raw = tokio::net::UnixStream::connect(world.sql_socket())
        .await
        .expect("open");
    let body = format!(
        "user\0app\0database\0main\0lumadb.token\0{}\0\0",
        world.sql_token(|_| ())
    );
    raw.write_all(&packet(V3, body.as_bytes()))
        .await
        .expect("written");
    raw.write_all(b"Q\xff\xff\xff\xff").await.expect("written");
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).await.expect("read");
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.contains("C08P01") && text.contains("invalid message length"),
        "{text}"
    );
}

#[tokio::test]
async fn connections_without_authentication_are_bounded_by_address() {
    let limits = EdgeLimits {
        half_open_per_address_max: 5,
        handshake_timeout: Duration::from_millis(700),
        ..EdgeLimits::default()
    };
    let world = World::new(Wishes {
        limits,
        ..Wishes::default()
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpStream::connect(world.edge).await.expect("open"));
    }
    assert_eq!(send(world.edge, b"").await, b"", "closed at once");
    world
        .until(|text| text.contains("outcome=\"half_open_limit\"} 1\n"))
        .await;
    // Their time ends, and with it their places.
    world
        .until(|text| text.contains("outcome=\"handshake_failed\"} 5\n"))
        .await;
    plain(world.edge, &config()).await.expect("in");
}

#[tokio::test]
async fn thousands_of_attempts_leave_the_others_served() {
    let world = World::new(Wishes::default()).await;
    let client = plain(world.edge, &config()).await.expect("in");
    let attempts = (0..5_000).map(|number: u32| async move {
        // Some say nothing, some garbage, some leave.
        let Ok(mut stream) = TcpStream::connect(world.edge).await else {
            return;
        };
        let _ = match number % 3 {
            0 => stream.write_all(b"\x16\x03\x01").await,
            1 => stream.write_all(&[0; 64]).await,
            _ => Ok(()),
        };
        let _ = timeout(Duration::from_millis(100), stream.read(&mut [0; 64])).await;
    });
    let flood = async {
        use futures::StreamExt;
        futures::stream::iter(attempts)
            .buffer_unordered(200)
            .collect::<()>()
            .await;
    };
    let work = async {
        for _ in 0..100 {
            client.batch_execute("select 1").await.expect("served");
        }
        plain(world.edge, &config()).await.expect("in");
    };
    tokio::join!(flood, work);
    plain(world.edge, &config()).await.expect("in");
}
