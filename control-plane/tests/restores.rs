//! Restoring a database into a new one.

use crate::support::{Answer, Scene};
use http::Method;
use lumadb_contract::archive::{Durability, Lsn, RestorePhase, RestoreStatus, RestoreTarget};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::InstancePhase;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

impl Scene {
    async fn refused(&self, body: &Value, status: u16, problem: &str, field: &str) {
        let answer = self.restore(body).await;
        answer.expect_problem(status, problem);
        let mut faults = answer.body["errors"].as_array().into_iter().flatten();
        assert!(
            faults.any(|fault| fault["field"] == field),
            "{}",
            answer.raw
        );
    }

    /// Until the loop has looked at a database since this moment.
    async fn looked_at(&self, id: DatabaseId, since: OffsetDateTime) {
        let looked_at = "select coalesce(observed_at >= $2, false) from databases where id = $1";
        self.cloud
            .until(|| async {
                let looked_at = sqlx::query_scalar(looked_at).bind(id.uuid()).bind(since);
                let looked_at: bool = looked_at
                    .fetch_one(&self.cloud.admin)
                    .await
                    .expect("the row");
                looked_at.then_some(())
            })
            .await;
    }

    fn ago(&self, by: Duration) -> String {
        let moment = self.cloud.clock.now() - by;
        moment.format(&Rfc3339).expect("a time")
    }
}

#[tokio::test]
async fn a_restored_database_is_a_new_one_with_the_sources_logins_and_networks() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    let networks = json!({ "allowed_networks": ["203.0.113.0/24"] });
    let shop = format!("/v1/databases/{}", past.shop);
    let kept = past.call(Method::PATCH, &shop, &networks).await;
    kept.expect(200);
    let roles = format!("/v1/databases/{}/roles", past.shop);
    let made = past.post(&roles, &json!({ "name": "app" })).await;
    made.expect(201);
    // Its node has heard of it, too.
    past.cloud
        .ended(&past.ada, &made.text("/operation/id"))
        .await;
    past.runtime.stick(true);
    let at = past.cloud.clock.now() - Duration::minutes(30);
    let text = at.format(&Rfc3339).expect("a time");
    let restored = past
        .restore(&json!({ "name": "shop yesterday", "time": text }))
        .await;
    restored.expect(201);
    assert_eq!(restored.body["operation"]["kind"], "database_restore");
    let id: DatabaseId = restored.text("/database/id").parse().expect("an ID");
    assert_eq!(
        restored.text("/database/project_id"),
        past.ada.project.to_string()
    );
    assert_eq!(
        restored.text("/database/restore/source_database_id"),
        past.shop.to_string()
    );
    let spec = past
        .cloud
        .until(|| async { Some(past.runtime.instance(id)?.spec) })
        .await;
    let restore = spec.restore.expect("from the archive");
    assert_eq!(restore.target, RestoreTarget::Time(at));
    let source = past.runtime.instance(past.shop).expect("there").spec;
    let source = source.archive.expect("archived");
    assert_eq!(restore.source.archive_id, source.access.archive_id);
    let credentials = restore.source.store.credentials.expect("given");
    assert_eq!(
        credentials.access_key_id,
        format!("{}.ro", source.access.archive_id)
    );
    let own = spec.archive.expect("of its own");
    assert_ne!(own.access.archive_id, source.access.archive_id);
    let names: Vec<_> = spec.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["owner", "app"]);
    let source_spec = past.runtime.instance(past.shop).expect("there").spec;
    assert_eq!(spec.roles, source_spec.roles, "the same verifiers");
    assert_eq!(spec.allowed_networks.to_texts(), ["203.0.113.0/24"]);
    assert_eq!(spec.logical_databases, source_spec.logical_databases);
    let password = |connection: &Value| {
        let uri = connection["strings"][0]["text"].as_str().expect("a text");
        let (_, rest) = uri.split_once("://").expect("a URI");
        let (_, rest) = rest.split_once(':').expect("a password");
        rest.split('@').next().expect("a password").to_owned()
    };
    let (here, there) = (past.connection(id).await, past.connection(past.shop).await);
    assert_eq!(password(&here), password(&there));
}

