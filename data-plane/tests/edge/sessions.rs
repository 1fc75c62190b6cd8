//! What a session can do, whatever way it came in.

use super::tls_client::{Tls, encrypted, plain};
use super::world::{DATABASE, PASSWORD, WAYS, Wishes, World};
use futures::{SinkExt, StreamExt, future};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::{AsyncMessage, Config, NoTls};

pub(super) fn config() -> Config {
    let mut config = Config::new();
    config.user(World::user()).password(PASSWORD).dbname("main");
    config
}

#[tokio::test]
async fn every_way_in_reaches_the_database() {
    for (hand_over, far) in WAYS {
        let world = World::new(Wishes {
            hand_over,
            far,
            ..Wishes::default()
        })
        .await;
        let label = DATABASE.replace('_', "-");
        let who = "select current_user || ' ' || current_database()";
        for (address, settings) in [
            (world.edge, String::new()),
            (world.edge, "max_protocol_version=3.2".to_owned()),
            (
                world.edge,
                format!("user=app options='endpoint={label} -c geqo=off'"),
            ),
            (world.node, "user=app max_protocol_version=3.2".to_owned()),
        ] {
            let answer = world.psql(address, &settings, who).await;
            assert_eq!(answer.as_deref(), Ok("app main"), "{settings}");
        }
        for (address, name) in [
            (world.edge, "localhost".to_owned()),
            (world.edge, format!("{label}.localhost")),
            (world.node, format!("{label}.localhost")),
        ] {
            if far && address == world.node {
                // Its certificate is of another authority there.
                continue;
            }
            let tls = Tls::new(&world.certificate_pem, &name);
            let mut config = config();
            config.channel_binding(tokio_postgres::config::ChannelBinding::Require);
            let client = encrypted(address, &config, &tls).await.expect("in");
            let row = client.query_one(who, &[]).await.expect("answered");
            assert_eq!(row.get::<_, &str>(0), "app main", "{name}");
        }
        let handed = world.scrape("/metrics").await;
        let handed = handed.contains("outcome=\"handed_over\"} 4\n");
        assert_eq!(
            handed,
            hand_over && !far,
            "three in the clear and one by its host name"
        );
    }
}

#[tokio::test]
async fn requests_are_counted_to_the_unit() {
    for far in [false, true] {
        let wishes = Wishes {
            far,
            ..Wishes::default()
        };
        count(World::new(wishes).await).await;
    }
}

async fn count(world: World) {
    let client = plain(world.edge, &config()).await.expect("in");
    let before = world.state.counters().snapshot();
    let counted = |what: &str, requests: u64, errors: u64| {
        let now = world.state.counters().snapshot();
        let difference = (now.requests - before.requests, now.errors - before.errors);
        assert_eq!(difference, (requests, errors), "{what}");
    };
    client
        .batch_execute("select 1; select 2; select 3")
        .await
        .expect("done");
    counted("three in one simple query", 3, 0);
    client.batch_execute("").await.expect("done");
    counted("an empty query", 4, 0);
    client
        .batch_execute("select 1; select 1/0; select 3")
        .await
        .expect_err("fails");
    counted("one good, one bad, one never run", 6, 1);
    client
        .batch_execute("do $$ begin for i in 1..100 loop perform i; end loop; end $$")
        .await
        .expect("done");
    counted("a loop is one command", 7, 1);
    client
        .batch_execute("create temp table t (a int)")
        .await
        .expect("done");
    let sink = client.copy_in("copy t from stdin").await.expect("begun");
    let mut sink = Box::pin(sink);
    for _ in 0..100 {
        sink.send(bytes::Bytes::from("1\n".repeat(1000)))
            .await
            .expect("taken");
    }
    assert_eq!(sink.as_mut().finish().await.expect("done"), 100_000);
    counted("a table and a COPY", 9, 1);
    let out = client.copy_out("copy t to stdout").await.expect("begun");
    let out: Vec<_> = out.collect().await;
    assert_eq!(
        out.iter()
            .map(|row| row.as_ref().expect("a row").len())
            .sum::<usize>(),
        200_000
    );
    counted("a COPY back", 10, 1);
    let statement = client
        .prepare("select 10 / ($1::int + (random() * 0)::int)")
        .await
        .expect("prepared");
    counted("preparing", 10, 1);
    let batch = [1, 0, 2, 5].map(|by: i32| {
        let (client, statement) = (&client, &statement);
        async move { client.query_one(statement, &[&by]).await.is_ok() }
    });
    assert_eq!(future::join_all(batch).await, [true, false, true, true]);
    counted("a pipeline with an error in it", 14, 2);
    assert!(client.prepare("select nothing from nowhere").await.is_err());
    counted("an error of Parse", 14, 2);
}

