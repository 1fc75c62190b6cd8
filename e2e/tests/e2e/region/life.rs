//! The life of a database in such a region, from the API to the cluster and back.

use super::operator::{StandIn, incarnation, instance_secret};
use super::{LIMIT, World};
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use lumadb_contract::allowance::AllowanceRequest;
use lumadb_contract::cluster::{ControlMessage, INSTANCE_SECRET_TYPE, RegionMessage};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::usage::{UsageCounters, UsageGauges, UsageSample};
use lumadb_e2e::Outcome;
use lumadb_e2e::api::{Answer, text};
use lumadb_e2e::wait::until;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[tokio::test]
async fn a_database_lives_in_a_region_that_is_a_cluster() -> Outcome<()> {
    let world = World::new().await?;
    let asked = world.ada.request_database("first").await?.expect(201)?;
    let id: DatabaseId = asked.text_at("/database/id")?.parse()?;
    written_as_it_was_asked(&world, id).await?;
    let operation = asked.text_at("/operation/id")?;
    let path = format!("/v1/operations/{operation}");
    let state = world.ada.api.read(&path).await?;
    assert!(
        state["ended_at"].is_null(),
        "nobody said that it runs: {state}"
    );

    let operator = StandIn::start(world.client.clone());
    world.ada.operation_succeeds(&operation).await?;
    refused_at_the_edge(&world, id, &asked).await?;
    counted_once(&world, &operator, id).await?;
    limits_are_told(&operator, id).await?;
    resized(&world, id).await?;
    at_rest_nothing_is_written(&world, id).await?;
    suspended_and_resumed(&world, id).await?;
    world.delete(id).await?;
    world.holds(&[]).await
}

async fn written_as_it_was_asked(world: &World, id: DatabaseId) -> Outcome<()> {
    world.holds(&[id]).await?;
    let name = id.host_label();
    let object = world.databases().get(&name).await?;
    let archive = &object.data["spec"]["archive"]["id"];
    let archive = archive.as_str().ok_or("no archive")?;
    assert_eq!(
        object.data["spec"],
        json!({
            "engineVersion": 18,
            "class": "Dedicated",
            "compute": { "cpu": "1", "memory": "4Gi" },
            "storage": { "size": "5Gi", "autogrow": { "maximum": "1Ti", "thresholdPercent": 75 } },
            "durability": { "mode": "Lag", "lagMilliseconds": lag(&object) },
            "suspend": false,
            "archive": {
                "id": archive, "bucket": "archives", "region": "us-east-1", "prefix": prefix(&object),
                "endpoint": "http://127.0.0.1:9", "pathStyle": false,
            },
            "deletionPolicy": "Delete",
            // What nobody said is as the definition has it.
            "bootstrap": { "new": {} },
            "protocols": ["PostgreSQL"],
            "maintenanceWindow": object.data["spec"]["maintenanceWindow"],
        })
    );
    let secret = world.secrets().get(&name).await?;
    assert_eq!(secret.type_.as_deref(), Some(INSTANCE_SECRET_TYPE));
    let wish = instance_secret(&secret)?;
    assert_eq!(wish.generation, 1);
    assert_eq!(wish.roles.len(), 1);
    assert_eq!(wish.roles[0].name.as_str(), "owner");
    assert_eq!(wish.logical_databases[0].name.as_str(), "main");
    let told = wish.archive.ok_or("no archive")?;
    assert_eq!(told.access.archive_id.to_string(), archive);
    assert!(!told.access.key.expose().is_empty());
    let owner = &secret.owner_references()[0];
    assert_eq!(Some(&owner.uid), object.uid().as_ref());
    Ok(())
}

fn lag(object: &DynamicObject) -> Value {
    let lag = object.data["spec"]["durability"]["lagMilliseconds"].clone();
    assert!(lag.is_u64(), "{lag}");
    lag
}

/// Each archive has a folder of its own in the bucket.
fn prefix(object: &DynamicObject) -> Value {
    let prefix = object.data["spec"]["archive"]["prefix"].clone();
    assert!(
        prefix.as_str().is_some_and(|text| text.starts_with("luma")),
        "{prefix}"
    );
    prefix
}

/// An edge that does not reach pods says so.
async fn refused_at_the_edge(world: &World, id: DatabaseId, asked: &Answer) -> Outcome<()> {
    let password = asked.text_at("/password")?;
    let database = world.ada.database(&id.to_string(), &password).await?;
    let refused = lumadb_e2e::tools::psql(&database.uri, "select 1").await;
    let error = refused.err().ok_or("it was let in")?.to_string();
    assert!(error.contains("does not reach its node"), "{error}");
    Ok(())
}

fn sample(id: DatabaseId, at: OffsetDateTime, sequence: u64, requests: u64) -> UsageSample {
    UsageSample {
        incarnation_id: incarnation(id),
        sequence,
        taken_at: at,
        counters: UsageCounters {
            requests,
            ..UsageCounters::default()
        },
        gauges: UsageGauges::default(),
        last: false,
    }
}

