//! The proxy that breaks requests does what it says.

use super::world::{BUCKET, ROOT, SECRET, Server, client, get, is, put, refusal};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{AggregatedBytes, ByteStream};
use http::Method;
use lumadb_s3_server::faults::{Fault, Proxy, Rule};
use std::time::{Duration, Instant};

async fn world() -> (Server, Proxy, Client) {
    let server = Server::start().await;
    let proxy = Proxy::start(server.address).await.expect("a port");
    let client = client(proxy.address(), ROOT, SECRET);
    (server, proxy, client)
}

fn body() -> ByteStream {
    ByteStream::from(vec![7; 100_000])
}

#[tokio::test]
async fn what_no_rule_is_for_passes() {
    let (server, proxy, client) = world().await;
    proxy.play([Rule::on(Method::PUT, "other", 1, Fault::CutAfter)]);
    put(&client, "key", "content").await;
    assert_eq!(get(&client, "key").await, b"content");
    assert_eq!(get(&server.client(), "key").await, b"content");
    assert_eq!(proxy.calm(), 1);
}

#[tokio::test]
async fn a_write_can_be_refused_or_done_with_its_answer_lost() {
    let (server, proxy, client) = world().await;
    let direct = server.client();
    let put = |key: &str| {
        client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(body())
            .send()
    };
    proxy.play([
        Rule::next(Fault::Refuse(503, "SlowDown")),
        Rule::next(Fault::LoseAnswer(500, "InternalError")),
        Rule::next(Fault::CutAfter),
        Rule::next(Fault::CutRequest(10_000)),
    ]);
    assert!(is(&refusal(put("refused").await), 503, "SlowDown"));
    assert!(is(&refusal(put("lost").await), 500, "InternalError"));
    let cut = put("cut after").await.expect_err("cut");
    assert!(cut.raw_response().is_none());
    put("cut before").await.expect_err("cut");
    put("passes").await.expect("written");
    for (key, there) in [
        ("refused", false),
        ("lost", true),
        ("cut after", true),
        ("cut before", false),
        ("passes", true),
    ] {
        let head = direct.head_object().bucket(BUCKET).key(key).send().await;
        assert_eq!(head.is_ok(), there, "{key}");
    }
}

#[tokio::test]
async fn an_answer_can_be_late_cut_or_damaged() {
    let (_server, proxy, client) = world().await;
    put(&client, "key", vec![7; 100_000]).await;
    let get = || async {
        let got = client.get_object().bucket(BUCKET).key("key").send().await;
        let body = got.expect("an answer").body.collect().await;
        body.ok().map(AggregatedBytes::to_vec)
    };
    proxy.play([
        Rule::next(Fault::Delay(Duration::from_millis(200))),
        Rule::next(Fault::CutAnswer(50_000)),
        Rule::next(Fault::FlipAnswer(99_999)),
    ]);
    let start = Instant::now();
    assert_eq!(get().await, Some(vec![7; 100_000]));
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(get().await, None);
    let mut flipped = vec![7; 100_000];
    flipped[99_999] = 6;
    assert_eq!(get().await, Some(flipped));
}

#[tokio::test]
async fn a_write_can_come_twice_and_the_nth_of_some_can_be_meant() {
    let (server, proxy, client) = world().await;
    let put = |key: &str| {
        let put = client.put_object().bucket(BUCKET).key(key);
        put.if_none_match("*").body(body()).send()
    };
    proxy.play([Rule::on(Method::PUT, "key", 1, Fault::Duplicate).from_nth(2)]);
    put("key 1").await.expect("written");
    // What was sent once came twice, and only the first was to exist.
    let told = refusal(put("key 2").await);
    assert!(is(&told, 412, "PreconditionFailed"), "{told:?}");
    assert_eq!(get(&server.client(), "key 2").await, vec![7; 100_000]);
    assert_eq!(proxy.calm(), 0);
}

#[tokio::test]
async fn from_a_request_on_all_can_be_held_before_or_after_it_is_served() {
    let (server, proxy, client) = world().await;
    let direct = server.client();
    for served in [false, true] {
        proxy.hold_from(2, served);
        let name = |nth: u32| format!("{served} {nth}");
        put(&client, &name(1), "content").await;
        let write = |nth| {
            let client = client.clone();
            let key = name(nth);
            tokio::spawn(async move { put(&client, &key, "content").await })
        };
        let second = write(2);
        proxy.held().await;
        let third = write(3);
        let there = |nth| {
            let head = direct.head_object().bucket(BUCKET).key(name(nth)).send();
            async move { head.await.is_ok() }
        };
        assert_eq!((there(2).await, there(3).await), (served, false));
        assert!(proxy.go_on());
        second.await.expect("written");
        third.await.expect("written");
        assert!(there(2).await && there(3).await);
        assert!(!proxy.go_on());
    }
    proxy.hold_from(1, false);
    let key = "cut".to_owned();
    let cut = tokio::spawn(async move {
        let put = client.put_object().bucket(BUCKET).key(&key);
        put.body(body()).send().await.is_err()
    });
    proxy.held().await;
    assert!(proxy.cut());
    assert!(cut.await.expect("ends"));
    let head = direct.head_object().bucket(BUCKET).key("cut").send();
    assert!(head.await.is_err());
}
