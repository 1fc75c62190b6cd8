//! The control plane's own database: an instance under a node and with an archive, as a customer's.
//!
//! Invariants:
//! - One that was archived is never replaced by an empty one because its folder is gone.
//! - A restored one begins an archive of its own; what it was restored from is left as it is.

mod archive;
mod drill;
mod found;
mod restore;
mod spec;

pub(crate) use drill::{Drills, Record as DrillRecord};
pub(crate) use restore::{Asked, run as restore};

use super::error::UpError;
use super::say;
use crate::config::{Config, ControlDurability};
use crate::database::APPLICATION_ROLE;
use crate::keys::KeyFiles;
use crate::service::object_store;
use archive::Schedule;
use lumadb_contract::archive::ArchiveSpec;
use lumadb_contract::id::BackupId;
use lumadb_contract::instance::{Compute, InstancePhase, InstanceSpec, InstanceStatus};
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::runtime::Observation;
use lumadb_control_plane::runtime::local::folder::{Programs, folder_make};
use lumadb_control_plane::runtime::local::instance::{
    Goal, Instance, InstanceParts, InstancePrograms,
};
use lumadb_control_plane::runtime::local::layout::{DataFolder, InstanceFolder};
use lumadb_control_plane::runtime::local::parent::{
    NodeUser, Parent, SampleSink, parent_listen, parent_serve,
};
use lumadb_control_plane::runtime::local::process::Processes;
use spec::KeptSpec;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest time for it to take connections: it may have to recover first.
const READY_TIMEOUT: Duration = Duration::from_mins(2);

/// Longest time between two looks at its archive.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Its memory decides the engine's buffers; what is not touched is not used.
const COMPUTE: Compute = Compute {
    milli_vcpu: 1000,
    memory_mib: 1024,
};

/// Connections of API, worker and edge together, with room for a person with `psql`.
const CONNECTIONS_MAX: u16 = 100;

/// What its processes are called, and those of its drills.
pub(super) const PROCESSES: [&str; 4] = [
    "engine.control",
    "node.control",
    "engine.control-drill",
    "node.control-drill",
];

/// Name of its logical database.
pub(crate) const LOGICAL_DATABASE: &str = "control";

/// The running instance and the parent that its node talks to.
#[derive(Debug)]
struct Attached {
    instance: Instance,
    serving: tokio::task::JoinHandle<()>,
}

/// The control plane's database while it serves.
#[derive(Debug)]
pub(crate) struct Control {
    data: DataFolder,
    attached: Attached,
    spec: KeptSpec,
    archive: ArchiveSpec,
    schedule: Schedule,
    clock: Clock,
}

/// Makes it if it is not there, starts or adopts it, and waits until it takes connections.
pub(crate) async fn start(
    data: &DataFolder,
    config: &Config,
    programs: &Programs,
    object_store: SocketAddr,
    clock: &Clock,
) -> Result<(Control, Drills), UpError> {
    let folder = data.control();
    restore::sweep(data).await;
    drill::sweep(data).await;
    let adopted = Processes::new(data.clone())
        .find("engine.control")
        .is_some();
    let known = archive::chain(data)?;
    if !folder.exists() {
        if known.is_some() {
            return Err(UpError::ControlGone {
                folder: folder.root().to_owned(),
                record: KeyFiles::new(data.keys()).control_archive(),
            });
        }
        say::line("The control plane's database is being made");
        let making = folder_make(data, programs, folder.root()).await;
        making.map_err(|error| UpError::explain(data.root(), &error))?;
    }
    let archives = archive::archives(data, config, object_store)?;
    let chain = match known {
        Some(chain) => chain,
        None => archive::chain_make(data, &archives, clock)?,
    };
    let mut archive = archive::spec(data, &archives, &chain, config)?;
    archive.expire_before = Some(archive::expire_before(clock.now()));
    let mut kept = KeptSpec::open(data, clock)?;
    let spec = kept.next(Some(archive.clone()), None)?;
    let place = Place {
        folder,
        suffix: "control",
        parent: data.up_parent_socket(),
    };
    let attached = Attached::new(data, config, programs, &place, spec.clone())?;
    let control = Control {
        data: data.clone(),
        attached,
        spec: kept,
        archive,
        schedule: Schedule::default(),
        clock: clock.clone(),
    };
    if let Err(error) = control.attached.wait_ready(data, spec.generation).await {
        if !adopted {
            control.end().await;
        }
        return Err(error);
    }
    say::service("control plane's database", adopted, None);
    let drills = Drills::of(&control, config, programs, archives);
    Ok((control, drills))
}

/// Where an instance of the control plane's lies, and what its processes are called.
struct Place {
    folder: InstanceFolder,
    suffix: &'static str,
    /// Where its node reports.
    parent: PathBuf,
}

impl Attached {
    fn new(
        data: &DataFolder,
        config: &Config,
        programs: &Programs,
        place: &Place,
        spec: Arc<InstanceSpec>,
    ) -> Result<Self, UpError> {
        let owners = place
            .folder
            .owners()
            .map_err(|error| UpError::explain(data.root(), &error))?;
        let socket = &place.parent;
        let listener =
            parent_listen(socket).map_err(|source| UpError::folder(data.root(), socket, source))?;
        let parent = Parent::new(SampleSink::Discard);
        let database = spec.database_id;
        let parts = InstanceParts {
            database,
            folder: place.folder.clone(),
            programs: InstancePrograms::new(
                programs,
                &place.folder,
                owners,
                socket,
                database,
                place.suffix,
            )
            .with_node_environment(&object_store::environment(&config.object_store))
            .with_service_role(APPLICATION_ROLE),
            processes: Processes::new(data.clone()),
            expected: parent.expect(database, NodeUser(owners.map(|owners| owners.node))),
            spans: None,
        };
        let serving = tokio::spawn(async move {
            if let Err(error) = parent_serve(parent, listener).await {
                tracing::error!(%error, "the control plane's node cannot reach its parent");
            }
        });
        let instance = Instance::new(parts, Goal::Spec(spec));
        Ok(Self { instance, serving })
    }

