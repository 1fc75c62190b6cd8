//! Whose node may attach, and what it is told: kept true by every look at a database.

use super::connection::Shown;
use super::intake::{Beyond, Intake};
use super::names::NodeNames;
use super::{authority, spec};
use crate::api::Compute;
use crate::build::{self, SQL_PORT};
use crate::decide::Observed;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::InstanceStatus;
use lumadb_contract::route::NodeAddress;
use lumadb_contract::stream::NodeHello;
use lumadb_parent::{Expected, Identity, Parent};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tonic::Extensions;

/// What is counted of nodes that came.
#[derive(Debug, Default)]
pub(super) struct Counters {
    certified: AtomicU64,
    /// By why.
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    pub(super) fn certified(&self) {
        self.certified.fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self, why: &'static str) {
        *lock(&self.refused).entry(why).or_default() += 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The node of a database, as the cluster has it.
#[derive(Debug)]
pub(crate) struct NodePod {
    pub(super) namespace: String,
    /// UID of the `LumaDatabase`: one of before it under the same name is another.
    database_uid: String,
    /// Where clients reach it inside of the cluster.
    host: String,
    /// Its pod, while there is one.
    pod: Mutex<Option<FoundPod>>,
    /// Where the node of which pod, by its UID, dialed from last.
    dialed: Mutex<Option<(String, IpAddr)>>,
    counters: Arc<Counters>,
}

/// What of a pod is told on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FoundPod {
    uid: String,
    /// Its address, once it has one.
    address: Option<String>,
    /// It was told to end.
    is_leaving: bool,
}

impl FoundPod {
    fn of(pod: &Pod) -> Option<Self> {
        let status = pod.status.as_ref();
        Some(Self {
            uid: pod.uid()?,
            address: status.and_then(|status| status.pod_ip.clone()),
            is_leaving: pod.metadata.deletion_timestamp.is_some(),
        })
    }
}

impl NodePod {
    pub(super) fn pod_uid(&self) -> Option<String> {
        lock(&self.pod).as_ref().map(|pod| pod.uid.clone())
    }

    fn is_leaving(&self) -> bool {
        lock(&self.pod).as_ref().is_some_and(|pod| pod.is_leaving)
    }

    /// The pod's own address, or that which its node comes from: the cluster says the first up to a second
    /// after the pod has begun. The name of its service leads there too, as late, and whoever has looked that
    /// up remembers the address of a pod before for a while.
    fn address(&self) -> NodeAddress {
        let known = lock(&self.pod);
        let own = known.as_ref().and_then(|pod| {
            let dialed = lock(&self.dialed);
            let dialed = dialed.as_ref().filter(|(uid, _)| *uid == pod.uid);
            let dialed = dialed.map(|(_, address)| address.to_string());
            pod.address.clone().or(dialed)
        });
        NodeAddress::Cluster {
            host: own.unwrap_or_else(|| self.host.clone()),
            port: SQL_PORT,
        }
    }

    fn judge(&self, shown: &Shown, hello: &NodeHello) -> Result<(), (&'static str, &'static str)> {
        let Some(NodeNames {
            database_id,
            incarnation_id,
            pod_uid,
        }) = &shown.names
        else {
            return Err(("no_certificate", "no certificate of a node was shown"));
        };
        if *database_id != hello.database_id {
            let why = "the certificate is of another database's node";
            return Err(("other_database", why));
        }
        if *incarnation_id != hello.incarnation_id {
            let why = "the certificate is of another incarnation";
            return Err(("other_incarnation", why));
        }
        if self.pod_uid().as_ref() != Some(pod_uid) {
            let why = "the certificate is of another pod than the database has";
            return Err(("other_pod", why));
        }
        Ok(())
    }
}

impl Identity for NodePod {
    type Shown = Shown;

    fn shown(connection: &Extensions) -> Shown {
        connection.get::<Shown>().cloned().unwrap_or_default()
    }

    fn admit(&self, shown: &Shown, hello: &NodeHello) -> Result<(), &'static str> {
        self.judge(shown, hello).map_err(|(label, why)| {
            self.counters.refused(label);
            why
        })?;
        *lock(&self.dialed) = self.pod_uid().zip(shown.address);
        Ok(())
    }

