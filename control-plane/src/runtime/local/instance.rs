//! One database on this machine: two kept processes, steered towards what was asked last.

use super::super::Observation;
use super::folder::Programs;
use super::keeper::{Keeper, KeptState, Wish};
use super::layout::InstanceFolder;
use super::parent::{Expected, Seen};
use super::process::{Processes, Program};
use super::spans::SpanBook;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{InstancePhase, InstanceSpec, InstanceStatus, RunState};
use lumadb_contract::route::NodeAddress;
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Longest time that a node takes to end its sessions and to seal its last sample.
const NODE_GRACE: Duration = Duration::from_secs(20);

/// Longest time for a shutdown of PostgreSQL, its checkpoint included.
const ENGINE_GRACE: Duration = Duration::from_mins(1);

/// Longest time for a node to stop as its spec says, before it is told by a signal.
const STOP_GRACE: Duration = Duration::from_secs(90);

/// What shall become of an instance.
#[derive(Debug, Clone)]
pub enum Goal {
    /// It was found running and nobody has said yet what it shall be: nothing is ended, and what
    /// ends is not started again.
    AsFound,
    Spec(Arc<InstanceSpec>),
    /// Its processes end, in order; the folder stays.
    End,
    /// Its processes are left to the next parent.
    Leave,
}

/// The programs of one instance.
#[derive(Debug, Clone)]
pub struct InstancePrograms {
    engine: Arc<Program>,
    node: Arc<Program>,
}

impl InstancePrograms {
    /// `suffix` names the processes: `engine.<suffix>` and `node.<suffix>`.
    pub fn new(
        programs: &Programs,
        folder: &InstanceFolder,
        owners: Option<super::folder::Owners>,
        parent_socket: &Path,
        database: DatabaseId,
        suffix: &str,
    ) -> Self {
        let program = |kind: &str, command: &str, user: Option<u32>| Program {
            name: format!("{kind}.{suffix}"),
            path: programs.node.clone(),
            arguments: vec![
                command.into(),
                "--instance-dir".into(),
                folder.root().into(),
                "--engine-dir".into(),
                programs.engine.clone().into(),
            ],
            environment: std::env::var_os("LUMADB_LOG")
                .map(|level| ("LUMADB_LOG".into(), level))
                .into_iter()
                .collect(),
            inherit_environment: false,
            user: user.zip(owners.map(|owners| owners.group)),
            // One of another build serves on: nodes and parents two releases apart work together.
            fingerprint: String::new(),
        };
        let engine = program("engine", "engine", owners.map(|owners| owners.engine));
        let mut node = program("node", "run", owners.map(|owners| owners.node));
        node.arguments
            .extend(["--database-id".into(), database.to_string().into()]);
        node.arguments.push("--parent".into());
        node.arguments
            .push(format!("unix:{}", parent_socket.display()).into());
        Self {
            engine: Arc::new(engine),
            node: Arc::new(node),
        }
    }

    /// Adds variables to the node's environment; the engine's side never sees them.
    pub fn with_node_environment(mut self, variables: &[(OsString, OsString)]) -> Self {
        if !variables.is_empty() {
            let mut node = Program::clone(&self.node);
            node.environment.extend_from_slice(variables);
            self.node = Arc::new(node);
        }
        self
    }

    /// Has the node let processes of this user in as `role`, without a password, by a socket in
    /// [`InstanceFolder::node_run`]. A node that runs without that is replaced.
    pub fn with_service_role(mut self, role: &str) -> Self {
        let mut node = Program::clone(&self.node);
        node.arguments
            .extend(["--service-role".into(), role.into()]);
        node.fingerprint = format!("service role {role}");
        self.node = Arc::new(node);
        self
    }

    /// The helper of an engine that shall run as `spec` says, and need not wait for its node.
    fn engine_of(&self, spec: &InstanceSpec) -> Arc<Program> {
        let mut engine = Program::clone(&self.engine);
        for (name, value) in [
            ("--connections-max", u32::from(spec.connections_max)),
            ("--milli-vcpu", spec.compute.milli_vcpu),
            ("--memory-mib", spec.compute.memory_mib),
        ] {
            engine
                .arguments
                .extend([name.into(), value.to_string().into()]);
        }
        Arc::new(engine)
    }
}

