//! From what is asked and what is there to what is done next: values in, values out.
//!
//! Level-triggered: a decision follows from one look at the whole and from nothing before it, so it
//! may be made twice, late, by another process, or after a death between any two of its actions.
//! Names of objects follow from the database's name and the cluster admits a name once: nothing is
//! doubled. Objects are owned by their database: nothing is orphaned.
//!
//! What restarts a database: a field that a running pod cannot take over, at once, for its owner
//! asked for it; anything else, such as a newer operator that builds pods otherwise, in the
//! maintenance window alone.
//!
//! No I/O, no clock, no random number.

mod action;
mod pod;
mod storage;
mod view;

pub use action::{Action, Note, Why};
pub use view::View;

use crate::api::{InstancePod, LumaDatabase, LumaInstance, LumaInstanceStatus};
use crate::build::{self, Built, Stamp};
use crate::canonical::is_within;
use crate::settings::Settings;
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde_json::Value;
use std::sync::Arc;

/// When what waits for something that gives no sign is looked at again.
const WAITING: SignedDuration = SignedDuration::from_secs(10);

/// A database and all of its objects, as the cluster has them.
#[derive(Debug, Clone)]
pub struct Observed {
    pub database: Arc<LumaDatabase>,
    pub instance: Option<Arc<LumaInstance>>,
    pub pod: Option<Arc<Pod>>,
    pub claim: Option<Arc<PersistentVolumeClaim>>,
    pub service: Option<Arc<Service>>,
    pub service_account: Option<Arc<ServiceAccount>>,
    pub network_policy: Option<Arc<NetworkPolicy>>,
    /// What its node is told and the database does not say.
    pub secret: Option<Arc<Secret>>,
    /// No control plane is there that would write that.
    pub is_alone: bool,
    /// Of its namespace.
    pub authority: Option<Arc<ConfigMap>>,
}

impl Observed {
    /// What is asked of a new database and nobody here can carry out: made without it, it would be
    /// another one than was meant.
    fn beyond_us(&self) -> Option<&'static str> {
        let spec = &self.database.spec;
        if !self.is_alone || self.secret.is_some() {
            return None;
        }
        let asked = [
            ("spec.bootstrap.restore", spec.bootstrap.restore.is_some()),
            ("spec.bootstrap.branch", spec.bootstrap.branch.is_some()),
            ("spec.archive", spec.archive.is_some()),
        ];
        asked
            .into_iter()
            .find_map(|(field, is)| is.then_some(field))
    }

    /// An object under one of our names that a database before this one left, or somebody else made.
    fn leftover(&self) -> Option<String> {
        let uid = self.database.uid();
        let of_another = |object: &dyn Owned, must: bool| {
            let owner = object.database_uid();
            let other = owner
                .as_ref()
                .is_some_and(|owner| Some(owner) != uid.as_ref());
            (other || (must && owner.is_none())).then(|| object.title())
        };
        let pod = self.pod.as_deref().map(|found| of_another(found, true));
        let rest = [
            self.claim.as_deref().map(|found| of_another(found, false)),
            self.instance
                .as_deref()
                .map(|found| of_another(found, false)),
            self.service
                .as_deref()
                .map(|found| of_another(found, false)),
            self.service_account
                .as_deref()
                .map(|found| of_another(found, false)),
            self.network_policy
                .as_deref()
                .map(|found| of_another(found, false)),
        ];
        pod.flatten()
            .or_else(|| rest.into_iter().flatten().flatten().next())
    }
}

/// Who an object belongs to.
trait Owned {
    /// The UID of the `LumaDatabase` that owns it.
    fn database_uid(&self) -> Option<String>;

    /// Kind and name, for people.
    fn title(&self) -> String;
}

impl<K: Built> Owned for K {
    fn database_uid(&self) -> Option<String> {
        let owners = self.owner_references();
        let controller = owners.iter().find(|owner| owner.controller == Some(true))?;
        Some(controller.uid.clone())
    }

    fn title(&self) -> String {
        format!("{} {}", K::kind(&()), self.name_any())
    }
}

/// What is done next, and what is said of the database.
#[derive(Debug, Clone)]
pub struct Decision {
    /// In this order. Each may be done twice.
    pub actions: Vec<Action>,
    /// `None`: the database is being deleted, and nothing is said any more.
    pub view: Option<View>,
    /// What the instance's status shall say.
    pub instance_status: Option<LumaInstanceStatus>,
    /// When to look again, should nothing happen before.
    pub look_at: Option<Timestamp>,
}

