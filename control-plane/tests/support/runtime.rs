//! A runtime without processes, whose every step can fail, be repeated or be cut off.

use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::instance::{InstancePhase, InstanceSpec, InstanceStatus, RunState};
use lumadb_contract::route::NodeAddress;
use lumadb_control_plane::runtime::{Cleared, IfAbsent, Observation, Runtime, RuntimeError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

/// What befalls a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    FailBefore,
    /// It is done, but nobody is told.
    FailAfter,
    Twice,
    KillBefore,
    KillAfter,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [
        Self::FailBefore,
        Self::FailAfter,
        Self::Twice,
        Self::KillBefore,
        Self::KillAfter,
    ];
}

/// One instance: what it was told, and how it is.
#[derive(Debug, Clone)]
pub(crate) struct FakeInstance {
    pub(crate) spec: InstanceSpec,
    pub(crate) status: InstanceStatus,
}

#[derive(Debug, Default)]
struct State {
    instances: HashMap<DatabaseId, FakeInstance>,
    /// How often an instance was made from nothing.
    made: HashMap<DatabaseId, u32>,
    /// Calls so far, and which of them a fault befalls.
    calls: u32,
    fault: Option<(u32, Fault)>,
    /// Instances do not become ready by themselves.
    is_stuck: bool,
    /// What is not there is not gone for certain.
    is_unmounted: bool,
    idle_since: Option<OffsetDateTime>,
    incarnations: u128,
}

#[derive(Debug, Clone)]
pub(crate) struct FakeRuntime {
    state: Arc<Mutex<State>>,
    changes: broadcast::Sender<DatabaseId>,
    /// A step was cut off: the process that ran it is to be killed.
    pub(crate) killed: Arc<Notify>,
}

impl FakeRuntime {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Arc::default(),
            changes: broadcast::channel(1024).0,
            killed: Arc::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    /// Counts calls anew and has a fault befall the one with this number, from 0.
    pub(crate) fn arm(&self, fault: Option<(u32, Fault)>) {
        let mut state = self.state();
        state.calls = 0;
        state.fault = fault;
    }

    pub(crate) fn calls(&self) -> u32 {
        self.state().calls
    }

    /// Instances stay as they are, or move again.
    pub(crate) fn stick(&self, is_stuck: bool) {
        self.state().is_stuck = is_stuck;
    }

    pub(crate) fn instance(&self, id: DatabaseId) -> Option<FakeInstance> {
        self.state().instances.get(&id).cloned()
    }

    /// How often an instance of this database was made from nothing.
    pub(crate) fn made(&self, id: DatabaseId) -> u32 {
        self.state().made.get(&id).copied().unwrap_or_default()
    }

    /// Clients come (`None`) or have been gone since then.
    pub(crate) fn set_idle(&self, id: DatabaseId, idle_since: Option<OffsetDateTime>) {
        let mut state = self.state();
        state.idle_since = idle_since;
        if let Some(instance) = state.instances.get_mut(&id) {
            instance.status.idle_since = idle_since;
            instance.status.connections = u32::from(idle_since.is_none());
        }
        drop(state);
        let _ = self.changes.send(id);
    }

    /// Its node says something new.
    pub(crate) fn report(&self, id: DatabaseId, say: impl FnOnce(&mut InstanceStatus)) {
        let mut state = self.state();
        if let Some(instance) = state.instances.get_mut(&id) {
            say(&mut instance.status);
        }
        drop(state);
        let _ = self.changes.send(id);
    }

    /// Its processes died; the folder is left.
    pub(crate) fn crash(&self, id: DatabaseId) {
        let mut state = self.state();
        if let Some(instance) = state.instances.get_mut(&id) {
            instance.status.phase = InstancePhase::Stopped;
        }
        drop(state);
        let _ = self.changes.send(id);
    }

    /// Its processes died and its folder is gone. Answers what there was.
    pub(crate) fn lose(&self, id: DatabaseId) -> Option<FakeInstance> {
        let lost = self.state().instances.remove(&id);
        let _ = self.changes.send(id);
        lost
    }

    /// What was lost is there again.
    pub(crate) fn bring_back(&self, id: DatabaseId, lost: FakeInstance) {
        self.state().instances.insert(id, lost);
        let _ = self.changes.send(id);
    }

    /// Whether what is not there may be on a disk that is not mounted.
    pub(crate) fn unmount(&self, is_unmounted: bool) {
        self.state().is_unmounted = is_unmounted;
    }

