//! From a database to its objects: values in, values out.
//!
//! Every object of a database has a name that follows from the database's, so that making it twice
//! makes one, and is owned by the `LumaDatabase`, so that the cluster removes it with that. Pods are
//! owned directly: no StatefulSet stands between, whose templates could not be resized.
//!
//! No I/O, no clock, no random number.

mod authority;
mod claim;
mod instance;
mod network_policy;
mod pod;
mod secret;
mod service;
mod stamp;

pub use authority::authority;
pub use claim::claim;
pub use instance::{instance, service_account};
pub use network_policy::network_policy;
pub use pod::{ENGINE_CONTAINER, NODE_CONTAINER, PodResources, mark_patch, marked, pod};
pub use secret::{PASSWORD_KEY, instance_secret, owner_secret};
pub use service::{address, service};
pub use stamp::{Stamp, stamp};

use crate::api::{GROUP, LumaDatabase};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};
use std::collections::BTreeMap;

/// Under which name the operator writes, in `managedFields`.
pub const FIELD_MANAGER: &str = "lumadb-operator";

/// Label of every object: which database it belongs to.
pub const DATABASE_LABEL: &str = "lumadb.cloud/database";

/// Label of a pod: which instance it is.
pub const INSTANCE_LABEL: &str = "lumadb.cloud/instance";

/// Label of every object that the operator made.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// Selects what the operator made for databases.
pub const MANAGED_SELECTOR: &str =
    "app.kubernetes.io/managed-by=lumadb-operator,lumadb.cloud/database";

/// Name of the ConfigMap that holds the authority of the operator's certificate, in each namespace
/// of databases, and its key there.
pub const AUTHORITY_NAME: &str = "lumadb-operator-ca";
pub const AUTHORITY_FILE: &str = "ca.crt";

/// Clients of the database reach the node here.
pub const SQL_PORT: u16 = 5432;

/// Health and metrics of the node.
pub const METRICS_PORT: u16 = 9187;

/// What a name of ours is asked of; the API server admits no `LumaDatabase` without one.
pub fn database_name(database: &LumaDatabase) -> String {
    database.name_any()
}

/// Name of the one instance that a database has: of its pod and its claim, too.
pub fn instance_name(database: &LumaDatabase) -> String {
    instance_name_of(&database.name_any())
}

/// The same, by the database's name.
pub fn instance_name_of(database: &str) -> String {
    format!("{database}-1")
}

/// Name of the Secret with the owner's password, where no control plane gives it out.
pub fn owner_secret_name(database: &LumaDatabase) -> String {
    format!("{}-owner", database.name_any())
}

/// Labels of everything of a database.
pub fn labels(database: &LumaDatabase) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/name".into(), "lumadb-instance".into()),
        (MANAGED_BY_LABEL.into(), FIELD_MANAGER.into()),
        (DATABASE_LABEL.into(), database_name(database)),
    ])
}

/// Labels that select the pod of an instance.
fn selector(database: &LumaDatabase) -> BTreeMap<String, String> {
    BTreeMap::from([
        (MANAGED_BY_LABEL.into(), FIELD_MANAGER.into()),
        (DATABASE_LABEL.into(), database_name(database)),
    ])
}

/// The reference by which the cluster removes an object with its database.
pub fn owner(database: &LumaDatabase) -> Option<OwnerReference> {
    database.controller_owner_ref(&())
}

fn metadata(database: &LumaDatabase, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: database.namespace(),
        labels: Some(labels(database)),
        owner_references: owner(database).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// An annotation of ours.
fn annotation(name: &str) -> String {
    format!("{GROUP}/{name}")
}

/// The kinds of objects that are made for a database beside its instances.
pub trait Built: Resource<DynamicType = ()> + serde::Serialize {}

impl Built for ConfigMap {}
impl Built for PersistentVolumeClaim {}
impl Built for Pod {}
impl Built for Service {}
impl Built for ServiceAccount {}
impl Built for NetworkPolicy {}
impl Built for crate::api::LumaInstance {}
