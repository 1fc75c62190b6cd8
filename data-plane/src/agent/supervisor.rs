//! Brings the instance to what the newest spec says, again and again, whatever has happened.

use super::engine_link::EngineLink;
use super::measuring::Measuring;
use super::meter::MeterHandle;
use super::restoring::{FirstContent, Restoring};
use super::spec::{KnownSpec, SpecError, spec_write};
use super::state::{NodeState, Serving, Sessions};
use super::status::StatusBoard;
use super::volume::Volume;
use crate::engine::{
    AdminSession, ApplyError, AtRest, Change, Command, ConfigFiles, EnginePhase, InstanceDir,
    Machine, Settings, StopMode, WriteLimit, tenancy_apply,
};
use crate::errors::chain;
use lumadb_contract::archive::Lsn;
use lumadb_contract::instance::{InstancePhase, InstanceSpec, RunState, VolumeStage};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Pauses before applying a spec again that failed, milliseconds: the first, and the longest.
const RETRY_MS: (u64, u64) = (20, 10_000);

/// Time for open sessions to come to the end of their transactions before they are cut, seconds.
const TRANSACTIONS_END_SECONDS: u64 = 10;

/// Time for open sessions to hear that they end, seconds.
const SESSIONS_END_SECONDS: u64 = 5;

/// Time for the archive to follow an engine that is about to end, seconds. Once it follows, the
/// engine itself waits for it.
const ARCHIVE_BEGIN_SECONDS: u64 = 10;

/// Time to measure the storage before the engine ends, seconds.
const LAST_MEASURE_SECONDS: u64 = 5;

/// What a spec needs on the way into force.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Admin(#[from] crate::engine::AdminError),
}

/// How one look at the newest spec ended.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// Nothing to do until something changes.
    Settled,
    /// Something failed; look again after a pause.
    Retry,
    /// The instance is at rest and the node may go.
    Rest,
}

#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) instance: InstanceDir,
    pub(crate) machine: Machine,
    pub(crate) state: Arc<NodeState>,
    pub(crate) specs: watch::Receiver<Option<KnownSpec>>,
    pub(crate) link: EngineLink,
    pub(crate) status: StatusBoard,
    pub(crate) meter: MeterHandle,
    /// The spec that is in force, and the engine's process in which it is.
    pub(crate) applied: Option<(InstanceSpec, u32)>,
    /// What the engine held when it ended, until it has been started since.
    pub(crate) at_rest: Option<AtRest>,
    /// The spec on disk. What changes without a new generation must get there too.
    pub(crate) written: Option<InstanceSpec>,
    /// Until when sessions that were asked to leave may go on.
    pub(crate) leave_until: Option<Instant>,
    pub(crate) restoring: Restoring,
    pub(crate) volume: watch::Receiver<Volume>,
    /// What the engine shall refuse for the organization's limits.
    pub(crate) writes: watch::Receiver<WriteLimit>,
    pub(crate) measuring: Measuring,
}

