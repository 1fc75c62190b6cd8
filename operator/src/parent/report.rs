//! What nodes say of their volumes, in the statuses of instances: what lets a volume grow by itself.
//!
//! Written under a field manager of its own, and when it has changed alone.

use super::nodes::Nodes;
use crate::api::{LumaInstance, VolumeReport};
use crate::build;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::VolumeRoom;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const FIELD_MANAGER: &str = "lumadb-operator-nodes";

/// From one round of writing to the next.
const PAUSE: Duration = Duration::from_secs(2);

/// When what failed is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Longest time in which the API server answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes reports without end.
pub(super) async fn run(client: Client, nodes: Arc<Nodes>) {
    let notices = nodes.intake().reports();
    let mut written: BTreeMap<DatabaseId, (String, VolumeReport)> = BTreeMap::new();
    let mut failed = BTreeSet::new();
    loop {
        if failed.is_empty() {
            notices.come().await;
            sleep(PAUSE).await;
        } else {
            sleep(AGAIN).await;
        }
        let mut about = notices.take();
        about.append(&mut failed);
        for database in about {
            let Some(sight) = nodes.sight(database) else {
                written.remove(&database);
                continue;
            };
            let room = sight.status.and_then(|status| status.room);
            let Some(report) = room.and_then(report_of) else {
                continue;
            };
            let key = (sight.namespace, report);
            if written.get(&database) == Some(&key) {
                continue;
            }
            match write(&client, &key.0, database, report).await {
                Ok(()) => {
                    written.insert(database, key);
                }
                Err(error) => {
                    tracing::warn!(%database, error, "the room of its volume was not written");
                    failed.insert(database);
                }
            }
        }
    }
}

fn report_of(room: VolumeRoom) -> Option<VolumeReport> {
    (room.total_bytes > 0).then(|| VolumeReport {
        capacity_bytes: room.total_bytes,
        used_bytes: room.total_bytes.saturating_sub(room.free_bytes),
    })
}

async fn write(
    client: &Client,
    namespace: &str,
    database: DatabaseId,
    report: VolumeReport,
) -> Result<(), String> {
    let instances: Api<LumaInstance> = Api::namespaced(client.clone(), namespace);
    let name = build::instance_name_of(&database.host_label());
    let body = json!({
        "apiVersion": LumaInstance::api_version(&()),
        "kind": LumaInstance::kind(&()),
        "metadata": {"name": name},
        "status": {"volume": report},
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(body);
    let writing = instances.patch_status(&name, &parameters, &patch);
    match timeout(ANSWER_TIMEOUT, writing).await {
        Ok(Ok(_)) => Ok(()),
        // Gone with its database.
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the API server did not answer in time".into()),
    }
}
