//! What becomes of a claim: a volume that nobody mounts is made for it, grows with it and goes with
//! it.

use super::PROVISIONER;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Clone)]
pub(super) struct Keeper {
    client: Client,
}

impl Keeper {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Makes the volume of a new claim; afterwards lets it have the size that the claim asks for.
    pub(super) async fn claim(&self, claim: &PersistentVolumeClaim) -> kube::Result<()> {
        let spec = claim.spec.clone().unwrap_or_default();
        let resources = spec.resources.unwrap_or_default();
        let Some(wanted) = storage(resources.requests.as_ref()) else {
            return Ok(());
        };
        if claim.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
        let status = claim.status.clone().unwrap_or_default();
        match (spec.volume_name, storage(status.capacity.as_ref())) {
            (None, _) => {
                let volume = volume_of(claim, wanted);
                volumes.create(&PostParams::default(), &volume).await?;
            }
            (Some(volume), Some(had)) if had != wanted => {
                let parameters = PatchParams::default();
                let size = json!({ "spec": { "capacity": { "storage": wanted } } });
                volumes
                    .patch(&volume, &parameters, &Patch::Merge(size))
                    .await?;
                let namespace = claim.namespace().unwrap_or_default();
                let claims: Api<PersistentVolumeClaim> =
                    Api::namespaced(self.client.clone(), &namespace);
                let status = json!({ "status": {
                    "capacity": { "storage": wanted },
                    "allocatedResources": { "storage": wanted },
                    "allocatedResourceStatuses": null,
                    "conditions": null,
                }});
                claims
                    .patch_status(&claim.name_any(), &parameters, &Patch::Merge(status))
                    .await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Removes a volume whose claim is gone, unless it shall be kept.
    pub(super) async fn volume(&self, volume: &PersistentVolume) -> kube::Result<()> {
        let spec = volume.spec.clone().unwrap_or_default();
        let status = volume.status.clone().unwrap_or_default();
        let released = status.phase.as_deref() == Some("Released");
        let ours = spec.csi.is_some_and(|csi| csi.driver == PROVISIONER);
        let kept = spec.persistent_volume_reclaim_policy.as_deref() == Some("Retain");
        if released && ours && !kept {
            let volumes: Api<PersistentVolume> = Api::all(self.client.clone());
            let name = volume.name_any();
            volumes.delete(&name, &DeleteParams::default()).await?;
        }
        Ok(())
    }
}

fn storage(of: Option<&BTreeMap<String, Quantity>>) -> Option<&Quantity> {
    of?.get("storage")
}

fn volume_of(claim: &PersistentVolumeClaim, size: &Quantity) -> PersistentVolume {
    let spec = claim.spec.clone().unwrap_or_default();
    let uid = claim.uid().unwrap_or_default();
    let name = format!("pvc-{uid}");
    let volume = json!({
        "metadata": {
            "name": name,
            "annotations": { "pv.kubernetes.io/provisioned-by": PROVISIONER },
        },
        "spec": {
            "capacity": { "storage": size },
            "accessModes": spec.access_modes,
            "storageClassName": spec.storage_class_name,
            "persistentVolumeReclaimPolicy": "Delete",
            "csi": { "driver": PROVISIONER, "volumeHandle": name },
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(),
                "name": claim.name_any(),
                "uid": uid,
            },
        },
    });
    // Made of what the API server gave: it is a volume.
    serde_json::from_value(volume).unwrap_or_default()
}