    fn stream_lifetime(&self) -> Option<Duration> {
        authority::NODE_LIFETIME.try_into().ok()
    }
}

/// What is seen of a database's node.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    pub(super) is_attached: bool,
    pub(super) has_pod: bool,
    /// Its pod was told to end, and is not gone yet.
    pub(super) is_leaving: bool,
    /// The last that it said.
    pub(super) status: Option<InstanceStatus>,
    pub(super) address: NodeAddress,
    pub(super) namespace: String,
}

/// The nodes of all databases.
#[derive(Debug)]
pub(crate) struct Nodes {
    parent: Parent<NodePod, Intake>,
    intake: Intake,
    counters: Arc<Counters>,
    /// UIDs of databases that were there when they were first listed, and were not looked at yet.
    /// `None`: they were not listed yet.
    unseen: Mutex<Option<HashSet<String>>>,
    /// A stream to the control plane is open.
    is_linked: AtomicBool,
}

impl Nodes {
    pub(crate) fn new() -> Self {
        let intake = Intake::default();
        Self {
            parent: Parent::new(intake.clone()),
            intake,
            counters: Arc::default(),
            unseen: Mutex::default(),
            is_linked: AtomicBool::default(),
        }
    }

    pub(super) fn parent(&self) -> &Parent<NodePod, Intake> {
        &self.parent
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Whether there is a control plane.
    pub(crate) fn beyond(&self) -> watch::Receiver<Beyond> {
        self.intake.beyond()
    }

    pub(super) fn set_linked(&self, is_linked: bool) {
        self.is_linked.store(is_linked, Relaxed);
    }

    /// Every database whose node may attach.
    pub(super) fn known(&self) -> BTreeSet<DatabaseId> {
        self.parent.expected().into_iter().collect()
    }

    /// Whether every database that was there at the beginning was looked at.
    pub(super) fn is_listed(&self) -> bool {
        lock(&self.unseen).as_ref().is_some_and(HashSet::is_empty)
    }

    /// What is seen of a node; `None`: no database of this ID is here.
    pub(super) fn sight(&self, database: DatabaseId) -> Option<Sight> {
        let expected = self.parent.find(database)?;
        let seen = expected.seen();
        let seen = seen.borrow();
        let identity = expected.identity();
        Some(Sight {
            is_attached: seen.stream.is_some(),
            has_pod: identity.pod_uid().is_some(),
            is_leaving: identity.is_leaving(),
            status: seen.status.clone(),
            address: identity.address(),
            namespace: identity.namespace.clone(),
        })
    }

    /// A database was looked at, understood or not.
    pub(crate) fn looked_at(&self, uid: &str) {
        if let Some(unseen) = &mut *lock(&self.unseen) {
            unseen.remove(uid);
        }
    }

    /// Takes over what was found of a database. `granted` is the compute that its pod has.
    pub(crate) fn keep(&self, observed: &Observed, granted: Option<Compute>) {
        let database = &*observed.database;
        let Ok(id) = DatabaseId::parse_label(&database.name_any()) else {
            return;
        };
        let Some(expected) = self.expected(id, observed) else {
            return;
        };
        let pod = observed.pod.as_deref();
        let pod = pod
            .filter(|pod| belongs(pod, &expected.identity().database_uid))
            .and_then(FoundPod::of);
        let changed = {
            let mut known = lock(&expected.identity().pod);
            let changed = *known != pod;
            *known = pod;
            changed
        };
        if changed {
            lumadb_parent::Intake::noticed(&self.intake, id);
        }
        let Some(secret) = observed.secret.as_deref() else {
            return;
        };
        match spec::compose(id, database, secret, granted) {
            Ok(spec) => expected.push(Arc::new(spec)),
            Err(error) => tracing::warn!(database = %id, %error, "its node is told nothing new"),
        }
    }

    /// The entry of a database; `None` where the ID is that of a database in another namespace.
    fn expected(&self, id: DatabaseId, observed: &Observed) -> Option<Arc<Expected<NodePod>>> {
        let database = &*observed.database;
        let namespace = database.namespace().unwrap_or_default();
        let database_uid = database.uid().unwrap_or_default();
        if let Some(known) = self.parent.find(id) {
            if known.identity().database_uid == database_uid {
                return Some(known);
            }
            let other = &known.identity().namespace;
            if *other != namespace {
                self.counters.refused("other_namespace");
                tracing::warn!(
                    database = %id,
                    namespace,
                    other,
                    "two namespaces have a database of this ID: the node of the first is heard"
                );
                return None;
            }
        }
        let identity = NodePod {
            namespace,
            database_uid,
            host: build::address(database),
            pod: Mutex::default(),
            dialed: Mutex::default(),
            counters: self.counters.clone(),
        };
        Some(self.parent.expect(id, identity))
    }

    /// A database is gone.
    pub(crate) fn forget(&self, name: &str, uid: Option<&str>) {
        let Ok(id) = DatabaseId::parse_label(name) else {
            return;
        };
        let known = self.parent.find(id);
        if known.is_some_and(|known| Some(known.identity().database_uid.as_str()) == uid) {
            self.parent.forget(id);
            lumadb_parent::Intake::noticed(&self.intake, id);
        }
    }

    /// These are all databases that there are, by UID: others are gone.
    pub(crate) fn retain(&self, there: &HashSet<String>) {
        lock(&self.unseen).get_or_insert_with(|| there.clone());
        for id in self.parent.expected() {
            let known = self.parent.find(id);
            if known.is_some_and(|known| !there.contains(&known.identity().database_uid)) {
                self.parent.forget(id);
                lumadb_parent::Intake::noticed(&self.intake, id);
            }
        }
    }

    /// In the text format of Prometheus.
    pub(crate) fn render(&self, text: &mut String) {
        let attached = self
            .parent
            .expected()
            .into_iter()
            .filter_map(|id| self.parent.find(id))
            .filter(|expected| expected.seen().borrow().stream.is_some())
            .count();
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            "# HELP lumadb_operator_nodes Nodes that are attached.\n\
             # TYPE lumadb_operator_nodes gauge\n\
             lumadb_operator_nodes {attached}\n\
             # HELP lumadb_operator_linked Whether a stream to the control plane is open.\n\
             # TYPE lumadb_operator_linked gauge\n\
             lumadb_operator_linked {}\n\
             # HELP lumadb_operator_certificates_total Certificates that were given to nodes.\n\
             # TYPE lumadb_operator_certificates_total counter\n\
             lumadb_operator_certificates_total {}\n\
             # HELP lumadb_operator_nodes_refused_total Nodes that were turned away.\n\
             # TYPE lumadb_operator_nodes_refused_total counter",
            u8::from(self.is_linked.load(Relaxed)),
            self.counters.certified.load(Relaxed)
        );
        for (why, count) in &*lock(&self.counters.refused) {
            let _ = writeln!(
                text,
                "lumadb_operator_nodes_refused_total{{why=\"{why}\"}} {count}"
            );
        }
    }
}

