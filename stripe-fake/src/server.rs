//! HTTP: keys, faults and idempotency around what `resource` does.

use crate::clock::Clock;
use crate::error::ApiError;
use crate::faults::{Fault, Faults};
use crate::form;
use crate::page;
use crate::params::Params;
use crate::resource::{self, Call};
use crate::state::State;
use crate::webhook::{self, signature};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::{HeaderMap, StatusCode, header};
use lumadb_contract::secret::Secret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Largest body, bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Longest idempotency key, characters.
const KEY_MAX: usize = 255;

#[derive(Debug, Clone)]
pub struct Config {
    /// Holds `state.json`; without it everything is forgotten at the end.
    pub folder: Option<PathBuf>,
    /// The key that requests must show.
    pub secret_key: Secret,
    /// Signs webhooks.
    pub webhook_secret: Secret,
    /// Where webhooks go: an address with `http://`.
    pub webhook_url: Option<String>,
    /// Address of this server's pages as browsers reach it, without a slash at the end.
    pub public_url: String,
    pub clock: Clock,
    pub faults: Faults,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("reading the state in `{path}`: {source}")]
    State {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("serving: {0}")]
    Serve(std::io::Error),
}

/// A server's inside, for whoever runs it. Clones share it.
#[derive(Debug, Clone)]
pub struct Fake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    file: Option<PathBuf>,
    state: Mutex<State>,
    added: Notify,
}

/// Serves until `shutdown` ends.
///
/// # Errors
/// The state cannot be read.
pub async fn serve(
    fake: Fake,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let router = Router::new().fallback(answer).with_state(fake.clone());
    let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown);
    tokio::select! {
        served = async { serving.await } => served.map_err(ServeError::Serve),
        () = webhook::run(fake) => Ok(()),
    }
}

