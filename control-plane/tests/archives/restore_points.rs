//! Moments of a database that have a name.

use crate::support::Scene;
use lumadb_contract::archive::{Lsn, RestorePointStatus};
use serde_json::json;
use time::Duration;

#[tokio::test]
async fn restore_points_are_named_once_and_told_when_they_are_made() {
    let (scene, _loop) = Scene::running("free").await;
    let path = format!("/v1/databases/{}/restore-points", scene.shop);
    let name = async |name: &str| scene.post(&path, &json!({ "name": name })).await;
    let made = name(" release 7 ").await;
    made.expect(201);
    assert_eq!(made.body["name"], "release 7");
    name("release 7").await.expect_problem(409, "conflict");
    name(&"é".repeat(32))
        .await
        .expect_problem(400, "invalid_request");
    let spec = scene
        .told_that(|spec| !spec.restore_points.is_empty())
        .await;
    assert_eq!(spec.restore_points[0].name, "release 7");
    let made_at = scene.cloud.clock.now();
    scene.archive_says(|archive| {
        archive.archive_id = Some(spec.access.archive_id);
        archive.restore_points = vec![RestorePointStatus {
            restore_point_id: spec.restore_points[0].restore_point_id,
            lsn: Lsn(0x16_B374_D848),
            made_at,
        }];
    });
    scene.told_that(|spec| spec.restore_points.is_empty()).await;
    let list = scene.get(&path).await;
    assert_eq!(list.body["items"][0]["lsn"], "16/B374D848");
    assert!(list.body["items"][0]["made_at"].is_string());
    // Outside of the window nobody can come back to it: its name is free again.
    scene.cloud.clock.advance(Duration::hours(26));
    scene.archive_says(|archive| archive.puts += 1);
    scene
        .cloud
        .until(|| async {
            let list = scene.get(&path).await;
            list.body["items"].as_array()?.is_empty().then_some(())
        })
        .await;
}
