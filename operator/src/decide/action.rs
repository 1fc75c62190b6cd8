//! What may be done. Each action may be done twice, and by two at once.

use crate::api::{ByteSize, LumaDatabase, LumaInstance};
use crate::build::PodResources;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use std::fmt;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// What the nodes of a namespace verify the operator with.
    ApplyAuthority(Box<ConfigMap>),
    ApplyServiceAccount(Box<ServiceAccount>),
    /// Makes what the node is told beside what the database says, with a password that is random.
    MakeSecrets(Arc<LumaDatabase>),
    ApplyNetworkPolicy(Box<NetworkPolicy>),
    ApplyService(Box<Service>),
    ApplyInstance(Box<LumaInstance>),
    ApplyClaim {
        claim: Box<PersistentVolumeClaim>,
        /// The volume grows by itself, to this.
        grows_to: Option<ByteSize>,
    },
    /// Makes the pod unless one of its name is there.
    CreatePod(Box<Pod>),
    /// Ends that pod and no other of its name.
    DeletePod {
        name: String,
        uid: String,
        why: Why,
    },
    /// Grants a running pod other resources. Where the cluster refuses that and
    /// `or_delete` names the pod, it is deleted, and made anew with them.
    ResizePod {
        name: String,
        resources: PodResources,
        or_delete: Option<String>,
    },
    /// Has the machine of that pod look at it: its volume has this size, and the file system has not.
    MarkPod {
        name: String,
        uid: String,
        volume: String,
    },
}

/// Why a pod ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    Suspended,
    /// It came to its end by itself: evicted, or its machine is gone.
    Ended,
    /// This field of the database was changed.
    Changed(String),
    /// It has served nobody yet, and would be built otherwise by now.
    Outdated,
    /// What waited for the maintenance window.
    Maintenance,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspended => out.write_str("the database is suspended"),
            Self::Ended => out.write_str("it ended by itself"),
            Self::Changed(field) => write!(out, "{field} was changed"),
            Self::Outdated => out.write_str("it would be built otherwise by now"),
            Self::Maintenance => out.write_str("what waited for the maintenance window is done"),
        }
    }
}

/// What is told of an action as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub reason: &'static str,
    pub action: &'static str,
    pub text: String,
}

impl Action {
    /// A word for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ApplyAuthority(_) => "apply_authority",
            Self::ApplyServiceAccount(_) => "apply_service_account",
            Self::MakeSecrets(_) => "make_secrets",
            Self::ApplyNetworkPolicy(_) => "apply_network_policy",
            Self::ApplyService(_) => "apply_service",
            Self::ApplyInstance(_) => "apply_instance",
            Self::ApplyClaim { .. } => "apply_claim",
            Self::CreatePod(_) => "create_pod",
            Self::DeletePod { .. } => "delete_pod",
            Self::ResizePod { .. } => "resize_pod",
            Self::MarkPod { .. } => "mark_pod",
        }
    }

    /// What people are told of it, where they care.
    pub fn note(&self) -> Option<Note> {
        let (reason, action, text) = match self {
            Self::CreatePod(pod) => {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                ("PodCreated", "Create", format!("pod {name} was made"))
            }
            Self::DeletePod { name, why, .. } => {
                let text = format!("pod {name} is ended: {why}");
                ("PodDeleted", "Delete", text)
            }
            Self::ResizePod {
                name, resources, ..
            } => {
                let limit = resources.engine.limit;
                let text = format!("pod {name} is given {} CPU, {}", limit.cpu, limit.memory);
                ("PodResized", "Resize", text)
            }
            Self::ApplyClaim {
                grows_to: Some(size),
                ..
            } => {
                let text = format!("the volume fills up: it grows to {size}");
                ("VolumeGrows", "Grow", text)
            }
            _ => return None,
        };
        Some(Note {
            reason,
            action,
            text,
        })
    }
}
