//! What the plan and the owner decide of an archive, and databases that have none.

use super::told_that;
use crate::support::{FakeRuntime, Scene, TestCloud};
use lumadb_contract::archive::{ArchiveSpec, Durability};
use lumadb_contract::id::DatabaseId;
use serde_json::json;
use time::Duration;

#[tokio::test]
async fn the_plan_says_how_soon_and_how_long() {
    let (scene, _loop) = Scene::running("free").await;
    let free = scene.told_that(|_| true).await;
    assert_eq!(free.durability, Durability::Lag { lag_ms: 10_000 });
    let back = |spec: &ArchiveSpec| scene.cloud.clock.now() - spec.expire_before.expect("a bound");
    let day = Duration::days(1);
    assert!(back(&free) >= day && back(&free) < day + Duration::hours(2));
    scene.cloud.set_plan(&scene.ada, "pro-growth").await;
    scene.cloud.clock.advance(Duration::minutes(5));
    let paid = scene.told_that(|spec| spec.durability == Durability::Lag { lag_ms: 1000 });
    let back = back(&paid.await);
    assert!(
        back >= Duration::days(14) && back < Duration::days(15),
        "{back}"
    );
}

#[tokio::test]
async fn commits_wait_for_the_archive_where_the_owner_wants_it_and_the_plan_has_it() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let running = cloud.start_loop(&runtime);
    let wanted = json!({ "name": "first", "durability": "s3" });
    let refused = cloud.create(&ada, &wanted).await;
    refused.expect_problem(409, "quota_exceeded");
    cloud.set_plan(&ada, "pro-scale").await;
    let made = cloud.create(&ada, &wanted).await;
    made.expect(201);
    assert_eq!(made.text("/database/durability"), "s3");
    let id: DatabaseId = made.text("/database/id").parse().expect("an id");
    told_that(&cloud, &runtime, id, |spec| {
        spec.durability == Durability::S3
    })
    .await;

    let path = format!("/v1/databases/{id}");
    let change = |body: serde_json::Value| {
        let call = cloud.patch(&path).cookie(&ada.cookie);
        call.json(&body).send()
    };
    let changed = change(json!({ "durability": "local" })).await;
    changed.expect(200);
    assert_eq!(changed.text("/operation/kind"), "database_update");
    told_that(&cloud, &runtime, id, |spec| {
        spec.durability == Durability::Lag { lag_ms: 1000 }
    })
    .await;
    let both = change(json!({ "durability": "s3", "milli_vcpu": 2000 })).await;
    both.expect_problem(400, "invalid_request");
    assert_eq!(both.text("/errors/0/field"), "durability");

    drop(running);
    let again = change(json!({ "durability": "s3" })).await;
    again.expect(200);
    let cancel = format!("/v1/operations/{}/cancel", again.text("/operation/id"));
    cloud.act(&ada, &cancel).await.expect(200);
    assert_eq!(cloud.database(&ada, id).await["durability"], "local");
}

#[tokio::test]
async fn a_database_older_than_archives_gets_one_and_without_archives_all_goes_on() {
    let cloud = TestCloud::without_archives().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.set_plan(&ada, "enterprise").await;
    let runtime = FakeRuntime::new();
    let running = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "old").await;
    assert!(runtime.instance(id).expect("there").spec.archive.is_none());
    let path = format!("/v1/databases/{id}");
    let resized = cloud.patch(&path).cookie(&ada.cookie);
    let resized = resized.json(&json!({ "milli_vcpu": 2000 })).send().await;
    let ended = cloud.ended(&ada, &resized.text("/operation/id")).await;
    assert_eq!(ended["state"], "succeeded");
    let suspended = cloud.act(&ada, &format!("{path}/suspend")).await;
    let ended = cloud.ended(&ada, &suspended.text("/operation/id")).await;
    assert_eq!(ended["state"], "succeeded");
    let window = cloud.get(&format!("{path}/restore-window"));
    let window = window.cookie(&ada.cookie).send().await;
    window.expect_problem(409, "conflict");
    drop(running);

    let cloud = cloud.with_archives_from_now_on();
    let resumed = cloud.act(&ada, &format!("{path}/resume")).await;
    let _loop = cloud.start_loop(&runtime);
    let ended = cloud.ended(&ada, &resumed.text("/operation/id")).await;
    assert_eq!(ended["state"], "succeeded");
    told_that(&cloud, &runtime, id, |_| true).await;
}
