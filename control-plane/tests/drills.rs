//! Drills: backups that are restored to see whether they can be.

use crate::support::{Fault, Scene};
use lumadb_contract::archive::{RestorePhase, RestoreStatus, RestoreTarget, Verification};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::InstancePhase;
use lumadb_control_plane::workflow::drills::round;
use serde_json::Value;
use time::Duration;

impl Scene {
    async fn round(&self) {
        let done = round(&self.cloud.platform, &*self.runtime, "local").await;
        done.expect("a round");
    }

    /// A round whose process is killed at its call of the runtime. Nobody else may call that.
    async fn killed_round(&self, fault: Fault) {
        self.runtime.arm(Some((0, fault)));
        tokio::select! {
            () = self.round() => panic!("it was not killed"),
            () = self.runtime.killed.notified() => {}
        }
    }

    async fn drills(&self) -> Vec<Value> {
        let path = format!("/v1/databases/{}/drills", self.shop);
        let list = self.read(&path).await;
        list["items"].as_array().expect("items").clone()
    }

    /// The scratch instance of the drill that is open.
    async fn scratch(&self) -> Option<DatabaseId> {
        let id: Option<uuid::Uuid> =
            sqlx::query_scalar("select instance_id from drills where removed_at is null")
                .fetch_optional(&self.cloud.admin)
                .await
                .expect("asked");
        id.map(DatabaseId::from_uuid)
    }

    /// Moves on until a drill has begun and its instance is there.
    async fn begun(&self) -> DatabaseId {
        self.cloud.clock.advance(Duration::days(8));
        self.round().await;
        self.runtime.stick(true);
        self.round().await;
        let scratch = self.scratch().await.expect("one is open");
        assert!(self.runtime.instance(scratch).is_some());
        scratch
    }

    /// Its node says that it takes connections, and what it found.
    fn found(&self, scratch: DatabaseId, found: Verification) {
        let reached = self.cloud.clock.now() - Duration::minutes(2);
        self.runtime.report(scratch, |status| {
            status.phase = InstancePhase::Ready;
            status.observed_generation = 1;
            status.restore = Some(RestoreStatus {
                phase: RestorePhase::Done,
                bytes_done: 5_000,
                bytes_total: 5_000,
                reached: Some(reached),
                verification: Some(found),
                ..RestoreStatus::default()
            });
        });
    }
}

