//! A machine that runs nothing and says it does: it takes every pod that no machine has, and plays
//! what a kubelet, a scheduler and a storage driver make of pods and claims.
//!
//! It works on the whole cluster, so a test that has one has a cluster of its own. What only happens
//! in containers (probes that fail, a process that dies) does not happen here.

mod pods;
mod volumes;

use self::pods::Addresses;
use super::Cluster;
use crate::Outcome;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PostParams;
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt as _, utils::Backoff};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const NAME: &str = "machine";

/// The storage class of its volumes, which may grow. Claims that name no class get it.
pub const STORAGE_CLASS: &str = "standard";

/// Who makes its volumes.
const PROVISIONER: &str = "machine.test.lumadb.com";

/// Objects of a kind that it is busy with at once: thousands of pods may come in a moment.
const AT_ONCE: usize = 16;

/// A machine of a cluster. It lives in the runtime that starts it, and works until it is dropped.
#[derive(Debug)]
pub struct Machine {
    _tasks: JoinSet<()>,
    _volumes: Volumes,
}

/// Volumes for every claim of a cluster, as a storage driver makes them. They are made in the runtime
/// that starts it, until it is dropped.
#[derive(Debug)]
pub struct Volumes {
    _tasks: JoinSet<()>,
}

impl Machine {
    /// Adds the machine and its storage class to a cluster.
    pub async fn join(cluster: &Cluster) -> Outcome<Self> {
        Self::join_with(cluster, Addresses::OfCluster).await
    }

    /// The same, and its pods have addresses of this host, at which a test may run what they ask
    /// for. No endpoint slice takes them.
    pub async fn join_on_loopback(cluster: &Cluster) -> Outcome<Self> {
        Self::join_with(cluster, Addresses::Loopback).await
    }

    async fn join_with(cluster: &Cluster, addresses: Addresses) -> Outcome<Self> {
        let client = cluster.client().await?;
        let nodes: Api<Node> = Api::all(client.clone());
        let node = json!({
            "metadata": { "name": NAME },
            "status": {
                "capacity": { "cpu": "1000", "memory": "4Ti", "pods": "10000" },
                "conditions": [{ "type": "Ready", "status": "True", "reason": "Played" }],
            },
        });
        let node = serde_json::from_value(node)?;
        nodes.create(&PostParams::default(), &node).await?;
        let mut tasks = JoinSet::new();
        let player = Arc::new(pods::Player::new(client.clone(), addresses));
        tasks.spawn(follow(client, move |pod| {
            let player = Arc::clone(&player);
            async move { player.play(&pod).await }
        }));
        let volumes = Volumes::join(cluster).await?;
        Ok(Self {
            _tasks: tasks,
            _volumes: volumes,
        })
    }
}

impl Volumes {
    /// Adds the storage class to a cluster, and makes what is claimed of it.
    pub async fn join(cluster: &Cluster) -> Outcome<Self> {
        let client = cluster.client().await?;
        let classes: Api<StorageClass> = Api::all(client.clone());
        let default = "storageclass.kubernetes.io/is-default-class";
        let class = json!({
            "metadata": { "name": STORAGE_CLASS, "annotations": { default: "true" } },
            "provisioner": PROVISIONER,
            "allowVolumeExpansion": true,
        });
        let class = serde_json::from_value(class)?;
        classes.create(&PostParams::default(), &class).await?;
        let mut tasks = JoinSet::new();
        let keeper = volumes::Keeper::new(client.clone());
        tasks.spawn(follow(client.clone(), {
            let keeper = keeper.clone();
            move |claim| {
                let keeper = keeper.clone();
                async move { keeper.claim(&claim).await }
            }
        }));
        tasks.spawn(follow(client, move |volume| {
            let keeper = keeper.clone();
            async move { keeper.volume(&volume).await }
        }));
        Ok(Self { _tasks: tasks })
    }
}

/// Does something with every object of a kind, at first and after each change. What fails because
/// the object changed meanwhile is done with the change.
async fn follow<K, F, Fut>(client: Client, act: F)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    F: Fn(K) -> Fut,
    Fut: Future<Output = kube::Result<()>>,
{
    watcher(Api::<K>::all(client), watcher::Config::default())
        .backoff(Soon)
        .applied_objects()
        .for_each_concurrent(AT_ONCE, async |object| {
            if let Ok(object) = object {
                let _ = act(object).await;
            }
        })
        .await;
}

/// A test does not wait longer after a lost connection.
struct Soon;

impl Iterator for Soon {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(100))
    }
}

impl Backoff for Soon {
    fn reset(&mut self) {}
}
