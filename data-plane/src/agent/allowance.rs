//! Keeps the node's part of the organization's limits: asks the parent, and puts the answers in
//! force at the gate of the protocols and in the engine.

use super::leases::{Leases, Now};
use super::state::NodeState;
use super::status::StatusBoard;
use crate::engine::{InstanceDir, WriteLimit};
use crate::files;
use lumadb_contract::allowance::{Allowance, AllowanceRequest};
use lumadb_contract::id::IncarnationId;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

/// Pause between looks at the counters while clients are connected.
const LOOK: Duration = Duration::from_millis(100);

/// The same while nobody is.
const LOOK_IDLE: Duration = Duration::from_mins(1);

/// Answers that may wait.
const ANSWERS_MAX: usize = 4;

/// The stream's ends: the newest question, and where answers go.
#[derive(Debug, Clone)]
pub(crate) struct AllowanceLink {
    pub(crate) questions: watch::Receiver<Option<AllowanceRequest>>,
    pub(crate) answers: mpsc::Sender<Allowance>,
}

#[derive(Debug)]
pub(crate) struct AllowanceKeeper {
    state: Arc<NodeState>,
    status: StatusBoard,
    leases: Leases,
    questions: watch::Sender<Option<AllowanceRequest>>,
    answers: mpsc::Receiver<Allowance>,
    /// What the engine shall refuse.
    writes: watch::Sender<WriteLimit>,
    /// Where that is kept for the node's next life.
    file: PathBuf,
    now: fn() -> OffsetDateTime,
    started: Instant,
}

impl AllowanceKeeper {
    pub(crate) fn new(
        instance: &InstanceDir,
        incarnation_id: IncarnationId,
        state: Arc<NodeState>,
        status: StatusBoard,
        now: fn() -> OffsetDateTime,
    ) -> (Self, AllowanceLink) {
        let file = instance.write_limit_file();
        let before = std::fs::read(&file).ok();
        let before = before.and_then(|text| serde_json::from_slice(&text).ok());
        let before: WriteLimit = before.unwrap_or_default();
        let (questions, asked) = watch::channel(None);
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        let keeper = Self {
            state,
            status,
            leases: Leases::new(incarnation_id, before.clone()),
            questions,
            answers,
            writes: watch::Sender::new(before),
            file,
            now,
            started: Instant::now(),
        };
        let link = AllowanceLink {
            questions: asked,
            answers: sender,
        };
        (keeper, link)
    }

    pub(crate) fn writes(&self) -> watch::Receiver<WriteLimit> {
        self.writes.subscribe()
    }

    pub(crate) async fn run(mut self) {
        let mut connections = self.state.connections();
        let mut status = self.status.subscribe();
        loop {
            let now = self.look();
            self.leases.observe(&now);
            self.put_in_force(&now);
            let due = self.leases.ask_at(&now);
            if due <= now.at {
                let request = self.leases.ask(&now);
                self.questions.send_replace(Some(request));
                continue;
            }
            let longest = match *connections.borrow_and_update() {
                0 => LOOK_IDLE,
                _ => LOOK,
            };
            let state = self.state.clone();
            tokio::select! {
                () = sleep(due.saturating_sub(now.at).min(longest)) => {}
                () = state.counters().quota().asked() => {
                    let now = self.look();
                    self.leases.waited_for(&now);
                }
                answer = self.answers.recv() => match answer {
                    Some(answer) => {
                        let now = self.look();
                        self.leases.answered(answer, &now);
                    }
                    None => return,
                },
                changed = connections.changed() => if changed.is_err() { return },
                changed = status.changed() => if changed.is_err() { return },
            }
        }
    }

    fn look(&self) -> Now {
        let stored = self.status.read().storage_bytes;
        Now {
            at: self.started.elapsed(),
            wall: (self.now)(),
            counters: self.state.counters().snapshot(),
            // Before the engine is measured its size is not zero but unknown.
            storage_bytes: (stored > 0).then_some(stored),
        }
    }

    fn put_in_force(&self, now: &Now) {
        let standing = self.leases.standing(now);
        let gate = self.state.counters().quota();
        gate.set(standing.ceilings, standing.refusal);
        let changed = self.writes.send_if_modified(|writes| {
            let differs = *writes != standing.writes;
            if differs {
                writes.clone_from(&standing.writes);
            }
            differs
        });
        if changed {
            let written = serde_json::to_vec(&standing.writes)
                .map_err(std::io::Error::from)
                .and_then(|text| files::refresh(&self.file, &text));
            if let Err(error) = written {
                tracing::warn!(%error, "a limit is forgotten when this node restarts");
            }
            tracing::info!(stage = ?standing.writes.stage, "what may be written changed");
        }
    }
}