#[tokio::test]
async fn a_restore_tells_how_far_it_is_and_holds_its_source_fast_until_it_ends() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    let pinned = || async {
        let archive = past.runtime.instance(past.shop)?.spec.archive?;
        Some(archive.pinned.len())
    };
    assert_eq!(pinned().await, Some(0));
    past.runtime.stick(true);
    let restored = past
        .restore(&json!({ "name": "again", "latest": true }))
        .await;
    restored.expect(201);
    let id: DatabaseId = restored.text("/database/id").parse().expect("an ID");
    past.cloud
        .until(|| async { pinned().await.filter(|pinned| *pinned == 1).map(drop) })
        .await;
    let before = past.runtime.instance(past.shop).expect("there").spec;
    let before = before.archive.expect("archived").expire_before;
    past.cloud
        .until(|| async { past.runtime.instance(id).map(drop) })
        .await;
    let reached = past.cloud.clock.now() - Duration::minutes(5);
    past.runtime.report(id, |status| {
        status.restore = Some(RestoreStatus {
            phase: RestorePhase::Replaying,
            bytes_done: 1000,
            bytes_total: 1000,
            replayed_lsn: Some(Lsn(0x0210_0000)),
            reached: Some(reached),
            refusal: None,
            verification: None,
        });
    });
    let restore = past
        .cloud
        .until(|| async {
            let database = past.cloud.database(&past.ada, id).await;
            (database["restore"]["phase"] == "replaying").then(|| database["restore"].clone())
        })
        .await;
    assert_eq!(restore["bytes_total"], 1000);
    assert_eq!(restore["replayed_lsn"], "0/2100000");
    assert!(restore["reached"].is_string());
    let operation = restored.text("/operation/id");
    let path = format!("/v1/operations/{operation}");
    let running = past.cloud.get(&path).cookie(&past.ada.cookie).send().await;
    assert_eq!(
        running.body["steps"][1]["state"], "succeeded",
        "{}",
        running.raw
    );
    assert_eq!(running.body["steps"][2]["state"], "running");
    // Hours later nothing of the source has expired.
    past.cloud.clock.advance(Duration::hours(6));
    past.cloud.in_state(&past.ada, past.shop, "running").await;
    let after = past.runtime.instance(past.shop).expect("there").spec;
    assert_eq!(after.archive.expect("archived").expire_before, before);

    past.runtime.stick(false);
    past.runtime.report(id, |status| {
        status.phase = InstancePhase::Ready;
        status.engine_version = Some("18.6".into());
        status.observed_generation = u64::MAX;
        if let Some(restore) = &mut status.restore {
            restore.phase = RestorePhase::Done;
        }
    });
    let ended = past.cloud.ended(&past.ada, &operation).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    past.cloud
        .until(|| async { pinned().await.filter(|pinned| *pinned == 0).map(drop) })
        .await;
    let database = past.cloud.database(&past.ada, id).await;
    assert_eq!(database["restore"]["phase"], "done");
    // The keys of the source are taken away again.
    past.cloud
        .until(|| async {
            past.runtime
                .instance(id)?
                .spec
                .restore
                .is_none()
                .then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_refusal_of_the_node_is_told_to_whoever_asked() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    past.runtime.stick(true);
    let restored = past
        .restore(&json!({ "name": "again", "transaction": 4_000_000_000_u32 }))
        .await;
    restored.expect(201);
    let id: DatabaseId = restored.text("/database/id").parse().expect("an ID");
    past.cloud
        .until(|| async { past.runtime.instance(id).map(drop) })
        .await;
    past.runtime.report(id, |status| {
        status.restore = Some(RestoreStatus {
            phase: RestorePhase::Refused,
            bytes_done: 0,
            bytes_total: 0,
            replayed_lsn: None,
            reached: None,
            refusal: Some("The transaction 4000000000 is not in the archive.".into()),
            verification: None,
        });
    });
    let ended = past
        .cloud
        .ended(&past.ada, &restored.text("/operation/id"))
        .await;
    assert_eq!(ended["state"], "failed");
    assert_eq!(
        ended["error"],
        "The transaction 4000000000 is not in the archive."
    );
    let database = past.cloud.database(&past.ada, id).await;
    assert_eq!(database["state"], "failed");
    assert_eq!(database["restore"]["phase"], "refused");
    // It must not begin empty instead.
    let spec = past.runtime.instance(id).expect("there").spec;
    assert!(spec.restore.is_some());
}

#[tokio::test]
async fn a_restore_to_just_now_waits_until_that_is_archived() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    past.cloud.clock.advance(Duration::seconds(5));
    let at = past.cloud.clock.now();
    let lag_ms = || match past.runtime.instance(past.shop)?.spec.archive?.durability {
        Durability::Lag { lag_ms } => Some(lag_ms),
        Durability::S3 => None,
    };
    let lag_before = lag_ms().expect("told");
    let body = json!({ "name": "just now", "time": at.format(&Rfc3339).expect("a time") });
    let restored = past.restore(&body).await;
    restored.expect(201);
    assert_eq!(restored.text("/database/restore/phase"), "waiting");
    let id: DatabaseId = restored.text("/database/id").parse().expect("an ID");
    // Its source hurries, and nothing is made meanwhile: it would begin empty.
    let hurries = || async { lag_ms().filter(|lag_ms| *lag_ms < lag_before).map(drop) };
    past.cloud.until(hurries).await;
    past.cloud.clock.advance(Duration::seconds(5));
    past.cloud
        .until(|| async {
            let database = past.cloud.database(&past.ada, id).await;
            (database["state"] == "pending").then_some(())
        })
        .await;
    assert!(past.runtime.instance(id).is_none());

    past.runtime.report(past.shop, |status| {
        let archive = status.archive.as_mut().expect("told");
        archive.archived_until = Some(at);
    });
    let ended = past
        .cloud
        .ended(&past.ada, &restored.text("/operation/id"))
        .await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let database = past.cloud.database(&past.ada, id).await;
    assert_eq!(database["restore"]["phase"], "done");
    assert_eq!(
        database["restore"]["target"],
        restored.body["database"]["restore"]["target"]
    );
    let rests = || async { lag_ms().filter(|lag_ms| *lag_ms == lag_before).map(drop) };
    past.cloud.until(rests).await;
}

