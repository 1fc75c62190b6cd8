//! A cluster of played machines with an operator, many databases with played nodes, and what a watch tells
//! of them.

use super::nodes::Nodes;
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use lumadb_contract::id::DatabaseId;
use lumadb_e2e::kubernetes::install::{SYSTEM, databases, grant, install, namespace};
use lumadb_e2e::kubernetes::kwok::{Kwok, NODE_PODS};
use lumadb_e2e::kubernetes::operator::Operator;
use lumadb_e2e::kubernetes::proxy::{Proxy, Seen, Sort};
use lumadb_e2e::kubernetes::{Cluster, Load};
use lumadb_e2e::{Outcome, ports};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where the databases are.
const NAMESPACE: &str = "tenants";

/// Databases that are made at once.
const AT_ONCE: usize = 32;

/// Longest for all creations of a step, and for one change.
const GROW_LIMIT: Duration = Duration::from_mins(30);
const CHANGE_LIMIT: Duration = Duration::from_mins(1);

/// Without a request for so long the operator has come to rest, if it comes to rest in time.
const CALM: Duration = Duration::from_secs(6);
const CALM_LIMIT: Duration = Duration::from_mins(5);

/// Between two looks at whether a program has ended.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// What a watch has told last of all databases.
#[derive(Debug, Default)]
struct Known {
    /// The last generation that was acted upon, and since when that is known.
    acted_upon: HashMap<String, (i64, Instant)>,
    ready: HashMap<String, bool>,
    ready_count: usize,
}

impl Known {
    fn see(&mut self, database: &DynamicObject) {
        let (name, status) = (database.name_any(), &database.data["status"]);
        let is_ready = status["phase"] == "Ready";
        let was_ready = self.ready.insert(name.clone(), is_ready).unwrap_or(false);
        self.ready_count = self.ready_count - usize::from(was_ready) + usize::from(is_ready);
        let observed = status["observedGeneration"].as_i64().unwrap_or_default();
        let before = self.acted_upon.get(&name);
        if before.is_none_or(|(before, _)| *before < observed) {
            self.acted_upon.insert(name, (observed, Instant::now()));
        }
    }
}

/// Requests of an operator at rest.
#[derive(Debug)]
pub(super) struct Rest {
    /// Of the lease, of watches, and for tokens of nodes whose certificates are renewed.
    pub(super) renewals: usize,
    pub(super) other: usize,
}

/// The cluster. All of it ends with this value.
pub(super) struct Crowd {
    names: Vec<String>,
    known: watch::Receiver<Known>,
    api: Api<DynamicObject>,
    operator: Operator,
    proxy: Proxy,
    nodes: Nodes,
    kwok: Kwok,
    _watching: JoinSet<()>,
    _cluster: Cluster,
}

impl Crowd {
    /// Brings everything up, without a node or a database.
    pub(super) async fn start() -> Outcome<Self> {
        let cluster = Cluster::start_for(Load::Many).await?;
        let client = cluster.client().await?;
        install(&client).await?;
        namespace(&client, SYSTEM).await?;
        namespace(&client, NAMESPACE).await?;
        let kwok = Kwok::join(&cluster).await?;
        let proxy = Proxy::start(&cluster).await?;
        let token = grant(&client).await?;
        let port = ports::free()?;
        let (parent, listen) = (
            format!("https://localhost:{port}"),
            format!("127.0.0.1:{port}"),
        );
        let settings = [
            ("LUMADB_OPERATOR_PARENT", parent.as_str()),
            ("LUMADB_OPERATOR_PARENT_LISTEN", &listen),
        ];
        let kubeconfig = proxy.kubeconfig_for("operator", &token)?;
        let operator = Operator::start_with(&kubeconfig, &settings)?;
        let nodes = Nodes::start(&client, NAMESPACE, port);
        let api = databases(&client, NAMESPACE);
        let (sender, known) = watch::channel(Known::default());
        let mut watching = JoinSet::new();
        watching.spawn(follow(api.clone(), sender));
        Ok(Self {
            names: Vec::new(),
            known,
            api,
            operator,
            proxy,
            nodes,
            kwok,
            _watching: watching,
            _cluster: cluster,
        })
    }