impl Supervisor {
    /// Returns when the parent wanted the instance at rest and it is: the engine has ended, the
    /// last sample is sealed, the helper has been told to go.
    pub(crate) async fn run(mut self) {
        let mut retry_ms = RETRY_MS.0;
        let mut connections = self.state.connections();
        let mut volume = self.volume.clone();
        let mut stage = VolumeStage::Ample;
        loop {
            let look = self.look().await;
            let pause = match look {
                Look::Rest => return,
                Look::Settled => {
                    retry_ms = RETRY_MS.0;
                    None
                }
                Look::Retry => {
                    let pause = Duration::from_millis(retry_ms);
                    retry_ms = (retry_ms * 2).min(RETRY_MS.1);
                    Some(pause)
                }
            };
            let wants_sleep = self.wants(RunState::Asleep);
            tokio::select! {
                changed = self.specs.changed() => if changed.is_err() { return },
                () = self.link.changed() => {}
                () = self.restoring.changed() => {}
                Ok(()) = self.writes.changed() => {}
                _ = connections.changed(), if wants_sleep => {}
                other = volume.wait_for(|volume| volume.stage != stage) => {
                    stage = other.map_or(stage, |volume| volume.stage);
                }
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    fn wants(&self, run: RunState) -> bool {
        let known = self.specs.borrow();
        known
            .as_ref()
            .is_some_and(|known| known.confirmed && known.spec.run == run)
    }

    async fn look(&mut self) -> Look {
        let Some(known) = self.specs.borrow_and_update().clone() else {
            return Look::Settled;
        };
        match known.spec.run {
            RunState::Running => self.keep_running(&known.spec).await,
            _ if !known.confirmed => Look::Settled,
            RunState::Asleep if !self.state.close_if_idle() => self.keep_running(&known.spec).await,
            RunState::Asleep => self.rest(&known.spec).await,
            RunState::Stopped => {
                if !self.sessions_leave(Sessions::Leaving).await {
                    return Look::Settled;
                }
                self.end_sessions().await;
                self.rest(&known.spec).await
            }
        }
    }

    /// Whether there is a database to run; otherwise what to do about it.
    async fn first_content(&mut self, spec: &InstanceSpec) -> Option<Look> {
        if !self.restoring.is_there(spec) {
            self.at_rest = None;
            // It may have begun to run what is there.
            let mode = StopMode::Immediate;
            self.link.order(Command::Stop { mode });
            let report = self.link.report();
            if !report.is_some_and(|report| self.link.is_settled(&report)) {
                return Some(Look::Settled);
            }
        }
        let (phase, error, look) = match self.restoring.look(spec).await {
            FirstContent::There => return None,
            FirstContent::OnItsWay => (InstancePhase::Starting, None, Look::Settled),
            FirstContent::Refused(why) => (InstancePhase::Failed, Some(why), Look::Settled),
            FirstContent::Failed(why) => {
                tracing::error!(error = why, "the restore is tried again");
                (InstancePhase::Starting, Some(why), Look::Retry)
            }
        };
        self.status.update(|status| {
            status.phase = phase;
            status.error = error;
        });
        Some(look)
    }

    async fn keep_running(&mut self, spec: &InstanceSpec) -> Look {
        if let Some(look) = self.first_content(spec).await {
            return look;
        }
        let limit = self.writes.borrow_and_update().clone();
        let mut config = ConfigFiles::new(Settings::from(spec), self.machine, &limit);
        // What the volume has no room for and what a limit refuses are each refused by themselves:
        // where both hold, the stricter is felt.
        let stage = self.volume.borrow().stage;
        if stage >= VolumeStage::ReadOnly {
            config = config.read_only();
        }
        let begins_gated = self.begins_gated(spec);
        if (begins_gated || self.takes_restart(&config))
            && !self.sessions_leave(Sessions::Restarting).await
        {
            return Look::Settled;
        }
        if begins_gated && !self.is_empty_at_last().await {
            return Look::Retry;
        }
        let config = Box::new(config);
        self.link.order(Command::Run { config });
        self.publish_known(spec);
        if stage == VolumeStage::Full {
            self.end_sessions().await;
            return Look::Settled;
        }
        let Some(report) = self.link.report() else {
            // The helper is away; an engine that ran goes on and its clients with it.
            return Look::Settled;
        };
        let in_force = self.applied.as_ref().is_some_and(|(applied, pid)| {
            applied == spec && Some(*pid) == report.pid && report.phase != EnginePhase::Stopping
        });
        if in_force && self.state.serving().sessions == Sessions::Accepted {
            return Look::Settled;
        }
        let Some(pid) = report.pid.filter(|_| self.link.is_settled(&report)) else {
            self.not_ready(report.phase, report.error);
            return Look::Settled;
        };
        if self.at_rest.take() == Some(AtRest::of(spec)) {
            self.accept(spec);
        }
        let writing = self.write(spec);
        match self.bring_into_force(spec).await {
            Ok(()) => {
                self.applied = Some((spec.clone(), pid));
                let written = self.written(writing).await;
                self.ready(spec, written.err().map(|error| chain(&error)));
                Look::Settled
            }
            Err(error) => {
                let error = chain(&error);
                tracing::error!(error, spec.generation, "the spec is not in force");
                self.status.update(|status| status.error = Some(error));
                Look::Retry
            }
        }
    }

    /// Whether an engine that serves would have to restart for another configuration.
    fn takes_restart(&mut self, config: &ConfigFiles) -> bool {
        let Some((applied, pid)) = &self.applied else {
            return false;
        };
        let serves = self
            .link
            .report()
            .is_some_and(|report| report.pid == Some(*pid) && report.phase == EnginePhase::Ready);
        let limit = self.writes.borrow().clone();
        let started = ConfigFiles::new(Settings::from(applied), self.machine, &limit);
        serves && config.change_from(&started) == Change::Restart
    }

    /// Whether sessions are open that hear of commits before they are archived, and none shall be.
    fn begins_gated(&self, spec: &InstanceSpec) -> bool {
        let open = self.state.counters().connections() > 0;
        open && !self.state.serving().gated && Serving::of_spec(spec).gated
    }

    /// Ends the sessions that did not end by themselves; answers whether none is left.
    async fn is_empty_at_last(&self) -> bool {
        if self.state.counters().connections() > 0 {
            self.end_sessions().await;
        }
        self.state.counters().connections() == 0
    }

    /// Has open sessions end between two transactions, and waits a bounded time for it. Answers
    /// whether the newest spec is still the same; if not, it shall be looked at first.
    async fn sessions_leave(&mut self, sessions: Sessions) -> bool {
        let mut serving = Serving::clone(&self.state.serving());
        serving.sessions = sessions;
        self.state.serve(serving);
        let patience = Duration::from_secs(TRANSACTIONS_END_SECONDS);
        let until = *(self.leave_until).get_or_insert_with(|| Instant::now() + patience);
        let mut connections = self.state.connections();
        tokio::select! {
            _ = connections.wait_for(|open| *open == 0) => true,
            () = sleep_until(until) => true,
            changed = self.specs.changed() => {
                self.specs.mark_changed();
                changed.is_err()
            }
        }
    }

    /// What of a spec needs no engine holds at once: limits, certificate, passwords, and that a
    /// role is gone. A role that is new is shown when the engine knows it.
    fn publish_known(&self, spec: &InstanceSpec) {
        let current = self.state.serving();
        let mut next = Serving::of_spec(spec);
        next.sessions = match current.sessions {
            Sessions::Accepted | Sessions::Restarting => current.sessions,
            Sessions::NotReady | Sessions::Awaited | Sessions::Leaving | Sessions::Ended => {
                Sessions::Awaited
            }
        };
        next.roles
            .retain(|name, _| current.roles.contains_key(name));
        self.state.serve(next);
    }

    fn not_ready(&mut self, phase: EnginePhase, error: Option<String>) {
        let mut serving = Serving::clone(&self.state.serving());
        serving.sessions = match serving.sessions {
            // It may be long until it starts; whoever comes shall hear so.
            _ if error.is_some() => Sessions::NotReady,
            Sessions::Restarting => Sessions::Restarting,
            _ => Sessions::Awaited,
        };
        self.state.serve(serving);
        self.status.update(|status| {
            status.phase = match phase {
                EnginePhase::Stopped if error.is_some() => InstancePhase::Failed,
                _ => InstancePhase::Starting,
            };
            status.error = error;
        });
    }

    async fn bring_into_force(&self, spec: &InstanceSpec) -> Result<(), StepError> {
        let session = AdminSession::open(&self.instance).await?;
        tenancy_apply(&self.instance, &session, spec).await?;
        if self.status.read().system_identifier.is_none() {
            let identity = session.identity().await?;
            self.status.update(|status| {
                status.system_identifier = Some(identity.system_identifier);
                status.engine_version = Some(identity.version);
            });
        }
        Ok(())
    }

    fn accept(&self, spec: &InstanceSpec) {
        let mut serving = Serving::of_spec(spec);
        serving.sessions = Sessions::Accepted;
        self.state.serve(serving);
    }

    fn ready(&mut self, spec: &InstanceSpec, error: Option<String>) {
        self.accept(spec);
        self.leave_until = None;
        self.status.update(|status| {
            status.phase = InstancePhase::Ready;
            status.error = error;
            if self.written.as_ref() == Some(spec) {
                status.observed_generation = spec.generation;
            }
        });
    }

    /// Starts writing the spec to disk, unless it is there.
    fn write(&self, spec: &InstanceSpec) -> Option<JoinHandle<Result<InstanceSpec, SpecError>>> {
        if self.written.as_ref() == Some(spec) {
            return None;
        }
        let path = self.instance.spec_file();
        let spec = spec.clone();
        Some(spawn_blocking(move || {
            spec_write(&path, &spec)?;
            Ok(spec)
        }))
    }

    async fn written(
        &mut self,
        writing: Option<JoinHandle<Result<InstanceSpec, SpecError>>>,
    ) -> Result<(), SpecError> {
        if let Some(Ok(written)) = match writing {
            Some(writing) => Some(writing.await),
            None => None,
        } {
            self.written = Some(written?);
        }
        Ok(())
    }

    async fn end_sessions(&self) {
        let mut serving = Serving::clone(&self.state.serving());
        serving.sessions = Sessions::Ended;
        self.state.serve(serving);
        let mut connections = self.state.connections();
        let gone = connections.wait_for(|open| *open == 0);
        // Those that do not hear it end with the engine.
        let _ = timeout(Duration::from_secs(SESSIONS_END_SECONDS), gone).await;
    }

    /// Ends the engine and this incarnation, unless the instance is wanted again on the way.
    async fn rest(&mut self, spec: &InstanceSpec) -> Look {
        if !self.archive_follows(spec).await {
            return Look::Settled;
        }
        self.restoring.stop();
        self.status
            .update(|status| status.phase = InstancePhase::Stopping);
        if self.applied.is_some() {
            self.measure_once_more().await;
        }
        let mode = StopMode::Fast;
        self.link.order(Command::Stop { mode });
        loop {
            let report = self.link.report();
            if report.is_some_and(|report| self.link.is_settled(&report)) {
                break;
            }
            tokio::select! {
                () = self.link.changed() => {}
                changed = self.specs.changed() => {
                    if changed.is_err() || !self.wants_rest() {
                        self.specs.mark_changed();
                        return Look::Settled;
                    }
                }
            }
        }
        let applied = self.applied.take().map(|(applied, _)| AtRest::of(&applied));
        if !self.wants_rest() {
            self.specs.mark_changed();
            self.at_rest = applied;
            return Look::Settled;
        }
        if let Some(Err(error)) = applied.map(|applied| applied.leave(&self.instance)) {
            tracing::warn!(%error, "the next start will be slower");
        }
        let writing = self.write(spec);
        let written = self.written(writing).await;
        if let Err(error) = self.meter.finish().await {
            tracing::error!(error = %chain(&error), "the last sample was not sealed");
        }
        self.status.update(|status| {
            status.phase = InstancePhase::Stopped;
            status.error = written.err().map(|error| chain(&error));
            status.observed_generation = spec.generation;
        });
        self.release_helper().await;
        Look::Rest
    }

    /// Waits a bounded time until the archive has taken up the engine's WAL, or cannot: what was
    /// committed in a short life shall not wait for the next one. Answers whether the newest spec
    /// is still the same.
    async fn archive_follows(&mut self, spec: &InstanceSpec) -> bool {
        if spec.archive.is_none() || self.applied.is_none() {
            return true;
        }
        let mut status = self.status.subscribe();
        let follows = status.wait_for(|status| {
            let archive = status.archive.as_ref();
            archive.is_some_and(|it| it.archived_lsn > Lsn(0) || it.error.is_some())
        });
        let limit = Duration::from_secs(ARCHIVE_BEGIN_SECONDS);
        tokio::select! {
            _ = timeout(limit, follows) => true,
            changed = self.specs.changed() => {
                self.specs.mark_changed();
                changed.is_err()
            }
        }
    }

    fn wants_rest(&self) -> bool {
        self.wants(RunState::Asleep) || self.wants(RunState::Stopped)
    }

    /// The helper goes with the node; it ends the link when it has.
    async fn release_helper(&mut self) {
        let mode = StopMode::Fast;
        self.link.order(Command::Exit { mode });
        let deadline = Instant::now() + Duration::from_secs(SESSIONS_END_SECONDS);
        while self.link.report().is_some() {
            if tokio::time::timeout_at(deadline, self.link.changed())
                .await
                .is_err()
            {
                tracing::warn!("the engine's helper does not end");
                return;
            }
        }
    }

    async fn measure_once_more(&self) {
        let limit = Duration::from_secs(LAST_MEASURE_SECONDS);
        if timeout(limit, self.measuring.once_more()).await.is_err() {
            tracing::warn!("the engine was not measured in time");
        }
    }
}
