//! A machine without processes makes of pods and claims what a real one would say of them.

use super::{LIMIT, create, namespace};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use lumadb_e2e::Outcome;
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::kubernetes::machine::Machine;
use lumadb_e2e::wait::until;
use serde_json::{Value, json};

#[tokio::test]
async fn pods_run_and_volumes_are_there_on_a_machine_that_is_none() -> Outcome<()> {
    let cluster = Cluster::start().await?;
    let _machine = Machine::join(&cluster).await?;
    let client = cluster.client().await?;
    namespace(&client, "played", &json!({})).await?;

    let pods: Api<Pod> = Api::namespaced(client.clone(), "played");
    create(&pods, pod()).await?;
    let ready = async |cpu: &str| {
        until("the pod to be ready", LIMIT, || async {
            let status = json!(pods.get("one").await?.status);
            let resources = &status["containerStatuses"][0]["resources"];
            let ready = status["conditions"].as_array().is_some_and(|conditions| {
                let is = |condition: &Value| {
                    condition["type"] == "Ready" && condition["status"] == "True"
                };
                conditions.iter().any(is)
            });
            Ok((ready && resources["requests"]["cpu"] == cpu).then_some(()))
        })
        .await
    };
    ready("1").await?;
    let more = json!({ "spec": { "containers": [{
        "name": "main",
        "resources": { "requests": { "cpu": "2" } },
    }]}});
    let parameters = PatchParams::default();
    pods.patch_resize("one", &parameters, &Patch::Strategic(more))
        .await?;
    ready("2").await?;

    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), "played");
    create(&claims, claim()).await?;
    let bound = async |size: &str| {
        until("the claim to be bound", LIMIT, || async {
            let status = json!(claims.get("one").await?.status);
            let bound = status["phase"] == "Bound" && status["capacity"]["storage"] == size;
            Ok(bound.then_some(()))
        })
        .await
    };
    bound("1Gi").await?;
    let larger = json!({ "spec": { "resources": { "requests": { "storage": "2Gi" } } } });
    claims
        .patch("one", &parameters, &Patch::Merge(larger))
        .await?;
    bound("2Gi").await?;

    let gone = DeleteParams::default();
    let uid = pods.get("one").await?.uid();
    pods.delete("one", &gone).await?;
    claims.delete("one", &gone).await?;
    let volumes: Api<PersistentVolume> = Api::all(client);
    until("pod, claim and volume to go", LIMIT, || async {
        let pod = pods.get_opt("one").await?.filter(|pod| pod.uid() == uid);
        let claim = claims.get_opt("one").await?;
        let volumes = volumes.list(&ListParams::default()).await?;
        let gone = pod.is_none() && claim.is_none() && volumes.items.is_empty();
        Ok(gone.then_some(()))
    })
    .await
}

fn pod() -> Value {
    json!({
        "metadata": { "name": "one" },
        "spec": {
            "containers": [{
                "name": "main",
                "image": "nothing",
                "resources": { "requests": { "cpu": "1" } },
            }],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "one" } }],
        },
    })
}

fn claim() -> Value {
    json!({
        "metadata": { "name": "one" },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": "1Gi" } },
        },
    })
}
