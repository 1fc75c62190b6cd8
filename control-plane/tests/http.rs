//! What holds for every route.

use crate::support::TestCloud;
use lumadb_control_plane::app::{Limits, Settings};
use serde_json::json;

#[tokio::test]
async fn a_cross_site_request_is_refused_even_with_the_cookie() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let path = format!("/v1/organizations/{}/projects", ada.organization);
    let body = json!({ "name": "Planted" });
    let post = || cloud.post(&path).header("cookie", &ada.cookie).json(&body);
    let evil = post().header("origin", "https://evil.example").send().await;
    evil.expect_problem(403, "forbidden");
    let sub = post().header("sec-fetch-site", "same-site").send().await;
    sub.expect(403);
    post().send().await.expect(403);
    let own = post().header("sec-fetch-site", "same-origin").send().await;
    own.expect(201);
    // A page of another site must not log its visitor into an account of its own either.
    let planted = json!({ "email": ada.email, "password": "correct horse battery" });
    let log_in = cloud.post("/v1/auth/log-in").json(&planted);
    let log_in = log_in.header("origin", "https://evil.example");
    log_in.send().await.expect(403);
}

#[tokio::test]
async fn a_body_that_is_not_what_is_asked_for_is_named_and_refused() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let path = format!("/v1/organizations/{}/projects", ada.organization);
    let post = |content_type: &str, body: String| {
        let call = cloud.post(&path).cookie(&ada.cookie);
        call.body(content_type, body).send()
    };
    let json = "application/json";
    for (body, field) in [
        (r#"{"name": "a", "colour": 1}"#, "colour"),
        (r#"{"name": 7}"#, "name"),
        ("{}", "name"),
        (r#"{"name": ""}"#, "name"),
    ] {
        let refused = post(json, body.into()).await;
        refused.expect_problem(400, "invalid_request");
        assert_eq!(refused.text("/errors/0/field"), field, "{body}");
    }
    let long = format!(r#"{{"name": "{}"}}"#, "a".repeat(101));
    post(json, long).await.expect(400);
    post(json, "{".into()).await.expect(400);
    post(json, "\u{0}".into()).await.expect(400);
    post(json, String::new()).await.expect(400);
    let nested = format!(
        "{{\"name\": {}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    post(json, nested)
        .await
        .expect_problem(400, "invalid_request");
    let form = post("application/x-www-form-urlencoded", "name=a".into()).await;
    form.expect_problem(415, "unsupported_media_type");
    let large = "a".repeat(10 * 1024 * 1024);
    let large = post(json, large).await;
    large.expect_problem(413, "payload_too_large");
    let large = cloud.post(&path).cookie(&ada.cookie);
    let large = large.header("idempotency-key", "k");
    let large = large.body(json, "a".repeat(10 * 1024 * 1024)).send().await;
    large.expect_problem(413, "payload_too_large");
}

#[tokio::test]
async fn an_unknown_path_method_or_identifier_is_a_problem_too() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud
        .get("/v1/nothing")
        .send()
        .await
        .expect_problem(404, "not_found");
    cloud
        .get("/v1")
        .send()
        .await
        .expect_problem(404, "not_found");
    cloud
        .get("/elsewhere")
        .send()
        .await
        .expect_problem(404, "not_found");
    let wrong = cloud.delete("/v1/regions").send().await;
    wrong.expect_problem(405, "method_not_allowed");
    assert!(wrong.header("allow").contains("GET"));
    let swapped = ada.organization.to_string().replace("org_", "prj_");
    for id in ["x", "org_", "org_%00", &swapped] {
        let path = format!("/v1/organizations/{id}");
        let call = cloud.get(&path).cookie(&ada.cookie).send().await;
        call.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_caller_of_too_many_is_told_when_to_come_back() {
    let cloud = TestCloud::with(Settings {
        limits: Limits {
            requests_per_minute: 5,
            ..Limits::default()
        },
        ..Settings::default()
    })
    .await;
    for left in (0..5).rev() {
        let answer = cloud.get("/v1/regions").send().await;
        answer.expect(200);
        assert_eq!(answer.header("ratelimit"), format!("\"api\";r={left};t=0"));
        assert_eq!(answer.header("ratelimit-policy"), "\"api\";q=5;w=60");
    }
    let refused = cloud.get("/v1/regions").send().await;
    refused.expect_problem(429, "rate_limited");
    assert!(!refused.header("retry-after").is_empty());
    cloud.get("/health/live").send().await.expect(200);
    for number in 0..5 {
        let call = cloud.get("/v1/me").bearer(&format!("made up {number}"));
        call.send().await.expect(401);
    }
    let made_up = cloud.get("/v1/me").bearer("made up again").send().await;
    made_up.expect_problem(429, "rate_limited");
}

#[tokio::test]
async fn answers_protect_browsers_and_name_their_request() {
    let cloud = TestCloud::new().await;
    let answer = cloud.get("/v1/me").send().await;
    answer.expect_problem(401, "unauthenticated");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(
        answer
            .header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    let id = answer.header("x-request-id");
    assert_eq!(answer.text("/instance"), format!("urn:uuid:{id}"));
}

#[tokio::test]
async fn the_process_says_how_it_is() {
    let cloud = TestCloud::new().await;
    cloud.get("/health/live").send().await.expect(200);
    cloud.get("/health/ready").send().await.expect(200);
    let metrics = cloud.get("/metrics").send().await;
    metrics.expect(200);
    let line = "_count{route=\"/health/live\",method=\"GET\",status=\"200\"} 1";
    assert!(metrics.raw.contains(line), "{}", metrics.raw);
    cloud.platform.store.pool().close().await;
    cloud.get("/health/live").send().await.expect(200);
    let away = cloud.get("/health/ready").send().await;
    away.expect_problem(503, "unavailable");
    assert!(!away.header("retry-after").is_empty());
    assert!(!away.raw.contains("pool"));
}

#[tokio::test]
async fn a_server_answers_over_a_socket_and_drains_at_its_end() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let cloud = TestCloud::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("bound");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let router = cloud.router.clone();
    let serving = lumadb_control_plane::http::serve(listener, router, async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(serving);
    let mut client = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    let request = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    client.write_all(request).await.expect("sent");
    let mut answer = [0; 15];
    client.read_exact(&mut answer).await.expect("answered");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    stop.send(()).expect("it runs");
    server.await.expect("it ends");
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.expect("closed");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
