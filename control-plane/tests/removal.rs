//! What is kept of a deleted database, and its end.

use crate::support::{
    Answer, FakeObjects, FakeRuntime, Loop, PASSWORD, Person, TestCloud, Trouble,
};
use lumadb_contract::archive::{RestorePhase, RestoreStatus, RestoreTarget};
use lumadb_contract::id::{ArchiveId, DatabaseId};
use lumadb_contract::instance::{InstancePhase, RunState};
use lumadb_control_plane::workflow::removal::remove_due;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::sync::Arc;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

struct Past {
    cloud: TestCloud,
    ada: Person,
    runtime: Arc<FakeRuntime>,
    objects: FakeObjects,
    shop: DatabaseId,
    archive: ArchiveId,
    deleted_at: OffsetDateTime,
}

impl Past {
    /// A database with a second role that was backed up an hour ago, archived since, and deleted
    /// just now.
    async fn new(plan: &str) -> (Self, Loop) {
        let cloud = TestCloud::new().await;
        let ada = cloud.person("ada@example.com").await;
        cloud.set_plan(&ada, plan).await;
        let runtime = FakeRuntime::new();
        let running = cloud.start_loop(&runtime);
        let shop = cloud.running(&ada, "shop").await;
        cloud.archived(&ada, &runtime, shop).await;
        let roles = format!("/v1/databases/{shop}/roles");
        let made = cloud.post(&roles).cookie(&ada.cookie);
        let made = made.json(&json!({ "name": "app" })).send().await;
        cloud.ended(&ada, &made.text("/operation/id")).await;
        let spec = runtime.instance(shop).expect("there").spec;
        let archive = spec.archive.expect("archived").access.archive_id;
        let mut past = Self {
            cloud,
            ada,
            runtime,
            objects: FakeObjects::default(),
            shop,
            archive,
            deleted_at: OffsetDateTime::UNIX_EPOCH,
        };
        past.delete().await;
        (past, running)
    }

    async fn delete(&mut self) {
        let path = format!("/v1/databases/{}", self.shop);
        let asked = self.cloud.delete(&path).cookie(&self.ada.cookie);
        let asked = asked.send().await;
        asked.expect(200);
        let operation = asked.text("/operation/id");
        let ended = self.cloud.ended(&self.ada, &operation).await;
        assert_eq!(ended["state"], "succeeded");
        let listed = self.listed().await;
        let at = listed[0]["deleted_at"].as_str().expect("a moment");
        self.deleted_at = OffsetDateTime::parse(at, &Rfc3339).expect("a moment");
    }

    async fn get(&self, path: &str) -> Answer {
        self.cloud.get(path).cookie(&self.ada.cookie).send().await
    }

    async fn listed(&self) -> Vec<Value> {
        let path = format!("/v1/projects/{}/deleted-databases", self.ada.project);
        let list = self.get(&path).await;
        list.expect(200);
        list.body["items"].as_array().expect("items").clone()
    }

    async fn restore(&self, body: &Value) -> Answer {
        let path = format!("/v1/databases/{}/restore", self.shop);
        let call = self.cloud.post(&path).cookie(&self.ada.cookie);
        call.json(body).send().await
    }

    async fn round(&self) -> usize {
        let removed = remove_due(&self.cloud.platform, &self.objects, "local").await;
        removed.expect("a round")
    }

    /// Rows that are kept for a restore.
    async fn kept(&self) -> i64 {
        let mut kept = 0;
        for table in [
            "archives",
            "backups",
            "restore_points",
            "database_roles",
            "logical_databases",
        ] {
            let sql = format!("select count(*) from {table} where database_id = $1");
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(self.shop.uuid())
                .fetch_one(&self.cloud.admin)
                .await
                .expect("counted");
            kept += rows;
        }
        kept
    }

    /// Moves the clock to so long after the deletion. Sessions end sooner than some windows.
    async fn after(&mut self, by: Duration) {
        let now = self.cloud.clock.now();
        self.cloud.clock.advance(self.deleted_at + by - now);
        let again = self.cloud.log_in(&self.ada.email, PASSWORD).await;
        self.ada.cookie = again.cookie().expect("a session");
    }
}