/// What the task of an instance works with.
#[derive(Debug)]
pub struct InstanceParts {
    pub database: DatabaseId,
    pub folder: InstanceFolder,
    pub programs: InstancePrograms,
    pub processes: Processes,
    pub expected: Arc<Expected>,
    /// Where its spans of compute go; `None`: nobody is charged for it.
    pub spans: Option<Arc<SpanBook>>,
}

/// A handle on the task of one instance.
#[derive(Debug)]
pub struct Instance {
    goal: watch::Sender<Goal>,
    observation: watch::Receiver<Observation>,
    task: tokio::task::JoinHandle<()>,
}

impl Instance {
    pub fn new(parts: InstanceParts, goal: Goal) -> Self {
        let (goal, goals) = watch::channel(goal);
        let (said, observation) = watch::channel(Observation::Unknown);
        // Nothing runs of it until it is asked for, but for what is found.
        let idle = |program: &Program| {
            Keeper::new(parts.processes.clone(), program.name.clone(), Wish::Finish)
        };
        let steering = Steering {
            engine: idle(&parts.programs.engine),
            node: idle(&parts.programs.node),
            seen: parts.expected.seen(),
            stop_at: None,
            parts,
            goals,
            said,
        };
        let task = tokio::spawn(steering.run());
        Self {
            goal,
            observation,
            task,
        }
    }

    pub fn go(&self, goal: Goal) {
        self.goal.send_replace(goal);
    }

    pub fn observation(&self) -> watch::Receiver<Observation> {
        self.observation.clone()
    }

    /// Ends its processes and waits for it.
    pub async fn end(self) {
        self.go(Goal::End);
        let _ = self.task.await;
    }

    /// Leaves its processes running.
    pub async fn leave(self) {
        self.go(Goal::Leave);
        let _ = self.task.await;
    }
}

struct Steering {
    parts: InstanceParts,
    goals: watch::Receiver<Goal>,
    engine: Keeper,
    node: Keeper,
    seen: watch::Receiver<Seen>,
    said: watch::Sender<Observation>,
    /// When a node that was told to stop by its spec is told by a signal.
    stop_at: Option<Instant>,
}

impl Steering {
    async fn run(mut self) {
        let mut engine_states = self.engine.state();
        let mut node_states = self.node.state();
        loop {
            let goal = self.goals.borrow_and_update().clone();
            let engine = *engine_states.borrow_and_update();
            let node = *node_states.borrow_and_update();
            let seen = self.seen.borrow_and_update().clone();
            if matches!(goal, Goal::Leave) {
                self.engine.leave().await;
                self.node.leave().await;
                return;
            }
            self.steer(&goal, engine, node).await;
            self.record_span(&goal, engine, &seen);
            let observed = observe(&goal, engine, node, &seen, &self.parts.folder);
            self.said.send_if_modified(|said| {
                let changed = *said != observed;
                *said = observed;
                changed
            });
            let both_ended = (engine, node) == (KeptState::Ended, KeptState::Ended);
            if matches!(goal, Goal::End) && both_ended {
                self.engine.leave().await;
                self.node.leave().await;
                return;
            }
            let alarm = self.stop_at;
            tokio::select! {
                changed = self.goals.changed() => {
                    self.stop_at = None;
                    if changed.is_err() {
                        return;
                    }
                }
                _ = engine_states.changed() => {}
                _ = node_states.changed() => {}
                _ = self.seen.changed() => {}
                () = sleep_until(alarm) => {}
            }
        }
    }

    async fn steer(&mut self, goal: &Goal, engine: KeptState, node: KeptState) {
        match goal {
            Goal::AsFound => {
                // An engine whose helper died is taken in, so that it has an owner.
                if engine == KeptState::Ended && self.parts.folder.engine_process().is_some() {
                    self.engine
                        .wish(Wish::Run(self.parts.programs.engine.clone()));
                }
            }
            Goal::Spec(spec) => {
                let running = node != KeptState::Ended || engine != KeptState::Ended;
                if spec.run == RunState::Running {
                    self.parts.expected.push(spec.clone());
                    self.engine
                        .wish(Wish::Run(self.parts.programs.engine_of(spec)));
                    self.node.wish(Wish::Run(self.parts.programs.node.clone()));
                } else if running {
                    self.parts.expected.push(spec.clone());
                    self.wind_down(spec.run, engine, node).await;
                }
            }
            Goal::End => self.end(engine, node).await,
            Goal::Leave => {}
        }
    }

