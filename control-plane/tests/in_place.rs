//! Restoring a database in place, and going back.

use crate::support::{START, Scene};
use http::Method;
use lumadb_contract::archive::{RestorePhase, RestoreTarget};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::instance::{InstancePhase, RunState};
use lumadb_contract::route::RouteState;
use lumadb_contract::usage::{UsageCounters, UsageGauges, UsageSample};
use lumadb_control_plane::app::database::wake::wake;
use lumadb_control_plane::runtime::{ComputeSpan, Reports};
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

impl Scene {
    /// Asks for a restore in place; the branch that will be kept, and the operation.
    async fn asked(&self, body: &Value) -> (DatabaseId, String) {
        let answer = self.restore(body).await;
        answer.expect(201);
        assert_eq!(answer.text("/database/id"), self.shop.to_string());
        let kept = answer.text("/kept/id").parse().expect("an ID");
        (kept, answer.text("/operation/id"))
    }

    async fn succeeds(&self, operation: &str) {
        let ended = self.cloud.ended(&self.ada, operation).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let steps = ended["steps"].as_array().expect("steps");
        assert!(steps.iter().all(|step| step["state"] == "succeeded"));
    }

    /// Waits until the instance of an ID is told this.
    async fn told(&self, id: DatabaseId, run: RunState) {
        self.cloud
            .until(|| async { (self.runtime.instance(id)?.spec.run == run).then_some(()) })
            .await;
    }

    /// Instances move again. What was told to stop while they did not is told so once more when the
    /// loop looks at it the next time, and that is due by then.
    fn unstick(&self) {
        self.runtime.stick(false);
        self.cloud.clock.advance(Duration::minutes(7));
    }

    async fn is_gone(&self, id: DatabaseId) {
        self.cloud
            .until(|| async {
                let path = format!("/v1/databases/{id}");
                let answer = self.cloud.get(&path).cookie(&self.ada.cookie).send().await;
                (answer.status == 404).then_some(())
            })
            .await;
    }
}

#[tokio::test]
async fn a_database_restored_in_place_stays_itself_and_what_it_had_is_kept() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    let connection = past.connection(past.shop).await;
    let shop = past.cloud.database(&past.ada, past.shop).await;
    past.runtime.stick(true);
    let (kept, operation) = past
        .asked(&json!({ "in_place": true, "lsn": "0/2800000" }))
        .await;
    past.cloud
        .until(|| async { past.runtime.instance(kept).map(drop) })
        .await;
    let spec = past.runtime.instance(kept).expect("there").spec;
    let target = spec.restore.expect("from the archive").target;
    assert!(matches!(target, RestoreTarget::Lsn(_)));
    // Meanwhile the database serves, and says what is going on.
    past.restoring(kept, RestorePhase::Replaying, None);
    let path = format!("/v1/operations/{operation}");
    past.cloud
        .until(|| async {
            let operation = past.read(&path).await;
            (operation["steps"][2]["state"] == "running").then_some(())
        })
        .await;
    let now = past.cloud.database(&past.ada, past.shop).await;
    assert_eq!(now["state"], "running");
    assert_eq!(now["in_place_restore"]["phase"], "preparing");
    assert_eq!(
        now["in_place_restore"]["kept_database_id"],
        kept.to_string()
    );
    let prepared = past.cloud.database(&past.ada, kept).await;
    let day = past.cloud.clock.now().date();
    assert_eq!(prepared["name"], format!("shop-before-{day}"));
    assert_eq!(prepared["restore"]["bytes_total"], 1000);
    // A role that is made now is one of the database's, whatever takes its place.
    let roles = format!("/v1/databases/{}/roles", past.shop);
    let late = past.post(&roles, &json!({ "name": "late" })).await;
    late.expect(201);

    past.runtime.stick(false);
    past.runtime.report(kept, |status| {
        status.phase = InstancePhase::Ready;
        status.engine_version = Some("18.6".into());
        status.observed_generation = u64::MAX;
    });
    past.succeeds(&operation).await;
    let (in_place, aside) = (
        past.runtime.instance(kept).expect("there").spec,
        past.runtime.instance(past.shop).expect("there").spec,
    );
    assert_eq!(in_place.serves(), past.shop);
    assert_eq!(in_place.run, RunState::Running);
    assert!(in_place.restore.is_none());
    let names: Vec<_> = in_place
        .roles
        .iter()
        .map(|role| role.name.as_str())
        .collect();
    assert_eq!(names, ["owner", "late"]);
    assert_eq!(past.connection(past.shop).await, connection);
    let now = past.cloud.database(&past.ada, past.shop).await;
    assert_eq!(now["state"], "running");
    for field in ["name", "revision", "created_at", "milli_vcpu"] {
        assert_eq!(now[field], shop[field], "{field}");
    }
    assert_eq!(now["in_place_restore"]["phase"], "done");
    assert_eq!(now["restore"]["source_database_id"], kept.to_string());
    assert_eq!(now["restore"]["phase"], "done");

    past.cloud.in_state(&past.ada, kept, "asleep").await;
    let asleep = past.cloud.database(&past.ada, kept).await;
    assert!(asleep["restore"].is_null());
    past.cloud
        .until(|| async {
            let spec = past.runtime.instance(past.shop)?.spec;
            (spec.serves() == kept && spec.run == RunState::Asleep).then_some(())
        })
        .await;
    let kept_spec = past.runtime.instance(past.shop).expect("there").spec;
    assert_eq!(kept_spec.roles, in_place.roles, "the same passwords");
    assert_eq!(kept_spec.logical_databases, in_place.logical_databases);
    // The past of what is kept goes with it.
    let archive = |spec: lumadb_contract::instance::InstanceSpec| {
        spec.archive.expect("archived").access.archive_id
    };
    assert_ne!(archive(aside), archive(in_place));
    let backups = past.read(&format!("/v1/databases/{kept}/backups")).await;
    assert_eq!(backups["items"][0]["state"], "complete");
    let window = past
        .read(&format!("/v1/databases/{kept}/restore-window"))
        .await;
    assert!(window["earliest"].is_string());
    let events = format!("/v1/organizations/{}/audit-events", past.ada.organization);
    let events = past.read(&events).await;
    let is_told = |action: &str| {
        let mut items = events["items"].as_array().into_iter().flatten();
        items.any(|event| event["action"] == action)
    };
    assert!(is_told("database.restore_in_place") && is_told("database.change_places"));
}

