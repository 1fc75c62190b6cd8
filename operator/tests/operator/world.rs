//! A cluster that is none: it keeps the objects of one database, carries actions out as an API
//! server would, and plays kubelet, scheduler and garbage collector step by step.

use crate::support::database;
use k8s_openapi::api::core::v1::{
    ConfigMap, ContainerStatus, PersistentVolumeClaim, PersistentVolumeClaimCondition,
    PersistentVolumeClaimStatus, Pod, PodCondition, PodStatus, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use lumadb_operator::Settings;
use lumadb_operator::api::{LumaDatabase, LumaInstance, VolumeReport};
use lumadb_operator::build::PodResources;
use lumadb_operator::decide::{Action, Decision, Observed, Why, decide};
use std::sync::Arc;

/// More looks than any change needs to come to rest.
const LOOKS_MAX: usize = 40;

/// How the cluster takes a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resizing {
    InPlace,
    /// The machine has no room for more.
    Infeasible,
    /// The API server does not know how.
    Refused,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) now: Timestamp,
    pub(crate) resizing: Resizing,
    pub(crate) database: LumaDatabase,
    pub(crate) instance: Option<LumaInstance>,
    pub(crate) pod: Option<Pod>,
    pub(crate) claim: Option<PersistentVolumeClaim>,
    pub(crate) service: Option<Service>,
    pub(crate) service_account: Option<ServiceAccount>,
    pub(crate) network_policy: Option<NetworkPolicy>,
    pub(crate) authority: Option<ConfigMap>,
    pub(crate) secret: Option<Secret>,
    /// No control plane is there.
    pub(crate) is_alone: bool,
    /// Claims that were made, ever.
    pub(crate) claims_made: usize,
    /// How often a pod was changed so that its machine looks at it.
    pub(crate) marks: usize,
    pub(crate) pods_made: usize,
    /// Why pods were ended, in order.
    pub(crate) endings: Vec<Why>,
}

