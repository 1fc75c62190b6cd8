//! The pod: made, ended, resized, and restarted for what its owner asked or in the window.

use super::{Action, Observed, Why};
use crate::api::{Compute, DatabasePhase, InstancePhase, LumaDatabase};
use crate::build::{ENGINE_CONTAINER, PodResources, Stamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use lumadb_contract::id::DatabaseId;

/// From one pod to the next, where they end as soon as they begin.
const ENDED_PAUSE: SignedDuration = SignedDuration::from_secs(20);

/// What is done with the pod, and how the instance stands.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) action: Option<Action>,
    pub(super) phase: InstancePhase,
    pub(super) database_phase: DatabasePhase,
    /// Why it is in this phase: a word, and a sentence.
    pub(super) reason: String,
    pub(super) message: String,
    /// Compute that the running engine was granted.
    pub(super) compute: Option<Compute>,
    /// The running pod is given other resources.
    pub(super) resizes: Option<String>,
    /// What waits for the maintenance window.
    pub(super) pending: Option<Pending>,
    pub(super) look_at: Option<Timestamp>,
}

/// A restart that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// When the window opens; now while it is open.
    pub(super) opens: Option<Timestamp>,
}

pub(super) fn decide(
    observed: &Observed,
    wanted: &Pod,
    volume_usable: bool,
    now: Timestamp,
) -> Instance {
    let database = &observed.database;
    let suspended = database.spec.suspend;
    let Some(pod) = observed.pod.as_deref() else {
        return absent(suspended, volume_usable, wanted);
    };
    let mut instance = running(pod);
    if pod.metadata.deletion_timestamp.is_some() {
        // The machine may be out of reach: then it stays so until somebody has seen that the pod
        // runs no more, and no second one starts meanwhile.
        instance.phase = InstancePhase::Stopping;
        instance.database_phase = DatabasePhase::Stopping;
        instance.reason = "PodTerminating".into();
        instance.message = "the pod is ending".into();
        return instance;
    }
    let why = if !volume_usable {
        // A claim that is being deleted lasts as long as its pod does, and the data with it.
        None
    } else if suspended {
        Some(Why::Suspended)
    } else {
        restart(database, pod, wanted, &mut instance, now)
    };
    if let Some(why) = why {
        instance.phase = InstancePhase::Stopping;
        instance.database_phase = DatabasePhase::Stopping;
        instance.reason = "PodEnds".into();
        instance.message = format!("the pod is ended: {why}");
        instance.action = Some(delete(pod, why));
    }
    instance
}

fn absent(suspended: bool, volume_usable: bool, wanted: &Pod) -> Instance {
    let (phase, database_phase, reason, message) = if suspended {
        let message = "the database is suspended: no pod runs";
        (
            InstancePhase::Stopped,
            DatabasePhase::Suspended,
            "Suspended",
            message,
        )
    } else {
        let message = "the pod is being made";
        (
            InstancePhase::Pending,
            DatabasePhase::Pending,
            "PodMissing",
            message,
        )
    };
    Instance {
        action: (!suspended && volume_usable).then(|| Action::CreatePod(Box::new(wanted.clone()))),
        phase,
        database_phase,
        reason: reason.into(),
        message: message.into(),
        compute: None,
        resizes: None,
        pending: None,
        look_at: None,
    }
}

fn delete(pod: &Pod, why: Why) -> Action {
    Action::DeletePod {
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        why,
    }
}

/// Whether the pod ends, and what else is to be done about it.
fn restart(
    database: &LumaDatabase,
    pod: &Pod,
    wanted: &Pod,
    instance: &mut Instance,
    now: Timestamp,
) -> Option<Why> {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Failed" | "Succeeded")) {
        return ended(pod, instance, now);
    }
    let found = Stamp::of(pod);
    let built = Stamp::of(wanted)?;
    if let Some(field) = found.as_ref().and_then(|found| built.changed(found)) {
        return Some(Why::Changed(field.to_owned()));
    }
    let same_build = found.is_some_and(|found| built.same_build(&found));
    let resources = PodResources::wanted(database);
    let granted = PodResources::of(pod);
    // One whose containers have never run serves nobody: nothing is lost with it.
    let idle = phase.is_none_or(|phase| phase == "Pending");
    if idle && (!same_build || granted != Some(resources)) {
        return Some(Why::Outdated);
    }
    let window = window(database, now);
    if granted != Some(resources) {
        let is_open = window.is_some_and(|opens| opens <= now);
        instance.resizes = Some("the pod is being given other resources".into());
        instance.action = Some(Action::ResizePod {
            name: pod.name_any(),
            resources,
            or_delete: is_open.then(|| pod.uid().unwrap_or_default()),
        });
        // Should the cluster refuse it.
        instance.look_at = window.filter(|opens| *opens > now);
    } else if let Some(stuck) = resize_waits(pod) {
        let text = stuck.message.as_deref().unwrap_or("no room");
        instance.pending = Some(Pending {
            reason: "NoRoom",
            message: format!("the machine cannot grant the compute that was asked for: {text}"),
            opens: window,
        });
    } else if condition(pod, "PodResizeInProgress").is_some_and(is_true)
        // The machine may not have looked at what it was asked yet, and then says nothing of it.
        || instance.compute.is_some_and(|granted| granted != resources.engine.limit)
    {
        instance.resizes = Some("the machine is granting other resources".into());
    }
    if !same_build {
        instance.pending = Some(Pending {
            reason: "OperatorChanged",
            message: "this version of the operator builds pods otherwise".into(),
            opens: window,
        });
    }
    let pending = instance.pending.as_ref()?;
    match pending.opens {
        Some(opens) if opens <= now => Some(Why::Maintenance),
        opens => {
            instance.look_at = opens;
            None
        }
    }
}

