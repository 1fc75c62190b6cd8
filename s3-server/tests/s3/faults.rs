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
