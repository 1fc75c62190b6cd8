//! Backups of a database: when it is asked for one, and what is kept of the answer.

use super::{asks_for_backup, asks_for_none};
use crate::support::{Scene, backup_status};
use lumadb_contract::archive::{BackupState, Lsn};
use lumadb_contract::id::BackupId;
use serde_json::{Value, json};
use time::Duration;

#[tokio::test]
async fn a_database_is_backed_up_soon_and_then_every_day() {
    let (scene, _loop) = Scene::running("pro-starter").await;
    let spec = scene.told_that(asks_for_backup).await;
    let first = scene.end_backup(&spec, BackupState::Complete);
    scene.told_that(asks_for_none).await;
    scene.cloud.clock.advance(Duration::hours(25));
    let spec = scene.told_that(asks_for_backup).await;
    assert_ne!(spec.backups[0].backup_id, first);
    // One that fails is tried again before the next day.
    let second = scene.end_backup(&spec, BackupState::Failed);
    scene.told_that(asks_for_none).await;
    scene.cloud.clock.advance(Duration::minutes(12));
    let spec = scene.told_that(asks_for_backup).await;
    assert!(![first, second].contains(&spec.backups[0].backup_id));
    let path = format!("/v1/databases/{}/backups", scene.shop);
    let list = scene.get(&path).await;
    let states: Vec<_> = list.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|backup| (backup["state"].clone(), backup["origin"].clone()))
        .collect();
    let scheduled = |state: &str| (json!(state), json!("scheduled"));
    assert_eq!(
        states,
        [
            scheduled("pending"),
            scheduled("failed"),
            scheduled("complete")
        ]
    );
}

#[tokio::test]
async fn a_hole_in_the_archive_is_followed_by_a_backup_at_once() {
    let (scene, _loop) = Scene::running("pro-starter").await;
    let spec = scene.told_that(asks_for_backup).await;
    scene.end_backup(&spec, BackupState::Complete);
    scene.told_that(asks_for_none).await;
    scene
        .cloud
        .archived(&scene.ada, &scene.runtime, scene.shop)
        .await;
    let now = scene.cloud.clock.now();
    scene.archive_says(|archive| {
        archive.windows[0].until = Some(now);
    });
    scene.told_that(asks_for_backup).await;
}

#[tokio::test]
async fn a_backup_that_was_asked_for_is_followed_to_its_end() {
    let (scene, _loop) = Scene::running("free").await;
    let path = format!("/v1/databases/{}/backups", scene.shop);
    let ask = async |key: &str| {
        let call = scene.cloud.post(&path).cookie(&scene.ada.cookie);
        let call = call.header("idempotency-key", key);
        call.json(&json!({ "name": "before the migration" }))
            .send()
            .await
    };
    let made = ask("once").await;
    made.expect(201);
    assert_eq!(made.body["state"], "pending");
    assert_eq!(made.body["origin"], "manual");
    let backup = made.text("/id");
    assert_eq!(ask("once").await.text("/id"), backup);
    let spec = scene
        .told_that(|spec| {
            spec.backups
                .iter()
                .any(|asked| asked.backup_id.to_string() == backup)
        })
        .await;
    let at = scene.cloud.clock.now();
    let ours: BackupId = backup.parse().expect("an ID");
    scene.archive_says(|archive| {
        archive.archive_id = Some(spec.access.archive_id);
        let mut running = backup_status(ours, BackupState::Running, at, Lsn(7));
        running.bytes_read = 10_000_000;
        archive.backups = vec![running];
    });
    let one = format!("/v1/backups/{backup}");
    let seen = async |state: &str| -> Value {
        let found = scene.cloud.until(|| async {
            let answer = scene.get(&one).await;
            answer.expect(200);
            (answer.body["state"] == state).then_some(answer.body)
        });
        found.await
    };
    let running = seen("running").await;
    assert_eq!(running["bytes_read"], 10_000_000);
    assert!(running["ended_at"].is_null());
    scene.archive_says(|archive| {
        archive.backups = vec![backup_status(ours, BackupState::Complete, at, Lsn(7))];
    });
    let complete = seen("complete").await;
    assert_eq!(complete["bytes_stored"], 5_000_000);
    assert_eq!(complete["name"], "before the migration");
    scene
        .told_that(|spec| !spec.backups.iter().any(|asked| asked.backup_id == ours))
        .await;
}

#[tokio::test]
async fn a_sleeping_database_wakes_for_a_backup_and_stays_awake_for_it() {
    let (scene, _loop) = Scene::archived("free").await;
    let spec = scene.told_that(asks_for_backup).await;
    scene.end_backup(&spec, BackupState::Complete);
    scene.told_that(asks_for_none).await;
    scene
        .runtime
        .set_idle(scene.shop, Some(scene.cloud.clock.now()));
    scene.cloud.clock.advance(Duration::minutes(6));
    scene.cloud.in_state(&scene.ada, scene.shop, "asleep").await;
    // Nothing was written since: the present moment can be restored to.
    let window = format!("/v1/databases/{}/restore-window", scene.shop);
    let window = scene.get(&window).await;
    assert_eq!(window.body["lag_ms"], 0, "{}", window.raw);
    let path = format!("/v1/databases/{}/backups", scene.shop);
    scene.post(&path, &json!({})).await.expect(201);
    scene
        .cloud
        .in_state(&scene.ada, scene.shop, "running")
        .await;
    scene.cloud.clock.advance(Duration::minutes(30));
    let spec = scene.told_that(asks_for_backup).await;
    assert_eq!(
        scene.cloud.database(&scene.ada, scene.shop).await["state"],
        "running"
    );
    scene.archive_says(|archive| {
        archive.archive_id = Some(spec.access.archive_id);
    });
    scene.end_backup(&spec, BackupState::Complete);
    scene.cloud.clock.advance(Duration::minutes(6));
    scene.cloud.in_state(&scene.ada, scene.shop, "asleep").await;
}

#[tokio::test]
async fn a_suspended_database_is_neither_backed_up_nor_marked() {
    let (scene, _loop) = Scene::running("free").await;
    let path = format!("/v1/databases/{}/suspend", scene.shop);
    scene.cloud.act(&scene.ada, &path).await.expect(200);
    scene
        .cloud
        .in_state(&scene.ada, scene.shop, "suspended")
        .await;
    for what in ["backups", "restore-points"] {
        let path = format!("/v1/databases/{}/{what}", scene.shop);
        let answer = scene.post(&path, &json!({ "name": "x" })).await;
        answer.expect_problem(409, "conflict");
    }
}