/// A pod that has come to its end is replaced; one that ended at once, such as one that its machine
/// would not take, after a pause.
fn ended(pod: &Pod, instance: &mut Instance, now: Timestamp) -> Option<Why> {
    let made = pod.metadata.creation_timestamp.as_ref();
    let rests_until = made.and_then(|made| made.0.checked_add(ENDED_PAUSE).ok());
    match rests_until.filter(|until| *until > now) {
        None => Some(Why::Ended),
        until => {
            let status = pod.status.as_ref();
            let text = status.and_then(|status| status.message.clone());
            instance.reason = "PodEnded".into();
            instance.message = text.unwrap_or_else(|| "the pod ended as soon as it began".into());
            instance.look_at = until;
            None
        }
    }
}

/// When the window of a database is open. Databases that share one begin apart, each always at the
/// same time, so that they do not all restart at once.
fn window(database: &LumaDatabase, now: Timestamp) -> Option<Timestamp> {
    let window = &database.spec.maintenance_window;
    let id = DatabaseId::parse_label(&database.name_any()).ok()?;
    let half_seconds = u128::from(window.duration_minutes) * 30;
    let delay = i64::try_from(id.uuid().as_u128() % half_seconds.max(1)).ok()?;
    window.next(now, SignedDuration::from_secs(delay))
}

fn resize_waits(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, "PodResizePending").filter(|found| is_true(found))
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|found| found.type_ == kind)
}

fn is_true(condition: &PodCondition) -> bool {
    condition.status == "True"
}

/// How a pod stands that is not ending.
fn running(pod: &Pod) -> Instance {
    let status = pod.status.as_ref();
    let ready = condition(pod, "Ready").is_some_and(is_true);
    let unscheduled = condition(pod, "PodScheduled").filter(|found| !is_true(found));
    let (phase, database_phase, reason, message) = if ready {
        (
            InstancePhase::Ready,
            DatabasePhase::Ready,
            "Ready".to_owned(),
            "clients can connect".to_owned(),
        )
    } else if let Some(unscheduled) = unscheduled {
        let reason = unscheduled.reason.clone();
        let message = unscheduled.message.clone();
        (
            InstancePhase::Pending,
            DatabasePhase::Pending,
            reason.unwrap_or_else(|| "Unscheduled".into()),
            message.unwrap_or_else(|| "no machine was found for the pod yet".into()),
        )
    } else {
        let waits = status.and_then(waiting);
        (
            InstancePhase::Starting,
            DatabasePhase::Starting,
            "PodNotReady".to_owned(),
            waits.unwrap_or_else(|| "the pod is starting".into()),
        )
    };
    Instance {
        action: None,
        phase,
        database_phase,
        reason,
        message,
        compute: granted(pod),
        resizes: None,
        pending: None,
        look_at: None,
    }
}

/// What a container waits for, such as its image.
fn waiting(status: &PodStatus) -> Option<String> {
    let containers = status.container_statuses.as_ref()?;
    containers.iter().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        Some(match &waiting.message {
            Some(message) => format!("container {}: {reason}: {message}", container.name),
            None => format!("container {}: {reason}", container.name),
        })
    })
}

/// What the machine grants the engine, by its own word.
fn granted(pod: &Pod) -> Option<Compute> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let engine = containers
        .iter()
        .find(|container| container.name == ENGINE_CONTAINER)?;
    let limits = engine.resources.as_ref()?.limits.as_ref()?;
    Some(Compute {
        cpu: limits.get("cpu")?.0.parse().ok()?,
        memory: limits.get("memory")?.0.parse().ok()?,
    })
}