#[tokio::test]
async fn a_deleted_database_comes_back_with_its_logins() {
    let (past, _loop) = Past::new("pro-starter").await;
    let listed = past.listed().await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["id"], past.shop.to_string());
    assert_eq!(listed[0]["name"], "shop");
    let until = (past.deleted_at + Duration::days(7)).format(&Rfc3339);
    assert_eq!(listed[0]["restorable_until"], until.expect("a text"));
    assert!(listed[0]["earliest"].is_string());
    // All that it wrote is archived: it can be restored as it was when it was deleted.
    assert_eq!(listed[0]["latest"], listed[0]["deleted_at"]);
    let database = format!("/v1/databases/{}", past.shop);
    past.get(&database).await.expect_problem(404, "not_found");
    for what in ["restore-window", "backups", "restore-points"] {
        past.get(&format!("{database}/{what}")).await.expect(200);
    }
    let roles = format!("{database}/roles");
    past.get(&roles).await.expect_problem(404, "not_found");

    past.cloud.clock.advance(Duration::days(3));
    // Its old name is free.
    let restored = past
        .restore(&json!({ "name": "shop", "latest": true }))
        .await;
    restored.expect(201);
    let id: DatabaseId = restored.text("/database/id").parse().expect("an ID");
    let spec = past
        .cloud
        .until(|| async { Some(past.runtime.instance(id)?.spec) })
        .await;
    let restore = spec.restore.expect("from the archive");
    assert_eq!(restore.source.archive_id, past.archive);
    assert_eq!(restore.target, RestoreTarget::Latest);
    let names: Vec<_> = spec.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["owner", "app"]);
    assert_eq!(spec.logical_databases.len(), 1);
    let operation = restored.text("/operation/id");
    let ended = past.cloud.ended(&past.ada, &operation).await;
    assert_eq!(ended["state"], "succeeded");
    // Another's is nobody's business.
    let eve = past.cloud.person("eve@example.com").await;
    let path = format!("{database}/restore");
    let stolen = past.cloud.post(&path).cookie(&eve.cookie);
    let stolen = stolen.json(&json!({ "name": "x", "latest": true })).send();
    stolen.await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn what_runs_stops_before_it_is_removed_so_that_all_is_archived() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "shop").await;
    cloud.archived(&ada, &runtime, id).await;
    runtime.stick(true);
    let path = format!("/v1/databases/{id}");
    let asked = cloud.delete(&path).cookie(&ada.cookie).send().await;
    asked.expect(200);
    cloud
        .until(|| async {
            let run = runtime.instance(id)?.spec.run;
            (run == RunState::Stopped).then_some(())
        })
        .await;
    let last = cloud.clock.now();
    runtime.report(id, |status| {
        status.phase = InstancePhase::Stopping;
        let archive = status.archive.as_mut().expect("archived");
        archive.archived_until = Some(last);
    });
    let until = "select archived_until from archives where database_id = $1";
    cloud
        .until(|| async {
            let at: OffsetDateTime = sqlx::query_scalar(until)
                .bind(id.uuid())
                .fetch_one(&cloud.admin)
                .await
                .expect("the row");
            (at >= last - Duration::milliseconds(1)).then_some(())
        })
        .await;
    assert!(runtime.instance(id).is_some(), "it is still on its way");
    runtime.crash(id);
    let ended = cloud.ended(&ada, &asked.text("/operation/id")).await;
    assert_eq!(ended["state"], "succeeded");
    assert!(runtime.instance(id).is_none());
}

#[tokio::test]
async fn an_instance_that_does_not_stop_is_removed_all_the_same() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "shop").await;
    runtime.stick(true);
    let path = format!("/v1/databases/{id}");
    let asked = cloud.delete(&path).cookie(&ada.cookie).send().await;
    let operation = format!("/v1/operations/{}", asked.text("/operation/id"));
    cloud
        .until(|| async {
            let read = cloud.get(&operation).cookie(&ada.cookie).send().await;
            (read.body["state"] == "running").then_some(())
        })
        .await;
    cloud.clock.advance(Duration::minutes(4));
    let ended = cloud.ended(&ada, &asked.text("/operation/id")).await;
    assert_eq!(ended["state"], "succeeded");
    assert!(runtime.instance(id).is_none());
}

