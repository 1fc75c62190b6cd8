//! Asks the engine up to where WAL has been inserted, for all whose words wait at the gate, and lets
//! them go when the archive covers it.

use super::state::Serving;
use crate::engine::{AdminError, AdminSession, InstanceDir};
use crate::errors::chain;
use crate::gate::{Gate, Need, Questions};
use lumadb_contract::archive::Lsn;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// Pauses between tries to ask an engine that does not answer, milliseconds: the first, and the
/// longest.
const PAUSE_MS: (u64, u64) = (20, 500);

#[derive(Debug)]
pub(crate) struct GateKeeper {
    pub(crate) instance: InstanceDir,
    pub(crate) gate: Arc<Gate>,
    pub(crate) serving: watch::Receiver<Arc<Serving>>,
}

impl GateKeeper {
    /// Works for as long as it is polled and specs come.
    pub(crate) async fn run(self) {
        let mut serving = self.serving.clone();
        loop {
            if serving.wait_for(|serving| serving.gated).await.is_err() {
                return;
            }
            tokio::select! {
                () = self.keep() => {}
                off = serving.wait_for(|serving| !serving.gated) => if off.is_err() { return },
            }
            self.gate.off();
        }
    }

    async fn keep(&self) {
        let mut pause_ms = PAUSE_MS.0;
        loop {
            self.gate.shut();
            let mut opened = false;
            let error = match self.life(&mut opened).await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            tracing::debug!(
                error = chain(&error),
                "the engine cannot be asked for its WAL"
            );
            if opened {
                pause_ms = PAUSE_MS.0;
            }
            self.gate.shut();
            sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAUSE_MS.1);
        }
    }

    /// One life of the engine, from our session's beginning to its end. The gate opens when the
    /// archive covers what there was at the beginning: after a crash, all that was recovered.
    async fn life(&self, opened: &mut bool) -> Result<Infallible, AdminError> {
        let mut session = AdminSession::open(&self.instance).await?;
        let question = session.wal_question().await?;
        let mut life = Life {
            gate: &self.gate,
            covered: self.gate.covered(),
            questions: Questions::default(),
            opened,
        };
        let mut asks = true;
        loop {
            if asks || self.gate.is_wanted() {
                asks = false;
                let number = self.gate.ask();
                let answer = life.meanwhile(session.wal_positions(&question));
                let (inserted, flushed) = answer.await?;
                let now = Instant::now();
                life.questions.answered(number, inserted, flushed, now);
            }
            let archived = life.release();
            let later = match life.questions.need(archived, Instant::now()) {
                Need::Nothing => None,
                Need::At(at) => Some(at),
                Need::FlushPast(end) => {
                    let flushed = life.meanwhile(session.flush_past(end)).await?;
                    life.questions.flushed(flushed);
                    continue;
                }
            };
            tokio::select! {
                () = session.ended() => return Err(AdminError::Ended),
                () = self.gate.wanted() => {}
                _ = life.covered.changed() => {}
                () = sleep_until(later.unwrap_or_else(Instant::now)), if later.is_some() => {}
            }
        }
    }
}

/// What is known of one life of the engine.
struct Life<'a> {
    gate: &'a Gate,
    covered: watch::Receiver<Lsn>,
    questions: Questions,
    opened: &'a mut bool,
}

impl Life<'_> {
    /// Lets go whom the archive covers; answers how far it is.
    fn release(&mut self) -> Lsn {
        let archived = *self.covered.borrow_and_update();
        if let Some(number) = self.questions.release(archived) {
            self.gate.release(number);
            if !*self.opened {
                *self.opened = true;
                self.gate.open();
            }
        }
        archived
    }

    /// Awaits what the engine answers, and lets go whom the archive comes to cover meanwhile.
    async fn meanwhile<T>(&mut self, answer: impl Future<Output = T>) -> T {
        tokio::pin!(answer);
        loop {
            self.release();
            tokio::select! {
                answer = &mut answer => return answer,
                _ = self.covered.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whom_the_archive_covers_goes_although_a_question_is_out() {
        let gate = Arc::new(Gate::default());
        gate.shut();
        let mut questions = Questions::default();
        questions.answered(gate.ask(), Lsn(10), Lsn(10), Instant::now());
        let mut opened = false;
        let mut life = Life {
            gate: &gate,
            covered: gate.covered(),
            questions,
            opened: &mut opened,
        };
        // Answered once somebody could enter, which is when the first question is done with.
        let entered = life.meanwhile(gate.enter(Duration::from_secs(10)));
        let (entered, ()) = tokio::join!(entered, async { gate.archive_covers(Lsn(10)) });
        assert!(entered.is_ok());
        assert!(opened);
    }
}
