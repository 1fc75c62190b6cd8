//! What the cluster holds, kept up to date by watches: a reconcile reads nothing from elsewhere.

use super::behind::Behind;
use crate::api::{LumaDatabase, LumaInstance};
use crate::build::{AUTHORITY_NAME, DATABASE_LABEL, MANAGED_SELECTOR, instance_name};
use crate::decide::Observed;
use crate::parent::{Beyond, Nodes};
use crate::watching::backoff;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, PersistentVolumeClaim, Pod, PodSpec, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use lumadb_contract::cluster::INSTANCE_SECRET_TYPE;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;

/// A database that may hold what this version of the operator does not know: one such does not keep
/// the others from being read.
pub(super) type Guarded = DeserializeGuard<LumaDatabase>;

/// Asks for a look at a database. It says nothing of what happened.
pub(super) type Looks = BoxStream<'static, ObjectRef<Guarded>>;

/// Objects of databases, by name.
pub(super) struct Stores {
    instances: Store<LumaInstance>,
    pods: Store<Pod>,
    claims: Store<PersistentVolumeClaim>,
    services: Store<Service>,
    service_accounts: Store<ServiceAccount>,
    network_policies: Store<NetworkPolicy>,
    secrets: Store<Secret>,
    authorities: Store<ConfigMap>,
    /// Whether there is a control plane.
    beyond: watch::Receiver<Beyond>,
}

/// Where databases are looked for: one namespace, or all.
pub(super) struct Scope {
    pub(super) client: Client,
    pub(super) namespace: Option<String>,
}

impl Scope {
    pub(super) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }
}

impl Stores {
    /// The stores, and the stream that fills them and must be polled.
    pub(super) fn open(
        scope: &Scope,
        databases: Store<Guarded>,
        beyond: watch::Receiver<Beyond>,
    ) -> (Self, Looks) {
        let (instances, instance_looks) = follow_ours(scope, forget_writers);
        let (pods, pod_looks) = follow_ours(scope, forget_all_but_compute);
        let (claims, claim_looks) = follow_ours(scope, forget_writers);
        let (services, service_looks) = follow_ours(scope, forget_writers);
        let (service_accounts, account_looks) = follow_ours(scope, forget_writers);
        let (network_policies, policy_looks) = follow_ours(scope, forget_writers);
        // Other Secrets and ConfigMaps of the cluster are none of ours, and are not read.
        let secret = format!("type={INSTANCE_SECRET_TYPE}");
        let config = watcher::Config::default().fields(&secret);
        let (secrets, secret_looks) = follow(scope, config, forget_writers, |secret: &Secret| {
            let namespace = secret.namespace().unwrap_or_default();
            vec![ObjectRef::new(&secret.name_any()).within(&namespace)]
        });
        let authority = format!("metadata.name={AUTHORITY_NAME}");
        let config = watcher::Config::default().fields(&authority);
        let all = databases.clone();
        let beyond_looks = WatchStream::new(beyond.clone()).flat_map(move |_| {
            let looks = all.state().into_iter();
            stream::iter(looks.map(|database| ObjectRef::from_obj(&*database)))
        });
        let (authorities, authority_looks) =
            follow(scope, config, forget_writers, move |found: &ConfigMap| {
                let namespace = found.namespace();
                let all = databases.state().into_iter();
                all.filter(|database| database.namespace() == namespace)
                    .map(|database| ObjectRef::from_obj(&*database))
                    .collect()
            });
        let stores = Self {
            instances,
            pods,
            claims,
            services,
            service_accounts,
            network_policies,
            secrets,
            authorities,
            beyond,
        };
        let looks = stream::select_all([
            instance_looks,
            pod_looks,
            claim_looks,
            service_looks,
            account_looks,
            policy_looks,
            secret_looks,
            authority_looks,
            beyond_looks.boxed(),
        ]);
        (stores, looks.boxed())
    }

