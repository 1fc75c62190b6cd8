//! The node's state as it tells it, put together from those who know a part of it.

use super::state::NodeState;
use lumadb_contract::archive::{RestorePhase, RestoreStatus};
use lumadb_contract::id::IncarnationId;
use lumadb_contract::instance::{InstancePhase, InstanceStatus, VolumeStage};
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::sync::watch;

/// The whole state; whoever changes a part of it tells every reader.
#[derive(Debug, Clone)]
pub(crate) struct StatusBoard {
    status: watch::Sender<InstanceStatus>,
    now: fn() -> OffsetDateTime,
}

impl StatusBoard {
    pub(crate) fn new(incarnation_id: IncarnationId, now: fn() -> OffsetDateTime) -> Self {
        Self {
            now,
            status: watch::Sender::new(InstanceStatus {
                incarnation_id,
                observed_generation: 0,
                phase: InstancePhase::Starting,
                error: None,
                engine_version: None,
                system_identifier: None,
                connections: 0,
                idle_since: None,
                storage_bytes: 0,
                volume: VolumeStage::Ample,
                room: None,
                archive: None,
                restore: None,
            }),
        }
    }

    pub(crate) fn read(&self) -> InstanceStatus {
        self.status.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<InstanceStatus> {
        self.status.subscribe()
    }

    /// Changes what `change` touches; readers are told if anything differs.
    pub(crate) fn update(&self, change: impl FnOnce(&mut InstanceStatus)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            if status.phase == InstancePhase::Ready && before.phase != InstancePhase::Ready {
                // Nobody could connect before: idling begins now.
                status.idle_since = (status.connections == 0).then(self.now);
            }
            *status != before
        });
    }

    /// Keeps connections and idleness true for as long as it is polled.
    pub(crate) async fn follow_connections(&self, state: Arc<NodeState>) {
        let mut connections = state.connections();
        while connections.changed().await.is_ok() {
            let open = *connections.borrow_and_update();
            self.update(|status| {
                status.connections = open;
                status.idle_since = (open == 0).then(self.now);
            });
        }
    }
}

/// Whether a change between two states is told at once rather than with the next regular one.
pub(crate) fn is_urgent(before: &InstanceStatus, after: &InstanceStatus) -> bool {
    before.phase != after.phase
        || before.observed_generation != after.observed_generation
        || before.error != after.error
        || before.volume != after.volume
        || before.idle_since.is_some() != after.idle_since.is_some()
        || before.restore.as_ref().map(progress) != after.restore.as_ref().map(progress)
}

/// What of a restore is waited for.
fn progress(restore: &RestoreStatus) -> (RestorePhase, bool) {
    let verification = restore.verification.as_ref();
    let has_ended = verification.is_some_and(|found| found.has_ended);
    (restore.phase, has_ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn board() -> StatusBoard {
        let id = IncarnationId::from_uuid(Uuid::from_u128(1));
        StatusBoard::new(id, || OffsetDateTime::UNIX_EPOCH)
    }

    #[test]
    fn idling_begins_when_the_engine_becomes_ready() {
        let board = board();
        assert_eq!(board.read().idle_since, None);
        board.update(|status| status.phase = InstancePhase::Ready);
        assert_eq!(board.read().idle_since, Some(OffsetDateTime::UNIX_EPOCH));
    }

    #[test]
    fn counting_connections_is_not_urgent_and_falling_idle_is() {
        let before = board().read();
        let mut after = before.clone();
        after.connections = 3;
        assert!(!is_urgent(&before, &after));
        after.idle_since = Some(OffsetDateTime::UNIX_EPOCH);
        assert!(is_urgent(&before, &after));
    }
}
