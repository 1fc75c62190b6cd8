//! What is said to the control plane of each database's node, on one stream.
//!
//! A node is said to be absent when its database has no pod, or when its pod has been silent for a
//! while: nodes dial anew now and then, and all of them after the operator has begun. One whose pod
//! was told to end is said to stop, whatever it says itself: nobody is to be sent there any more.

use super::nodes::{Nodes, Sight};
use lumadb_contract::cluster::RegionMessage;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::InstancePhase;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long a node whose pod is there may be silent before it is said to be absent.
const SILENCE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct Tidings {
    /// Databases of which something was said.
    said: BTreeSet<DatabaseId>,
    /// Since when nodes are silent that are not said to be absent yet.
    silent: BTreeMap<DatabaseId, Instant>,
    is_complete: bool,
}

impl Tidings {
    /// What there is to say, given news about these.
    pub(super) fn about(
        &mut self,
        mut changed: BTreeSet<DatabaseId>,
        nodes: &Nodes,
        now: Instant,
    ) -> Vec<RegionMessage> {
        let lasted = self.silent.iter();
        let lasted = lasted.filter(|(_, since)| now.duration_since(**since) >= SILENCE_MAX);
        changed.extend(lasted.map(|(database, _)| *database));
        let mut messages = Vec::new();
        for database in changed {
            let sight = nodes.sight(database);
            messages.extend(self.judge(database, sight, now));
        }
        if !self.is_complete {
            let mut waited_for = nodes.known();
            waited_for.retain(|database| !self.said.contains(database));
            if nodes.is_listed() && waited_for.is_empty() {
                self.is_complete = true;
                messages.push(RegionMessage::Complete);
            }
        }
        messages
    }

    fn judge(
        &mut self,
        database_id: DatabaseId,
        sight: Option<Sight>,
        now: Instant,
    ) -> Vec<RegionMessage> {
        let absent = RegionMessage::Absent { database_id };
        let Some(sight) = sight else {
            self.silent.remove(&database_id);
            self.said.insert(database_id);
            return vec![absent];
        };
        let is_silent = self.silent.contains_key(&database_id);
        let status = sight.status.map(|mut status| {
            if sight.is_leaving && takes_clients(status.phase) {
                status.phase = InstancePhase::Stopping;
            }
            RegionMessage::Status {
                database_id,
                status: Box::new(status),
                address: sight.address,
            }
        });
        if sight.is_attached {
            // A node says its state right after its hello.
            self.silent.remove(&database_id);
            if status.is_some() {
                self.said.insert(database_id);
            }
            return status.into_iter().collect();
        }
        // The last word of one that came to rest; that of another is not true any more.
        let last = status.filter(|message| {
            matches!(message, RegionMessage::Status { status, .. }
                if status.phase == InstancePhase::Stopped)
        });
        let last = last.filter(|_| !is_silent);
        let since = *self.silent.entry(database_id).or_insert(now);
        if sight.has_pod && !sight.is_leaving && now.duration_since(since) < SILENCE_MAX {
            return last.into_iter().collect();
        }
        // Said once: until it is seen again nothing changes.
        self.silent.remove(&database_id);
        self.said.insert(database_id);
        last.into_iter().chain([absent]).collect()
    }
}

const fn takes_clients(phase: InstancePhase) -> bool {
    matches!(phase, InstancePhase::Starting | InstancePhase::Ready)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::instance::{InstanceStatus, VolumeStage};
    use lumadb_contract::route::NodeAddress;

    fn database() -> DatabaseId {
        "db_00000000000000000000000001".parse().expect("an ID")
    }

    fn sight(is_attached: bool, has_pod: bool, phase: InstancePhase) -> Sight {
        Sight {
            is_attached,
            has_pod,
            is_leaving: false,
            status: Some(InstanceStatus {
                incarnation_id: "inc_00000000000000000000000001".parse().expect("an ID"),
                observed_generation: 1,
                phase,
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
            address: NodeAddress::Cluster {
                host: "host".into(),
                port: 5432,
            },
            namespace: "tenants".into(),
        }
    }

    fn words(messages: &[RegionMessage]) -> Vec<&'static str> {
        let word = |message: &RegionMessage| match message {
            RegionMessage::Status { .. } => "status",
            RegionMessage::Absent { .. } => "absent",
            _ => "other",
        };
        messages.iter().map(word).collect()
    }

    #[test]
    fn a_node_is_absent_when_it_has_no_pod_or_was_silent_for_long() {
        let mut tidings = Tidings::default();
        let begin = Instant::now();
        let mut judge = |sight, seconds| {
            let now = begin + Duration::from_secs(seconds);
            words(&tidings.judge(database(), sight, now))
        };
        let ready = |is_attached, has_pod| Some(sight(is_attached, has_pod, InstancePhase::Ready));
        // Before it has dialed, and while it dials anew, nothing is said.
        assert_eq!(judge(ready(false, true), 0), [""; 0]);
        assert_eq!(judge(ready(true, true), 1), ["status"]);
        assert_eq!(judge(ready(false, true), 2), [""; 0]);
        assert_eq!(judge(ready(true, true), 3), ["status"]);
        // Silent for long.
        assert_eq!(judge(ready(false, true), 4), [""; 0]);
        assert_eq!(judge(ready(false, true), 40), ["absent"]);
        // Its pod is gone.
        assert_eq!(judge(ready(true, true), 50), ["status"]);
        assert_eq!(judge(ready(false, false), 51), ["absent"]);
        assert_eq!(judge(None, 52), ["absent"]);
    }

    #[test]
    fn nobody_is_sent_to_a_node_whose_pod_was_told_to_end() {
        let mut tidings = Tidings::default();
        let now = Instant::now();
        let mut said = |is_attached, phase| {
            let sight = Sight {
                is_leaving: true,
                ..sight(is_attached, true, phase)
            };
            let said = tidings.judge(database(), Some(sight), now);
            let phases = said.iter().map(|message| match message {
                RegionMessage::Status { status, .. } => Some(status.phase),
                RegionMessage::Absent { .. } => None,
                other => panic!("{other:?}"),
            });
            phases.collect::<Vec<_>>()
        };
        let stopping = Some(InstancePhase::Stopping);
        assert_eq!(said(true, InstancePhase::Ready), [stopping]);
        assert_eq!(said(true, InstancePhase::Starting), [stopping]);
        let stopped = Some(InstancePhase::Stopped);
        assert_eq!(said(true, InstancePhase::Stopped), [stopped]);
        // It does not come back: its pod's end is not waited for.
        assert_eq!(said(false, InstancePhase::Ready), [None]);
    }

    #[test]
    fn the_last_word_of_one_that_came_to_rest_is_heard() {
        let mut tidings = Tidings::default();
        let now = Instant::now();
        let stopped = |has_pod| Some(sight(false, has_pod, InstancePhase::Stopped));
        let first = tidings.judge(database(), stopped(true), now);
        assert_eq!(words(&first), ["status"]);
        let second = tidings.judge(database(), stopped(false), now);
        assert_eq!(words(&second), ["absent"]);
        let mut fresh = Tidings::default();
        let both = fresh.judge(database(), stopped(false), now);
        assert_eq!(words(&both), ["status", "absent"]);
    }
}
