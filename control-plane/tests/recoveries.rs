//! Databases whose content is lost, and come back from their archives by themselves.

use crate::support::{Fault, Scene};
use http::Method;
use lumadb_contract::archive::{RestorePhase, RestoreTarget};
use serde_json::{Value, json};
use time::Duration;

impl Scene {
    /// Its recoveries, newest first.
    async fn recoveries(&self) -> Vec<Value> {
        let path = format!("/v1/databases/{}/operations", self.shop);
        let items = self.read(&path).await["items"].clone();
        let items = items.as_array().cloned().unwrap_or_default();
        let is_one = |operation: &Value| operation["kind"] == "database_recover";
        items.into_iter().filter(is_one).collect()
    }

    /// How the newest of so many recoveries ended.
    async fn ended(&self, count: usize) -> Value {
        self.cloud
            .until(|| async {
                let all = self.recoveries().await;
                let has_ended = all.len() == count && !all[0]["ended_at"].is_null();
                has_ended.then(|| all[0].clone())
            })
            .await
    }

    async fn subjects(&self) -> Vec<String> {
        let subjects = sqlx::query_scalar(
            "select payload ->> 'subject' from outbox
             where payload ->> 'subject' like 'Your database%' order by id",
        );
        subjects.fetch_all(&self.cloud.admin).await.expect("reads")
    }

    /// Waits until the loop has looked once more.
    async fn looked(&self) {
        let sql = "select observed_at from databases where id = $1";
        let at = || async {
            let at: Option<time::OffsetDateTime> = sqlx::query_scalar(sql)
                .bind(self.shop.uuid())
                .fetch_one(&self.cloud.admin)
                .await
                .expect("reads");
            at
        };
        let before = at().await;
        self.cloud.clock.advance(Duration::minutes(6));
        self.cloud
            .until(|| async { (at().await > before).then_some(()) })
            .await;
    }

    async fn audited(&self) -> Vec<String> {
        let path = format!("/v1/organizations/{}/audit-events", self.ada.organization);
        let events = self.read(&path).await["items"].clone();
        let actions = events.as_array().cloned().unwrap_or_default();
        let actions = actions.iter().filter_map(|event| event["action"].as_str());
        let of_recoveries = actions.filter(|action| action.contains("recovery"));
        of_recoveries.map(ToOwned::to_owned).collect()
    }
}

const BACK: &str = "Your database shop lost its disk and is back";
const NOT_BACK: &str = "Your database shop lost its disk";

#[tokio::test]
async fn a_lost_database_comes_back_from_its_own_archive() {
    let (lost, _loop) = Scene::archived("pro-starter").await;
    let path = format!("/v1/databases/{}", lost.shop);
    let connection = lost.read(&format!("{path}/connection")).await;
    let own = lost.runtime.instance(lost.shop).expect("there").spec;
    lost.runtime.stick(true);
    lost.runtime.lose(lost.shop);
    let spec = lost
        .cloud
        .until(|| async { Some(lost.runtime.instance(lost.shop)?.spec) })
        .await;
    let restore = spec.restore.expect("from an archive");
    let archive = spec.archive.expect("that goes on");
    assert_eq!(restore.target, RestoreTarget::Latest);
    assert_eq!(restore.source.archive_id, archive.access.archive_id);
    assert_eq!(
        archive.access.archive_id,
        own.archive.expect("one").access.archive_id
    );
    assert!(spec.generation > own.generation);
    assert_eq!(spec.roles, own.roles);
    // Meanwhile its owner sees how far it is, and nothing else can be done with it.
    lost.restoring(lost.shop, RestorePhase::Replaying, None);
    lost.cloud
        .until(|| async {
            let all = lost.recoveries().await;
            (all[0]["steps"][2]["state"] == "running").then_some(())
        })
        .await;
    let seen = lost.read(&path).await;
    assert_eq!(seen["state"], "pending");
    assert_eq!(seen["restore"]["bytes_done"], 500);
    let restore = lost.cloud.call(Method::POST, &format!("{path}/restore"));
    let in_place = json!({ "in_place": true, "latest": true });
    let answer = restore
        .cookie(&lost.ada.cookie)
        .json(&in_place)
        .send()
        .await;
    answer.expect_problem(409, "conflict");
    lost.runtime.stick(false);
    lost.runtime.report(lost.shop, |_| ());
    lost.cloud.clock.advance(Duration::minutes(2));
    let ended = lost.ended(1).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    lost.cloud.in_state(&lost.ada, lost.shop, "running").await;
    assert_eq!(lost.read(&format!("{path}/connection")).await, connection);
    assert_eq!(lost.subjects().await, [BACK]);
    let audited = lost.audited().await;
    assert_eq!(
        audited,
        ["database.recovery_end", "database.recovery_begin"]
    );
    assert_eq!(lost.runtime.made(lost.shop), 2);
    // It is one as any other again: the next spec says nothing of where its content came from.
    let resized = lost.cloud.call(Method::PATCH, &path);
    let resized = resized.cookie(&lost.ada.cookie);
    let answer = resized.json(&json!({ "milli_vcpu": 500 })).send().await;
    answer.expect(200);
    lost.cloud
        .until(|| async {
            let spec = lost.runtime.instance(lost.shop)?.spec;
            (spec.compute.milli_vcpu == 500 && spec.restore.is_none()).then_some(())
        })
        .await;
}