#[tokio::test]
async fn one_can_go_back_and_forth() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    let body = json!({ "in_place": true, "name": "old shop", "latest": true });
    let (kept, operation) = past.asked(&body).await;
    past.succeeds(&operation).await;
    past.cloud.in_state(&past.ada, kept, "asleep").await;
    let back = json!({ "in_place": true, "kept_database_id": kept });
    for instance in [past.shop, kept] {
        let (same, operation) = past.asked(&back).await;
        assert_eq!(same, kept);
        past.succeeds(&operation).await;
        let spec = past.runtime.instance(instance).expect("there").spec;
        assert_eq!((spec.serves(), spec.run), (past.shop, RunState::Running));
        past.cloud.in_state(&past.ada, kept, "asleep").await;
    }
    // Each was made once, and what is kept goes away as any other does.
    assert_eq!(
        [past.shop, kept].map(|id| past.runtime.made(id)),
        [1, 1],
        "nothing was restored again"
    );
    let path = format!("/v1/databases/{kept}");
    past.call(Method::DELETE, &path, &Value::Null)
        .await
        .expect(200);
    past.is_gone(kept).await;
    past.cloud
        .until(|| async { past.runtime.instance(past.shop).is_none().then_some(()) })
        .await;
    let spec = past.runtime.instance(kept).expect("it serves").spec;
    assert_eq!(spec.serves(), past.shop);
    let answer = past.restore(&back).await;
    answer.expect_problem(404, "not_found");
}

