//! The pod of an instance: engine and node, two containers under two users.
//!
//! They share the volume, which the group of both may write: what is the node's alone, its spool
//! and its last spec, it keeps in a folder that only its own user enters. The token that says who the
//! node is gets mounted for the node; the engine's side holds no secret.

use super::stamp::stamp_pod;
use super::{
    AUTHORITY_FILE, AUTHORITY_NAME, INSTANCE_LABEL, METRICS_PORT, SQL_PORT, annotation,
    database_name, instance_name, metadata,
};
use crate::api::{ByteSize, Compute, CpuAmount, DatabaseClass, LumaDatabase};
use crate::canonical::digest;
use crate::settings::Settings;
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapProjection, Container, ContainerPort, ContainerResizePolicy,
    EmptyDirVolumeSource, HTTPGetAction, KeyToPath, PersistentVolumeClaimVolumeSource, Pod,
    PodSecurityContext, PodSpec, Probe, ProjectedVolumeSource, ResourceRequirements,
    SeccompProfile, SecurityContext, ServiceAccountTokenProjection, Volume, VolumeMount,
    VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use lumadb_contract::enrollment::TOKEN_AUDIENCE;
use lumadb_contract::id::DatabaseId;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// PostgreSQL and its helper.
pub const ENGINE_CONTAINER: &str = "engine";
/// The node.
pub const NODE_CONTAINER: &str = "node";

/// Annotation by which a pod changes when its volume has grown.
const VOLUME_MARK: &str = "volume";

const ENGINE_USER: i64 = 10_001;
const NODE_USER: i64 = 10_002;
/// Group of the volume.
const GROUP: i64 = 10_000;

const INSTANCE_DIR: &str = "/instance";
const ENGINE_DIR: &str = "/opt/lumadb/engine";
const IDENTITY_DIR: &str = "/var/run/lumadb/identity";

const TOKEN_FILE: &str = "token";
const TOKEN_SECONDS: i64 = 3600;

/// A node that ends archives all of its WAL first.
const GRACE_SECONDS: i64 = 180;

/// Memory that the node may take.
const NODE_MEMORY: ByteSize = ByteSize::mebibytes(128);

/// Least that the node may take of processors, thousandths: clients of a sleeping database wait while it
/// shakes hands with its parent, with the object store and with their edge.
const NODE_MILLI_CPU_MIN: u32 = 250;

/// All that clients and the engine tell each other passes through the node: for so many thousandths of
/// the engine it gets one.
const ENGINE_PER_NODE: u32 = 4;

/// What is reserved for the node beside an engine that shares its machine.
const NODE_RESERVED: Compute = Compute {
    cpu: CpuAmount::milli(10),
    memory: ByteSize::mebibytes(64),
};

/// What a container reserves, and what it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    pub request: Compute,
    pub limit: Compute,
}

impl Resources {
    fn of(pod: &Pod, container: &str) -> Option<Self> {
        let containers = &pod.spec.as_ref()?.containers;
        let found = containers.iter().find(|found| found.name == container)?;
        let resources = found.resources.as_ref()?;
        let amounts = |from: &Option<BTreeMap<String, Quantity>>| {
            let from = from.as_ref()?;
            Some(Compute {
                cpu: from.get("cpu")?.0.parse().ok()?,
                memory: from.get("memory")?.0.parse().ok()?,
            })
        };
        Some(Self {
            request: amounts(&resources.requests)?,
            limit: amounts(&resources.limits)?,
        })
    }

    fn requirements(&self) -> ResourceRequirements {
        let amounts = |compute: &Compute| {
            BTreeMap::from([
                ("cpu".into(), Quantity(compute.cpu.to_string())),
                ("memory".into(), Quantity(compute.memory.to_string())),
            ])
        };
        ResourceRequirements {
            requests: Some(amounts(&self.request)),
            limits: Some(amounts(&self.limit)),
            claims: None,
        }
    }
}

/// What the two containers of a pod get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodResources {
    pub engine: Resources,
    pub node: Resources,
}

impl PodResources {
    /// What a database's pod is to get.
    pub fn wanted(database: &LumaDatabase) -> Self {
        Self {
            engine: engine_resources(database),
            node: node_resources(database),
        }
    }

