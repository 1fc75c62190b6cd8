//! Against a small server that misbehaves as told; whole S3 servers are asked in `tests/archive`.

use super::*;
use crate::archive::layout::Layout;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use lumadb_contract::archive::ObjectStoreCredentials;
use lumadb_contract::id::ArchiveId;
use lumadb_contract::secret::Secret;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Mutex;
use tokio::net::TcpListener;

/// What the server does with the next request, instead of serving it.
#[derive(Debug, Clone, Copy)]
enum Trick {
    Answer(u16, &'static str),
    /// Serves, and answers 500 all the same.
    LoseAnswer,
    /// Sends half of the body, and cuts.
    CutBody,
}

#[derive(Debug, Default)]
struct Server {
    objects: Mutex<BTreeMap<String, Bytes>>,
    tricks: Mutex<Vec<Trick>>,
    ignores_conditions: bool,
}

impl Server {
    fn start(self) -> (Arc<Self>, ObjectStoreSpec) {
        let server = Arc::new(self);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        let address = listener.local_addr().expect("bound");
        let listener = TcpListener::from_std(listener).expect("a listener");
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(
                    TokioIo::new(stream),
                    service_fn(move |request| {
                        let server = server.clone();
                        async move { Ok::<_, Infallible>(server.serve(request).await) }
                    }),
                ));
            }
        });
        let spec = ObjectStoreSpec {
            endpoint: Some(format!("http://{address}")),
            region: "local".to_owned(),
            bucket: "bucket".to_owned(),
            prefix: "some/prefix".to_owned(),
            path_style: true,
            credentials: Some(ObjectStoreCredentials {
                access_key_id: "key".to_owned(),
                secret_access_key: Secret::new("secret"),
                session_token: None,
            }),
            storage_class: None,
            server_side_encryption: None,
        };
        (server, spec)
    }

    fn play(&self, tricks: &[Trick]) {
        self.tricks
            .lock()
            .expect("unharmed")
            .extend(tricks.iter().rev());
    }

    async fn serve(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let trick = self.tricks.lock().expect("unharmed").pop();
        if let Some(Trick::Answer(status, code)) = trick {
            return answer(status, &format!("<Error><Code>{code}</Code></Error>"));
        }
        let key = request.uri().path().to_owned();
        let exclusive = request.headers().contains_key("if-none-match");
        let range = request.headers().get("range").cloned();
        let method = request.method().clone();
        let body = request.into_body().collect().await.expect("a body");
        let mut objects = self.objects.lock().expect("unharmed");
        let served = match method {
            Method::PUT if exclusive && !self.ignores_conditions && objects.contains_key(&key) => {
                answer(412, "<Error><Code>PreconditionFailed</Code></Error>")
            }
            Method::PUT => {
                objects.insert(key, body.to_bytes());
                answer(200, "")
            }
            Method::DELETE => {
                objects.remove(&key);
                answer(204, "")
            }
            _ => match objects.get(&key) {
                None => answer(404, "<Error><Code>NoSuchKey</Code></Error>"),
                Some(object) => {
                    let from = range.and_then(|range| {
                        let range = range.to_str().ok()?.strip_prefix("bytes=")?;
                        range.strip_suffix('-')?.parse().ok()
                    });
                    let mut response = Response::new(Full::new(object.slice(from.unwrap_or(0)..)));
                    let etag = http::HeaderValue::from_static("\"tag\"");
                    response.headers_mut().insert("etag", etag);
                    response
                }
            },
        };
        match trick {
            Some(Trick::LoseAnswer) => answer(500, "<Error><Code>InternalError</Code></Error>"),
            Some(Trick::CutBody) => cut(served),
            _ => served,
        }
    }
}

fn answer(status: u16, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// Announces everything and sends half.
fn cut(whole: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let (mut parts, body) = whole.into_parts();
    let body = futures::executor::block_on(body.collect()).expect("in memory");
    let body = body.to_bytes();
    parts.headers.insert("content-length", body.len().into());
    Response::from_parts(parts, Full::new(body.slice(..body.len() / 2)))
}

async fn store(server: Server) -> (Arc<Server>, ObjectStore) {
    let (server, spec) = server.start();
    (server, ObjectStore::open(&spec).await)
}

#[tokio::test]
async fn a_key_is_written_once() {
    let (server, store) = store(Server::default()).await;
    let first = Bytes::from_static(b"first");
    assert_eq!(
        store.put_new("a", first.clone()).await.ok(),
        Some(Put::Created)
    );
    let second = Bytes::from_static(b"second");
    assert_eq!(
        store.put_new("a", second).await.ok(),
        Some(Put::AlreadyThere)
    );
    assert_eq!(store.get("a").await.ok().flatten(), Some(first));
    let keys: Vec<_> = server
        .objects
        .lock()
        .expect("unharmed")
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys, ["/bucket/some/prefix/a"]);
    assert_eq!(store.count().puts, 2);
    assert_eq!(store.count().put_failures, 0);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_found_to_be_ours() {
    let (server, store) = store(Server::default()).await;
    server.play(&[Trick::LoseAnswer]);
    let body = Bytes::from_static(b"content");
    assert_eq!(
        store.put_new("a", body.clone()).await.ok(),
        Some(Put::Created)
    );
    // Also by a later call with the same bytes.
    assert_eq!(store.put_new("a", body).await.ok(), Some(Put::Created));
    assert_eq!(store.count().put_failures, 1);
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_stays_is_not() {
    let (server, store) = store(Server::default()).await;
    server.play(&[
        Trick::Answer(503, "SlowDown"),
        Trick::Answer(409, "ConditionalRequestConflict"),
    ]);
    let body = Bytes::from_static(b"content");
    assert_eq!(store.put_new("a", body).await.ok(), Some(Put::Created));
    server.play(&[Trick::Answer(403, "AccessDenied")]);
    let refused = store.get("a").await.expect_err("refused");
    assert!(!refused.is_transient(), "{refused}");
    server.play(&[Trick::Answer(500, "InternalError"); 5]);
    let failed = store.get("a").await.expect_err("five failures");
    assert!(failed.is_transient(), "{failed}");
}

#[tokio::test]
async fn only_an_absent_key_is_not_there() {
    let (server, store) = store(Server::default()).await;
    assert_eq!(store.get("a").await.ok(), Some(None));
    server.play(&[Trick::Answer(404, "NoSuchBucket")]);
    assert!(store.get("a").await.is_err());
    server.play(&[Trick::Answer(403, "AccessDenied")]);
    assert!(store.get("a").await.is_err());
}

#[tokio::test]
async fn a_body_that_was_cut_is_read_on() {
    let (server, store) = store(Server::default()).await;
    let body: Bytes = (0..=255).cycle().take(100_000).collect::<Vec<u8>>().into();
    store.put_new("a", body.clone()).await.expect("written");
    server.play(&[Trick::CutBody, Trick::CutBody]);
    assert_eq!(store.get("a").await.ok().flatten(), Some(body));
}

#[tokio::test]
async fn a_store_that_takes_a_key_twice_is_refused() {
    let layout = Layout::new(ArchiveId::from_uuid(uuid::Uuid::nil()));
    let (_server, honest) = store(Server::default()).await;
    honest
        .probe(&layout)
        .await
        .expect("it honours If-None-Match");
    let (_server, careless) = store(Server {
        ignores_conditions: true,
        ..Server::default()
    })
    .await;
    let refused = careless.probe(&layout).await.expect_err("refused");
    assert!(matches!(refused, StoreError::NotExclusive), "{refused}");
}
