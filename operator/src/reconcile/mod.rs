//! The loop: watches, decides, writes, says what came of it.
//!
//! - A reconcile reads the stores alone and takes no hint of what happened.
//! - So many reconciles run at once, and one a database.
//! - Whatever fails is tried again after a growing while; what the cluster refuses is said in the
//!   status and tried again seldom.
//! - The status is written after the actions: a generation that was observed was acted upon.
//! - A database whose watch has not returned the operator's own last write is left alone until then.

mod backoff;
mod behind;
mod hands;
mod health;
mod lease;
mod metrics;
mod packed;
#[cfg(test)]
mod played;
mod stores;

use crate::build::instance_name;
use crate::clock;
use crate::decide::{self, Decision, Note, Observed};
use crate::parent::{Endpoint, EndpointError, Nodes};
use crate::settings::Settings;
use backoff::Backoff;
use behind::Behind;
use futures::{FutureExt, StreamExt};
use hands::{Hands, Trouble};
use k8s_openapi::jiff::Timestamp;
use kube::core::ObjectMeta;
use kube::runtime::Controller;
use kube::runtime::controller::{self, Action as Next};
use kube::runtime::events::EventType;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use metrics::Metrics;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stores::{Guarded, Scope, Stores};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// When something that was refused is asked for again.
const REFUSED_AGAIN: Duration = Duration::from_mins(1);

/// The soonest look after one, and the latest where one is due at a moment.
const LOOK_AGAIN_MIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN_MAX: Duration = Duration::from_hours(6);

/// How an operator runs.
#[derive(Debug)]
pub struct Options {
    /// Databases of this namespace alone.
    pub namespace: Option<String>,
    /// Who this process is among operators. One that starts again under the same name goes on with
    /// the lease that it held; two must never run under one name.
    pub identity: String,
    /// Reconciles at once.
    pub concurrency: u16,
    /// Where health and metrics are asked for.
    pub health: Option<TcpListener>,
    /// Where the operator that works listens for nodes.
    pub parent_listen: SocketAddr,
}

#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Another works now; this process starts again and stands by.
    #[error("the lease was lost")]
    LeaseLost,
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// What every reconcile needs.
struct Context {
    settings: Settings,
    stores: Stores,
    nodes: Arc<Nodes>,
    hands: Hands,
    metrics: Arc<Metrics>,
    backoff: Backoff,
    behind: Arc<Behind>,
    ending: CancellationToken,
    /// Generations of objects that were reported as not understood, by UID.
    not_understood: Mutex<HashMap<String, Option<i64>>>,
}

/// Why a reconcile ended early.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error("the watches have ended")]
    Ending,
    #[error("an object is not read as it was kept: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Interrupted {
    /// No failure: what has changed since, often by a write of our own, is on its way to the store.
    fn is_overtaken(&self) -> bool {
        matches!(self, Self::Trouble(Trouble::Outdated(_)))
    }
}

/// Runs until it is told to stop, or has lost the lease.
pub async fn run(
    client: Client,
    settings: Settings,
    options: Options,
    shutdown: CancellationToken,
) -> Result<(), OperatorError> {
    let metrics = Arc::new(Metrics::default());
    let health = options
        .health
        .map(|listener| tokio::spawn(health::serve(listener, metrics.clone())));
    let gate = lease::Gate::new(
        client.clone(),
        &settings.system_namespace,
        options.identity.clone(),
        metrics.clone(),
    );
    let lease = tokio::select! {
        lease = gate.acquire() => Some(lease),
        () = shutdown.cancelled() => None,
    };
    let mut result = Ok(());
    if let Some(lease) = lease {
        tracing::info!(identity = options.identity, "leads");
        metrics.leads.store(true, Relaxed);
        let leading = Leading {
            scope: Scope {
                client,
                namespace: options.namespace,
            },
            settings,
            identity: options.identity,
            concurrency: options.concurrency,
            parent_listen: options.parent_listen,
            metrics: metrics.clone(),
        };
        // What is under way when the lease is lost is dropped with it.
        result = tokio::select! {
            result = leading.work(shutdown) => result,
            () = gate.keep(lease) => Err(OperatorError::LeaseLost),
        };
        metrics.leads.store(false, Relaxed);
        if result.is_ok() {
            gate.release().await;
        }
    }
    if let Some(health) = health {
        health.abort();
    }
    result
}

/// What the operator that holds the lease works with.
struct Leading {
    scope: Scope,
    settings: Settings,
    identity: String,
    concurrency: u16,
    parent_listen: SocketAddr,
    metrics: Arc<Metrics>,
}

