//! What is written for a spec, and that it is what the operator's definition knows.

use super::*;
use lumadb_contract::archive::{ArchiveAccess, ObjectStoreSpec, RestoreSpec, RestoreTarget};
use lumadb_contract::cluster::TlsIssued;
use lumadb_contract::edge_link::EdgeTrust;
use lumadb_contract::id::{ArchiveId, DatabaseId};
use lumadb_contract::instance::{Compute as Granted, LogicalDatabaseSpec, TlsIdentity};
use lumadb_contract::network::AllowedNetworks;
use lumadb_contract::secret::Secret;
use lumadb_operator::api::LumaDatabaseSpec;
use uuid::Uuid;

fn site() -> Site {
    Site {
        region: "eu".into(),
        namespace: "tenants".into(),
        storage_class: Some("fast".into()),
        storage_gib: 10,
        storage_gib_max: 1024,
    }
}

fn access() -> ArchiveAccess {
    ArchiveAccess {
        archive_id: ArchiveId::from_uuid(Uuid::from_u128(2)),
        store: ObjectStoreSpec {
            endpoint: Some("https://s3.example.com".into()),
            region: "eu-west-1".into(),
            bucket: "archives".into(),
            prefix: "luma".into(),
            path_style: true,
            credentials: None,
            storage_class: None,
            server_side_encryption: None,
        },
        key: Secret::new("a key that stands in no LumaDatabase"),
    }
}

fn instance(run: RunState) -> InstanceSpec {
    InstanceSpec {
        database_id: DatabaseId::from_uuid(Uuid::from_u128(1)),
        serves_database_id: None,
        generation: 7,
        engine_version: 18,
        run,
        compute: Granted {
            milli_vcpu: 250,
            memory_mib: 1024,
        },
        connections_max: 100,
        route_number: 3,
        roles: Vec::new(),
        logical_databases: vec![LogicalDatabaseSpec {
            name: "main".parse().expect("a name"),
            owner: "owner".parse().expect("a name"),
        }],
        allowed_networks: AllowedNetworks::default(),
        tls: None,
        edges: None,
        archive: Some(ArchiveSpec {
            access: access(),
            wrapped_key: json!({}),
            durability: contract::Durability::Lag { lag_ms: 10_000 },
            backups: Vec::new(),
            expire_before: None,
            pinned: Vec::new(),
            restore_points: Vec::new(),
        }),
        restore: None,
    }
}

fn spec() -> DatabaseSpec {
    database_spec(&instance(RunState::Running), &site(), None)
}

#[test]
fn a_database_is_written_as_the_definition_has_it() {
    let written = serde_json::to_value(spec()).expect("written");
    assert_eq!(
        written,
        json!({
            "engineVersion": 18,
            "class": "Shared",
            "compute": { "cpu": "250m", "memory": "1Gi" },
            "storage": {
                "size": "10Gi",
                "className": "fast",
                "autogrow": { "maximum": "1Ti" },
            },
            "durability": { "mode": "Lag", "lagMilliseconds": 10_000 },
            "suspend": false,
            "archive": {
                "id": "arc_00000000000000000000000002",
                "bucket": "archives",
                "region": "eu-west-1",
                "prefix": "luma",
                "endpoint": "https://s3.example.com",
                "pathStyle": true,
            },
            "deletionPolicy": "Delete",
        })
    );
}

/// Every field that stands on the left stands on the right as well.
fn assert_within(left: &Value, right: &Value, path: &str) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                let other = right.get(key).unwrap_or(&Value::Null);
                assert_within(value, other, &format!("{path}.{key}"));
            }
        }
        _ => assert_eq!(left, right, "{path}"),
    }
}