fn belongs(pod: &Pod, database_uid: &str) -> bool {
    let owners = pod.owner_references();
    owners
        .iter()
        .any(|owner| owner.controller == Some(true) && owner.uid == database_uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str, address: Option<&str>) -> FoundPod {
        FoundPod {
            uid: uid.into(),
            address: address.map(Into::into),
            is_leaving: false,
        }
    }

    #[test]
    fn a_node_is_where_its_pod_is_or_else_where_it_dialed_from() {
        let node = NodePod {
            namespace: "tenants".into(),
            database_uid: "1".into(),
            host: "name.tenants.svc".into(),
            pod: Mutex::default(),
            dialed: Mutex::default(),
            counters: Arc::default(),
        };
        let is_at = |host: &str| {
            let port = SQL_PORT;
            let host = host.to_owned();
            assert_eq!(node.address(), NodeAddress::Cluster { host, port });
        };
        is_at("name.tenants.svc");
        *lock(&node.pod) = Some(pod("2", None));
        *lock(&node.dialed) = Some(("2".into(), IpAddr::from([10, 0, 0, 2])));
        is_at("10.0.0.2");
        *lock(&node.pod) = Some(pod("2", Some("10.0.0.20")));
        is_at("10.0.0.20");
        *lock(&node.pod) = Some(pod("3", None));
        is_at("name.tenants.svc");
    }
}