impl Leading {
    /// Works until it is told to stop. The endpoint of nodes comes first: what it is verified with
    /// is among what is built.
    async fn work(mut self, shutdown: CancellationToken) -> Result<(), OperatorError> {
        let client = self.scope.client.clone();
        let opening = Endpoint::open(
            &client,
            &self.settings.system_namespace,
            self.parent_listen,
            &self.settings.parent_host,
        );
        let endpoint = tokio::select! {
            endpoint = opening => endpoint?,
            () = shutdown.cancelled() => return Ok(()),
        };
        self.settings.node_authority = endpoint.authority_pem().to_owned();
        let nodes = Arc::new(Nodes::new());
        self.metrics.count_nodes(nodes.clone());
        let namespace = self.settings.system_namespace.clone();
        tokio::select! {
            () = self.reconcile(nodes.clone(), shutdown) => Ok(()),
            served = endpoint.serve(client, namespace, nodes) => Ok(served?),
        }
    }

    /// Reconciles until it is told to stop, and ends what is under way.
    async fn reconcile(self, nodes: Arc<Nodes>, shutdown: CancellationToken) {
        let stopped = shutdown.clone();
        let behind = Arc::new(Behind::default());
        let (databases, seen) = stores::databases(&self.scope, nodes.clone(), behind.clone());
        let (stores, looks) = Stores::open(&self.scope, databases.clone(), nodes.beyond());
        let known = databases.clone();
        self.metrics.count(databases.clone());
        let context = Arc::new(Context {
            settings: self.settings,
            stores,
            nodes,
            hands: Hands::new(self.scope.client, self.identity, self.metrics.clone()),
            metrics: self.metrics,
            backoff: Backoff::default(),
            behind,
            ending: shutdown.clone(),
            not_understood: Mutex::default(),
        });
        let reconciling = Controller::for_stream(seen, databases)
            .with_config(controller::Config::default().concurrency(self.concurrency))
            .reconcile_on(looks)
            .graceful_shutdown_on(shutdown.cancelled_owned())
            .run(reconcile, after_failure, context)
            .for_each(|result| async move { say_failure(result) });
        tokio::select! {
            () = reconciling => {}
            () = stopped_before_it_knew(stopped, &known) => {}
        }
    }
}

/// Waits for an end that comes before the databases are known. A controller waits for them before
/// anything else, and its watch ends with the first word of the end: it would wait for ever.
async fn stopped_before_it_knew(stopped: CancellationToken, known: &Store<Guarded>) {
    stopped.cancelled().await;
    if known.wait_until_ready().now_or_never().is_some() {
        std::future::pending::<()>().await;
    }
}

fn say_failure<T>(result: Result<T, controller::Error<Interrupted, watcher::Error>>) {
    match result {
        // Of one that is not found the last objects are going: nothing is left to do.
        Ok(_) | Err(controller::Error::ObjectNotFound(_)) => {}
        Err(controller::Error::ReconcilerFailed(error, database)) if error.is_overtaken() => {
            tracing::debug!(%database, %error, "overtaken; another look follows");
        }
        Err(controller::Error::ReconcilerFailed(error, database)) => {
            tracing::warn!(%database, %error, "interrupted; another look follows");
        }
        Err(error) => tracing::warn!(%error, "the watch of databases broke off"),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the controller hands them over"
)]
fn after_failure(object: Arc<Guarded>, error: &Interrupted, context: Arc<Context>) -> Next {
    if error.is_overtaken() {
        return Next::requeue(LOOK_AGAIN_MIN);
    }
    context.metrics.failures.fetch_add(1, Relaxed);
    Next::requeue(context.backoff.next(&key(&object)))
}

fn key(object: &Guarded) -> String {
    object.uid().unwrap_or_default()
}

async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Next, Interrupted> {
    // What fills the stores stops with the first word of the end.
    tokio::select! {
        ready = context.stores.ready() => ready.map_err(|_| Interrupted::Ending)?,
        () = context.ending.cancelled() => return Err(Interrupted::Ending),
    }
    context.metrics.reconciles.fetch_add(1, Relaxed);
    if context.behind.has(&object) {
        // The return of that write asks for the next look.
        return Ok(Next::await_change());
    }
    let next = match &object.0 {
        Ok(database) => {
            let observed = context.stores.observe(Arc::new(database.clone()))?;
            context.reconcile(&observed).await?
        }
        Err(invalid) => {
            context
                .not_understood(&invalid.metadata, &invalid.error)
                .await?
        }
    };
    context.nodes.looked_at(&key(&object));
    context.backoff.forget(&key(&object));
    Ok(next)
}

