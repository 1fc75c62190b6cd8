//! What the API server refuses, and what it says of it.
//!
//! The rules are evaluated here as it evaluates them; a real one tries them too, in the tests across
//! processes.

use crate::support::database_json;
use kube_cel::Validator;
use lumadb_operator::api::crds;
use serde_json::{Value, json};

/// What is said of `new`, which takes the place of `old`.
fn complaints(new: &Value, old: Option<&Value>) -> Vec<String> {
    let crds = crds().expect("definitions");
    let schema = crds[0].spec.versions[0]
        .schema
        .as_ref()
        .and_then(|schema| schema.open_api_v3_schema.as_ref())
        .expect("a schema");
    let schema = serde_json::to_value(schema).expect("JSON");
    match Validator::new().validate(&schema, new, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .into_vec()
            .into_iter()
            .map(|error| error.message)
            .collect(),
    }
}

/// The sample with something else at `pointer`.
fn with(pointer: &str, value: Value) -> Value {
    let mut database = database_json();
    put(&mut database, pointer, value);
    database
}

fn put(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let mut place = object;
    for step in parent.split('/').skip(1) {
        place = &mut place[step];
    }
    place[key] = value;
}

fn archive(id: &str) -> Value {
    json!({"id": id, "bucket": "archives"})
}

const ARCHIVE: &str = "arc_01jdk3x5v9e8rb6w4q2n7m0c1a";
const OTHER_ARCHIVE: &str = "arc_01jdk3x5v9e8rb6w4q2n7m0c1b";

#[test]
fn a_small_database_is_admitted() {
    assert_eq!(complaints(&database_json(), None), Vec::<String>::new());
    let same = database_json();
    assert_eq!(complaints(&same, Some(&same)), Vec::<String>::new());
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    for (pointer, value, words) in [
        ("/metadata/name", json!("orders"), "the database's ID"),
        ("/spec/compute/cpu", json!("50m"), "from 100m to 128"),
        ("/spec/compute/memory", json!("128Mi"), "from 256Mi to 4Ti"),
        ("/spec/storage/size", json!("512Mi"), "from 1Gi to 64Ti"),
        (
            "/spec/storage/autogrow",
            json!({"maximum": "5Gi"}),
            "must not be less than storage.size",
        ),
        (
            "/spec/durability",
            json!({"mode": "S3"}),
            "it needs spec.archive",
        ),
        (
            "/spec/durability",
            json!({"mode": "S3", "lagMilliseconds": 500}),
            "goes with mode Lag alone",
        ),
        (
            "/spec/allowedNetworks",
            json!(["203.0.113.0/24", "somewhere"]),
            "such as 203.0.113.0/24",
        ),
        (
            "/spec/bootstrap",
            json!({"new": {}, "branch": {"from": "db-01jdk3x5v9e8rb6w4q2n7m0c1b"}}),
            "in exactly one way",
        ),
        ("/spec/bootstrap", json!({}), "in exactly one way"),
        (
            "/spec/bootstrap",
            json!({"restore": {
                "archiveId": ARCHIVE,
                "to": {"time": "2026-11-27T12:00:00Z", "lsn": "16/B374D848"},
            }}),
            "named once",
        ),
    ] {
        let found = complaints(&with(pointer, value.clone()), None);
        assert!(
            found.iter().any(|found| found.contains(words)),
            "{pointer} = {value}: {found:?}"
        );
    }
}

#[test]
fn what_makes_sense_is_admitted() {
    for (pointer, value) in [
        ("/spec/compute/cpu", json!("100m")),
        ("/spec/compute/cpu", json!("128")),
        ("/spec/storage/autogrow", json!({"maximum": "10Gi"})),
        ("/spec/durability", json!({"lagMilliseconds": 500})),
        (
            "/spec/allowedNetworks",
            json!(["0.0.0.0/0", "2001:db8::/32"]),
        ),
        (
            "/spec/bootstrap",
            json!({"restore": {"archiveId": ARCHIVE, "to": {"name": "before"}}}),
        ),
    ] {
        let found = complaints(&with(pointer, value.clone()), None);
        assert_eq!(found, Vec::<String>::new(), "{pointer} = {value}");
    }
    let mut durable = with("/spec/archive", archive(ARCHIVE));
    put(&mut durable, "/spec/durability", json!({"mode": "S3"}));
    assert_eq!(complaints(&durable, None), Vec::<String>::new());
}

#[test]
fn what_cannot_change_does_not() {
    for (pointer, before, after, words) in [
        (
            "/spec/engineVersion",
            json!(18),
            json!(19),
            "major version of a database cannot change",
        ),
        (
            "/spec/storage/size",
            json!("10Gi"),
            json!("9Gi"),
            "can only grow",
        ),
        (
            "/spec/storage/className",
            json!("fast"),
            json!("slow"),
            "className cannot change",
        ),
        (
            "/spec/storage/className",
            json!("fast"),
            Value::Null,
            "className cannot change",
        ),
        (
            "/spec/bootstrap",
            json!({"new": {}}),
            json!({"restore": {"archiveId": ARCHIVE}}),
            "cannot change: make another database",
        ),
        (
            "/spec/archive",
            archive(ARCHIVE),
            archive(OTHER_ARCHIVE),
            "archive.id cannot change",
        ),
        (
            "/spec/archive",
            archive(ARCHIVE),
            Value::Null,
            "keeps its archive",
        ),
    ] {
        let without_nulls = |value: Value| {
            let mut object = with(pointer, value.clone());
            if value.is_null() {
                let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
                let parent = object.pointer_mut(parent).and_then(Value::as_object_mut);
                parent.expect("an object").remove(key);
            }
            object
        };
        let (old, new) = (without_nulls(before), without_nulls(after));
        let found = complaints(&new, Some(&old));
        assert!(
            found.iter().any(|found| found.contains(words)),
            "{pointer}: {found:?}"
        );
    }
}

#[test]
fn what_may_change_does() {
    let old = database_json();
    for (pointer, value) in [
        ("/spec/storage/size", json!("20Gi")),
        ("/spec/compute", json!({"cpu": "4", "memory": "16Gi"})),
        ("/spec/class", json!("Shared")),
        ("/spec/suspend", json!(true)),
        ("/spec/deletionPolicy", json!("Delete")),
        ("/spec/archive", archive(ARCHIVE)),
    ] {
        let found = complaints(&with(pointer, value), Some(&old));
        assert_eq!(found, Vec::<String>::new(), "{pointer}");
    }
}