#[tokio::test]
async fn what_cannot_be_restored_in_place_is_refused() {
    let (past, _loop) = Scene::archived("free").await;
    let latest = json!({ "in_place": true, "latest": true });
    let outside = json!({ "in_place": true, "lsn": "0/1000000" });
    past.restore(&outside)
        .await
        .expect_problem(422, "restore_target");
    let taken = json!({ "in_place": true, "latest": true, "name": "shop" });
    past.restore(&taken).await.expect_problem(409, "conflict");
    let stranger = json!({ "in_place": true, "kept_database_id": past.shop });
    past.restore(&stranger)
        .await
        .expect_problem(400, "invalid_request");
    let path = format!("/v1/databases/{}/restore", past.shop);
    let stale = past.cloud.post(&path).cookie(&past.ada.cookie);
    let stale = stale.header("If-Match", "\"77\"").json(&latest);
    stale
        .send()
        .await
        .expect_problem(412, "precondition_failed");
    // Free has room for three.
    past.cloud.running(&past.ada, "two").await;
    let (three, _) = past.cloud.created(&past.ada, "three").await;
    past.restore(&latest)
        .await
        .expect_problem(409, "quota_exceeded");
    let path = format!("/v1/databases/{three}");
    past.call(Method::DELETE, &path, &Value::Null)
        .await
        .expect(200);
    past.is_gone(three).await;

    let own = format!("/v1/databases/{}", past.shop);
    let suspend = past.post(&format!("{own}/suspend"), &Value::Null).await;
    suspend.expect(200);
    past.restore(&latest).await.expect_problem(409, "conflict");
    past.cloud.in_state(&past.ada, past.shop, "suspended").await;
    let resume = past.post(&format!("{own}/resume"), &Value::Null).await;
    resume.expect(200);
    past.cloud.in_state(&past.ada, past.shop, "running").await;

    past.runtime.stick(true);
    let (kept, operation) = past.asked(&latest).await;
    past.restore(&latest).await.expect_problem(409, "conflict");
    for (method, path, body) in [
        (Method::POST, format!("{own}/suspend"), Value::Null),
        (Method::DELETE, own.clone(), Value::Null),
        (
            Method::POST,
            format!("{own}/imports"),
            json!({ "source": "postgres://a:b@db.example.com/c", "logical_database": "main" }),
        ),
        (Method::DELETE, format!("/v1/databases/{kept}"), Value::Null),
        (
            Method::PATCH,
            format!("/v1/databases/{kept}"),
            json!({ "milli_vcpu": 500 }),
        ),
        (
            Method::POST,
            format!("/v1/databases/{kept}/roles"),
            json!({ "name": "app" }),
        ),
    ] {
        let answer = past.call(method, &path, &body).await;
        answer.expect_problem(409, "conflict");
    }
    // Cancelled, nothing of it is left.
    let cancel = format!("/v1/operations/{operation}/cancel");
    let cancelled = past.post(&cancel, &Value::Null).await;
    cancelled.expect(200);
    assert_eq!(cancelled.text("/state"), "cancelled");
    past.unstick();
    past.is_gone(kept).await;
    past.call(Method::DELETE, &own, &Value::Null)
        .await
        .expect(200);
    past.is_gone(past.shop).await;
    past.restore(&latest).await.expect_problem(409, "conflict");
}

#[tokio::test]
async fn what_the_node_refuses_leaves_the_database_as_it_was() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    past.runtime.stick(true);
    let (kept, operation) = past
        .asked(&json!({ "in_place": true, "latest": true }))
        .await;
    past.cloud
        .until(|| async { past.runtime.instance(kept).map(drop) })
        .await;
    let why = "The transaction 7 is not in the archive.";
    past.restoring(kept, RestorePhase::Refused, Some(why));
    let ended = past.cloud.ended(&past.ada, &operation).await;
    assert_eq!(ended["state"], "failed");
    assert_eq!(ended["error"], why);
    past.unstick();
    past.is_gone(kept).await;
    let spec = past.runtime.instance(past.shop).expect("there").spec;
    assert_eq!((spec.serves(), spec.run), (past.shop, RunState::Running));
    assert_eq!(past.runtime.made(past.shop), 1);
}

#[tokio::test]
async fn a_database_that_does_not_stop_goes_on_and_nobody_wakes_one_that_shall() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    let (kept, operation) = past
        .asked(&json!({ "in_place": true, "latest": true }))
        .await;
    past.cloud
        .until(|| async { past.runtime.instance(kept).map(drop) })
        .await;
    past.runtime.stick(true);
    // What is restored is there, but nothing stops any more.
    past.runtime.report(kept, |status| {
        status.phase = InstancePhase::Ready;
        status.observed_generation = u64::MAX;
    });
    past.told(past.shop, RunState::Stopped).await;
    let zero = std::time::Duration::ZERO;
    let route = wake(&past.cloud.platform, "local", past.shop, zero).await;
    let route = route.expect("asked").expect("a route");
    assert_eq!(route.state, RouteState::Asleep);
    let cancel = format!("/v1/operations/{operation}/cancel");
    let cancel = past.post(&cancel, &Value::Null).await;
    cancel.expect_problem(409, "conflict");
    let backups = format!("/v1/databases/{}/backups", past.shop);
    let backup = past.post(&backups, &json!({})).await;
    backup.expect_problem(409, "conflict");
    let spec = past.runtime.instance(past.shop).expect("there").spec;
    assert_eq!(spec.run, RunState::Stopped, "nobody woke it");
    past.cloud.clock.advance(Duration::minutes(4));
    let ended = past.cloud.ended(&past.ada, &operation).await;
    assert_eq!(ended["state"], "failed");
    past.unstick();
    past.cloud.in_state(&past.ada, past.shop, "running").await;
    past.is_gone(kept).await;
}