#[tokio::test]
async fn a_drill_restores_checks_and_leaves_nothing() {
    let (drilled, _loop) = Scene::archived("pro-starter").await;
    drilled.round().await;
    assert!(drilled.drills().await.is_empty(), "not in its first week");
    let scratch = drilled.begun().await;
    let spec = drilled.runtime.instance(scratch).expect("there").spec;
    let source = drilled.runtime.instance(drilled.shop).expect("there").spec;
    let restore = spec.restore.expect("from the archive");
    assert!(restore.verify && restore.target == RestoreTarget::Latest);
    let archive = source.archive.expect("archived").access.archive_id;
    assert_eq!(restore.source.archive_id, archive);
    let credentials = restore.source.store.credentials.expect("given");
    assert_eq!(credentials.access_key_id, format!("{archive}.ro"));
    assert!(spec.archive.is_none(), "it writes no archive");
    // What it is restored from stays.
    drilled
        .cloud
        .until(|| async {
            let spec = drilled.runtime.instance(drilled.shop)?.spec;
            (spec.archive?.pinned.len() == 1).then_some(())
        })
        .await;
    drilled.cloud.clock.advance(Duration::seconds(40));
    let checking = Verification {
        tables: 60,
        ..Verification::default()
    };
    drilled.found(scratch, checking.clone());
    drilled.round().await;
    let drills = drilled.drills().await;
    assert_eq!(drills[0]["state"], "running");
    assert!(drills[0]["rto_ms"].as_u64().expect("known") >= 40_000);
    drilled.cloud.clock.advance(Duration::seconds(20));
    let whole = Verification {
        has_ended: true,
        indexes: 130,
        ..checking
    };
    drilled.found(scratch, whole);
    // Killed at any point, another goes on: a round knows nothing of the one before.
    for _ in 0..3 {
        drilled.round().await;
    }
    assert!(drilled.runtime.instance(scratch).is_none());
    assert!(drilled.scratch().await.is_none());
    let drills = drilled.drills().await;
    assert_eq!(drills.len(), 1, "the next comes in a week");
    let drill = &drills[0];
    assert_eq!(drill["state"], "succeeded", "{drill}");
    assert_eq!(drill["tables_checked"], 60);
    assert_eq!(drill["indexes_checked"], 130);
    assert_eq!(drill["restored_bytes"], 5_000);
    assert_eq!(drill["rpo_ms"], 0, "all was archived");
    assert!(drill["rto_ms"].as_u64().expect("known") < 60_000);
    assert!(drill["reached"].is_string() && drill["fault"].is_null());
    drilled
        .cloud
        .until(|| async {
            let spec = drilled.runtime.instance(drilled.shop)?.spec;
            spec.archive?.pinned.is_empty().then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_failed_drill_is_an_alarm_and_its_owner_hears_of_it() {
    let (drilled, _loop) = Scene::archived("pro-starter").await;
    let scratch = drilled.begun().await;
    let fault = "the index public.orders_pkey of main: a row is missing";
    let damaged = Verification {
        has_ended: true,
        faults: vec![fault.to_owned()],
        ..Verification::default()
    };
    drilled.found(scratch, damaged);
    for _ in 0..3 {
        drilled.round().await;
    }
    let drills = drilled.drills().await;
    assert_eq!(drills[0]["state"], "failed");
    assert_eq!(drills[0]["fault"], fault);
    assert!(drilled.runtime.instance(scratch).is_none());
    let mails = drilled.cloud.mails("ada@example.com").await;
    let told: Vec<_> = mails.iter().filter(|mail| mail.contains("shop")).collect();
    assert_eq!(told.len(), 1, "once: {mails:?}");
    let page = drilled.get("/metrics").await;
    let alarm = "lumadb_databases_by_last_drill{state=\"failed\"} 1";
    assert!(page.raw.contains(alarm), "{}", page.raw);
    let events = format!(
        "/v1/organizations/{}/audit-events",
        drilled.ada.organization
    );
    let events = drilled.get(&events).await;
    assert_eq!(events.body["items"][0]["action"], "drill.fail");
}

#[tokio::test]
async fn what_cannot_be_restored_or_does_not_end_has_failed() {
    let (drilled, running) = Scene::archived("pro-starter").await;
    let scratch = drilled.begun().await;
    drilled.runtime.report(scratch, |status| {
        status.restore = Some(RestoreStatus {
            phase: RestorePhase::Refused,
            refusal: Some("Every backup is damaged.".into()),
            ..RestoreStatus::default()
        });
    });
    for _ in 0..3 {
        drilled.round().await;
    }
    let drills = drilled.drills().await;
    assert_eq!(drills[0]["state"], "failed");
    assert_eq!(drills[0]["fault"], "Every backup is damaged.");
    assert!(drills[0]["rto_ms"].is_null());

    let second = drilled.begun().await;
    assert_ne!(second, scratch);
    drilled.cloud.clock.advance(Duration::hours(13));
    drilled.round().await;
    assert_eq!(drilled.drills().await[0]["state"], "failed");
    // What is left of it goes, however often that fails.
    drop(running);
    drilled.runtime.arm(Some((0, Fault::FailBefore)));
    drilled.round().await;
    assert!(drilled.scratch().await.is_some());
    drilled.round().await;
    assert!(drilled.scratch().await.is_none());
    assert!(drilled.runtime.instance(second).is_none());
}

#[tokio::test]
async fn a_drill_of_a_database_that_goes_away_is_no_alarm() {
    let (drilled, _loop) = Scene::archived("pro-starter").await;
    let scratch = drilled.begun().await;
    drilled.runtime.stick(false);
    let path = format!("/v1/databases/{}", drilled.shop);
    let asked = drilled.cloud.delete(&path).cookie(&drilled.ada.cookie);
    let operation = asked.send().await.text("/operation/id");
    let ended = drilled.cloud.ended(&drilled.ada, &operation).await;
    assert_eq!(ended["state"], "succeeded");
    for _ in 0..2 {
        drilled.round().await;
    }
    assert_eq!(drilled.drills().await[0]["state"], "abandoned");
    assert!(drilled.runtime.instance(scratch).is_none());
    let mails = drilled.cloud.mails("ada@example.com").await;
    assert!(
        !mails.iter().any(|mail| mail.contains("drill")),
        "{mails:?}"
    );
}

#[tokio::test]
async fn a_killed_drill_leaves_nothing_behind_and_is_tried_again() {
    let (drilled, running) = Scene::archived("pro-starter").await;
    drop(running);
    drilled.cloud.clock.advance(Duration::days(8));
    drilled.round().await;
    let scratch = drilled.scratch().await.expect("one is open");
    // The process is killed before and after the instance is asked for, and with the instance.
    drilled.runtime.stick(true);
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        drilled.killed_round(fault).await;
        assert_eq!(drilled.scratch().await, Some(scratch), "the row stays");
    }
    drilled.round().await;
    assert!(drilled.runtime.instance(scratch).is_some(), "tried again");
    drilled.runtime.crash(scratch);
    drilled.round().await;
    assert_eq!(drilled.drills().await[0]["state"], "running");
    let whole = Verification {
        has_ended: true,
        tables: 60,
        ..Verification::default()
    };
    drilled.found(scratch, whole);
    drilled.round().await;
    assert_eq!(drilled.drills().await[0]["state"], "succeeded");
    // And while what is left of it is removed.
    for fault in [Fault::KillBefore, Fault::KillAfter] {
        drilled.killed_round(fault).await;
        assert_eq!(drilled.scratch().await, Some(scratch), "not yet done");
    }
    drilled.round().await;
    assert!(drilled.scratch().await.is_none());
    assert!(drilled.runtime.instance(scratch).is_none());
    assert_eq!(drilled.drills().await.len(), 1);
}