    /// Waits until each holds what the cluster held when it was first asked.
    pub(super) async fn ready(&self) -> Result<(), reflector::store::WriterDropped> {
        self.instances.wait_until_ready().await?;
        self.pods.wait_until_ready().await?;
        self.claims.wait_until_ready().await?;
        self.services.wait_until_ready().await?;
        self.service_accounts.wait_until_ready().await?;
        self.network_policies.wait_until_ready().await?;
        self.secrets.wait_until_ready().await?;
        self.authorities.wait_until_ready().await
    }

    /// A database with all of its objects.
    pub(super) fn observe(&self, database: Arc<LumaDatabase>) -> Observed {
        let namespace = database.namespace().unwrap_or_default();
        let name = database.name_any();
        let instance = instance_name(&database);
        Observed {
            instance: found(&self.instances, &instance, &namespace),
            pod: found(&self.pods, &instance, &namespace),
            claim: found(&self.claims, &instance, &namespace),
            service: found(&self.services, &name, &namespace),
            service_account: found(&self.service_accounts, &name, &namespace),
            network_policy: found(&self.network_policies, &name, &namespace),
            secret: found(&self.secrets, &name, &namespace),
            is_alone: *self.beyond.borrow() == Beyond::Nobody,
            authority: found(&self.authorities, AUTHORITY_NAME, &namespace),
            database,
        }
    }
}

fn found<K>(store: &Store<K>, name: &str, namespace: &str) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace))
}

/// Keeps the objects of a kind that are ours, and asks for a look at the database of each that
/// changes.
fn follow_ours<K>(scope: &Scope, forget: fn(&mut K)) -> (Store<K>, Looks)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    let config = watcher::Config::default().labels(MANAGED_SELECTOR);
    follow(scope, config, forget, |object| {
        database_of(object).into_iter().collect()
    })
}

/// Keeps objects of a kind, and asks for looks at the databases that one which changes is about.
fn follow<K>(
    scope: &Scope,
    config: watcher::Config,
    forget: fn(&mut K),
    about: impl Fn(&K) -> Vec<ObjectRef<Guarded>> + Send + 'static,
) -> (Store<K>, Looks)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let looks = watcher(scope.api::<K>(), config)
        .backoff(backoff())
        .modify(forget)
        .reflect(writer)
        .touched_objects()
        .flat_map(move |seen| {
            let looks = match seen {
                Ok(object) => about(&object),
                Err(error) => {
                    let kind = K::kind(&());
                    tracing::warn!(%kind, %error, "a watch broke off; it begins again");
                    Vec::new()
                }
            };
            stream::iter(looks)
        });
    (store, looks.boxed())
}

/// The databases themselves, and a stream that must be polled.
pub(super) fn databases(
    scope: &Scope,
    nodes: Arc<Nodes>,
    behind: Arc<Behind>,
) -> (
    Store<Guarded>,
    BoxStream<'static, Result<Guarded, watcher::Error>>,
) {
    let (store, writer) = reflector::store();
    let filled: Store<Guarded> = store.clone();
    let seen = watcher(scope.api::<Guarded>(), watcher::Config::default())
        .backoff(backoff())
        .modify(forget_writers)
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(watcher::Event::Delete(gone)) => {
                let uid = gone.meta().uid.as_deref();
                nodes.forget(&gone.name_any(), uid);
                behind.forget(uid);
            }
            // What went while the watch was broken is missed in a new list alone.
            Ok(watcher::Event::InitDone) => {
                let there = filled.state().into_iter().filter_map(|found| found.uid());
                let there = there.collect();
                nodes.retain(&there);
                behind.retain(&there);
            }
            _ => {}
        })
        .applied_objects();
    (store, seen.boxed())
}

/// Who wrote which field takes more memory than the fields.
fn forget_writers<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// A pod's specification takes more memory than all the rest of a database, and its stamp says all that
/// is to be known of it but for where it runs and what its containers are granted.
fn forget_all_but_compute(pod: &mut Pod) {
    forget_writers(pod);
    if let Some(spec) = &mut pod.spec {
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

fn database_of<K: Resource>(object: &K) -> Option<ObjectRef<Guarded>> {
    let name = object.labels().get(DATABASE_LABEL)?;
    let namespace = object.namespace()?;
    Some(ObjectRef::new(name).within(&namespace))
}