fn incarnation(number: u128) -> IncarnationId {
    IncarnationId::from_uuid(Uuid::from_u128(number))
}

/// The last word of an incarnation that counted so many requests.
fn farewell(of: u128, at: time::OffsetDateTime, requests: u64, storage_bytes: u64) -> UsageSample {
    UsageSample {
        incarnation_id: incarnation(of),
        sequence: 1,
        taken_at: at,
        counters: UsageCounters {
            requests,
            ..UsageCounters::default()
        },
        gauges: UsageGauges {
            storage_bytes,
            connections: 0,
        },
        last: true,
    }
}

#[tokio::test]
async fn what_each_counted_is_counted_once_and_for_whom_it_was() {
    let (past, _loop) = Scene::archived("pro-starter").await;
    let reports = Reports::new(past.cloud.platform.store.clone(), past.cloud.clock.clone());
    let clock = &past.cloud.clock;
    past.runtime.stick(true);
    let (kept, operation) = past
        .asked(&json!({ "in_place": true, "latest": true }))
        .await;
    past.cloud
        .until(|| async { past.runtime.instance(kept).map(drop) })
        .await;
    let began = clock.now();
    for sample in [
        (past.shop, farewell(101, began, 10, 1000)),
        (kept, farewell(102, began, 3, 50)),
    ] {
        let stored = reports.samples(sample.0, &[sample.1]).await;
        stored.expect("stored");
    }
    past.runtime.stick(false);
    past.runtime.report(kept, |status| {
        status.phase = InstancePhase::Ready;
        status.observed_generation = u64::MAX;
    });
    past.succeeds(&operation).await;
    past.cloud.in_state(&past.ada, kept, "asleep").await;
    // The instance of the restored database counts on, and what the other one counted before comes
    // again, and with something that had not come.
    clock.advance(Duration::hours(1));
    let mut late = farewell(101, began + Duration::milliseconds(1), 12, 1000);
    late.sequence = 2;
    let ended = clock.now();
    for (instance, sample) in [
        (kept, farewell(103, ended, 5, 50)),
        (past.shop, farewell(101, began, 10, 1000)),
        (past.shop, late),
    ] {
        reports.samples(instance, &[sample]).await.expect("stored");
    }
    let foreign = [farewell(103, ended, 6, 50)];
    let foreign = reports.samples(past.shop, &foreign).await;
    assert!(foreign.is_err(), "an incarnation of the other one");
    let span = |database_id, of, started_at| ComputeSpan {
        database_id,
        incarnation_id: incarnation(of),
        started_at,
        ended_at: Some(started_at + Duration::seconds(7)),
        seen_at: started_at + Duration::seconds(7),
        milli_vcpu: 1000,
    };
    for span in [
        // It says late how long it ran for the database.
        span(past.shop, 101, began - Duration::seconds(7)),
        span(kept, 103, ended - Duration::seconds(7)),
    ] {
        reports.compute_span(span).await.expect("stored");
    }
    let usage = async |id: DatabaseId| {
        let totals = past.read(&format!("/v1/databases/{id}/usage")).await["totals"].clone();
        let requests = totals["requests"].as_u64().expect("a number");
        let stored = totals["storage_byte_seconds"].as_str().expect("a text");
        let compute = totals["compute_milli_vcpu_seconds"].as_u64();
        (requests, stored.parse::<u64>().expect("a number"), compute)
    };
    let (shop, other) = (usage(past.shop).await, usage(kept).await);
    assert_eq!((shop.0, other.0), (17, 3));
    assert_eq!((shop.2, other.2), (Some(14_000), Some(0)));
    // Together they hold what both instances held for the time that it was, whoever had which.
    let seconds = u64::try_from((ended - began).whole_seconds()).expect("forward");
    let whole = shop.1 + other.1;
    let held = 1050 * seconds;
    assert!(
        whole.abs_diff(held) <= 1050 * 3,
        "{shop:?} and {other:?} are not {held}"
    );
    assert!(other.1 > shop.1, "{shop:?}, {other:?}: it sleeps with more");
    assert!(began > START);
}
