//! From an [`InstanceSpec`] to what is written into the cluster: values in, values out.
//!
//! What a `LumaDatabase` says and what its Secret says together are the spec again: the operator
//! puts them together for the node. Where a database's first content comes from stands in the
//! Secret, with the keys that it takes: the object itself says nothing of it.

use super::identity::Identity;
use super::object::{
    Archive, Autogrow, Class, Compute, DatabaseSpec, DeletionPolicy, Durability, DurabilityMode,
    GROUP, Storage, VERSION,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lumadb_contract::archive::{self as contract, ArchiveSpec};
use lumadb_contract::cluster::{INSTANCE_SECRET_KEY, INSTANCE_SECRET_TYPE, InstanceSecret};
use lumadb_contract::instance::{InstanceSpec, RunState};
use serde_json::{Value, json};

/// Under which name we write, in `managedFields`, and the label of what we wrote.
pub(super) const MANAGER: &str = "lumadb-control-plane";

const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// Label of what belongs to a region.
const REGION_LABEL: &str = "lumadb.cloud/region";

/// Label of what belongs to a database, whoever wrote it.
pub(super) const DATABASE_LABEL: &str = "lumadb.cloud/database";

/// Compute below a whole vCPU is taken from what is there; from there on it is reserved.
const DEDICATED_FROM_MILLI_VCPU: u32 = 1000;

/// What the definition admits, milliseconds.
const LAG_MS: (u32, u32) = (100, 600_000);

/// What a region says once for all of its databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    pub region: String,
    /// Namespace of databases.
    pub namespace: String,
    /// Storage class of volumes; the cluster's default unless it is named.
    pub storage_class: Option<String>,
    /// Size of a new volume, gibibytes.
    pub storage_gib: u32,
    /// Up to where a volume grows by itself, gibibytes.
    pub storage_gib_max: u32,
}

impl Site {
    /// Selects what this region wrote.
    pub(super) fn selector(&self) -> String {
        format!(
            "{MANAGED_BY_LABEL}={MANAGER},{REGION_LABEL}={}",
            self.region
        )
    }

    fn labels(&self, name: &str) -> Value {
        json!({
            MANAGED_BY_LABEL: MANAGER,
            REGION_LABEL: self.region,
            DATABASE_LABEL: name,
        })
    }
}

/// What a database's object shall say. `found` is what it says now: a volume neither shrinks nor
/// moves, whatever the region says of new ones.
pub(super) fn database_spec(
    spec: &InstanceSpec,
    site: &Site,
    found: Option<&DatabaseSpec>,
) -> DatabaseSpec {
    let milli_vcpu = spec.compute.milli_vcpu;
    let class = if milli_vcpu < DEDICATED_FROM_MILLI_VCPU {
        Class::Shared
    } else {
        Class::Dedicated
    };
    DatabaseSpec {
        engine_version: spec.engine_version,
        class,
        compute: Compute {
            cpu: cpu(milli_vcpu),
            memory: memory(spec.compute.memory_mib),
        },
        storage: storage(site, found.map(|found| &found.storage)),
        durability: durability(spec.archive.as_ref()),
        suspend: spec.run != RunState::Running,
        archive: spec.archive.as_ref().map(archive),
        allowed_networks: spec.allowed_networks.to_texts(),
        deletion_policy: DeletionPolicy::Delete,
    }
}

/// What a database's Secret shall say.
pub(super) fn secret(spec: InstanceSpec, identity: Identity) -> InstanceSecret {
    InstanceSecret {
        generation: spec.generation,
        connections_max: spec.connections_max,
        serves_database_id: spec.serves_database_id,
        route_number: spec.route_number,
        roles: spec.roles,
        logical_databases: spec.logical_databases,
        tls: Some(identity.tls),
        edges: Some(identity.edges),
        tls_issued: Some(identity.issued),
        archive: spec.archive,
        restore: spec.restore,
    }
}

/// The object as it is applied. With a `uid` it is that object or none: one that is gone is not
/// made again.
pub(super) fn database_object(
    site: &Site,
    name: &str,
    spec: &DatabaseSpec,
    uid: Option<&str>,
) -> Value {
    let mut object = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "LumaDatabase",
        "metadata": {
            "name": name,
            "namespace": site.namespace,
            "labels": site.labels(name),
        },
        "spec": spec,
    });
    if let Some(uid) = uid {
        object["metadata"]["uid"] = uid.into();
    }
    object
}

/// The Secret as it is applied. It goes with the object that it belongs to.
pub(super) fn secret_object(site: &Site, name: &str, content: &str, owner_uid: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": site.namespace,
            "labels": site.labels(name),
            "ownerReferences": [{
                "apiVersion": format!("{GROUP}/{VERSION}"),
                "kind": "LumaDatabase",
                "name": name,
                "uid": owner_uid,
            }],
        },
        "type": INSTANCE_SECRET_TYPE,
        "data": { INSTANCE_SECRET_KEY: BASE64.encode(content) },
    })
}

/// Such as `500m` or `2`.
fn cpu(milli: u32) -> String {
    if milli.is_multiple_of(1000) {
        (milli / 1000).to_string()
    } else {
        format!("{milli}m")
    }
}

/// Such as `1536Mi` or `2Gi`.
fn memory(mib: u32) -> String {
    if mib.is_multiple_of(1024) {
        gibibytes(mib / 1024)
    } else {
        format!("{mib}Mi")
    }
}

/// In the largest unit, as the operator writes it.
fn gibibytes(count: u32) -> String {
    if count.is_multiple_of(1024) {
        format!("{}Ti", count / 1024)
    } else {
        format!("{count}Gi")
    }
}

/// Mebibytes of what stands in an object, as far as it is an amount of the definition.
fn mebibytes(text: &str) -> Option<u64> {
    [("Mi", 1), ("Gi", 1 << 10), ("Ti", 1 << 20)]
        .into_iter()
        .find_map(|(unit, size)| {
            let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
            count.checked_mul(size)
        })
}

fn storage(site: &Site, found: Option<&Storage>) -> Storage {
    let greater = |configured: u32, there: Option<&String>| {
        let is_more = |text: &&String| mebibytes(text) > Some(u64::from(configured) << 10);
        let there = there.filter(is_more);
        there.cloned().unwrap_or_else(|| gibibytes(configured))
    };
    let volume = greater(site.storage_gib, found.map(|found| &found.size));
    Storage {
        autogrow: Some(Autogrow {
            maximum: greater(site.storage_gib_max, Some(&volume)),
        }),
        size: volume,
        class_name: match found {
            Some(found) => found.class_name.clone(),
            None => site.storage_class.clone(),
        },
    }
}

fn durability(archive: Option<&ArchiveSpec>) -> Durability {
    match archive.map(|archive| archive.durability) {
        Some(contract::Durability::S3) => Durability {
            mode: DurabilityMode::S3,
            lag_milliseconds: None,
        },
        Some(contract::Durability::Lag { lag_ms }) => Durability {
            mode: DurabilityMode::Lag,
            lag_milliseconds: Some(lag_ms.clamp(LAG_MS.0, LAG_MS.1)),
        },
        None => Durability {
            mode: DurabilityMode::Lag,
            lag_milliseconds: None,
        },
    }
}

fn archive(spec: &ArchiveSpec) -> Archive {
    let store = &spec.access.store;
    Archive {
        id: spec.access.archive_id.to_string(),
        bucket: store.bucket.clone(),
        region: store.region.clone(),
        prefix: Some(store.prefix.clone()).filter(|prefix| !prefix.is_empty()),
        endpoint: store.endpoint.clone(),
        path_style: store.path_style,
    }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