#[tokio::test]
async fn the_latest_moment_is_now_where_the_source_runs_and_what_is_archived_where_it_does_not() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    past.cloud.clock.advance(Duration::seconds(5));
    let restore = async |name: &str| {
        let restored = past.restore(&json!({ "name": name, "latest": true })).await;
        restored.expect(201);
        restored
    };
    let succeeds = async |restored: &Answer| {
        let operation = restored.text("/operation/id");
        let ended = past.cloud.ended(&past.ada, &operation).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
    };
    let caught_up = restore("caught up").await;
    let now = past.cloud.clock.now();
    let id: DatabaseId = caught_up.text("/database/id").parse().expect("an ID");
    // When it has been looked at, it waits still.
    past.looked_at(id, now).await;
    let database = past.cloud.database(&past.ada, id).await;
    assert_eq!(database["restore"]["phase"], "waiting");
    assert!(past.runtime.instance(id).is_none());
    past.runtime.report(past.shop, |status| {
        let archive = status.archive.as_mut().expect("told");
        archive.archived_until = Some(now);
    });
    succeeds(&caught_up).await;

    // It never catches up: what there is after a while.
    past.cloud.clock.advance(Duration::seconds(5));
    let late = restore("late").await;
    assert_eq!(late.text("/database/restore/phase"), "waiting");
    past.cloud.clock.advance(Duration::seconds(31));
    succeeds(&late).await;

    // Nothing more comes while the store refuses it.
    let refused = restore("refused").await;
    assert_eq!(refused.text("/database/restore/phase"), "waiting");
    past.runtime.report(past.shop, |status| {
        let archive = status.archive.as_mut().expect("told");
        archive.error = Some("the store answers 503".into());
    });
    succeeds(&refused).await;
}