#[tokio::test]
async fn what_is_merely_not_there_is_left_alone() {
    let (lost, _loop) = Scene::archived("pro-starter").await;
    lost.runtime.unmount(true);
    let instance = lost.runtime.lose(lost.shop).expect("there");
    lost.cloud.in_state(&lost.ada, lost.shop, "failed").await;
    lost.looked().await;
    assert_eq!(lost.recoveries().await, Vec::<Value>::new());
    // It is mounted, and what was on it is there.
    lost.runtime.bring_back(lost.shop, instance);
    lost.cloud.in_state(&lost.ada, lost.shop, "running").await;
    assert_eq!(lost.runtime.made(lost.shop), 1);
    assert_eq!(lost.recoveries().await, Vec::<Value>::new());
    assert_eq!(lost.subjects().await, Vec::<String>::new());
}

#[tokio::test]
async fn without_a_backup_it_stays_lost_and_its_owner_is_told_once() {
    let (lost, _loop) = Scene::running("pro-starter").await;
    lost.runtime.lose(lost.shop);
    lost.cloud.in_state(&lost.ada, lost.shop, "failed").await;
    for _ in 0..3 {
        lost.looked().await;
    }
    lost.cloud.in_state(&lost.ada, lost.shop, "failed").await;
    assert_eq!(lost.recoveries().await, Vec::<Value>::new());
    assert_eq!(lost.subjects().await, [NOT_BACK]);
    assert_eq!(lost.audited().await, ["database.recovery_fail"]);
    let error: Option<String> = sqlx::query_scalar("select error from databases where id = $1")
        .bind(lost.shop.uuid())
        .fetch_one(&lost.cloud.admin)
        .await
        .expect("reads");
    let error = error.expect("why");
    assert!(error.contains("it has no complete backup"), "{error}");
    assert_eq!(lost.runtime.made(lost.shop), 1);
}

#[tokio::test]
async fn one_that_sleeps_comes_back_when_it_is_woken_and_a_suspended_one_when_it_is_resumed() {
    let (lost, _loop) = Scene::archived("pro-starter").await;
    let path = format!("/v1/databases/{}", lost.shop);
    let suspend = lost.cloud.act(&lost.ada, &format!("{path}/suspend")).await;
    lost.cloud
        .ended(&lost.ada, &suspend.text("/operation/id"))
        .await;
    lost.runtime.lose(lost.shop);
    lost.looked().await;
    lost.cloud.in_state(&lost.ada, lost.shop, "suspended").await;
    let resume = lost.cloud.act(&lost.ada, &format!("{path}/resume")).await;
    let resumed = lost
        .cloud
        .ended(&lost.ada, &resume.text("/operation/id"))
        .await;
    assert_eq!(resumed["state"], "succeeded", "{resumed}");
    let ended = lost.ended(1).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
}

#[tokio::test]
async fn what_cannot_be_restored_is_tried_some_times_and_given_up() {
    let (lost, _loop) = Scene::archived("pro-starter").await;
    lost.runtime.stick(true);
    lost.runtime.lose(lost.shop);
    for attempt in 1..=5 {
        lost.cloud
            .until(|| async {
                let made = usize::try_from(lost.runtime.made(lost.shop)).ok()?;
                let is_new = lost.recoveries().await.len() == attempt && made == 1 + attempt;
                let spec = lost.runtime.instance(lost.shop)?.spec;
                (is_new && spec.restore.is_some()).then_some(())
            })
            .await;
        lost.restoring(
            lost.shop,
            RestorePhase::Refused,
            Some("The backup is damaged."),
        );
        let ended = lost.ended(attempt).await;
        assert_eq!(ended["state"], "failed");
        assert_eq!(ended["error"], "The backup is damaged.");
        lost.cloud.clock.advance(Duration::hours(3));
    }
    for _ in 0..3 {
        lost.looked().await;
    }
    lost.cloud.in_state(&lost.ada, lost.shop, "failed").await;
    assert_eq!(lost.recoveries().await.len(), 5);
    assert_eq!(lost.subjects().await, [NOT_BACK]);
    // What was made for it never passes for the database.
    let spec = lost.runtime.instance(lost.shop).expect("there").spec;
    assert!(spec.restore.is_some());
}

#[tokio::test]
async fn every_step_fails_repeats_and_is_killed_and_it_comes_back_once() {
    let (lost, mut running) = Scene::archived("pro-starter").await;
    // Its folder is cleared, and made anew.
    for step in 0..2 {
        for fault in Fault::ALL {
            let before = lost.recoveries().await.len();
            let made = lost.runtime.made(lost.shop);
            // Not within a day: that would be the same loss.
            lost.cloud.clock.advance(Duration::hours(25));
            lost.cloud.in_state(&lost.ada, lost.shop, "running").await;
            lost.runtime.arm(Some((step, fault)));
            lost.runtime.lose(lost.shop);
            let killed = tokio::select! {
                () = lost.runtime.killed.notified() => true,
                _ = lost.ended(before + 1) => false,
            };
            if killed {
                drop(running);
                running = lost.cloud.start_loop(&lost.runtime);
            }
            let ended = lost.ended(before + 1).await;
            assert_eq!(ended["state"], "succeeded", "{step} {fault:?}: {ended}");
            assert_eq!(lost.runtime.made(lost.shop), made + 1, "{step} {fault:?}");
        }
    }
    let mails = lost.subjects().await;
    assert!(mails.iter().all(|mail| mail == BACK), "{mails:?}");
    assert_eq!(mails.len(), 10);
    drop(running);
}
