//! An API server for tests that holds one database, and whose watches lag as long as a test likes.
//!
//! It takes every object that it is sent, refuses a status at an old version, and tells of nothing
//! but databases and instances, and of these when it is told to. No kind but these two is ever
//! listed: an operator makes the others anew at each look.

use super::Leading;
use super::metrics::Metrics;
use super::stores::Scope;
use crate::parent::Nodes;
use crate::settings::Settings;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

const NAME: &str = "db-01jdk3x5v9e8rb6w4q2n7m0c1a";
pub(super) const UID: &str = "6f1f2f0e-0000-4000-8000-000000000001";

/// Longest time for one thing to happen.
const LIMIT: Duration = Duration::from_secs(30);

/// How often what gives no sign is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A small database, as it is before anybody has looked at it.
pub(super) fn database() -> Value {
    json!({
        "apiVersion": "lumadb.cloud/v1alpha1",
        "kind": "LumaDatabase",
        "metadata": {
            "name": NAME,
            "namespace": "tenants",
            "uid": UID,
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": {
            "compute": {"cpu": "500m", "memory": "1Gi"},
            "storage": {"size": "2Gi"},
        },
    })
}

/// The server.
#[derive(Clone)]
pub(super) struct Cluster {
    held: Arc<Mutex<Held>>,
    counts: Arc<watch::Sender<Counts>>,
}

struct Held {
    database: Value,
    /// Every other object, by its path.
    others: HashMap<String, Value>,
    version: u64,
    databases: Line,
    instances: Line,
}

/// What a watch tells: what is said before it is opened waits for it.
struct Line {
    sender: mpsc::UnboundedSender<Value>,
    receiver: Option<mpsc::UnboundedReceiver<Value>>,
}

impl Line {
    fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            receiver: Some(receiver),
        }
    }

    fn tell(&self, object: &Value) {
        let event = json!({"type": "MODIFIED", "object": object});
        self.sender.send(event).expect("a watch that is open");
    }
}

#[derive(Default)]
struct Counts {
    /// Statuses of the database that were written.
    statuses: u64,
    /// Statuses that were refused, for they came with an old version.
    conflicts: u64,
    /// The generation that the last status says was observed.
    observed: u64,
}

impl Cluster {
    pub(super) fn new() -> Self {
        let held = Held {
            database: database(),
            others: HashMap::new(),
            version: 1,
            databases: Line::new(),
            instances: Line::new(),
        };
        Self {
            held: Arc::new(Mutex::new(held)),
            counts: Arc::default(),
        }
    }