    /// Databases that there are.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    pub(super) fn operator_pid(&self) -> Outcome<i32> {
        self.operator.pid()
    }

    /// Adds machines, and then databases until there are as many; the time from the first of these to
    /// the last that is ready. Then all of their nodes are connected, too.
    pub(super) async fn grow_to(&mut self, count: usize) -> Outcome<Duration> {
        let first = self.names.len();
        let (had, wanted) = (first.div_ceil(NODE_PODS), count.div_ceil(NODE_PODS));
        self.kwok.add_nodes(had..wanted).await?;
        let new: Vec<String> = (first..count).map(name_of).collect();
        let start = Instant::now();
        let api = &self.api;
        let create = |name: String| async move {
            let object = serde_json::from_value(database(&name))?;
            api.create(&PostParams::default(), &object).await?;
            Outcome::Ok(())
        };
        let creating = stream::iter(new.clone())
            .map(create)
            .buffer_unordered(AT_ONCE);
        creating.try_collect::<()>().await?;
        self.names.extend(new);
        loop {
            let all_ready = self.known.wait_for(|known| known.ready_count >= count);
            match tokio::time::timeout(CHECK_EVERY, all_ready).await {
                Ok(known) => {
                    drop(known?);
                    break;
                }
                Err(_) => self.kwok.check()?,
            }
            if start.elapsed() > GROW_LIMIT {
                let ready = self.known.borrow().ready_count;
                return Err(format!("{ready} of {count} databases are ready").into());
            }
        }
        let span = start.elapsed();
        self.nodes.are_connected(count).await?;
        Ok(span)
    }

    /// What is asked in a span of rest, once there is rest.
    pub(super) async fn rest(&self, span: Duration) -> Outcome<Rest> {
        let start = Instant::now();
        loop {
            let before = self.proxy.seen().len();
            tokio::time::sleep(CALM).await;
            let seen = self.proxy.seen().split_off(before);
            if seen.iter().all(is_renewal) {
                break;
            }
            if start.elapsed() > CALM_LIMIT {
                let other = seen.iter().find(|seen| !is_renewal(seen));
                return Err(format!("the operator does not come to rest: {other:?}").into());
            }
        }
        let before = self.proxy.seen().len();
        tokio::time::sleep(span).await;
        let seen = self.proxy.seen().split_off(before);
        let renewals = seen.iter().filter(|seen| is_renewal(seen)).count();
        Ok(Rest {
            renewals,
            other: seen.len() - renewals,
        })
    }

    /// Gives so many databases other compute, one after the other; the time of each from the request
    /// to the news that it was acted upon, milliseconds.
    pub(super) async fn change(&mut self, count: usize) -> Outcome<Vec<f64>> {
        let mut spans = Vec::with_capacity(count);
        // Far from each other, and each once while there are enough.
        let step = (self.names.len() / count.max(1)).max(1);
        for index in 0..count {
            let name = &self.names[index * step % self.names.len()];
            let found = self.api.get(name).await?;
            let cpu = if found.data["spec"]["compute"]["cpu"] == "1" {
                "500m"
            } else {
                "1"
            };
            let patch = Patch::Merge(json!({ "spec": { "compute": { "cpu": cpu } } }));
            let start = Instant::now();
            let changed = self
                .api
                .patch(name, &PatchParams::default(), &patch)
                .await?;
            let wanted = changed.metadata.generation.unwrap_or_default();
            let acted = self.known.wait_for(|known| {
                let last = known.acted_upon.get(name);
                last.is_some_and(|(generation, _)| *generation >= wanted)
            });
            let known = tokio::time::timeout(CHANGE_LIMIT, acted)
                .await
                .map_err(|_| format!("a change of {name} was not acted upon in time"))??;
            let at = known.acted_upon[name].1;
            spans.push(at.duration_since(start).as_secs_f64() * 1000.0);
        }
        Ok(spans)
    }
}

/// Keeps what is known up to date.
async fn follow(api: Api<DynamicObject>, known: watch::Sender<Known>) {
    let seen = watcher(api, watcher::Config::default()).default_backoff();
    let mut seen = seen.applied_objects().boxed();
    while let Some(database) = seen.next().await {
        if let Ok(database) = database {
            known.send_modify(|known| known.see(&database));
        }
    }
}

fn is_renewal(seen: &Seen) -> bool {
    seen.sort == Sort::Watch
        || (seen.method == "PUT" && seen.path.contains("/leases/"))
        || (seen.method == "POST" && seen.path.ends_with("/tokenreviews"))
}

/// As long as the IDs that the product makes.
fn name_of(number: usize) -> String {
    let id = 0x0193_5d3e_8f00_7000_8000_0000_0000_0000_u128 + number as u128;
    DatabaseId::from_uuid(uuid::Uuid::from_u128(id)).host_label()
}

fn database(name: &str) -> Value {
    json!({
        "apiVersion": "lumadb.cloud/v1alpha1",
        "kind": "LumaDatabase",
        "metadata": { "name": name },
        "spec": {
            "compute": { "cpu": "500m", "memory": "1Gi" },
            "storage": { "size": "2Gi" },
        },
    })
}
