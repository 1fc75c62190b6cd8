//! A client of the API that hides nothing: status, headers and document as they came.

use crate::{Failure, Outcome};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The document, or null where the body is empty or no JSON.
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The answer itself if its status is the one that was promised.
    pub fn expect(self, status: u16) -> Outcome<Self> {
        if self.status.as_u16() == status {
            return Ok(self);
        }
        Err(format!("expected {status}, got {}: {}", self.status, self.text).into())
    }

    /// A text of the document, by JSON pointer.
    pub fn text_at(&self, pointer: &str) -> Outcome<String> {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| format!("no text at {pointer} of {}", self.text).into())
    }

    /// The last part of the problem document's type.
    pub fn problem(&self) -> &str {
        self.body
            .pointer("/type")
            .and_then(Value::as_str)
            .and_then(|text| text.rsplit('/').next())
            .unwrap_or("none")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A caller of the API.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
    headers: HeaderMap,
}

impl Api {
    /// A caller whom nobody knows. `base` is the console's address, without a slash at its end.
    pub fn new(base: &str) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            headers: HeaderMap::new(),
        }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same caller with one more header on each request.
    pub fn with(&self, name: &'static str, value: &str) -> Outcome<Self> {
        let mut other = self.clone();
        other.headers.insert(name, value.parse()?);
        Ok(other)
    }

    /// The same caller with a session: the cookies of an answer, and the origin that a browser sends.
    pub fn with_cookies(&self, answer: &Answer) -> Outcome<Self> {
        let cookies: Vec<&str> = answer
            .headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter_map(|value| value.split(';').next())
            .collect();
        if cookies.is_empty() {
            return Err("the answer sets no cookie".into());
        }
        self.with("cookie", &cookies.join("; "))?
            .with("origin", &self.base)?
            .with("sec-fetch-site", "same-origin")
    }

    /// Sends bytes as they are.
    pub async fn send_raw(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Outcome<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .body(Full::new(body.into()))?;
        *request.headers_mut() = self.headers.clone();
        request
            .headers_mut()
            .entry(header::CONTENT_TYPE)
            .or_insert(header::HeaderValue::from_static("application/json"));
        let answer = self.client.request(request).await?;
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    pub async fn get(&self, path: &str) -> Outcome<Answer> {
        self.send_raw(Method::GET, path, Bytes::new()).await
    }

    /// GET of a document that must be there.
    pub async fn read(&self, path: &str) -> Outcome<Value> {
        Ok(self.get(path).await?.expect(200)?.body)
    }

    pub async fn post(&self, path: &str, body: &Value) -> Outcome<Answer> {
        self.send_raw(Method::POST, path, body.to_string()).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Outcome<Answer> {
        self.send_raw(Method::PATCH, path, body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Outcome<Answer> {
        self.send_raw(Method::DELETE, path, Bytes::new()).await
    }
}

/// A text of a document, by JSON pointer.
pub fn text(document: &Value, pointer: &str) -> Result<String, Failure> {
    document
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| format!("no text at {pointer} of {document}").into())
}
