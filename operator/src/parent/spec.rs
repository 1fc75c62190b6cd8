//! What a node is told: a `LumaDatabase` and the Secret beside it, put together. Pure.

use crate::api::{Compute, LumaDatabase};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Secret;
use lumadb_contract::cluster::{INSTANCE_SECRET_KEY, InstanceSecret};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{self, InstanceSpec, RunState};
use lumadb_contract::network::AllowedNetworks;

/// Changes of one object that are counted beside the second in which it was made.
const GENERATION_BITS: u32 = 24;

#[derive(Debug, thiserror::Error)]
pub(super) enum SpecError {
    #[error("the Secret beside it has no {INSTANCE_SECRET_KEY}")]
    Empty,
    #[error("{INSTANCE_SECRET_KEY} of the Secret beside it is not understood: {0}")]
    NotUnderstood(#[from] serde_json::Error),
    /// Admission refuses it; if not, nobody is let in by mistake.
    #[error("allowedNetworks holds what is no network: {0}")]
    Network(#[from] ipnet::AddrParseError),
}

/// `granted`: what the machine grants the pod now; while that is not known, what is asked for counts.
pub(super) fn compose(
    id: DatabaseId,
    database: &LumaDatabase,
    secret: &Secret,
    granted: Option<Compute>,
) -> Result<InstanceSpec, SpecError> {
    let data = secret.data.as_ref();
    let json = data.and_then(|data| data.get(INSTANCE_SECRET_KEY));
    let secret: InstanceSecret = serde_json::from_slice(&json.ok_or(SpecError::Empty)?.0)?;
    let generation = match secret.generation {
        0 => generation_alone(database),
        generation => generation,
    };
    let asked = &database.spec;
    let networks = (asked.allowed_networks.iter())
        .map(|text| Ok(text.parse::<IpNet>()?.trunc()))
        .collect::<Result<Vec<_>, ipnet::AddrParseError>>()?;
    let run = if asked.suspend {
        RunState::Stopped
    } else {
        RunState::Running
    };
    Ok(InstanceSpec {
        database_id: id,
        serves_database_id: secret.serves_database_id,
        generation,
        engine_version: asked.engine_version,
        run,
        compute: in_contract(granted.unwrap_or(asked.compute)),
        connections_max: secret.connections_max,
        route_number: secret.route_number,
        roles: secret.roles,
        logical_databases: secret.logical_databases,
        allowed_networks: AllowedNetworks::new(networks),
        tls: secret.tls,
        edges: secret.edges,
        archive: secret.archive,
        restore: secret.restore,
    })
}

/// The generation where no control plane counts: that of the object, above all those of an object
/// before it under the same name, whose volume may have been kept.
fn generation_alone(database: &LumaDatabase) -> u64 {
    let made = database.metadata.creation_timestamp.as_ref();
    let made = made.and_then(|made| u64::try_from(made.0.as_second()).ok());
    let generation = database.metadata.generation.unwrap_or_default();
    made.unwrap_or_default() << GENERATION_BITS | u64::try_from(generation).unwrap_or_default()
}

fn in_contract(compute: Compute) -> instance::Compute {
    // Far below what fits, by the rules of admission.
    let memory_mib = u32::try_from(compute.memory.bytes() >> 20).unwrap_or(u32::MAX);
    instance::Compute {
        milli_vcpu: compute.cpu.as_milli(),
        memory_mib,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn database() -> LumaDatabase {
        serde_json::from_value(json!({
            "apiVersion": "lumadb.cloud/v1alpha1",
            "kind": "LumaDatabase",
            "metadata": { "name": "db-01jdk3x5v9e8rb6w4q2n7m0c1a" },
            "spec": {
                "compute": { "cpu": "1500m", "memory": "2Gi" },
                "storage": { "size": "2Gi" },
            },
        }))
        .expect("a database")
    }

    fn id() -> DatabaseId {
        DatabaseId::parse_label("db-01jdk3x5v9e8rb6w4q2n7m0c1a").expect("an ID")
    }

    fn beside(json: &str) -> Secret {
        let data = BTreeMap::from([(
            INSTANCE_SECRET_KEY.to_owned(),
            ByteString(json.as_bytes().to_vec()),
        )]);
        Secret {
            data: Some(data),
            ..Secret::default()
        }
    }

    const SECRET: &str = r#"{"generation":7,"connections_max":40,"route_number":3,
        "roles":[],"logical_databases":[],"later":true}"#;

    #[test]
    fn a_spec_is_of_both() {
        let spec = compose(id(), &database(), &beside(SECRET), None).expect("composed");
        assert_eq!((spec.generation, spec.connections_max), (7, 40));
        assert_eq!(spec.run, RunState::Running);
        assert_eq!(
            (spec.compute.milli_vcpu, spec.compute.memory_mib),
            (1500, 2048)
        );
        let mut kept = database();
        kept.spec.allowed_networks = vec!["203.0.113.7/24".into()];
        let spec = compose(id(), &kept, &beside(SECRET), None).expect("composed");
        assert_eq!(spec.allowed_networks.to_texts(), ["203.0.113.0/24"]);
        let mut resting = database();
        resting.spec.suspend = true;
        let spec = compose(id(), &resting, &beside(SECRET), None).expect("composed");
        assert_eq!(spec.run, RunState::Stopped);
    }

    #[test]
    fn alone_each_change_and_each_making_is_a_later_generation() {
        let secret = beside(&SECRET.replace(":7,", ":0,"));
        let of = |made: &str, generation| {
            let mut database = database();
            database.metadata.generation = Some(generation);
            database.metadata.creation_timestamp =
                Some(serde_json::from_value(json!(made)).expect("a moment"));
            let spec = compose(id(), &database, &secret, None).expect("composed");
            spec.generation
        };
        let (first, second) = ("2026-11-27T12:00:00Z", "2026-11-27T12:00:01Z");
        assert!(of(first, 2) > of(first, 1));
        assert!(of(second, 1) > of(first, 900));
    }

    #[test]
    fn an_engine_is_not_told_more_than_its_machine_grants() {
        let granted = Compute {
            cpu: crate::api::CpuAmount::milli(500),
            memory: crate::api::ByteSize::mebibytes(512),
        };
        let spec = compose(id(), &database(), &beside(SECRET), Some(granted)).expect("composed");
        assert_eq!(
            (spec.compute.milli_vcpu, spec.compute.memory_mib),
            (500, 512)
        );
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let nothing = compose(id(), &database(), &Secret::default(), None);
        assert!(matches!(nothing, Err(SpecError::Empty)));
        let strange = compose(id(), &database(), &beside("{}"), None);
        let text = strange.expect_err("strange").to_string();
        assert!(text.contains("generation"), "{text}");
    }
}