    /// What a pod's specification grants; `None` where it says something that we never do.
    pub fn of(pod: &Pod) -> Option<Self> {
        Some(Self {
            engine: Resources::of(pod, ENGINE_CONTAINER)?,
            node: Resources::of(pod, NODE_CONTAINER)?,
        })
    }

    /// What `pods/resize` is patched with.
    pub fn patch(&self) -> Value {
        let container = |name: &str, resources: &Resources| json!({"name": name, "resources": resources.requirements()});
        json!({"spec": {"containers": [
            container(ENGINE_CONTAINER, &self.engine),
            container(NODE_CONTAINER, &self.node),
        ]}})
    }
}

/// What the engine of a database gets: all of it reserved, or a quarter of the processor and half
/// of the memory where it shares its machine.
fn engine_resources(database: &LumaDatabase) -> Resources {
    let limit = database.spec.compute;
    let request = match database.spec.class {
        DatabaseClass::Dedicated => limit,
        DatabaseClass::Shared => Compute {
            cpu: CpuAmount::milli((limit.cpu.as_milli() / 4).max(1)),
            memory: limit.memory.half(),
        },
    };
    Resources { request, limit }
}

/// What the node of a database gets.
fn node_resources(database: &LumaDatabase) -> Resources {
    let share = database.spec.compute.cpu.as_milli() / ENGINE_PER_NODE;
    let limit = Compute {
        cpu: CpuAmount::milli(share.max(NODE_MILLI_CPU_MIN)),
        memory: NODE_MEMORY,
    };
    let request = match database.spec.class {
        DatabaseClass::Dedicated => limit,
        DatabaseClass::Shared => NODE_RESERVED,
    };
    Resources { request, limit }
}

/// The pod of a database's one instance; `None` for a name that is no ID.
pub fn pod(database: &LumaDatabase, settings: &Settings) -> Option<Pod> {
    let id = DatabaseId::parse_label(&database_name(database)).ok()?;
    let mut built = Pod {
        metadata: metadata(database, instance_name(database)),
        spec: Some(PodSpec {
            containers: vec![engine(database, settings), node(database, settings, id)],
            volumes: Some(volumes(database)),
            service_account_name: Some(database_name(database)),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            restart_policy: Some("Always".into()),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                fs_group: Some(GROUP),
                // Done for a new volume alone: it would open the engine's data folder to the group.
                fs_group_change_policy: Some("OnRootMismatch".into()),
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".into(),
                    localhost_profile: None,
                }),
                ..PodSecurityContext::default()
            }),
            ..PodSpec::default()
        }),
        status: None,
    };
    if let Some(labels) = &mut built.metadata.labels {
        labels.insert(INSTANCE_LABEL.into(), instance_name(database));
    }
    let hash = digest_without_resources(&built);
    Some(stamp_pod(built, hash, database))
}

/// What a pod is patched with, so that its machine looks at it: the size of its volume, that of the pod
/// with this UID alone.
pub fn mark_patch(uid: &str, volume: &str) -> Value {
    json!({"metadata": {"uid": uid, "annotations": {annotation(VOLUME_MARK): volume}}})
}

/// The size that a pod was marked with last.
pub fn marked(pod: &Pod) -> Option<&str> {
    pod.annotations()
        .get(&annotation(VOLUME_MARK))
        .map(String::as_str)
}

/// The hash of a pod but for what its containers get, which changes while they run.
fn digest_without_resources(pod: &Pod) -> String {
    let mut pod = pod.clone();
    let containers = pod.spec.iter_mut().flat_map(|spec| &mut spec.containers);
    for container in containers {
        container.resources = None;
    }
    digest(&pod)
}

fn engine(database: &LumaDatabase, settings: &Settings) -> Container {
    let mut args = instance_arguments();
    // Nobody else has made what is on a new volume.
    args.push("--prepare".into());
    Container {
        name: ENGINE_CONTAINER.into(),
        image: Some(settings.image.clone()),
        command: Some(vec!["lumadb-node".into(), "engine".into()]),
        args: Some(args),
        resources: Some(engine_resources(database).requirements()),
        resize_policy: Some(resize_in_place()),
        security_context: Some(confined(ENGINE_USER)),
        volume_mounts: Some(vec![
            mount("instance", INSTANCE_DIR),
            mount("engine-tmp", "/tmp"),
            mount("shared-memory", "/dev/shm"),
        ]),
        ..Container::default()
    }
}