#[test]
fn the_operator_reads_all_that_is_written_and_nothing_is_lost() {
    let mut strict = instance(RunState::Stopped);
    if let Some(archive) = &mut strict.archive {
        archive.durability = contract::Durability::S3;
        archive.access.store.prefix = String::new();
        archive.access.store.endpoint = None;
    }
    let mut bare = instance(RunState::Asleep);
    bare.archive = None;
    bare.compute.milli_vcpu = 64_000;
    bare.compute.memory_mib = 262_144;
    for instance in [instance(RunState::Running), strict, bare] {
        let spec = database_spec(&instance, &site(), None);
        let written = serde_json::to_value(&spec).expect("written");
        let read: LumaDatabaseSpec = serde_json::from_value(written.clone()).expect("read");
        let again = serde_json::to_value(read).expect("written");
        assert_within(&written, &again, "spec");
        let ours: DatabaseSpec = serde_json::from_value(again).expect("read");
        assert_eq!(ours, spec, "what was written is what is wanted");
    }
}

fn identity() -> Identity {
    Identity {
        tls: TlsIdentity {
            certificate_chain_pem: "a chain".into(),
            private_key_pem: Secret::new("a key"),
        },
        issued: TlsIssued {
            names: vec!["db-1".into()],
            expires_at: time::OffsetDateTime::UNIX_EPOCH,
        },
        edges: EdgeTrust {
            authority_pem: "an authority".into(),
            certificate_name: "an edge".into(),
        },
    }
}

#[test]
fn what_does_not_run_is_suspended() {
    for (run, suspend) in [
        (RunState::Running, false),
        (RunState::Asleep, true),
        (RunState::Stopped, true),
    ] {
        let spec = database_spec(&instance(run), &site(), None);
        assert_eq!(spec.suspend, suspend, "{run:?}");
    }
}

#[test]
fn a_whole_vcpu_is_reserved_and_less_is_shared() {
    for (milli_vcpu, class, cpu) in [
        (500, Class::Shared, "500m"),
        (1000, Class::Dedicated, "1"),
        (2500, Class::Dedicated, "2500m"),
    ] {
        let mut instance = instance(RunState::Running);
        instance.compute.milli_vcpu = milli_vcpu;
        let spec = database_spec(&instance, &site(), None);
        assert_eq!((spec.class, spec.compute.cpu.as_str()), (class, cpu));
    }
}

#[test]
fn a_volume_neither_shrinks_nor_moves_when_the_region_says_otherwise() {
    let mut found = spec();
    found.storage.size = "1Ti".into();
    found.storage.class_name = None;
    let kept = database_spec(&instance(RunState::Running), &site(), Some(&found)).storage;
    assert_eq!((kept.size.as_str(), kept.class_name), ("1Ti", None));
    found.storage.size = "2Ti".into();
    let kept = database_spec(&instance(RunState::Running), &site(), Some(&found)).storage;
    assert_eq!(
        kept.autogrow.expect("grows").maximum,
        "2Ti",
        "not less than its size"
    );
    found.storage.size = "5Gi".into();
    let grown = database_spec(&instance(RunState::Running), &site(), Some(&found)).storage;
    assert_eq!(grown.size, "10Gi");
}

#[test]
fn keys_stand_in_the_secret_alone_and_both_together_are_the_spec() {
    let mut instance = instance(RunState::Running);
    instance.restore = Some(RestoreSpec {
        source: access(),
        target: RestoreTarget::Transaction(5),
        verify: false,
    });
    let object = database_object(&site(), "db-1", &spec(), None);
    assert!(!object.to_string().contains(access().key.expose()));
    let secret = secret(instance.clone(), identity());
    assert_eq!(secret.generation, 7);
    assert_eq!(Identity::of(secret.clone()), Some(identity()));
    assert_eq!(secret.archive, instance.archive);
    assert_eq!(secret.restore, instance.restore);
    assert_eq!(secret.logical_databases, instance.logical_databases);
}

#[test]
fn both_objects_are_found_by_the_regions_selector_and_go_together() {
    let database = database_object(&site(), "db-1", &spec(), Some("u-1"));
    assert_eq!(database["metadata"]["uid"], "u-1");
    let secret = secret_object(&site(), "db-1", "{}", "u-1");
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], "u-1");
    assert_eq!(secret["type"], INSTANCE_SECRET_TYPE);
    for label in site().selector().split(',') {
        let (key, value) = label.split_once('=').expect("a label");
        for object in [&database, &secret] {
            assert_eq!(object["metadata"]["labels"][key], value, "{key}");
        }
    }
}
