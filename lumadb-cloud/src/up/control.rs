//! The control plane's own database: an instance under a node, as a customer's.

use super::error::UpError;
use super::folder::read_optional;
use super::say;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{
    Compute, InstancePhase, InstanceSpec, LogicalDatabaseSpec, RoleSpec, RunState,
};
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::identity::{random, scram};
use lumadb_control_plane::runtime::Observation;
use lumadb_control_plane::runtime::local::folder::{Programs, folder_make};
use lumadb_control_plane::runtime::local::instance::{
    Goal, Instance, InstanceParts, InstancePrograms,
};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::runtime::local::parent::{Parent, SampleSink};
use lumadb_control_plane::runtime::local::process::Processes;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

/// Longest time for it to take connections: it may have to recover first.
const READY_TIMEOUT: Duration = Duration::from_mins(2);

/// Its memory decides the engine's buffers; what is not touched is not used.
const COMPUTE: Compute = Compute {
    milli_vcpu: 1000,
    memory_mib: 1024,
};

/// Connections of API, worker and edge together, with room for a person with `psql`.
const CONNECTIONS_MAX: u16 = 100;

/// Name of its logical database.
pub(crate) const LOGICAL_DATABASE: &str = "control";

/// The running instance and the parent that its node talks to.
#[derive(Debug)]
pub(crate) struct Control {
    instance: Instance,
    serving: tokio::task::JoinHandle<()>,
}

/// Makes it if it is not there, starts or adopts it, and waits until it takes connections.
pub(crate) async fn start(
    data: &DataFolder,
    programs: &Programs,
    clock: &Clock,
) -> Result<Control, UpError> {
    let folder = data.control();
    let processes = Processes::new(data.clone());
    let adopted = processes.find("engine.control").is_some();
    if !folder.exists() {
        say::line("The control plane's database is being made");
        let making = folder_make(data, programs, folder.root()).await;
        making.map_err(|error| UpError::explain(data.root(), &error))?;
    }
    let spec = spec(data, clock)?;
    let owners = folder
        .owners()
        .map_err(|error| UpError::explain(data.root(), &error))?;
    let socket = data.up_parent_socket();
    let listener =
        Parent::listen(&socket).map_err(|source| UpError::folder(data.root(), &socket, source))?;
    let parent = Parent::new(SampleSink::Discard);
    let parts = InstanceParts {
        database: spec.database_id,
        folder: folder.clone(),
        programs: InstancePrograms::new(
            programs,
            &folder,
            owners,
            &socket,
            spec.database_id,
            "control",
        ),
        processes,
        expected: parent.expect(spec.database_id, owners.map(|owners| owners.node)),
        spans: None,
    };
    let serving = tokio::spawn(async move {
        if let Err(error) = parent.serve(listener).await {
            tracing::error!(%error, "the control plane's node cannot reach its parent");
        }
    });
    let generation = spec.generation;
    let instance = Instance::new(parts, Goal::Spec(Arc::new(spec)));
    let control = Control { instance, serving };
    if let Err(error) = control.wait_ready(data, generation).await {
        if !adopted {
            control.end().await;
        }
        return Err(error);
    }
    say::service("control plane's database", adopted, None);
    Ok(control)
}

impl Control {
    async fn wait_ready(&self, data: &DataFolder, generation: u64) -> Result<(), UpError> {
        let mut observation = self.instance.observation();
        let ready = observation.wait_for(|observed| match observed {
            Observation::Attached { status, .. } => {
                status.phase == InstancePhase::Ready && status.observed_generation >= generation
            }
            Observation::Unknown | Observation::Absent => false,
        });
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

    /// Ends it cleanly.
    pub(crate) async fn end(self) {
        self.instance.end().await;
        self.serving.abort();
    }

    /// Leaves it running.
    pub(crate) async fn leave(self) {
        self.instance.leave().await;
        self.serving.abort();
    }
}

/// What it shall be: made once and kept, since its roles have passwords that nobody knows.
fn spec(data: &DataFolder, clock: &Clock) -> Result<InstanceSpec, UpError> {
    let path = data.root().join("control-spec.json");
    let failed = |source| UpError::folder(data.root(), &path, source);
    if let Some(text) = read_optional(&path).map_err(failed)? {
        let kept: InstanceSpec =
            serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
        return Ok(kept);
    }
    let other = |error: &dyn std::error::Error| UpError::explain(data.root(), error);
    let password = random::role_password().map_err(|error| other(&error))?;
    let owner = "owner".parse().map_err(|error| other(&error))?;
    let spec = InstanceSpec {
        database_id: DatabaseId::from_uuid(clock.new_uuid()),
        generation: 1,
        engine_version: 18,
        run: RunState::Running,
        compute: COMPUTE,
        connections_max: CONNECTIONS_MAX,
        route_number: 1,
        roles: vec![RoleSpec {
            name: owner,
            verifier: scram::fresh_verifier(&password).map_err(|error| other(&error))?,
            owner: true,
        }],
        logical_databases: vec![LogicalDatabaseSpec {
            name: LOGICAL_DATABASE.parse().map_err(|error| other(&error))?,
            owner: "owner".parse().map_err(|error| other(&error))?,
        }],
        tls: None,
        archive: None,
        restore: None,
    };
    let text = serde_json::to_vec_pretty(&spec).map_err(|error| failed(error.into()))?;
    let beside = path.with_extension("new");
    let written = (|| {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    })();
    written.map_err(failed)?;
    Ok(spec)
}
