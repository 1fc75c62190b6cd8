//! The objects of a database, as files.

use crate::support::{assert_agrees, database, database_json};
use k8s_openapi::api::core::v1::Pod;
use lumadb_operator::Settings;
use lumadb_operator::api::{DatabaseClass, DeletionPolicy, LumaDatabase};
use lumadb_operator::build;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

fn yaml<T: Serialize>(text: &mut String, object: &T) {
    let object = serde_saphyr::to_string(object).expect("YAML");
    write!(text, "---\n{object}").expect("written");
}

fn settings() -> Settings {
    Settings {
        image: "lumadb/instance:1".into(),
        node_authority: "of the cluster".into(),
        ..Settings::default()
    }
}

fn all(database: &LumaDatabase) -> String {
    let settings = settings();
    let mut text = String::new();
    yaml(&mut text, &build::authority(database, &settings));
    yaml(&mut text, &build::service_account(database));
    yaml(&mut text, &build::network_policy(database, &settings));
    yaml(&mut text, &build::service(database));
    yaml(&mut text, &build::instance(database));
    yaml(
        &mut text,
        &build::claim(database, database.spec.storage.size),
    );
    yaml(&mut text, &pod(database));
    text
}

fn pod(database: &LumaDatabase) -> Pod {
    build::pod(database, &settings()).expect("a pod")
}

fn golden(name: &str, database: &LumaDatabase) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operator/golden");
    assert_agrees(&folder.join(name), &all(database));
}

#[test]
fn a_database_of_its_own_compute_is_built_as_promised() {
    golden("dedicated.yaml", &database());
}

#[test]
fn a_database_that_shares_its_machine_is_built_as_promised() {
    let mut database = database();
    database.spec.class = DatabaseClass::Shared;
    database.spec.deletion_policy = DeletionPolicy::Delete;
    database.spec.storage.class_name = Some("fast".into());
    golden("shared.yaml", &database);
}

/// Kubernetes' own rule: guaranteed where every container reserves all that it may take.
fn is_guaranteed(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref().expect("a spec");
    spec.containers.iter().all(|container| {
        let resources = container.resources.as_ref().expect("resources");
        resources.requests.is_some() && resources.requests == resources.limits
    })
}

#[test]
fn the_class_decides_the_quality_of_service() {
    let mut database = database();
    assert!(is_guaranteed(&pod(&database)));
    database.spec.class = DatabaseClass::Shared;
    assert!(!is_guaranteed(&pod(&database)));
}

#[test]
fn the_engine_is_another_user_and_holds_no_secret() {
    let pod = serde_json::to_value(pod(&database())).expect("JSON");
    let containers = pod["spec"]["containers"].as_array().expect("containers");
    let [engine, node] = containers.as_slice() else {
        panic!("two containers")
    };
    let user = |container: &Value| container["securityContext"]["runAsUser"].clone();
    assert_ne!(user(engine), user(node));
    let volumes = pod["spec"]["volumes"].as_array().expect("volumes");
    for mount in engine["volumeMounts"].as_array().expect("mounts") {
        let volume = volumes
            .iter()
            .find(|volume| volume["name"] == mount["name"])
            .expect("its volume");
        for secret in ["secret", "projected", "configMap"] {
            assert!(volume.get(secret).is_none(), "{volume}");
        }
    }
    assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
}

#[test]
fn a_volume_that_is_retained_belongs_to_nobody() {
    let mut database = database();
    let owners = |database: &LumaDatabase| {
        let claim = build::claim(database, database.spec.storage.size);
        claim.metadata.owner_references.unwrap_or_default().len()
    };
    assert_eq!(owners(&database), 0);
    database.spec.deletion_policy = DeletionPolicy::Delete;
    assert_eq!(owners(&database), 1);
}

#[test]
fn a_policy_without_an_object_store_lets_nobody_through_for_it() {
    let settings = Settings {
        object_store_networks: Vec::new(),
        ..settings()
    };
    let policy = build::network_policy(&database(), &settings);
    let rules = policy.spec.and_then(|spec| spec.egress).expect("rules");
    for rule in rules {
        assert!(rule.to.is_some_and(|to| !to.is_empty()));
    }
}

#[test]
fn a_name_that_is_no_id_has_no_pod() {
    let mut json = database_json();
    json["metadata"]["name"] = "orders".into();
    let database: LumaDatabase = serde_json::from_value(json).expect("a database");
    assert!(build::pod(&database, &settings()).is_none());
}