impl World {
    /// On a Friday: the window, Sunday at three, is far.
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings::default(),
            now: "2026-11-27T12:00:00Z".parse().expect("a moment"),
            resizing: Resizing::InPlace,
            database: database(),
            instance: None,
            pod: None,
            claim: None,
            service: None,
            service_account: None,
            network_policy: None,
            authority: None,
            secret: None,
            is_alone: true,
            claims_made: 0,
            marks: 0,
            pods_made: 0,
            endings: Vec::new(),
        }
    }

    pub(crate) fn observe(&self) -> Observed {
        Observed {
            database: Arc::new(self.database.clone()),
            instance: self.instance.clone().map(Arc::new),
            pod: self.pod.clone().map(Arc::new),
            claim: self.claim.clone().map(Arc::new),
            service: self.service.clone().map(Arc::new),
            service_account: self.service_account.clone().map(Arc::new),
            network_policy: self.network_policy.clone().map(Arc::new),
            secret: self.secret.clone().map(Arc::new),
            is_alone: self.is_alone,
            authority: self.authority.clone().map(Arc::new),
        }
    }

    pub(crate) fn decide(&self) -> Decision {
        decide(&self.settings, &self.observe(), self.now)
    }

    /// A change by the owner of the database.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut LumaDatabase)) {
        change(&mut self.database);
        let generation = self.database.metadata.generation.unwrap_or_default();
        self.database.metadata.generation = Some(generation + 1);
    }

    pub(crate) fn wait(&mut self, time: SignedDuration) {
        self.now = self.now.checked_add(time).expect("a moment");
    }

    /// One look; the operator dies after so many writes.
    pub(crate) fn reconcile(&mut self, writes_max: usize) -> bool {
        let decision = self.decide();
        let mut writes = 0;
        let mut changed = !decision.actions.is_empty();
        for action in &decision.actions {
            if writes == writes_max {
                return true;
            }
            self.carry_out(action);
            writes += 1;
        }
        if let (Some(wanted), Some(instance)) = (&decision.instance_status, &mut self.instance) {
            if writes == writes_max {
                return true;
            }
            let volume = instance.status.as_ref().and_then(|status| status.volume);
            let mut wanted = wanted.clone();
            wanted.volume = volume;
            if instance.status.as_ref() != Some(&wanted) {
                instance.status = Some(wanted);
                writes += 1;
                changed = true;
            }
        }
        if let Some(view) = &decision.view {
            if writes == writes_max {
                return true;
            }
            let status = view.status(&self.database, None, self.now);
            if self.database.status.as_ref() != Some(&status) {
                self.database.status = Some(status);
                changed = true;
            }
        }
        changed
    }

    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::ApplyAuthority(object) => self.authority = Some((**object).clone()),
            Action::MakeSecrets(_) => self.secret = Some(Secret::default()),
            Action::ApplyServiceAccount(object) => self.service_account = Some((**object).clone()),
            Action::ApplyNetworkPolicy(object) => self.network_policy = Some((**object).clone()),
            Action::ApplyService(object) => self.service = Some((**object).clone()),
            Action::ApplyInstance(object) => {
                let status = self.instance.take().and_then(|found| found.status);
                let mut instance = (**object).clone();
                instance.status = status;
                self.instance = Some(instance);
            }
            Action::ApplyClaim { claim, .. } => self.apply_claim(claim),
            Action::CreatePod(pod) => self.create_pod(pod),
            Action::DeletePod { uid, why, .. } => {
                if let Why::Maintenance = why {
                    self.assert_window_open();
                }
                self.delete_pod(uid, why.clone());
            }
            Action::ResizePod {
                resources,
                or_delete,
                ..
            } => self.resize_pod(*resources, or_delete.as_deref()),
            Action::MarkPod { uid, volume, .. } => self.mark_pod(uid, volume),
        }
    }

    fn assert_window_open(&self) {
        let window = &self.database.spec.maintenance_window;
        let opens = window.next(self.now, SignedDuration::ZERO);
        assert_eq!(opens, Some(self.now), "a restart outside of the window");
    }

    fn apply_claim(&mut self, claim: &PersistentVolumeClaim) {
        let mut applied = claim.clone();
        match self.claim.take() {
            None => self.claims_made += 1,
            Some(found) => {
                let volume = found
                    .spec
                    .as_ref()
                    .and_then(|spec| spec.volume_name.clone());
                assert!(
                    requested(&found) <= requested(&applied),
                    "a claim cannot shrink"
                );
                if let Some(spec) = &mut applied.spec {
                    spec.volume_name = volume;
                }
                applied.status = found.status;
            }
        }
        self.claim = Some(applied);
    }

    fn create_pod(&mut self, pod: &Pod) {
        if self.pod.is_some() {
            return;
        }
        assert!(self.network_policy.is_some(), "a pod without a policy");
        assert!(self.service_account.is_some(), "a pod without an account");
        assert!(self.authority.is_some(), "a pod without an authority");
        self.pods_made += 1;
        let mut pod = pod.clone();
        pod.metadata.uid = Some(format!("pod-{}", self.pods_made));
        pod.status = Some(PodStatus {
            phase: Some("Pending".into()),
            ..PodStatus::default()
        });
        self.pod = Some(pod);
    }

    fn delete_pod(&mut self, uid: &str, why: Why) {
        if let Some(pod) = &mut self.pod
            && pod.uid().as_deref() == Some(uid)
        {
            pod.metadata.deletion_timestamp = Some(Time(self.now));
            self.endings.push(why);
        }
    }

    fn resize_pod(&mut self, resources: PodResources, or_delete: Option<&str>) {
        match self.resizing {
            Resizing::Refused => {
                if let Some(uid) = or_delete {
                    self.assert_window_open();
                    self.delete_pod(uid, Why::Maintenance);
                }
            }
            Resizing::InPlace | Resizing::Infeasible => {
                let patch = resources.patch();
                let asked = patch["spec"]["containers"].as_array().expect("containers");
                let pod = self.pod.as_mut().expect("a pod");
                let spec = pod.spec.as_mut().expect("a spec");
                for container in &mut spec.containers {
                    let asked = asked.iter().find(|asked| asked["name"] == *container.name);
                    let asked = asked.expect("resources of each container")["resources"].clone();
                    container.resources = serde_json::from_value(asked).expect("resources");
                }
                if self.resizing == Resizing::Infeasible {
                    set_condition(pod, "PodResizePending", true, "Infeasible");
                }
            }
        }
    }

    fn mark_pod(&mut self, uid: &str, volume: &str) {
        let pod = self.pod.as_mut().expect("a pod");
        assert_eq!(pod.uid().as_deref(), Some(uid));
        let patch = lumadb_operator::build::mark_patch(uid, volume);
        for (name, value) in patch["metadata"]["annotations"].as_object().expect("some") {
            let value = value.as_str().expect("text").to_owned();
            pod.annotations_mut().insert(name.clone(), value);
        }
        self.marks += 1;
    }

    /// What the cluster does by itself, one step. Whether something changed.
    pub(crate) fn cluster(&mut self) -> bool {
        self.play_claim() | self.play_pod()
    }

    fn play_claim(&mut self) -> bool {
        let Some(claim) = &mut self.claim else {
            return false;
        };
        let spec = claim.spec.as_mut().expect("a spec");
        let asked = spec.resources.as_ref().and_then(|all| all.requests.clone());
        let status = claim.status.get_or_insert_default();
        if spec.volume_name.is_some() && status.capacity == asked {
            return false;
        }
        // A file system that is in use grows when the machine looks at the pod.
        let running = self.pod.as_ref().filter(|_| spec.volume_name.is_some());
        let size = asked.as_ref().map(|asked| asked["storage"].0.as_str());
        if running.is_some_and(|pod| lumadb_operator::build::marked(pod) != size) {
            let waits = PersistentVolumeClaimCondition {
                type_: "FileSystemResizePending".into(),
                status: "True".into(),
                ..PersistentVolumeClaimCondition::default()
            };
            let before = status.conditions.replace(vec![waits]);
            return before != status.conditions;
        }
        spec.volume_name = Some(format!("volume-{}", self.claims_made));
        *status = PersistentVolumeClaimStatus {
            phase: Some("Bound".into()),
            capacity: asked,
            ..PersistentVolumeClaimStatus::default()
        };
        true
    }

    fn play_pod(&mut self) -> bool {
        let Some(pod) = &mut self.pod else {
            return false;
        };
        if pod.metadata.deletion_timestamp.is_some() {
            self.pod = None;
            return true;
        }
        let Some(claim) = &self.claim else {
            return false;
        };
        let bound = claim
            .spec
            .as_ref()
            .and_then(|spec| spec.volume_name.as_ref());
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone());
        if bound.is_some() && phase.as_deref() == Some("Pending") {
            let engine = pod.spec.as_ref().map(|spec| spec.containers[0].clone());
            let status = pod.status.get_or_insert_default();
            status.phase = Some("Running".into());
            status.container_statuses = engine.map(|engine| {
                vec![ContainerStatus {
                    name: engine.name,
                    resources: engine.resources,
                    ready: true,
                    ..ContainerStatus::default()
                }]
            });
            set_condition(pod, "Ready", true, "");
            return true;
        }
        let infeasible = pod
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref())
            .is_some_and(|all| all.iter().any(|one| one.type_ == "PodResizePending"));
        let asked = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.containers[0].resources.clone());
        let status = pod.status.get_or_insert_default();
        match &mut status.container_statuses {
            Some(containers) if !infeasible && containers[0].resources != asked => {
                containers[0].resources = asked;
                true
            }
            _ => false,
        }
    }

    /// Looks and lets the cluster work until nothing changes any more.
    pub(crate) fn settle(&mut self) {
        let rests = (0..LOOKS_MAX).any(|_| {
            let (looked, worked) = (self.reconcile(usize::MAX), self.cluster());
            !looked && !worked
        });
        assert!(rests, "it does not come to rest: {:?}", self.decide());
    }

    /// The volume is used so far, by the word of who sees into it.
    pub(crate) fn report(&mut self, used_percent: u64) {
        let capacity = self.claim.as_ref().and_then(capacity_gib);
        if let (Some(capacity), Some(instance)) = (capacity, &mut self.instance) {
            let capacity_bytes = (capacity << 30) / 100 * 97;
            instance.status.get_or_insert_default().volume = Some(VolumeReport {
                capacity_bytes,
                used_bytes: capacity_bytes / 100 * used_percent,
            });
        }
    }

    pub(crate) fn evict(&mut self) {
        if let Some(status) = self.pod.as_mut().and_then(|pod| pod.status.as_mut()) {
            status.phase = Some("Failed".into());
            status.conditions = None;
        }
    }

    /// Status of a condition of the database.
    pub(crate) fn condition(&self, kind: &str) -> Option<(String, String)> {
        let status = self.database.status.as_ref()?;
        let found = status.conditions.iter().find(|one| one.type_ == kind)?;
        Some((found.status.clone(), found.reason.clone()))
    }

    pub(crate) fn is(&self, kind: &str) -> bool {
        self.condition(kind)
            .is_some_and(|(status, _)| status == "True")
    }

    /// Whether the pod was given what its database is to have.
    pub(crate) fn has_its_resources(&self) -> bool {
        let granted = self.pod.as_ref().and_then(PodResources::of);
        granted == Some(PodResources::wanted(&self.database))
    }
}

fn set_condition(pod: &mut Pod, kind: &str, is: bool, reason: &str) {
    let status = pod.status.get_or_insert_default();
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|found| found.type_ != kind);
    conditions.push(PodCondition {
        type_: kind.into(),
        status: if is { "True" } else { "False" }.into(),
        reason: Some(reason.into()),
        ..PodCondition::default()
    });
}

/// What a claim asks for, gibibytes.
pub(crate) fn requested(claim: &PersistentVolumeClaim) -> Option<u64> {
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    gib(&resources.requests.as_ref()?.get("storage")?.0)
}

fn capacity_gib(claim: &PersistentVolumeClaim) -> Option<u64> {
    gib(&claim.status.as_ref()?.capacity.as_ref()?.get("storage")?.0)
}

fn gib(text: &str) -> Option<u64> {
    text.strip_suffix("Gi")?.parse().ok()
}