#[tokio::test]
async fn a_restore_waits_no_longer_than_an_hour_for_what_is_never_archived() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    let pinned = || async { Some(past.runtime.instance(past.shop)?.spec.archive?.pinned.len()) };
    past.cloud.clock.advance(Duration::seconds(5));
    let at = past.cloud.clock.now();
    let body = json!({ "name": "never", "time": at.format(&Rfc3339).expect("a time") });
    let restored = past.restore(&body).await;
    restored.expect(201);
    assert_eq!(restored.text("/database/restore/phase"), "waiting");
    let id: DatabaseId = restored.text("/database/id").parse().expect("an ID");
    past.cloud.clock.advance(Duration::minutes(50));
    past.looked_at(id, past.cloud.clock.now()).await;
    let database = past.cloud.database(&past.ada, id).await;
    assert_eq!(database["restore"]["phase"], "waiting");
    past.cloud.clock.advance(Duration::minutes(11));
    let operation = restored.text("/operation/id");
    let ended = past.cloud.ended(&past.ada, &operation).await;
    assert_eq!(ended["state"], "failed", "{ended}");
    let database = past.cloud.database(&past.ada, id).await;
    assert_eq!(database["state"], "failed");
    assert_eq!(database["restore"]["phase"], "refused");
    assert_eq!(database["restore"]["refusal"], ended["error"]);
    // What comes later changes nothing: it must not begin with less than was asked for, nor empty.
    past.runtime.report(past.shop, |status| {
        let archive = status.archive.as_mut().expect("told");
        archive.archived_until = Some(at);
    });
    past.cloud
        .until(|| async { pinned().await.filter(|pinned| *pinned == 0).map(drop) })
        .await;
    past.cloud.clock.advance(Duration::minutes(10));
    past.looked_at(id, past.cloud.clock.now()).await;
    let database = past.cloud.database(&past.ada, id).await;
    assert_eq!(database["state"], "failed");
    assert!(past.runtime.instance(id).is_none());
}

#[tokio::test]
async fn a_restore_that_waits_can_be_called_off() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    let point = json!({ "name": "before deploy" });
    let points = format!("/v1/databases/{}/restore-points", past.shop);
    past.post(&points, &point).await.expect(201);
    let body = json!({ "name": "never", "restore_point": "before deploy" });
    let restored = past.restore(&body).await;
    restored.expect(201);
    assert_eq!(restored.text("/database/restore/phase"), "waiting");
    let operation = restored.text("/operation/id");
    let cancel = format!("/v1/operations/{operation}/cancel");
    past.cloud.act(&past.ada, &cancel).await.expect(200);
    let gone = format!("/v1/databases/{}", restored.text("/database/id"));
    past.cloud
        .until(|| async { (past.get(&gone).await.status == 404).then_some(()) })
        .await;
    let id: DatabaseId = restored.text("/database/id").parse().expect("an ID");
    assert!(past.runtime.instance(id).is_none());
}

#[tokio::test]
async fn targets_outside_of_the_window_are_refused_with_the_field_at_fault() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    let outside = async |field: &str, value: Value| {
        let body = json!({ "name": "again", field: value });
        past.refused(&body, 422, "restore_target", field).await;
    };
    outside("time", json!(past.ago(Duration::hours(2)))).await;
    outside("time", json!(past.ago(Duration::hours(-1)))).await;
    outside("lsn", json!("0/1000000")).await;
    outside("lsn", json!("FF/0")).await;
    outside("restore_point", json!("no such")).await;
    let invalid = async |body: Value, field: &str| {
        past.refused(&body, 400, "invalid_request", field).await;
    };
    invalid(json!({ "name": "again" }), "time").await;
    invalid(json!({ "name": "again", "time": "yesterday" }), "time").await;
    invalid(json!({ "name": "again", "lsn": "16-1" }), "lsn").await;
    invalid(json!({ "name": "", "latest": true }), "name").await;
    let both = json!({ "name": "again", "latest": true, "lsn": "0/2000000" });
    invalid(both, "lsn").await;
    let taken = past
        .restore(&json!({ "name": "shop", "latest": true }))
        .await;
    taken.expect_problem(409, "conflict");
    let inside = json!({ "name": "again", "lsn": "0/2800000" });
    past.restore(&inside).await.expect(201);
}

#[tokio::test]
async fn nothing_is_restored_where_there_is_no_backup_or_no_room() {
    let (past, _loop) = Scene::running("free").await;
    let restore = async |name: &str| past.restore(&json!({ "name": name, "latest": true })).await;
    let answer = restore("again").await;
    answer.expect_problem(422, "restore_target");
    past.cloud
        .archived(&past.ada, &past.runtime, past.shop)
        .await;
    restore("two").await.expect(201);
    restore("three").await.expect(201);
    // A free organization has three.
    restore("four").await.expect_problem(409, "quota_exceeded");
}