    /// An operator that works with it.
    pub(super) fn operator(&self) -> Operator {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { cluster.answer(request).await }
        });
        Operator {
            client: Client::new(service, "default"),
            metrics: Arc::default(),
        }
    }

    pub(super) fn conflicts(&self) -> u64 {
        self.counts.borrow().conflicts
    }

    pub(super) async fn statuses_written(&self, count: u64) {
        self.counted(|counts| counts.statuses >= count).await;
    }

    pub(super) async fn generation_observed(&self, generation: u64) {
        self.counted(|counts| counts.observed == generation).await;
    }

    async fn counted(&self, is: impl FnMut(&Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        let waited = tokio::time::timeout(LIMIT, counts.wait_for(is)).await;
        waited.expect("in time").expect("a sender");
    }

    /// Somebody asks for something else.
    pub(super) fn change_generation(&self, generation: u64) {
        let mut held = self.held();
        held.database["metadata"]["generation"] = json!(generation);
        let version = held.next_version();
        held.database["metadata"]["resourceVersion"] = json!(version);
    }

    /// The watch of databases tells how the database is.
    pub(super) fn tell_of_databases(&self) {
        let held = self.held();
        held.databases.tell(&held.database);
    }

    /// The watch of instances tells how the instance is.
    pub(super) fn tell_of_instance(&self) {
        let held = self.held();
        let mut instances = held.others.iter();
        let found = instances.find(|(path, _)| path.contains("/lumainstances/"));
        let (_, instance) = found.expect("an instance");
        held.instances.tell(instance);
    }

    async fn answer(&self, request: Request<Body>) -> Result<Answer, kube::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default();
        if parts.method == Method::GET {
            return Ok(if query.contains("watch=true") {
                self.watch(&path)
            } else {
                self.list(&path)
            });
        }
        let sent = serde_json::from_slice(&body).unwrap_or_default();
        if path.contains("/lumadatabases/") {
            return Ok(self.write_status(&sent));
        }
        let path = path.trim_end_matches("/status").to_owned();
        let mut held = self.held();
        let version = held.next_version();
        let object = held.others.entry(path).or_insert_with(|| json!({}));
        merge(object, sent);
        object["metadata"]["resourceVersion"] = json!(version);
        Ok(whole(StatusCode::OK, object))
    }

    fn list(&self, path: &str) -> Answer {
        let held = self.held();
        let items = if path.ends_with("/lumadatabases") {
            vec![held.database.clone()]
        } else {
            Vec::new()
        };
        let version = held.version.to_string();
        let list = json!({"metadata": {"resourceVersion": version}, "items": items});
        whole(StatusCode::OK, &list)
    }

    fn watch(&self, path: &str) -> Answer {
        let mut held = self.held();
        let told = if path.ends_with("/lumadatabases") {
            held.databases.receiver.take()
        } else if path.ends_with("/lumainstances") {
            held.instances.receiver.take()
        } else {
            None
        };
        let events = stream::iter(told).flat_map(UnboundedReceiverStream::new);
        // One that nobody tells anything does not end either.
        let events = events.chain(stream::pending());
        let lines = events.map(|event: Value| {
            let line = Bytes::from(format!("{event}\n"));
            Ok::<_, Infallible>(Frame::data(line))
        });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }

    fn write_status(&self, sent: &Value) -> Answer {
        let mut held = self.held();
        if sent["metadata"]["resourceVersion"] != held.database["metadata"]["resourceVersion"] {
            self.counts.send_modify(|counts| counts.conflicts += 1);
            let refusal = json!({
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "reason": "Conflict",
                "message": "the object has been modified",
                "details": {"name": NAME},
                "code": 409,
            });
            return whole(StatusCode::CONFLICT, &refusal);
        }
        let version = held.next_version();
        held.database["status"] = sent["status"].clone();
        held.database["metadata"]["resourceVersion"] = json!(version);
        self.counts.send_modify(|counts| {
            counts.statuses += 1;
            let observed = sent["status"]["observedGeneration"].as_u64();
            counts.observed = observed.unwrap_or_default();
        });
        whole(StatusCode::OK, &held.database)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }
}

fn whole(status: StatusCode, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

/// Puts what is sent into what is there, field by field.
fn merge(object: &mut Value, sent: Value) {
    match (object, sent) {
        (Value::Object(object), Value::Object(sent)) => {
            for (name, value) in sent {
                merge(object.entry(name).or_insert(Value::Null), value);
            }
        }
        (object, sent) => *object = sent,
    }
}

/// An operator that leads.
pub(super) struct Operator {
    client: Client,
    metrics: Arc<Metrics>,
}

impl Operator {
    pub(super) fn looks(&self) -> u64 {
        self.metrics.reconciles.load(Relaxed)
    }

    pub(super) async fn looked_more_often_than(&self, looks: u64) {
        let looked = async {
            while self.looks() <= looks {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, looked).await;
        waited.expect("in time");
    }

    /// Works until `steps` are done.
    pub(super) async fn works_during(&self, steps: impl Future<Output = ()>) {
        let leading = Leading {
            scope: Scope {
                client: self.client.clone(),
                namespace: None,
            },
            settings: Settings::default(),
            identity: "test".into(),
            concurrency: 1,
            parent_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            metrics: self.metrics.clone(),
        };
        let working = leading.reconcile(Arc::new(Nodes::new()), CancellationToken::new());
        tokio::select! {
            () = working => panic!("the operator ended"),
            () = steps => {}
        }
    }
}