    async fn wait_ready(&self, data: &DataFolder, generation: u64) -> Result<(), UpError> {
        let mut observation = self.instance.observation();
        let ready = observation.wait_for(|observed| is_ready(observed, generation));
        let waited = tokio::time::timeout(READY_TIMEOUT, ready).await;
        if matches!(waited, Ok(Ok(_))) {
            return Ok(());
        }
        let processes = Processes::new(data.clone());
        let tail = format!(
            "{} {}",
            processes.log_tail("node.control", 2000),
            processes.log_tail("engine.control", 2000)
        );
        if let full @ UpError::DiskFull(_) = UpError::explain_text(data.root(), &tail) {
            return Err(full);
        }
        Err(UpError::NotUp {
            what: "the control plane's database".into(),
            why: format!("not ready after {} s", READY_TIMEOUT.as_secs()),
            log: data.logs().join("node.control.log"),
        })
    }

    async fn end(self) {
        self.instance.end().await;
        self.serving.abort();
    }
}

fn status_of(observed: &Observation) -> Option<&InstanceStatus> {
    match observed {
        Observation::Attached { status, .. } => Some(status),
        Observation::Unknown | Observation::Absent => None,
    }
}

fn is_ready(observed: &Observation, generation: u64) -> bool {
    status_of(observed).is_some_and(|status| {
        status.phase == InstancePhase::Ready && status.observed_generation >= generation
    })
}

impl Control {
    /// Waits until services are answered: at once, or where their answers wait for the archive as soon as
    /// that can be restored from, which takes a first backup.
    pub(crate) fn answers(
        &self,
        config: &Config,
    ) -> impl Future<Output = Result<(), UpError>> + use<> {
        let waits = config.control_durability() == ControlDurability::S3;
        let mut observation = self.attached.instance.observation();
        let log = self.data.logs().join("node.control.log");
        async move {
            let is_restorable = |observed: &Observation| {
                let archive = status_of(observed).and_then(|status| status.archive.as_ref());
                let last = archive.and_then(|archive| archive.windows.last());
                last.is_some_and(|window| window.until.is_none())
            };
            if !waits || is_restorable(&observation.borrow_and_update()) {
                return Ok(());
            }
            say::line("Waiting for the archive of the control plane's database");
            let restorable = async { observation.wait_for(is_restorable).await.is_ok() };
            let waited = tokio::time::timeout(READY_TIMEOUT, restorable).await;
            if waited.is_ok_and(|restorable| restorable) {
                return Ok(());
            }
            let observed = observation.borrow();
            let archive = status_of(&observed).and_then(|status| status.archive.as_ref());
            let error = archive.and_then(|archive| archive.error.clone());
            Err(UpError::NotUp {
                what: "the archive of the control plane's database".into(),
                why: format!(
                    "{}; with control.durability = \"lag\" nobody waits for it",
                    error.unwrap_or_else(|| "there is no backup yet".into())
                ),
                log,
            })
        }
    }

    /// Has backups made and what is old expire, for as long as it is polled.
    pub(crate) async fn archive_keep(&mut self) {
        let mut observation = self.attached.instance.observation();
        let mut told = None;
        loop {
            let observed = observation.borrow_and_update().clone();
            let status = status_of(&observed).and_then(|status| status.archive.clone());
            // Before the node has read its archive, the rest says nothing.
            let ours = Some(self.archive.access.archive_id);
            if let Some(status) = status.filter(|status| status.archive_id == ours) {
                if told != status.error {
                    if let Some(error) = &status.error {
                        tracing::warn!(error, "the control plane's database is not archived");
                    }
                    told.clone_from(&status.error);
                }
                let now = self.clock.now();
                let new_id = BackupId::from_uuid(self.clock.new_uuid());
                // The master key may have been changed.
                let wrapped_key = match archive::wrapped_key(&self.data) {
                    Ok(Some(wrapped_key)) => wrapped_key,
                    Ok(None) => self.archive.wrapped_key.clone(),
                    Err(error) => {
                        tracing::error!(%error, "the keys of the control plane's archive");
                        self.archive.wrapped_key.clone()
                    }
                };
                let backups = self.schedule.look(&status, now, new_id);
                self.ask(ArchiveSpec {
                    wrapped_key,
                    backups,
                    expire_before: Some(archive::expire_before(now)),
                    ..self.archive.clone()
                });
            }
            tokio::select! {
                changed = observation.changed() => if changed.is_err() {
                    return std::future::pending().await;
                },
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    fn ask(&mut self, archive: ArchiveSpec) {
        if archive == self.archive {
            return;
        }
        match self.spec.next(Some(archive.clone()), None) {
            Ok(spec) => {
                self.attached.instance.go(Goal::Spec(spec));
                self.archive = archive;
            }
            Err(error) => tracing::error!(%error, "the control plane's backups are not asked for"),
        }
    }

    /// Ends it cleanly, and a drill in its middle.
    pub(crate) async fn end(self) {
        drill::sweep(&self.data).await;
        self.attached.end().await;
    }

    /// Leaves it running.
    pub(crate) async fn leave(self) {
        self.attached.instance.leave().await;
        self.attached.serving.abort();
    }
}
