//! Malformed and hostile clients at the edge's port.

use futures::StreamExt;
use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process;
use lumadb_e2e::{Outcome, tools};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ATTEMPTS: usize = 5000;
/// Memory that the abuse may leave behind in the edge, KiB.
const EDGE_GROWTH_KIB_MAX: u64 = 32 * 1024;
/// PostgreSQL's protocol 3.0 and its request for TLS.
const PROTOCOL_3: i32 = 196_608;
const SSL_REQUEST: i32 = 80_877_103;

#[tokio::test]
async fn hostile_clients_get_errors_and_disturb_nobody() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("target").await?;
    let edge = edge_pid(&cloud)?;
    let before = process::anonymous_kib(edge)?;

    for packet in hostile_packets() {
        let answer = exchange(&database, &packet).await?;
        assert!(
            answer.is_empty() || matches!(answer[0], b'E' | b'N' | b'S'),
            "{packet:?} was answered by {answer:?}"
        );
    }
    let half_open = half_open_connections(&database, 500).await?;
    connection_attempts(&database).await?;
    // The limit on failed log-ins is about log-ins: whoever never sent a password may come in.
    assert_eq!(tools::psql(&database.uri, "select 1").await?, "1");
    drop(half_open);

    assert_eq!(edge_pid(&cloud)?, edge, "the edge ended");
    let growth = process::anonymous_kib(edge)?.saturating_sub(before);
    assert!(
        growth <= EDGE_GROWTH_KIB_MAX,
        "the edge grew by {growth} KiB"
    );
    Ok(())
}

#[tokio::test]
async fn a_half_open_connection_is_closed() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("target").await?;
    let mut silent = TcpStream::connect(("127.0.0.1", database.port)).await?;
    let mut started = TcpStream::connect(("127.0.0.1", database.port)).await?;
    started.write_all(&framed(SSL_REQUEST, b"")).await?;
    let limit = Duration::from_secs(40);
    for stream in [&mut silent, &mut started] {
        let mut rest = Vec::new();
        tokio::time::timeout(limit, stream.read_to_end(&mut rest)).await??;
    }
    Ok(())
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("target").await?;
    let wrong = database.uri.replace(&database.password, "wrong");
    let unknown = database.uri.replace("owner.", "nobody.");
    let text = |outcome: Outcome<String>| outcome.map_err(|error| error.to_string()).unwrap_err();
    let first = text(tools::psql(&wrong, "select 1").await);
    let second = text(tools::psql(&unknown, "select 1").await);
    assert!(first.contains("password authentication failed"), "{first}");
    assert!(
        second.contains("password authentication failed"),
        "{second}"
    );
    let mut last = String::new();
    for _ in 0..40 {
        last = text(tools::psql(&wrong, "select 1").await);
        if !last.contains("password authentication failed") {
            break;
        }
    }
    assert!(last.contains("too many"), "never slowed down: {last}");
    Ok(())
}

fn hostile_packets() -> Vec<Vec<u8>> {
    let mut packets = vec![
        Vec::new(),
        vec![0; 8],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        i32::MAX.to_be_bytes().to_vec(),
        (-1_i32).to_be_bytes().to_vec(),
        [4_i32.to_be_bytes(), [0; 4]].concat(),
        framed(PROTOCOL_3, b""),
        framed(PROTOCOL_3, b"\0"),
        framed(PROTOCOL_3, b"user"),
        framed(PROTOCOL_3, b"user\0\0"),
        framed(PROTOCOL_3, b"user\0owner\0database\0main\0"),
        framed(PROTOCOL_3, b"\xff\xfe\0\xff\0\0"),
        framed(PROTOCOL_3, b"user\0owner.db_00000000000000000000000000\0\0"),
        framed(2 << 16, b"user\0x\0\0"),
        framed(99 << 16, b"user\0x\0\0"),
        [
            framed(SSL_REQUEST, b""),
            vec![0x16, 3, 1, 0xff, 0xff, 1, 2, 3],
        ]
        .concat(),
        [framed(SSL_REQUEST, b""), framed(PROTOCOL_3, b"user\0x\0\0")].concat(),
        // Direct TLS: a record that promises a hello and holds noise.
        [vec![0x16, 3, 1, 0, 64], vec![0x5a; 64]].concat(),
    ];
    let long = [b"user\0".to_vec(), vec![b'a'; 20_000], b"\0\0".to_vec()].concat();
    packets.push(framed(PROTOCOL_3, &long));
    let many: Vec<u8> = (0..2000)
        .flat_map(|n| format!("k{n}\0v\0").into_bytes())
        .collect();
    packets.push(framed(PROTOCOL_3, &[many, vec![0]].concat()));
    packets
}

/// A start-up packet: its length, its code, its body.
fn framed(code: i32, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 8).unwrap_or(i32::MAX);
    [&length.to_be_bytes()[..], &code.to_be_bytes(), body].concat()
}

/// Sends a packet, says that nothing follows, and gives what comes back.
async fn exchange(database: &Database, packet: &[u8]) -> Outcome<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", database.port)).await?;
    // The edge may have closed already: that is an answer too.
    let _ = stream.write_all(packet).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let limit = Duration::from_secs(30);
    let _ = tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await?;
    Ok(answer)
}

async fn half_open_connections(database: &Database, count: usize) -> Outcome<Vec<TcpStream>> {
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(TcpStream::connect(("127.0.0.1", database.port)).await?);
    }
    Ok(open)
}

async fn connection_attempts(database: &Database) -> Outcome<()> {
    let packet = framed(PROTOCOL_3, b"user\0nobody\0\0");
    let answers: Vec<_> = futures::stream::iter(0..ATTEMPTS)
        .map(|_| exchange(database, &packet))
        .buffer_unordered(200)
        .collect()
        .await;
    // Each may be refused in words or by a closed connection; none may hang.
    let hung = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(hung, 0, "{hung} attempts hung");
    Ok(())
}

fn edge_pid(cloud: &Cloud) -> Outcome<i32> {
    let processes = cloud.processes()?;
    let edge = processes.iter().find(|process| process.is_service("edge"));
    Ok(edge.ok_or("no edge")?.pid)
}