#[tokio::test]
async fn a_running_query_is_cancelled_and_only_by_its_key() {
    for (hand_over, far) in WAYS {
        let world = World::new(Wishes {
            hand_over,
            far,
            ..Wishes::default()
        })
        .await;
        let client = plain(world.edge, &config()).await.expect("in");
        let cancel = client.cancel_token();
        let cancelling = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            // A wrong key first: it must do nothing.
            let mut stranger = TcpStream::connect(world.edge).await.expect("open");
            let mut packet = vec![0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 77];
            packet.extend([0; 4]);
            stranger.write_all(&packet).await.expect("written");
            assert_eq!(stranger.read(&mut [0]).await.expect("closed"), 0);
            let stream = TcpStream::connect(world.edge).await.expect("open");
            cancel.cancel_query_raw(stream, NoTls).await.expect("sent");
        };
        let (outcome, ()) = tokio::join!(client.batch_execute("select pg_sleep(20)"), cancelling);
        let error = outcome.expect_err("cancelled");
        assert_eq!(
            error.code().map(tokio_postgres::error::SqlState::code),
            Some("57014")
        );
        client
            .batch_execute("select 1")
            .await
            .expect("the session goes on");
    }
}

#[tokio::test]
async fn notifications_reach_listeners() {
    for far in [false, true] {
        let wishes = Wishes {
            far,
            ..Wishes::default()
        };
        notify(World::new(wishes).await).await;
    }
}

async fn notify(world: World) {
    let stream = TcpStream::connect(world.edge).await.expect("open");
    let (listener, mut connection) = config().connect_raw(stream, NoTls).await.expect("in");
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = sender.send(notification.payload().to_owned());
            }
        }
    });
    listener
        .batch_execute("listen news")
        .await
        .expect("listens");
    let other = plain(world.edge, &config()).await.expect("in");
    other
        .batch_execute("notify news, 'it works'")
        .await
        .expect("sent");
    assert_eq!(heard.recv().await.as_deref(), Some("it works"));
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_engine_back_and_no_memory() {
    // Over the network the kernel's buffers of a connection hold more, at both of its ends.
    for (far, held_bytes) in [(false, 4_000_000), (true, 16_000_000)] {
        let wishes = Wishes {
            far,
            ..Wishes::default()
        };
        read_late(World::new(wishes).await, held_bytes).await;
    }
}

async fn read_late(world: World, held_bytes: u64) {
    let sent_before = world.state.counters().snapshot().transfer_out_bytes;
    let mut raw = raw_session(&world).await;
    let query = "select repeat('x', 1000) from generate_series(1, 1000000)\0";
    let length = u32::try_from(query.len() + 4).expect("short").to_be_bytes();
    raw.write_all(&[b"Q", &length[..], query.as_bytes()].concat())
        .await
        .expect("written");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let sent = world.state.counters().snapshot().transfer_out_bytes - sent_before;
    assert!(sent < held_bytes, "{sent} bytes went somewhere");
    let mut whole = 0_u64;
    let mut buffer = vec![0; 1 << 20];
    while whole < 1_005_000_000 {
        let read = raw.read(&mut buffer).await.expect("read");
        assert!(read > 0, "ended after {whole} bytes");
        whole += read as u64;
    }
}

/// A session of the edge's SQL socket: no password dialogue to write out by hand.
async fn raw_session(world: &World) -> tokio::net::UnixStream {
    let mut raw = tokio::net::UnixStream::connect(world.sql_socket())
        .await
        .expect("open");
    let token = world.sql_token(|_| ());
    let body = format!("user\0app\0database\0main\0lumadb.token\0{token}\0\0");
    let length = u32::try_from(body.len() + 8).expect("short").to_be_bytes();
    let version = [0, 3, 0, 0];
    raw.write_all(&[&length[..], &version, body.as_bytes()].concat())
        .await
        .expect("written");
    let mut greeting = Vec::new();
    while !greeting.ends_with(b"Z\0\0\0\x05I") {
        assert!(raw.read_buf(&mut greeting).await.expect("read") > 0);
    }
    raw
}

#[tokio::test]
async fn half_closed_and_vanished_clients_leave_nothing_behind() {
    for far in [false, true] {
        let wishes = Wishes {
            far,
            ..Wishes::default()
        };
        vanish(World::new(wishes).await).await;
    }
}

async fn vanish(world: World) {
    let mut raw = raw_session(&world).await;
    let query = b"Q\0\0\0\x0dselect 1\0";
    raw.write_all(query).await.expect("written");
    raw.shutdown().await.expect("shut");
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).await.expect("read");
    assert!(
        answer.ends_with(b"Z\0\0\0\x05I"),
        "the answer comes to a client that only listens"
    );
    let vanished = raw_session(&world).await;
    drop(vanished);
    world
        .until(|text| text.contains("lumadb_edge_sessions 0\n"))
        .await;
    for attempt in 0.. {
        if world.state.counters().connections() == 0 {
            return;
        }
        assert!(attempt < 200, "a connection is still counted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
