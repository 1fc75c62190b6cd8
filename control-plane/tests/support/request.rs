//! Requests to a router, as clients send them.

use axum::Router;
use axum::body::Body;
use futures::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use serde_json::Value;
use tower::ServiceExt as _;

/// A request that is being put together.
pub(crate) struct Call {
    router: Router,
    request: Request<Body>,
}

impl Call {
    pub(crate) fn new(router: Router, method: Method, path: &str) -> Self {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .expect("a request");
        Self { router, request }
    }

    pub(crate) fn header(mut self, name: impl AsRef<str>, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_ref().as_bytes()).expect("a name");
        let value = HeaderValue::from_str(value).expect("a value");
        self.request.headers_mut().insert(name, value);
        self
    }

    /// As the console in a browser that is logged in.
    pub(crate) fn cookie(self, cookie: &str) -> Self {
        self.header(COOKIE, cookie)
            .header(ORIGIN, super::cloud::CONSOLE)
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<Body>) -> Self {
        let mut call = self.header(CONTENT_TYPE, content_type);
        *call.request.body_mut() = body.into();
        call
    }

    pub(crate) fn seen_from(mut self, address: &str) -> Self {
        let address: std::net::SocketAddr = address.parse().expect("an address");
        let info = axum::extract::ConnectInfo(address);
        self.request.extensions_mut().insert(info);
        self
    }

    pub(crate) async fn send(self) -> Answer {
        self.send_and(|| {}).await
    }

    /// Does `then` once the first part of the answer's body is there.
    pub(crate) async fn send_and(self, then: impl FnOnce()) -> Answer {
        let what = format!("{} {}", self.request.method(), self.request.uri());
        let response = self.router.oneshot(self.request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let mut frames = body.into_data_stream();
        let mut body = Vec::new();
        let mut then = Some(then);
        while let Some(frame) = frames.next().await {
            body.extend_from_slice(&frame.expect("a body"));
            assert!(body.len() <= 16 * 1024 * 1024, "{what}: too long");
            if let Some(then) = then.take() {
                then();
            }
        }
        Answer {
            what,
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            raw: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    what: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null if it is no JSON.
    pub(crate) body: Value,
    pub(crate) raw: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) {
        assert_eq!(self.status, status, "{}: {}", self.what, self.raw);
    }

    /// It is a problem of this type, told as RFC 9457 asks.
    #[track_caller]
    pub(crate) fn expect_problem(&self, status: u16, slug: &str) {
        self.expect(status);
        assert_eq!(
            self.body["type"],
            format!("/problems/{slug}"),
            "{}",
            self.raw
        );
        assert_eq!(self.body["status"], status);
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
    }

    /// The text at this place of the body.
    #[track_caller]
    pub(crate) fn text(&self, pointer: &str) -> String {
        let value = self.body.pointer(pointer).and_then(Value::as_str);
        assert!(
            value.is_some(),
            "{}: no {pointer} in {}",
            self.what,
            self.raw
        );
        value.unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }

    /// The `Cookie` header of a browser that took this answer.
    pub(crate) fn cookie(&self) -> Option<String> {
        let cookie = self.headers.get(SET_COOKIE)?.to_str().ok()?;
        Some(cookie.split(';').next()?.to_owned())
    }
}