/// Decides.
pub fn decide(settings: &Settings, observed: &Observed, now: Timestamp) -> Decision {
    let database = &observed.database;
    if database.metadata.deletion_timestamp.is_some() {
        // The cluster removes what the database owns; nothing is made anew meanwhile.
        return Decision {
            actions: Vec::new(),
            view: None,
            instance_status: None,
            look_at: None,
        };
    }
    let Some(wanted) = build::pod(database, settings) else {
        let message = "the name is not the ID of a database".to_owned();
        return blocked(View::stalled(database, "InvalidName", message), None);
    };
    if let Some(object) = observed.leftover() {
        let message =
            format!("{object} belongs to another owner; waiting until it has been removed");
        let view = View::pending(database, "LeftoverObject", message);
        return blocked(view, now.checked_add(WAITING).ok());
    }
    if let Some(field) = observed.beyond_us() {
        let message = format!(
            "{field} is carried out for databases of a control plane, and none is there: nothing is made"
        );
        let view = View::stalled(database, "NeedsControlPlane", message);
        return blocked(view, now.checked_add(WAITING).ok());
    }
    let mut actions = around(settings, observed);
    let storage = storage::decide(observed);
    let instance = pod::decide(observed, &wanted, storage.is_usable(), now);
    actions.extend(storage.creation.clone());
    actions.extend(instance.action.clone());
    // Last: a cluster that cannot grow volumes refuses it, and the rest is done all the same.
    actions.extend(storage.growth.clone());
    actions.extend(storage.mark.clone());
    let look_at = instance.look_at;
    let instance_status = instance_status(observed, &instance);
    Decision {
        actions,
        view: Some(View::new(database, instance, storage)),
        instance_status: Some(instance_status),
        look_at,
    }
}

fn blocked(view: View, look_at: Option<Timestamp>) -> Decision {
    Decision {
        actions: Vec::new(),
        view: Some(view),
        instance_status: None,
        look_at,
    }
}

/// What surrounds pod and volume. The policy comes before the pod: no pod runs without it; and what
/// the pod mounts.
fn around(settings: &Settings, observed: &Observed) -> Vec<Action> {
    let database = &observed.database;
    let authority = build::authority(database, settings);
    let account = build::service_account(database);
    let policy = build::network_policy(database, settings);
    let service = build::service(database);
    let instance = build::instance(database);
    let mut actions = Vec::new();
    if differs(&authority, observed.authority.as_deref()) {
        actions.push(Action::ApplyAuthority(Box::new(authority)));
    }
    if differs(&account, observed.service_account.as_deref()) {
        actions.push(Action::ApplyServiceAccount(Box::new(account)));
    }
    if observed.secret.is_none() && observed.is_alone {
        actions.push(Action::MakeSecrets(database.clone()));
    }
    if differs(&policy, observed.network_policy.as_deref()) {
        actions.push(Action::ApplyNetworkPolicy(Box::new(policy)));
    }
    if differs(&service, observed.service.as_deref()) {
        actions.push(Action::ApplyService(Box::new(service)));
    }
    if differs(&instance, observed.instance.as_deref()) {
        actions.push(Action::ApplyInstance(Box::new(instance)));
    }
    actions
}

/// Whether what was found is not what was built, by its stamp or because somebody changed it since.
fn differs<K: Built>(built: &K, found: Option<&K>) -> bool {
    let Some(found) = found else { return true };
    let same = match (Stamp::of(found), Stamp::of(built)) {
        (Some(found), Some(built)) => built.same_build(&found),
        _ => false,
    };
    !same || !is_within(&comparable(built), &comparable(found))
}

/// An object but for its owners, which the stamp covers and to which others may add.
fn comparable<K: Built>(object: &K) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("ownerReferences");
    }
    value
}

fn instance_status(observed: &Observed, instance: &pod::Instance) -> LumaInstanceStatus {
    let pod = observed.pod.as_deref();
    let status = pod.and_then(|pod| pod.status.as_ref());
    LumaInstanceStatus {
        phase: Some(instance.phase),
        pod: pod.map(|pod| InstancePod {
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            ip: status.and_then(|status| status.pod_ip.clone()),
        }),
        compute: instance.compute,
        // Another's to say.
        volume: None,
    }
}