fn node(database: &LumaDatabase, settings: &Settings, id: DatabaseId) -> Container {
    let mut args = instance_arguments();
    args.extend([
        format!("--database-id={id}"),
        format!("--parent={}", settings.parent),
        format!("--parent-token-file={IDENTITY_DIR}/{TOKEN_FILE}"),
        format!("--parent-ca-file={IDENTITY_DIR}/{AUTHORITY_FILE}"),
        format!("--listen=[::]:{SQL_PORT}"),
        format!("--metrics=[::]:{METRICS_PORT}"),
    ]);
    Container {
        name: NODE_CONTAINER.into(),
        image: Some(settings.image.clone()),
        command: Some(vec!["lumadb-node".into(), "run".into()]),
        args: Some(args),
        ports: Some(vec![
            container_port("sql", SQL_PORT),
            container_port("metrics", METRICS_PORT),
        ]),
        readiness_probe: Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some("/health/ready".into()),
                port: IntOrString::String("metrics".into()),
                ..HTTPGetAction::default()
            }),
            period_seconds: Some(2),
            timeout_seconds: Some(2),
            failure_threshold: Some(3),
            ..Probe::default()
        }),
        resources: Some(node_resources(database).requirements()),
        resize_policy: Some(resize_in_place()),
        security_context: Some(confined(NODE_USER)),
        volume_mounts: Some(vec![
            mount("instance", INSTANCE_DIR),
            mount("node-tmp", "/tmp"),
            VolumeMount {
                read_only: Some(true),
                ..mount("identity", IDENTITY_DIR)
            },
        ]),
        ..Container::default()
    }
}

fn instance_arguments() -> Vec<String> {
    vec![
        format!("--instance-dir={INSTANCE_DIR}"),
        format!("--engine-dir={ENGINE_DIR}"),
    ]
}

fn resize_in_place() -> Vec<ContainerResizePolicy> {
    ["cpu", "memory"]
        .map(|resource| ContainerResizePolicy {
            resource_name: resource.into(),
            restart_policy: "NotRequired".into(),
        })
        .into()
}

/// What the "restricted" pod security standard asks, and a read-only root.
fn confined(user: i64) -> SecurityContext {
    SecurityContext {
        run_as_user: Some(user),
        run_as_group: Some(GROUP),
        run_as_non_root: Some(true),
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            add: None,
            drop: Some(vec!["ALL".into()]),
        }),
        ..SecurityContext::default()
    }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.into(),
        mount_path: path.into(),
        ..VolumeMount::default()
    }
}

fn container_port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: number.into(),
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    }
}

fn volumes(database: &LumaDatabase) -> Vec<Volume> {
    let empty = |name: &str, medium: Option<&str>| Volume {
        name: name.into(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: medium.map(Into::into),
            size_limit: None,
        }),
        ..Volume::default()
    };
    vec![
        Volume {
            name: "instance".into(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: instance_name(database),
                read_only: None,
            }),
            ..Volume::default()
        },
        empty("engine-tmp", None),
        empty("node-tmp", None),
        // PostgreSQL's own shared memory; counted against the engine's memory.
        empty("shared-memory", Some("Memory")),
        Volume {
            name: "identity".into(),
            projected: Some(ProjectedVolumeSource {
                default_mode: Some(0o440),
                sources: Some(vec![token(), authority()]),
            }),
            ..Volume::default()
        },
    ]
}

/// Who the node is, for its parent.
fn token() -> VolumeProjection {
    VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            audience: Some(TOKEN_AUDIENCE.into()),
            expiration_seconds: Some(TOKEN_SECONDS),
            path: TOKEN_FILE.into(),
        }),
        ..VolumeProjection::default()
    }
}

/// Who its parent is, for the node.
fn authority() -> VolumeProjection {
    VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: AUTHORITY_NAME.into(),
            items: Some(vec![KeyToPath {
                key: AUTHORITY_FILE.into(),
                path: AUTHORITY_FILE.into(),
                mode: None,
            }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    }
}
