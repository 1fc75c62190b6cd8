//! Asks the engine what it stores and what was done with vectors.

use super::state::NodeState;
use super::status::StatusBoard;
use crate::engine::{AdminError, AdminSession, InstanceDir, vector_counts};
use crate::errors::chain;
use crate::metering::VectorBook;
use lumadb_contract::instance::InstancePhase;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// Between looks at the stored bytes while clients are connected: so many times what the last one
/// took, within these bounds.
const STORAGE_PAUSE_FACTOR: u32 = 400;
const STORAGE_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Between looks at vectors while clients are connected.
const VECTORS_PAUSE: Duration = Duration::from_secs(10);

/// Without clients a look follows after so long.
const IDLE_PAUSE: Duration = Duration::from_mins(5);

#[derive(Debug, Clone)]
pub(crate) struct Measuring {
    instance: InstanceDir,
    state: Arc<NodeState>,
    status: StatusBoard,
    vectors: Arc<Mutex<VectorBook>>,
}

impl Measuring {
    pub(crate) fn new(instance: &InstanceDir, state: Arc<NodeState>, status: StatusBoard) -> Self {
        let book = VectorBook::open(instance.vectors_file());
        Self {
            instance: instance.clone(),
            state,
            status,
            vectors: Arc::new(Mutex::new(book)),
        }
    }

    /// Measures when the engine is ready, and every so often after that.
    pub(crate) async fn follow(&self) {
        let mut phases = self.status.subscribe();
        let mut connections = self.state.connections();
        let mut idle_until = Instant::now();
        let mut vectors_at = Instant::now();
        // A client that came and went between two looks at vectors may have used some.
        let mut vectors_owed = false;
        loop {
            let ready = phases.wait_for(|status| status.phase == InstancePhase::Ready);
            if ready.await.is_err() {
                return;
            }
            let began = Instant::now();
            let used = connections.has_changed().unwrap_or(false) || *connections.borrow() > 0;
            let is_due = used || began >= idle_until;
            if is_due {
                connections.mark_unchanged();
                report(self.storage().await);
                idle_until = began + IDLE_PAUSE;
            }
            let pause =
                (began.elapsed() * STORAGE_PAUSE_FACTOR).clamp(STORAGE_PAUSE.0, STORAGE_PAUSE.1);
            vectors_owed |= is_due;
            if vectors_owed && began >= vectors_at {
                report(self.vectors().await);
                vectors_owed = false;
                vectors_at = began + VECTORS_PAUSE;
            }
            sleep(pause).await;
        }
    }

    /// Everything, before the engine ends.
    pub(crate) async fn once_more(&self) {
        report(self.storage().await);
        report(self.vectors().await);
    }

    async fn storage(&self) -> Result<(), AdminError> {
        let session = AdminSession::open(&self.instance).await?;
        let storage_bytes = session.storage_bytes().await?;
        self.status
            .update(|status| status.storage_bytes = storage_bytes);
        Ok(())
    }

    async fn vectors(&self) -> Result<(), AdminError> {
        let mut book = self.vectors.lock().await;
        match book.take(vector_counts(&self.instance).await?) {
            Ok(grown) => self.state.counters().add_vector_operations(grown),
            Err(error) => tracing::warn!(%error, "vector operations are counted later"),
        }
        Ok(())
    }
}

fn report(measured: Result<(), AdminError>) {
    if let Err(error) = measured {
        tracing::warn!(error = %chain(&error), "the engine was not measured");
    }
}