#[tokio::test]
async fn each_plan_keeps_a_deleted_database_for_its_window_and_no_longer() {
    for (plan, days) in [
        ("free", 1),
        ("pro-payg", 7),
        ("pro-growth", 14),
        ("pro-scale", 30),
        ("enterprise", 365),
    ] {
        let (mut past, running) = Past::new(plan).await;
        drop(running);
        past.after(Duration::days(days) - Duration::seconds(1))
            .await;
        assert_eq!(past.round().await, 0, "{plan}");
        assert_eq!(past.listed().await.len(), 1, "{plan}");
        assert!(past.kept().await > 4, "{plan}");
        past.after(Duration::days(days)).await;
        assert_eq!(past.round().await, 1, "{plan}");
        assert_eq!(past.objects.removed(), [past.archive], "{plan}");
        assert_eq!(past.kept().await, 0, "{plan}");
        assert!(past.listed().await.is_empty());
        let again = past
            .restore(&json!({ "name": "shop", "latest": true }))
            .await;
        again.expect_problem(404, "not_found");
        assert_eq!(past.round().await, 0, "once");
    }
}

#[tokio::test]
async fn a_removal_that_fails_or_is_cut_off_is_taken_up_again() {
    let (mut past, _loop) = Past::new("free").await;
    past.after(Duration::days(1)).await;
    for trouble in [Trouble::Fails, Trouble::FailsAfter] {
        past.objects.befall(trouble);
        assert_eq!(past.round().await, 0);
        // Half of it may be gone: nothing is restored from it any more.
        assert!(past.listed().await.is_empty());
        let late = past
            .restore(&json!({ "name": "late", "latest": true }))
            .await;
        late.expect_problem(404, "not_found");
        assert!(past.kept().await > 4, "the key is needed to go on");
    }
    // Not even where a longer window would reach it again.
    past.cloud.set_plan(&past.ada, "enterprise").await;
    past.objects.befall(Trouble::None);
    assert_eq!(past.round().await, 1);
    assert_eq!(past.kept().await, 0);
    let events = format!("/v1/organizations/{}/audit-events", past.ada.organization);
    let events = past.get(&events).await;
    assert_eq!(events.body["items"][0]["action"], "archive.remove");
    assert_eq!(events.body["items"][0]["actor"], "system");
}

#[tokio::test]
async fn what_is_being_restored_from_is_not_removed() {
    let (mut past, _loop) = Past::new("free").await;
    past.after(Duration::hours(23)).await;
    past.runtime.stick(true);
    let restored = past
        .restore(&json!({ "name": "again", "latest": true }))
        .await;
    restored.expect(201);
    let id: DatabaseId = restored.text("/database/id").parse().expect("an ID");
    past.cloud
        .until(|| async { past.runtime.instance(id).map(drop) })
        .await;
    past.after(Duration::hours(30)).await;
    assert_eq!(past.round().await, 0);
    assert!(past.objects.removed().is_empty());
    past.runtime.stick(false);
    past.runtime.report(id, |status| {
        status.phase = InstancePhase::Ready;
        status.observed_generation = u64::MAX;
        status.restore = Some(RestoreStatus {
            phase: RestorePhase::Done,
            bytes_done: 0,
            bytes_total: 0,
            replayed_lsn: None,
            reached: None,
            refusal: None,
            verification: None,
        });
    });
    past.cloud
        .until(|| async {
            let database = past.cloud.database(&past.ada, id).await;
            (database["restore"]["phase"] == "done").then_some(())
        })
        .await;
    assert_eq!(past.round().await, 1);
    // What was restored tells where it came from all the same.
    let database = past.cloud.database(&past.ada, id).await;
    let source = &database["restore"]["source_database_id"];
    assert_eq!(*source, past.shop.to_string());
}