/// Hands samples in, as often as it takes, until they are acknowledged once more than before.
async fn handed_in(operator: &StandIn, id: DatabaseId, samples: &[UsageSample]) -> Outcome<()> {
    let stored = ControlMessage::SamplesStored {
        database_id: id,
        incarnation_id: incarnation(id),
        sequence: samples.last().map_or(0, |last| last.sequence),
    };
    let count = || {
        operator
            .heard()
            .iter()
            .filter(|said| **said == stored)
            .count()
    };
    let before = count();
    until("samples to be acknowledged", LIMIT, || async {
        operator
            .say(RegionMessage::Samples {
                database_id: id,
                samples: samples.to_vec(),
            })
            .await?;
        Ok((count() > before).then_some(()))
    })
    .await
}

async fn counted_once(world: &World, operator: &StandIn, id: DatabaseId) -> Outcome<()> {
    let database = world.ada.api.read(&format!("/v1/databases/{id}")).await?;
    let at = OffsetDateTime::parse(&text(&database, "/created_at")?, &Rfc3339)?;
    let samples = [sample(id, at, 1, 10), sample(id, at, 2, 25)];
    handed_in(operator, id, &samples).await?;
    handed_in(operator, id, &samples).await?;
    let streams = operator.streams();
    world.kill_worker().await?;
    until("the operator to attach again", LIMIT, || async {
        Ok((operator.streams() > streams).then_some(()))
    })
    .await?;
    handed_in(operator, id, &samples).await?;
    handed_in(operator, id, &[sample(id, at, 3, 30)]).await?;
    assert_eq!(world.ada.requests_counted(&id.to_string()).await?, 30);
    Ok(())
}

async fn limits_are_told(operator: &StandIn, id: DatabaseId) -> Outcome<()> {
    let request = AllowanceRequest {
        number: 7,
        incarnation_id: incarnation(id),
        meters: Vec::new(),
        storage_bytes: Some(1000),
    };
    until("a question to be answered", LIMIT, || async {
        let request = request.clone();
        operator
            .say(RegionMessage::Allowance {
                database_id: id,
                request,
            })
            .await?;
        let heard = operator.heard();
        let answer = heard.iter().any(|said| {
            matches!(said, ControlMessage::Allowance { database_id, allowance }
                if *database_id == id && allowance.number == 7)
        });
        Ok(answer.then_some(()))
    })
    .await
}

async fn resized(world: &World, id: DatabaseId) -> Outcome<()> {
    let path = format!("/v1/databases/{id}");
    let body = json!({ "milli_vcpu": 2000 });
    let asked = world.ada.api.patch(&path, &body).await?.expect(200)?;
    let operation = asked.text_at("/operation/id")?;
    world.ada.operation_succeeds(&operation).await?;
    let object = world.databases().get(&id.host_label()).await?;
    let compute = json!({ "cpu": "2", "memory": "8Gi" });
    assert_eq!(object.data["spec"]["compute"], compute);
    let secret = world.secrets().get(&id.host_label()).await?;
    assert_eq!(instance_secret(&secret)?.generation, 2);
    Ok(())
}

/// A worker that begins looks at everything, and finds it as it shall be.
async fn at_rest_nothing_is_written(world: &World, id: DatabaseId) -> Outcome<()> {
    let before = (
        world
            .databases()
            .get(&id.host_label())
            .await?
            .resource_version(),
        world
            .secrets()
            .get(&id.host_label())
            .await?
            .resource_version(),
    );
    let writes = world.proxy.writes();
    world.kill_worker().await?;
    let looked = format!(
        "select count(*) from databases where id = '{}' and observed_at > now() - interval '1 second'
         and observed = 'running' and lease_owner is null",
        id.uuid()
    );
    until("the next worker to have looked", LIMIT, || async {
        let count = world.cloud.control_sql(&looked).await?;
        Ok((count.trim() == "1").then_some(()))
    })
    .await?;
    let after = (
        world
            .databases()
            .get(&id.host_label())
            .await?
            .resource_version(),
        world
            .secrets()
            .get(&id.host_label())
            .await?
            .resource_version(),
    );
    assert_eq!(before, after);
    assert_eq!(world.proxy.writes(), writes);
    Ok(())
}

async fn suspended_and_resumed(world: &World, id: DatabaseId) -> Outcome<()> {
    world.act(id, "suspend").await?;
    let rests = |object: &DynamicObject| object.data["spec"]["suspend"] == true;
    world.object(id, "it to be suspended", rests).await?;
    world.ada.database_is(&id.to_string(), "suspended").await?;
    world.act(id, "resume").await?;
    let runs = |object: &DynamicObject| object.data["spec"]["suspend"] == false;
    world.object(id, "it to be resumed", runs).await?;
    world.ada.database_is(&id.to_string(), "running").await?;
    Ok(())
}
