use super::*;
use lumadb_contract::instance::VolumeStage;

fn attached(host: &str, connections: u32) -> Observation {
    Observation::Attached {
        status: InstanceStatus {
            incarnation_id: "inc_00000000000000000000000001".parse().expect("an ID"),
            observed_generation: 1,
            phase: InstancePhase::Ready,
            error: None,
            engine_version: None,
            system_identifier: None,
            connections,
            idle_since: (connections == 0).then_some(time::OffsetDateTime::UNIX_EPOCH),
            storage_bytes: 0,
            volume: VolumeStage::Ample,
            room: None,
            archive: None,
            restore: None,
        },
        node_address: NodeAddress::Cluster {
            host: host.into(),
            port: 5432,
        },
    }
}

#[test]
fn another_address_of_the_same_node_is_looked_at_at_once_and_clients_that_come_are_not() {
    let before = Digest::of(&attached("name.svc", 0));
    let moved = Digest::of(&attached("10.0.0.7", 0));
    assert_ne!(before, moved);
    assert_eq!(before.delay(&moved), None);
    let busy = Digest::of(&attached("name.svc", 1));
    assert_eq!(before.delay(&busy), Some(IDLE_DELAY));
}