impl Fake {
    /// # Errors
    /// The state of an earlier run cannot be read.
    pub fn open(config: Config) -> Result<Self, ServeError> {
        let file = config
            .folder
            .as_ref()
            .map(|folder| folder.join("state.json"));
        let mut state = match (&config.folder, &file) {
            (Some(folder), Some(file)) => std::fs::create_dir_all(folder)
                .and_then(|()| State::load(file))
                .map_err(|source| ServeError::State {
                    path: file.clone(),
                    source,
                })?,
            _ => State::default(),
        };
        state.faults = config.faults.clone();
        Ok(Self(Arc::new(Inner {
            file,
            state: Mutex::new(state),
            added: Notify::new(),
            config,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Brings webhooks that were held, the latest first.
    pub fn release(&self) {
        let mut state = self.state();
        state.deliveries.reverse();
        for delivery in &mut state.deliveries {
            delivery.held = false;
        }
        drop(state);
        self.0.added.notify_one();
    }

    /// Webhooks that were not taken yet.
    pub fn deliveries(&self) -> usize {
        self.state().deliveries.len()
    }

    /// How often requests such as `POST /v1/invoices/:id/pay` were executed; answers out of an
    /// idempotency key are not counted.
    pub fn executed(&self, request: &str) -> u64 {
        let state = self.state();
        state.executed.get(request).copied().unwrap_or_default()
    }

    /// How many requests that change something were executed.
    pub fn executed_all(&self) -> u64 {
        self.state().executed.values().sum()
    }

    /// All objects of a kind, such as `invoice`, the latest first.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        self.state().all(kind).cloned().collect()
    }

    /// Overwrites an object behind everybody's back, or removes it: what reconciliation must find.
    pub fn tamper(&self, kind: &str, id: &str, change: impl FnOnce(Value) -> Option<Value>) {
        let mut state = self.state();
        if let Ok(object) = state.get(kind, id) {
            match change(object) {
                Some(object) => state.put(&object),
                None => state.remove(id),
            }
        }
    }

    /// Ends a dispute as a bank does.
    pub fn dispute_end(&self, id: &str, won: bool) {
        let now = self.0.config.clock.now();
        let mut state = self.state();
        let mut call = Call::new(&mut state, now, Params::default(), "");
        if let Err(error) = resource::dispute_end(&mut call, id, won) {
            tracing::warn!(message = error.message(), "a dispute was not ended");
        }
        self.changed(&mut state);
    }

    pub(crate) fn webhook_url(&self) -> Option<&str> {
        self.0.config.webhook_url.as_deref()
    }

    pub(crate) async fn delivery_added(&self) {
        self.0.added.notified().await;
    }

    /// Event, body and signature of the next webhook.
    pub(crate) fn delivery_next(&self) -> Option<(String, Bytes, String)> {
        let state = self.state();
        let delivery = state.deliveries.iter().find(|delivery| !delivery.held)?;
        let event = state.get("event", &delivery.event).ok()?;
        let body = Bytes::from(event.to_string());
        let at = self.0.config.clock.now();
        let signature = signature(self.0.config.webhook_secret.expose(), at, &body);
        Some((delivery.event.clone(), body, signature))
    }

    /// Notes how it went; whether it is given up.
    pub(crate) fn delivery_tried(&self, event: &str, taken: bool, attempts_max: u32) -> bool {
        let mut state = self.state();
        let found = state
            .deliveries
            .iter()
            .position(|d| d.event == event && !d.held);
        let Some(index) = found else {
            return false;
        };
        let mut delivery = state.deliveries.remove(index);
        delivery.attempts += 1;
        let gave_up = !taken && delivery.attempts >= attempts_max;
        if !taken && !gave_up {
            state.deliveries.push(delivery);
        }
        state.changed = true;
        self.changed(&mut state);
        gave_up
    }

    /// Writes the state where it changed, and wakes who brings webhooks.
    fn changed(&self, state: &mut State) {
        if !std::mem::take(&mut state.changed) {
            return;
        }
        if let Some(file) = &self.0.file
            && let Err(error) = state.store(file)
        {
            tracing::error!(%error, "the state was not written");
        }
        self.0.added.notify_one();
    }
}

/// One request, read.
#[derive(Debug)]
struct Asked {
    method: String,
    path: String,
    query: String,
    body: String,
    key: Option<String>,
}

async fn answer(Shared(fake): Shared<Fake>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "too large");
    };
    let key = parts.headers.get("idempotency-key");
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
        key: key.and_then(|key| key.to_str().ok()).map(str::to_owned),
    };
    if asked.path.starts_with("/v1/") {
        return api(&fake, &parts.headers, &asked);
    }
    let mut state = fake.state();
    let now = fake.0.config.clock.now();
    let page = page::answer(&mut state, now, &asked.method, &asked.path, &asked.body);
    fake.changed(&mut state);
    page
}

fn api(fake: &Fake, headers: &HeaderMap, asked: &Asked) -> Response {
    let authorization = headers.get(header::AUTHORIZATION);
    let shown = authorization.and_then(|value| value.to_str().ok());
    let key = shown.and_then(|value| value.strip_prefix("Bearer "));
    if key != Some(fake.0.config.secret_key.expose()) {
        return failed(&ApiError::unauthorized());
    }
    let fault = fake.state().faults.of_request(&asked.method, &asked.path);
    match fault {
        Some(Fault::TooMany) => return failed(&ApiError::too_many()),
        Some(Fault::ServerError) => return failed(&ApiError::internal()),
        Some(Fault::BadGateway) => {
            let page = "<html><head><title>502 Bad Gateway</title></head><body></body></html>";
            return text(StatusCode::BAD_GATEWAY, page);
        }
        Some(Fault::ServerErrorKept | Fault::AnswerLost) | None => {}
    }
    let answer = execute(fake, asked, fault == Some(Fault::ServerErrorKept));
    if fault == Some(Fault::AnswerLost) {
        return cut();
    }
    answer
}

/// Executes a request once for its key.
fn execute(fake: &Fake, asked: &Asked, refuse: bool) -> Response {
    let now = fake.0.config.clock.now();
    // The order of parameters tells nothing.
    let mut pairs: Vec<&str> = asked.body.split('&').collect();
    pairs.sort_unstable();
    let request = format!("{} {} {}", asked.method, asked.path, pairs.join("&"));
    let request = HEXLOWER.encode(&Sha256::digest(request.as_bytes()));
    let mut state = fake.state();
    let key = asked.key.as_deref().filter(|_| asked.method == "POST");
    if let Some(key) = key {
        if key.is_empty() || key.len() > KEY_MAX {
            let message = "Idempotency-Key is empty or too long";
            return failed(&ApiError::parameter("invalid_idempotency_key", "", message));
        }
        if let Some(kept) = state.kept(key, now) {
            if kept.request != request {
                return failed(&ApiError::key_reused(key));
            }
            return json_answer(kept.status, &kept.body);
        }
    }
    let done = if refuse {
        let mut error = ApiError::internal();
        error.executed = true;
        Err(error)
    } else {
        let public_url = &fake.0.config.public_url;
        read_params(asked).and_then(|params| {
            let call = Call::new(&mut state, now, params, public_url);
            resource::route(call, &asked.method, &asked.path)
        })
    };
    let (status, body, executed) = match &done {
        Ok(body) => (200, body.clone(), true),
        Err(error) => (error.status, error.to_json(), error.executed),
    };
    if executed && asked.method != "GET" {
        let line = format!("{} {}", asked.method, resource::pattern(&asked.path));
        *state.executed.entry(line).or_default() += 1;
    }
    if let Some(key) = key.filter(|_| executed) {
        state.keep(key, request, status, body.clone(), now);
    }
    fake.changed(&mut state);
    json_answer(status, &body)
}

fn read_params(asked: &Asked) -> Result<Params, ApiError> {
    let source = if asked.method == "GET" {
        &asked.query
    } else {
        &asked.body
    };
    form::parse(source).map(Params::new)
}

fn failed(error: &ApiError) -> Response {
    json_answer(error.status, &error.to_json())
}

fn json_answer(status: u16, body: &Value) -> Response {
    let body = serde_json::to_string_pretty(&json!(body)).unwrap_or_default();
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

pub(crate) fn text(status: StatusCode, page: impl Into<String>) -> Response {
    let mut answer = Response::new(Body::from(page.into()));
    *answer.status_mut() = status;
    let html = header::HeaderValue::from_static("text/html; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, html);
    answer
}

/// An answer whose body breaks off before it began.
fn cut() -> Response {
    let broken =
        futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut on purpose")) });
    Response::new(Body::from_stream(broken))
}