    async fn step(&self, work: impl Fn(&mut State)) -> Result<(), RuntimeError> {
        let fault = {
            let mut state = self.state();
            let call = state.calls;
            state.calls += 1;
            match state.fault {
                Some((at, fault)) if at == call => {
                    state.fault = None;
                    Some(fault)
                }
                _ => None,
            }
        };
        let failed = || Err(RuntimeError::Retry("it was made to fail".into()));
        match fault {
            Some(Fault::FailBefore) => return failed(),
            Some(Fault::KillBefore) => self.die().await,
            Some(Fault::Twice) => work(&mut self.state()),
            Some(Fault::FailAfter | Fault::KillAfter) | None => {}
        }
        work(&mut self.state());
        match fault {
            Some(Fault::FailAfter) => failed(),
            Some(Fault::KillAfter) => self.die().await,
            _ => Ok(()),
        }
    }

    async fn die(&self) -> ! {
        self.killed.notify_one();
        std::future::pending().await
    }

    /// The instance becomes what it was told, a moment later.
    fn settle_soon(&self, id: DatabaseId) {
        let this = self.clone();
        tokio::spawn(async move {
            let _ = this.changes.send(id);
            tokio::time::sleep(Duration::from_millis(2)).await;
            let mut state = this.state();
            if state.is_stuck {
                return;
            }
            let idle_since = state.idle_since;
            if let Some(instance) = state.instances.get_mut(&id) {
                instance.settle(idle_since);
            }
            drop(state);
            let _ = this.changes.send(id);
        });
    }
}

impl FakeInstance {
    fn settle(&mut self, idle_since: Option<OffsetDateTime>) {
        match self.spec.run {
            // It stays awake for a client that is there.
            RunState::Asleep if self.status.connections > 0 => return,
            RunState::Running => {
                self.status.phase = InstancePhase::Ready;
                self.status.engine_version = Some("18.6".into());
                self.status.system_identifier = Some(7_000_000_000_000_000_007);
                self.status.idle_since = idle_since;
            }
            RunState::Asleep | RunState::Stopped => self.status.phase = InstancePhase::Stopped,
        }
        self.status.observed_generation = self.spec.generation;
    }
}

impl Runtime for FakeRuntime {
    async fn apply(&self, spec: InstanceSpec, if_absent: IfAbsent) -> Result<(), RuntimeError> {
        let id = spec.database_id;
        let runs = spec.run == RunState::Running;
        if runs && if_absent == IfAbsent::GiveUp && !self.state().instances.contains_key(&id) {
            let lost = "its folder is gone".to_owned();
            return Err(if self.state().is_unmounted {
                RuntimeError::GiveUp(lost)
            } else {
                RuntimeError::Gone(lost)
            });
        }
        let done = self
            .step(|state| {
                if !state.instances.contains_key(&id) {
                    if spec.run != RunState::Running {
                        return;
                    }
                    *state.made.entry(id).or_default() += 1;
                }
                state.incarnations += 1;
                let incarnation = IncarnationId::from_uuid(Uuid::from_u128(state.incarnations));
                let instance = state.instances.entry(id).or_insert_with(|| FakeInstance {
                    spec: spec.clone(),
                    status: status(incarnation),
                });
                if spec.run == RunState::Running && instance.status.phase == InstancePhase::Stopped
                {
                    instance.status = status(incarnation);
                }
                instance.spec = spec.clone();
            })
            .await;
        self.settle_soon(id);
        done
    }

    async fn remove(&self, id: DatabaseId) -> Result<(), RuntimeError> {
        let done = self
            .step(|state| {
                state.instances.remove(&id);
            })
            .await;
        let _ = self.changes.send(id);
        done
    }

    async fn clear(&self, id: DatabaseId) -> Result<Cleared, RuntimeError> {
        self.step(|_| ()).await?;
        Ok(match self.instance(id) {
            Some(_) => Cleared::Back,
            None => Cleared::Gone,
        })
    }

    async fn list(&self) -> Result<Vec<DatabaseId>, RuntimeError> {
        Ok(self.state().instances.keys().copied().collect())
    }

    fn observe(&self, id: DatabaseId) -> Observation {
        match self.instance(id) {
            Some(instance) if instance.status.phase != InstancePhase::Stopped => {
                Observation::Attached {
                    status: instance.status,
                    node_address: NodeAddress::Unix(format!("/run/{id}/node.sock").into()),
                }
            }
            _ => Observation::Absent,
        }
    }

    fn changes(&self) -> broadcast::Receiver<DatabaseId> {
        self.changes.subscribe()
    }
}

fn status(incarnation_id: IncarnationId) -> InstanceStatus {
    InstanceStatus {
        incarnation_id,
        observed_generation: 0,
        phase: InstancePhase::Starting,
        error: None,
        engine_version: None,
        system_identifier: None,
        connections: 0,
        idle_since: None,
        storage_bytes: 0,
        volume: lumadb_contract::instance::VolumeStage::Ample,
        room: None,
        archive: None,
        restore: None,
    }
}