impl Context {
    async fn reconcile(&self, observed: &Observed) -> Result<Next, Interrupted> {
        let now = clock::now();
        let database = &*observed.database;
        let namespace = database.namespace().unwrap_or_default();
        let about = database.object_ref(&());
        let decision = decide::decide(&self.settings, observed, now);
        let status = decision.instance_status.as_ref();
        let granted = status.and_then(|status| status.compute);
        self.nodes.keep(observed, granted);
        let mut refused: Option<String> = None;
        for action in &decision.actions {
            match self.hands.carry_out(&namespace, action).await {
                Ok(done) => {
                    if done {
                        // It goes on: what fails next fails for the first time.
                        self.backoff.forget(&database.uid().unwrap_or_default());
                    }
                    if let Some(note) = action.note().filter(|_| done) {
                        let text = &note.text;
                        tracing::info!(database = database.name_any(), text, "done");
                        self.hands.tell(&about, EventType::Normal, note).await;
                    }
                }
                Err(trouble @ Trouble::Refused { .. }) => {
                    let text = trouble.to_string();
                    self.metrics.refusals.fetch_add(1, Relaxed);
                    tracing::warn!(database = database.name_any(), text, "the cluster refuses");
                    let note = Note {
                        reason: "Refused",
                        action: "Reconcile",
                        text: text.clone(),
                    };
                    self.hands.tell(&about, EventType::Warning, note).await;
                    refused.get_or_insert(text);
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
        self.say(observed, &decision, refused.as_deref(), now)
            .await?;
        Ok(next(&decision, refused.is_some(), now))
    }

    /// Writes what has changed of the two statuses.
    async fn say(
        &self,
        observed: &Observed,
        decision: &Decision,
        refused: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let database = &*observed.database;
        if let Some(status) = &decision.instance_status {
            let found = observed.instance.as_deref();
            let mut before = found.and_then(|found| found.status.clone());
            if let Some(before) = &mut before {
                before.volume = None;
            }
            if before.as_ref() != Some(status) {
                let namespace = database.namespace().unwrap_or_default();
                let name = instance_name(database);
                self.hands
                    .instance_status(&namespace, &name, status)
                    .await?;
            }
        }
        if let Some(view) = &decision.view {
            let status = view.status(database, refused, now);
            if database.status.as_ref() != Some(&status) {
                let version = self.hands.database_status(database, &status).await?;
                self.behind.wrote(database, version.as_deref());
            }
        }
        Ok(())
    }

    /// Once for each generation: the answer comes back as a change of the object.
    async fn not_understood(&self, metadata: &ObjectMeta, error: &str) -> Result<Next, Trouble> {
        let uid = metadata.uid.clone().unwrap_or_default();
        let reported = {
            let reported = self.not_understood.lock();
            let reported = reported.unwrap_or_else(PoisonError::into_inner);
            reported.get(&uid) == Some(&metadata.generation)
        };
        if !reported {
            let name = metadata.name.as_deref().unwrap_or_default();
            let namespace = metadata.namespace.as_deref().unwrap_or_default();
            tracing::warn!(database = name, error, "not understood");
            self.hands
                .not_understood(namespace, name, metadata.generation, error)
                .await?;
            let known = self.not_understood.lock();
            let mut known = known.unwrap_or_else(PoisonError::into_inner);
            known.insert(uid, metadata.generation);
        }
        Ok(Next::await_change())
    }
}

fn next(decision: &Decision, refused: bool, now: Timestamp) -> Next {
    if refused {
        return Next::requeue(REFUSED_AGAIN);
    }
    match decision.look_at {
        Some(at) => {
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or(LOOK_AGAIN_MIN);
            Next::requeue(wait.clamp(LOOK_AGAIN_MIN, LOOK_AGAIN_MAX))
        }
        None => Next::await_change(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::client::Body;
    use std::convert::Infallible;

    /// Longest time that an operator with nothing under way may take to end.
    const END_LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn it_ends_though_the_api_server_never_told_of_databases() {
        let silent = tower::service_fn(|_: http::Request<Body>| {
            std::future::pending::<Result<http::Response<Body>, Infallible>>()
        });
        let leading = Leading {
            scope: Scope {
                client: Client::new(silent, "default"),
                namespace: None,
            },
            settings: Settings::default(),
            identity: "test".into(),
            concurrency: 1,
            parent_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            metrics: Arc::default(),
        };
        let shutdown = CancellationToken::new();
        let working = leading.reconcile(Arc::new(Nodes::new()), shutdown.clone());
        tokio::pin!(working);
        let started = tokio::time::timeout(Duration::from_millis(100), &mut working).await;
        assert!(started.is_err());
        shutdown.cancel();
        let ended = tokio::time::timeout(END_LIMIT, working).await;
        assert!(ended.is_ok());
    }
}
