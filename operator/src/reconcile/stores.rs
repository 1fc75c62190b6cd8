//! What the cluster holds, kept up to date by watches: a reconcile reads nothing from elsewhere.

use super::behind::Behind;
use super::packed::{Kept, Packed};
use crate::api::{LumaDatabase, LumaInstance};
use crate::build::{AUTHORITY_NAME, DATABASE_LABEL, MANAGED_SELECTOR, instance_name};
use crate::decide::Observed;
use crate::parent::{Beyond, Nodes};
use crate::watching::backoff;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use lumadb_contract::cluster::INSTANCE_SECRET_TYPE;
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
    instances: Store<Packed<LumaInstance>>,
    pods: Store<Packed<Pod>>,
    claims: Store<Packed<PersistentVolumeClaim>>,
    services: Store<Packed<Service>>,
    service_accounts: Store<Packed<ServiceAccount>>,
    network_policies: Store<Packed<NetworkPolicy>>,
    secrets: Store<Packed<Secret>>,
    authorities: Store<Packed<ConfigMap>>,
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
        let (instances, instance_looks) = follow_ours(scope);
        let (pods, pod_looks) = follow_ours(scope);
        let (claims, claim_looks) = follow_ours(scope);
        let (services, service_looks) = follow_ours(scope);
        let (service_accounts, account_looks) = follow_ours(scope);
        let (network_policies, policy_looks) = follow_ours(scope);
        // Other Secrets and ConfigMaps of the cluster are none of ours, and are not read.
        let secret = format!("type={INSTANCE_SECRET_TYPE}");
        let config = watcher::Config::default().fields(&secret);
        let (secrets, secret_looks) = follow(scope, config, |secret: &Packed<Secret>| {
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
            follow(scope, config, move |found: &Packed<ConfigMap>| {
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

    /// A database with all of its objects. An error is a defect: one cannot be read as it was kept.
    pub(super) fn observe(&self, database: Arc<LumaDatabase>) -> serde_json::Result<Observed> {
        let namespace = database.namespace().unwrap_or_default();
        let name = database.name_any();
        let instance = instance_name(&database);
        Ok(Observed {
            instance: found(&self.instances, &instance, &namespace)?,
            pod: found(&self.pods, &instance, &namespace)?,
            claim: found(&self.claims, &instance, &namespace)?,
            service: found(&self.services, &name, &namespace)?,
            service_account: found(&self.service_accounts, &name, &namespace)?,
            network_policy: found(&self.network_policies, &name, &namespace)?,
            secret: found(&self.secrets, &name, &namespace)?,
            is_alone: *self.beyond.borrow() == Beyond::Nobody,
            authority: found(&self.authorities, AUTHORITY_NAME, &namespace)?,
            database,
        })
    }
}

fn found<K: Kept>(
    store: &Store<Packed<K>>,
    name: &str,
    namespace: &str,
) -> serde_json::Result<Option<Arc<K>>> {
    let packed = store.get(&ObjectRef::new(name).within(namespace));
    packed
        .map(|packed| packed.unpack().map(Arc::new))
        .transpose()
}

/// Keeps the objects of a kind that are ours, and asks for a look at the database of each that
/// changes.
fn follow_ours<K: Kept>(scope: &Scope) -> (Store<Packed<K>>, Looks) {
    let config = watcher::Config::default().labels(MANAGED_SELECTOR);
    follow(scope, config, |object| {
        database_of(object).into_iter().collect()
    })
}

/// Keeps objects of a kind, and asks for looks at the databases that one which changes is about.
fn follow<K: Kept>(
    scope: &Scope,
    config: watcher::Config,
    about: impl Fn(&Packed<K>) -> Vec<ObjectRef<Guarded>> + Send + 'static,
) -> (Store<Packed<K>>, Looks) {
    let (store, writer) = reflector::store();
    let looks = watcher(scope.api::<Packed<K>>(), config)
        .backoff(backoff())
        .modify(Packed::forget_version)
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

fn database_of<K: Kept>(packed: &Packed<K>) -> Option<ObjectRef<Guarded>> {
    let object = packed.unpack().ok()?;
    let name = object.labels().get(DATABASE_LABEL)?;
    let namespace = object.namespace()?;
    Some(ObjectRef::new(name).within(&namespace))
}
