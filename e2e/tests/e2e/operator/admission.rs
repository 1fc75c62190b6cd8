//! What the API server refuses for us, and in which words.

use super::{NAME, create, database, databases, install, namespace};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::{Outcome, tools};
use serde_json::{Value, json};
use tokio::process::Command;

#[tokio::test]
async fn a_wrong_database_is_refused_in_words_that_a_person_understands() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let client = cluster.client().await?;
    install(&client).await?;
    namespace(&client, "admission").await?;
    let api = databases(&client, "admission");
    for (pointer, value, words) in [
        (
            "/metadata/name",
            json!("orders"),
            "the name must be the database's ID",
        ),
        (
            "/spec/compute/cpu",
            json!("50m"),
            "compute.cpu must be from 100m to 128",
        ),
        ("/spec/compute/cpu", json!("half"), "spec.compute.cpu"),
        (
            "/spec/compute/memory",
            json!("1Mi"),
            "compute.memory must be from 256Mi to 4Ti",
        ),
        (
            "/spec/storage/size",
            json!("100Mi"),
            "storage.size must be from 1Gi to 64Ti",
        ),
        (
            "/spec/storage/autogrow",
            json!({ "maximum": "1Gi" }),
            "storage.autogrow.maximum must not be less than storage.size",
        ),
        (
            "/spec/durability",
            json!({ "mode": "S3" }),
            "it needs spec.archive",
        ),
        (
            "/spec/allowedNetworks",
            json!(["here"]),
            "must be a network such as 203.0.113.0/24",
        ),
        (
            "/spec/bootstrap",
            json!({ "new": {}, "branch": { "from": NAME } }),
            "a database begins in exactly one way",
        ),
        (
            "/spec/class",
            json!("Luxury"),
            "supported values: \"Shared\", \"Dedicated\"",
        ),
        ("/spec/engineVersion", json!(12), "spec.engineVersion"),
        (
            "/spec/maintenanceWindow",
            json!({ "start": "25:00" }),
            "spec.maintenanceWindow.start",
        ),
    ] {
        let mut wrong = database();
        put(&mut wrong, pointer, value);
        refused(create(&api, wrong).await, pointer, words)?;
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_change_is_refused_and_the_rest_is_filled_in() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let client = cluster.client().await?;
    install(&client).await?;
    namespace(&client, "immutable").await?;
    let api = databases(&client, "immutable");
    let mut first = database();
    put(
        &mut first,
        "/spec/storage",
        json!({ "size": "2Gi", "className": "fast" }),
    );
    let made = create(&api, first).await?;
    let spec = &made.data["spec"];
    assert_eq!(spec["engineVersion"], 18);
    assert_eq!(spec["class"], "Dedicated");
    assert_eq!(spec["protocols"], json!(["PostgreSQL"]));
    assert_eq!(spec["deletionPolicy"], "Retain");
    assert_eq!(spec["bootstrap"], json!({ "new": {} }));
    assert_eq!(spec["maintenanceWindow"]["start"], "03:00");
    for (spec, words) in [
        (
            json!({ "storage": { "size": "1Gi" } }),
            "storage.size can only grow",
        ),
        (
            json!({ "storage": { "className": "slow" } }),
            "storage.className cannot change",
        ),
        (
            json!({ "bootstrap": { "new": null, "branch": { "from": NAME } } }),
            "bootstrap says how the database began and cannot change",
        ),
    ] {
        refused(patched(&api, &spec).await, &spec.to_string(), words)?;
    }
    let archive = |last: char| {
        json!({ "archive": {
            "id": format!("arc_01jdk3x5v9e8rb6w4q2n7m0c1{last}"),
            "bucket": "archives",
        }})
    };
    patched(&api, &archive('a')).await?;
    refused(
        patched(&api, &archive('b')).await,
        "archive",
        "archive.id cannot change",
    )?;
    let without = json!({ "archive": null });
    refused(
        patched(&api, &without).await,
        "archive",
        "a database keeps its archive",
    )?;
    api.delete(NAME, &DeleteParams::default()).await?;
    Ok(())
}

#[tokio::test]
async fn the_program_prints_the_definitions_that_are_committed() -> Outcome<()> {
    let mut program = Command::new(tools::program("lumadb-cloud")?);
    let printed = tools::run(program.args(["operator", "crds"])).await?;
    for file in ["lumadatabases.yaml", "lumainstances.yaml"] {
        let path = tools::workspace().join("deploy/crds").join(file);
        let committed = std::fs::read_to_string(path)?;
        assert!(printed.contains(committed.trim()), "{file}\n{printed}");
    }
    Ok(())
}

async fn patched(api: &Api<DynamicObject>, spec: &Value) -> Outcome<DynamicObject> {
    let patch = Patch::Merge(json!({ "spec": spec }));
    Ok(api.patch(NAME, &PatchParams::default(), &patch).await?)
}

fn refused(result: Outcome<DynamicObject>, what: &str, words: &str) -> Outcome<()> {
    match result {
        Ok(_) => Err(format!("{what} was admitted").into()),
        Err(error) if error.to_string().contains(words) => Ok(()),
        Err(error) => Err(format!("{what} was refused with other words: {error}").into()),
    }
}

fn put(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for step in pointer.split('/').skip(1) {
        place = &mut place[step];
    }
    *place = value;
}