    /// Lets the node end the engine and itself, as its spec says.
    async fn wind_down(&mut self, run: RunState, engine: KeptState, node: KeptState) {
        if node == KeptState::Ended {
            return self.end(engine, node).await;
        }
        if run == RunState::Stopped {
            let at = *self.stop_at.get_or_insert(Instant::now() + STOP_GRACE);
            if at <= Instant::now() {
                tracing::warn!(database = %self.parts.database, "a node did not stop when told");
                return self.end(engine, node).await;
            }
        }
        self.node.wish(Wish::Finish);
        // The engine's helper stays for as long as the node needs it; it is ended by the node.
        if matches!(node, KeptState::Running { .. }) {
            self.engine.wish(Wish::Finish);
        }
    }

    /// The node first, so that its last sample counts everything; then the engine.
    async fn end(&mut self, engine: KeptState, node: KeptState) {
        if node != KeptState::Ended {
            self.node.wish(Wish::stop(NODE_GRACE));
            return;
        }
        if engine != KeptState::Ended {
            self.engine.wish(Wish::stop(ENGINE_GRACE));
            return;
        }
        // A helper that was killed leaves its engine running.
        if let Some(pid) = self.parts.folder.engine_process() {
            tracing::warn!(pid, "ended an engine without a helper");
            end_engine(pid).await;
        }
    }

    fn record_span(&self, goal: &Goal, engine: KeptState, seen: &Seen) {
        let Some(spans) = &self.parts.spans else {
            return;
        };
        let database = self.parts.database;
        match (engine, &seen.status) {
            (KeptState::Unknown, _) => {}
            (KeptState::Ended | KeptState::Waiting { .. }, _) => spans.set(database, None),
            (KeptState::Running { .. }, None) => spans.claim(database),
            (KeptState::Running { .. }, Some(status)) => {
                let Goal::Spec(spec) = goal else {
                    return spans.claim(database);
                };
                let granted = (status.incarnation_id, spec.compute.milli_vcpu);
                match status.phase {
                    InstancePhase::Ready if status.observed_generation >= spec.generation => {
                        spans.set(database, Some(granted));
                    }
                    InstancePhase::Ready | InstancePhase::Stopping => {
                        spans.hold(database, granted.0, granted.1);
                    }
                    InstancePhase::Starting | InstancePhase::Stopped | InstancePhase::Failed => {
                        spans.set(database, None);
                    }
                }
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Fast shutdown of an engine that is nobody's child, then an immediate one.
async fn end_engine(pid: i32) {
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL] {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
        for _ in 0..500 {
            if super::proc::start_time(pid).is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn observe(
    goal: &Goal,
    engine: KeptState,
    node: KeptState,
    seen: &Seen,
    folder: &InstanceFolder,
) -> Observation {
    match (&seen.status, seen.stream) {
        (Some(_), Some(_)) => attached(seen, folder),
        _ => match (node, engine) {
            // It stopped as it was told: what it said at last, of its archive above all, stays true.
            (KeptState::Ended, KeptState::Ended)
                if matches!(goal, Goal::Spec(spec) if spec.run == RunState::Stopped)
                    && seen.status.as_ref().is_some_and(has_stopped) =>
            {
                attached(seen, folder)
            }
            // It died and will be back; until then it serves nobody.
            (KeptState::Waiting { .. }, _) | (KeptState::Ended, KeptState::Ended) => {
                Observation::Absent
            }
            // It has only just been started, and no node of before said anything either.
            (KeptState::Running { adopted: false, .. }, _) if seen.status.is_none() => {
                Observation::Absent
            }
            _ => Observation::Unknown,
        },
    }
}

fn has_stopped(status: &InstanceStatus) -> bool {
    status.phase == InstancePhase::Stopped
}

fn attached(seen: &Seen, folder: &InstanceFolder) -> Observation {
    match &seen.status {
        Some(status) => Observation::Attached {
            status: status.clone(),
            node_address: NodeAddress::Unix(folder.node_socket()),
        },
        None => Observation::Absent,
    }
}
