//! Objects of the cluster as squeezed texts: as values of their types they take many times the memory,
//! and what is kept of a database is read only when it is looked at.

mod squeeze;

use crate::api::LumaInstance;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, PersistentVolumeClaim, Pod, PodSpec, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use squeeze::Squeezed;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A kind of which the operator keeps all objects that are its own.
pub(super) trait Kept:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Drops what nobody reads.
    fn forget(&mut self) {}
}

impl Kept for ConfigMap {}
impl Kept for LumaInstance {}
impl Kept for NetworkPolicy {}
impl Kept for PersistentVolumeClaim {}
impl Kept for Secret {}
impl Kept for Service {}
impl Kept for ServiceAccount {}
impl Kept for Pod {
    /// A specification is most of a pod, and its stamp says all that is to be known of it but for
    /// where it runs and what its containers are granted.
    fn forget(&mut self) {
        let Some(spec) = &mut self.spec else { return };
        let containers = std::mem::take(&mut spec.containers).into_iter();
        *spec = PodSpec {
            node_name: spec.node_name.take(),
            containers: containers
                .map(|container| Container {
                    name: container.name,
                    resources: container.resources,
                    ..Container::default()
                })
                .collect(),
            ..PodSpec::default()
        };
    }
}

/// An object as JSON, and by what it is found.
pub(super) struct Packed<K> {
    /// Name and namespace alone, and at first what the watch reads.
    meta: ObjectMeta,
    json: Squeezed,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kept> Packed<K> {
    fn pack(mut object: K) -> serde_json::Result<Self> {
        // Who wrote which field takes more room than the fields.
        object.meta_mut().managed_fields = None;
        object.forget();
        let whole = object.meta();
        let meta = ObjectMeta {
            name: whole.name.clone(),
            namespace: whole.namespace.clone(),
            resource_version: whole.resource_version.clone(),
            ..ObjectMeta::default()
        };
        Ok(Self {
            meta,
            json: Squeezed::of(&serde_json::to_vec(&object)?).map_err(serde_json::Error::io)?,
            kind: PhantomData,
        })
    }

    /// Drops what only a watch reads: of each object a store keeps this twice.
    pub(super) fn forget_version(&mut self) {
        self.meta.resource_version = None;
    }

    /// The object but for what was dropped. An error is a defect: it was written by the same type.
    pub(super) fn unpack(&self) -> serde_json::Result<K> {
        let json = self.json.restored().map_err(serde_json::Error::io)?;
        serde_json::from_slice(&json)
    }
}

impl<'de, K: Kept> Deserialize<'de> for Packed<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::pack(K::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<K> Clone for Packed<K> {
    fn clone(&self) -> Self {
        Self {
            meta: self.meta.clone(),
            json: self.json.clone(),
            kind: PhantomData,
        }
    }
}

impl<K> fmt::Debug for Packed<K> {
    /// Without its content: it may be a secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Packed")
            .field("meta", &self.meta)
            .field("bytes", &self.json.size())
            .finish_non_exhaustive()
    }
}

impl<K: Kept> Resource for Packed<K> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::ResourceExt;
    use serde_json::json;

    #[test]
    fn what_is_read_of_a_pod_comes_back_and_the_rest_is_dropped() {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "a-1",
                "namespace": "tenants",
                "uid": "u",
                "resourceVersion": "7",
                "labels": {"one": "two"},
                "managedFields": [{"manager": "somebody"}],
            },
            "spec": {
                "nodeName": "machine",
                "volumes": [{"name": "instance"}],
                "containers": [{
                    "name": "engine",
                    "image": "an/image",
                    "resources": {"limits": {"cpu": "1"}},
                }],
            },
            "status": {"phase": "Running"},
        });
        let packed: Packed<Pod> = serde_json::from_value(pod).expect("a pod");
        assert_eq!(packed.name_any(), "a-1");
        assert_eq!(packed.resource_version().as_deref(), Some("7"));
        let found = packed.unpack().expect("a pod");
        let kept = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "a-1",
                "namespace": "tenants",
                "uid": "u",
                "resourceVersion": "7",
                "labels": {"one": "two"},
            },
            "spec": {
                "nodeName": "machine",
                "containers": [{"name": "engine", "resources": {"limits": {"cpu": "1"}}}],
            },
            "status": {"phase": "Running"},
        });
        assert_eq!(serde_json::to_value(found).expect("JSON"), kept);
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = json!({
            "metadata": {"name": "a"},
            "data": {"key": "c2VjcmV0"},
        });
        let packed: Packed<Secret> = serde_json::from_value(secret).expect("a secret");
        let found = packed.unpack().expect("a secret");
        assert_eq!(found.data.expect("data")["key"].0, b"secret");
        assert!(!format!("{packed:?}").contains("c2VjcmV0"));
    }
}
