//! Many nodes and thousands of pods on them, played by kwok. Kubernetes' own scheduler places the
//! pods, and every claim has a volume.
//!
//! No process runs in such a pod: what would dial somebody does not.

use super::cluster::{Cluster, programs};
use super::daemon::Daemon;
use super::machine::Volumes;
use crate::{Outcome, tools};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use std::fmt;
use std::ops::Range;

/// Nodes that are made at once.
const AT_ONCE: usize = 16;

/// Pods that a node of it takes: of large ones, each with as many as it is advised to have at most. Nodes
/// cost the scheduler more than pods do.
pub const NODE_PODS: usize = 110;

/// Addresses of its pods. Services have others.
const POD_NETWORK: &str = "10.128.0.0/9";

/// Running kwok and scheduler. They end with it; the volumes are made in the runtime that starts it.
pub struct Kwok {
    client: Client,
    player: Daemon,
    scheduler: Daemon,
    _volumes: Volumes,
}

impl fmt::Debug for Kwok {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kwok").finish_non_exhaustive()
    }
}

impl Kwok {
    /// Adds them to a cluster that has no node yet.
    pub async fn join(cluster: &Cluster) -> Outcome<Self> {
        let folder = programs(&["kwok", "kube-scheduler"]).await?;
        let kubeconfig = format!("--kubeconfig={}", cluster.kubeconfig().display());
        let stages = tools::workspace().join("e2e/kubernetes/kwok/stages.yaml");
        let kwok_arguments = [
            kubeconfig.clone(),
            format!("--config={}", stages.display()),
            format!("--cidr={POD_NETWORK}"),
            "--manage-all-nodes".to_owned(),
            "--node-lease-duration-seconds=0".to_owned(),
        ];
        let scheduler_arguments = [
            kubeconfig,
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
            "--kube-api-qps=1000".to_owned(),
            "--kube-api-burst=1000".to_owned(),
        ];
        let (logs, variables) = (cluster.folder(), cluster.load().variables());
        Ok(Self {
            client: cluster.client().await?,
            player: Daemon::start(&folder, "kwok", logs, variables, kwok_arguments)?,
            scheduler: Daemon::start(
                &folder,
                "kube-scheduler",
                logs,
                variables,
                scheduler_arguments,
            )?,
            _volumes: Volumes::join(cluster).await?,
        })
    }

    /// Adds nodes under these numbers. Each is open to pods from the start: the API server marks new
    /// ones, and here nobody looks whether they live, who would remove the mark.
    pub async fn add_nodes(&self, numbers: Range<usize>) -> Outcome<()> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let nodes = &nodes;
        let add = |number: usize| async move {
            let name = format!("played-{number:05}");
            let pods = NODE_PODS.to_string();
            let room = json!({ "cpu": "256", "memory": "1Ti", "pods": pods });
            let node = json!({
                "metadata": { "name": name },
                "status": { "capacity": room, "allocatable": room },
            });
            let node = serde_json::from_value(node)?;
            nodes.create(&PostParams::default(), &node).await?;
            let open = Patch::Merge(json!({ "spec": { "taints": null } }));
            nodes.patch(&name, &PatchParams::default(), &open).await?;
            Outcome::Ok(())
        };
        let adding = stream::iter(numbers).map(add).buffer_unordered(AT_ONCE);
        adding.try_collect::<()>().await
    }

    /// Fails if one of the programs has ended; with its last lines.
    pub fn check(&mut self) -> Outcome<()> {
        for daemon in [&mut self.player, &mut self.scheduler] {
            daemon
                .check()
                .map_err(|error| format!("{error}\n{}", daemon.log_tail()))?;
        }
        Ok(())
    }
}
