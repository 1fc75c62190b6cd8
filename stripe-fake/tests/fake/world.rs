//! A server and a client for one test.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lumadb_contract::secret::Secret;
use lumadb_stripe_fake::faults::Faults;
use lumadb_stripe_fake::{Clock, Config, Fake, serve};
use serde_json::Value;
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const START: i64 = 1_780_000_000;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) fake: Fake,
    pub(crate) clock: Clock,
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
    serving: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(None, None).await
    }

    pub(crate) async fn with(folder: Option<PathBuf>, webhook_url: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("as expected");
        let address = format!("http://{}", listener.local_addr().expect("as expected"));
        let clock = Clock::manual(START);
        let fake = Fake::open(Config {
            folder,
            secret_key: Secret::new("sk_test_world"),
            webhook_secret: Secret::new("whsec_world"),
            webhook_url,
            public_url: address.clone(),
            clock: clock.clone(),
            faults: Faults::default(),
        })
        .expect("as expected");
        let serving = tokio::spawn({
            let fake = fake.clone();
            async move {
                serve(fake, listener, std::future::pending())
                    .await
                    .expect("as expected");
            }
        });
        Self {
            fake,
            clock,
            address,
            client: Client::builder(TokioExecutor::new()).build_http(),
            serving,
        }
    }

    /// Status and body; none where there was no answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: &str,
        key: Option<&str>,
    ) -> Option<(u16, String)> {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.address)
        };
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", "Bearer sk_test_world");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request
            .body(Full::new(body.to_owned().into()))
            .expect("as expected");
        let answer = self.client.request(request).await.ok()?;
        let status = answer.status().as_u16();
        let location = answer.headers().get("location").cloned();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        let body = match location {
            Some(location) => location.to_str().expect("as expected").to_owned(),
            None => String::from_utf8(body.to_vec()).expect("as expected"),
        };
        Some((status, body))
    }

    pub(crate) async fn try_post(&self, path: &str, body: &str, key: &str) -> (u16, Value) {
        let answer = self.send(Method::POST, path, body, Some(key)).await;
        let (status, body) = answer.expect("an answer");
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// A request that must succeed.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Value {
        let answer = self
            .send(Method::POST, path, body, None)
            .await
            .expect("as expected");
        assert_eq!(answer.0, 200, "{path}: {}", answer.1);
        serde_json::from_str(&answer.1).expect("as expected")
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self
            .send(Method::GET, path, "", None)
            .await
            .expect("as expected");
        assert_eq!(answer.0, 200, "{path}: {}", answer.1);
        serde_json::from_str(&answer.1).expect("as expected")
    }

    /// A customer with this card as the one to pay with; its identifier.
    pub(crate) async fn customer(&self, card: &str) -> String {
        let customer = self.post("/v1/customers", "email=a@example.com").await;
        let id = customer["id"].as_str().expect("as expected").to_owned();
        let path = format!("/v1/payment_methods/{card}/attach");
        let method = self.post(&path, &format!("customer={id}")).await;
        let default = format!(
            "invoice_settings[default_payment_method]={}",
            method["id"].as_str().expect("as expected")
        );
        self.post(&format!("/v1/customers/{id}"), &default).await;
        id
    }

    /// A final invoice of these cents; its identifier.
    pub(crate) async fn invoice(&self, customer: &str, cents: i64) -> String {
        let invoice = self
            .post("/v1/invoices", &format!("customer={customer}"))
            .await;
        let id = invoice["id"].as_str().expect("as expected").to_owned();
        let lines = format!("lines[0][amount]={cents}&lines[0][description]=Usage");
        self.post(&format!("/v1/invoices/{id}/add_lines"), &lines)
            .await;
        self.post(&format!("/v1/invoices/{id}/finalize"), "").await;
        id
    }
}
