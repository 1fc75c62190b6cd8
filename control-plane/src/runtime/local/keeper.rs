//! Keeps one process running: starts or adopts it, starts it again when it dies, ends it when told.

use super::process::{Process, Processes, Program};
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Wait before the first restart; each further one doubles it.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);

const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// A process that ran for so long was healthy: its next restart is a first one.
const HEALTHY_AFTER: Duration = Duration::from_mins(1);

/// What shall be. Always the whole wish: the keeper compares it with what is.
#[derive(Debug, Clone)]
pub enum Wish {
    /// Runs, and is started again when it dies.
    Run(Arc<Program>),
    /// Is not started again once it has ended by itself.
    Finish,
    /// Ends.
    Stop { signal: Signal, grace: Duration },
    /// Is left alone: the keeper ends and the process goes on.
    Leave,
}

impl Wish {
    /// Ends on SIGTERM, within `grace`.
    pub const fn stop(grace: Duration) -> Self {
        Self::Stop {
            signal: Signal::SIGTERM,
            grace,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptState {
    /// Not looked at yet.
    Unknown,
    Running {
        pid: i32,
        /// Taken over from an earlier parent.
        adopted: bool,
    },
    /// Died, and will be started again. The number of starts since it was last healthy.
    Waiting {
        attempt: u32,
    },
    Ended,
}

/// One name under which at most one process runs.
#[derive(Debug)]
pub struct Keeper {
    wish: watch::Sender<Wish>,
    state: watch::Receiver<KeptState>,
    task: tokio::task::JoinHandle<()>,
}

impl Keeper {
    pub fn new(processes: Processes, name: String, wish: Wish) -> Self {
        let (wish, wishes) = watch::channel(wish);
        let (said, state) = watch::channel(KeptState::Unknown);
        let keeping = Keeping {
            processes,
            name,
            wishes,
            said,
            process: None,
            attempt: 0,
        };
        let task = tokio::spawn(keeping.run());
        Self { wish, state, task }
    }

    pub fn wish(&self, wish: Wish) {
        self.wish.send_replace(wish);
    }

    pub fn state(&self) -> watch::Receiver<KeptState> {
        self.state.clone()
    }

    /// Waits until no process of this name runs.
    pub async fn ended(&self) {
        let mut state = self.state.clone();
        // An error says that the keeper is gone; then nothing is kept either.
        let _ = state
            .wait_for(|state| matches!(state, KeptState::Ended))
            .await;
    }

    /// Ends the process and the keeper.
    pub async fn stop(self, signal: Signal, grace: Duration) {
        self.wish(Wish::Stop { signal, grace });
        self.ended().await;
        self.leave().await;
    }

    /// Ends the keeper; the process goes on.
    pub async fn leave(self) {
        self.wish(Wish::Leave);
        let _ = self.task.await;
    }
}

struct Keeping {
    processes: Processes,
    name: String,
    wishes: watch::Receiver<Wish>,
    said: watch::Sender<KeptState>,
    process: Option<Process>,
    attempt: u32,
}

impl Keeping {
    async fn run(mut self) {
        loop {
            let wish = self.wishes.borrow_and_update().clone();
            if self.process.is_none() {
                self.adopt(&wish).await;
            }
            let gone = match wish {
                Wish::Run(program) => self.keep(&program).await,
                Wish::Finish if self.process.is_some() => self.wait_or_wish().await,
                Wish::Finish => self.rest().await,
                Wish::Stop { signal, grace } => {
                    if let Some(process) = &mut self.process {
                        process.stop_with(signal, grace).await;
                        self.forget();
                    }
                    self.rest().await
                }
                Wish::Leave => return,
            };
            if gone.is_err() {
                return;
            }
        }
    }

    /// Takes over what an earlier parent started. Where it differs from what shall run, ends it.
    async fn adopt(&mut self, wish: &Wish) {
        let Some((mut process, fingerprint)) = self.processes.find(&self.name) else {
            return;
        };
        if let Wish::Run(program) = wish
            && !program.fingerprint.is_empty()
            && program.fingerprint != fingerprint
        {
            tracing::info!(
                name = self.name,
                "restarting a process of another build or configuration"
            );
            process.stop(Duration::from_secs(20)).await;
            return;
        }
        self.said.send_replace(KeptState::Running {
            pid: process.pid(),
            adopted: true,
        });
        self.process = Some(process);
    }

    async fn keep(&mut self, program: &Program) -> Result<(), watch::error::RecvError> {
        if self.process.is_none() {
            match self.processes.start(program) {
                Ok(process) => {
                    tracing::info!(name = self.name, pid = process.pid(), "started");
                    self.said.send_replace(KeptState::Running {
                        pid: process.pid(),
                        adopted: false,
                    });
                    self.process = Some(process);
                }
                Err(error) => {
                    tracing::error!(name = self.name, %error, "did not start");
                    return self.back_off().await;
                }
            }
        }
        let since = Instant::now();
        self.wait_or_wish().await?;
        if since.elapsed() >= HEALTHY_AFTER {
            self.attempt = 0;
        }
        let wanted = matches!(&*self.wishes.borrow(), Wish::Run(_));
        if self.process.is_none() && wanted {
            return self.back_off().await;
        }
        Ok(())
    }

    /// Until the process has ended or the wish has changed.
    async fn wait_or_wish(&mut self) -> Result<(), watch::error::RecvError> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        let pid = process.pid();
        tokio::select! {
            status = process.wait() => {
                let status = status.map_or_else(|| "ended".to_owned(), |status| status.to_string());
                tracing::info!(name = self.name, pid, status, "a process ended");
                self.forget();
                Ok(())
            }
            changed = self.wishes.changed() => changed,
        }
    }

    fn forget(&mut self) {
        self.process = None;
        self.processes.forget(&self.name);
    }

    async fn rest(&mut self) -> Result<(), watch::error::RecvError> {
        self.attempt = 0;
        self.said.send_replace(KeptState::Ended);
        self.wishes.changed().await
    }

    async fn back_off(&mut self) -> Result<(), watch::error::RecvError> {
        let wait = backoff(self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        self.said.send_replace(KeptState::Waiting {
            attempt: self.attempt,
        });
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            changed = self.wishes.changed() => changed,
        }
    }
}

/// 100 ms, 200 ms, 400 ms … 10 s.
fn backoff(attempt: u32) -> Duration {
    BACKOFF_FIRST
        .saturating_mul(1 << attempt.min(16))
        .min(BACKOFF_MAX)
}
