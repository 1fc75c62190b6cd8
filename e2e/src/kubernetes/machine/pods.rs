//! What becomes of a pod: it gets the machine, runs at once, is resized as asked, and is gone when
//! it shall go.

use super::NAME;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

/// Which addresses pods get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    /// Such as a cluster gives, at which nobody is.
    OfCluster,
    /// Of this host alone, at which a test may run what a pod asks for. Endpoint slices take none
    /// of them.
    Loopback,
}

/// Number of the next address: machines of one host are not to share any.
static NEXT_ADDRESS: AtomicU32 = AtomicU32::new(1);

pub(super) struct Player {
    client: Client,
    addresses: Addresses,
}

impl Player {
    pub(super) fn new(client: Client, addresses: Addresses) -> Self {
        Self { client, addresses }
    }

    pub(super) async fn play(&self, pod: &Pod) -> kube::Result<()> {
        let namespace = pod.namespace().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let name = pod.name_any();
        let spec = pod.spec.clone().unwrap_or_default();
        if pod.metadata.deletion_timestamp.is_some() {
            let this_one = Preconditions {
                uid: pod.uid(),
                resource_version: None,
            };
            let now = DeleteParams::default().grace_period(0);
            pods.delete(&name, &now.preconditions(this_one)).await?;
        } else if spec.node_name.is_none() {
            let binding = json!({
                "metadata": { "name": name },
                "target": { "kind": "Node", "name": NAME },
            });
            let parameters = PostParams::default();
            pods.create_subresource::<_, Value>("binding", &name, &parameters, &binding)
                .await?;
        } else if observed(pod) != pod.metadata.generation {
            let status = json!({ "status": self.status(pod) });
            let parameters = PatchParams::default();
            pods.patch_status(&name, &parameters, &Patch::Merge(status))
                .await?;
        }
        Ok(())
    }

    /// All runs and is ready, with the resources that the pod asks for, since it was made.
    fn status(&self, pod: &Pod) -> Value {
        let spec = pod.spec.clone().unwrap_or_default();
        let since = json!(pod.metadata.creation_timestamp);
        let true_since = |kind: &str| {
            json!({
                "type": kind,
                "status": "True",
                "lastTransitionTime": since,
                "observedGeneration": pod.metadata.generation,
            })
        };
        let conditions: Vec<_> = [
            "PodScheduled",
            "PodReadyToStartContainers",
            "Initialized",
            "ContainersReady",
            "Ready",
        ]
        .map(true_since)
        .into();
        let running = json!({ "running": { "startedAt": since } });
        let first = |container: &Container| {
            // One that begins before the others and stays, or one that has done its work.
            let stays = container.restart_policy.as_deref() == Some("Always");
            let done = json!({ "terminated": {
                "exitCode": 0,
                "reason": "Completed",
                "startedAt": since,
                "finishedAt": since,
            }});
            container_status(container, if stays { &running } else { &done })
        };
        let inits = spec.init_containers.unwrap_or_default();
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
        let address = address.unwrap_or_else(|| self.next_address());
        json!({
            "phase": "Running",
            "observedGeneration": pod.metadata.generation,
            "conditions": conditions,
            "hostIP": "127.0.0.1",
            "podIP": address,
            "podIPs": [{ "ip": address }],
            "startTime": since,
            "initContainerStatuses": inits.iter().map(first).collect::<Vec<_>>(),
            "containerStatuses": spec
                .containers
                .iter()
                .map(|container| container_status(container, &running))
                .collect::<Vec<_>>(),
        })
    }

    fn next_address(&self) -> String {
        let number = NEXT_ADDRESS.fetch_add(1, Ordering::SeqCst);
        let [_, high, middle, low] = number.to_be_bytes();
        match self.addresses {
            Addresses::OfCluster => format!("10.{}.{middle}.{low}", 128 | high),
            Addresses::Loopback => {
                let process = std::process::id() % 254 + 1;
                format!("127.{process}.{middle}.{low}")
            }
        }
    }
}

/// The generation that the status speaks of.
fn observed(pod: &Pod) -> Option<i64> {
    pod.status.as_ref()?.observed_generation
}

fn container_status(container: &Container, state: &Value) -> Value {
    let resources = container.resources.clone().unwrap_or_default();
    json!({
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "containerID": format!("played://{}", container.name),
        "ready": true,
        "started": true,
        "restartCount": 0,
        "state": state,
        "allocatedResources": resources.requests,
        "resources": resources,
    })
}
