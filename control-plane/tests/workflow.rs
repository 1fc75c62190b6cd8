//! Every step of every operation, failed, repeated and killed: afterwards there is exactly what was
//! asked for, once, and the operation has ended.

use crate::support::{FakeRuntime, Fault, Person, TestCloud};
use http::Method;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{InstancePhase, RunState};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// What is tried under faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    Create,
    Suspend,
    Resume,
    Resize,
    RoleCreate,
    Delete,
    /// The undo of a creation.
    CancelCreate,
    /// A new database from the archive of another.
    Restore,
    /// The undo of a restore.
    CancelRestore,
    RestoreInPlace,
    /// The undo of that.
    CancelInPlace,
    /// Back to what was kept.
    GoBack,
}

impl Scenario {
    /// Cancels what it asked for.
    fn is_cancelled(self) -> bool {
        matches!(
            self,
            Self::CancelCreate | Self::CancelRestore | Self::CancelInPlace
        )
    }

    /// It begins with a database that can be restored.
    fn restores(self) -> bool {
        matches!(
            self,
            Self::Restore
                | Self::CancelRestore
                | Self::RestoreInPlace
                | Self::CancelInPlace
                | Self::GoBack
        )
    }

    /// Calls of the runtime that a fault befalls, one after the other.
    fn tried(self) -> u32 {
        match self {
            Self::RestoreInPlace | Self::GoBack => 9,
            _ => 4,
        }
    }
}

const SCENARIOS: [Scenario; 12] = [
    Scenario::Create,
    Scenario::Suspend,
    Scenario::Resume,
    Scenario::Resize,
    Scenario::RoleCreate,
    Scenario::Delete,
    Scenario::CancelCreate,
    Scenario::Restore,
    Scenario::CancelRestore,
    Scenario::RestoreInPlace,
    Scenario::CancelInPlace,
    Scenario::GoBack,
];

struct Trial {
    cloud: TestCloud,
    ada: Person,
    runtime: Arc<FakeRuntime>,
}

impl Trial {
    async fn new() -> Self {
        let cloud = TestCloud::new().await;
        let ada = cloud.person("ada@example.com").await;
        cloud.set_plan(&ada, "enterprise").await;
        Self {
            cloud,
            ada,
            runtime: FakeRuntime::new(),
        }
    }

    /// What must be there before the scenario: it is made without faults.
    async fn prepare(&self, scenario: Scenario, name: &str) -> Option<DatabaseId> {
        if matches!(scenario, Scenario::Create | Scenario::CancelCreate) {
            return None;
        }
        let _loop = self.cloud.start_loop(&self.runtime);
        let id = self.cloud.running(&self.ada, name).await;
        if scenario == Scenario::Resume {
            let path = format!("/v1/databases/{id}/suspend");
            let asked = self.cloud.act(&self.ada, &path).await;
            asked.expect(200);
            self.cloud
                .ended(&self.ada, &asked.text("/operation/id"))
                .await;
        }
        if scenario.restores() {
            self.cloud.archived(&self.ada, &self.runtime, id).await;
        }
        if scenario == Scenario::GoBack {
            let path = format!("/v1/databases/{id}/restore");
            let body = json!({ "in_place": true, "latest": true });
            let asked = self.cloud.post(&path).cookie(&self.ada.cookie);
            let asked = asked.json(&body).send().await;
            asked.expect(201);
            self.cloud
                .ended(&self.ada, &asked.text("/operation/id"))
                .await;
        }
        Some(id)
    }

    /// Asks for it; the database and the operation.
    async fn ask(
        &self,
        scenario: Scenario,
        id: Option<DatabaseId>,
        name: &str,
    ) -> (DatabaseId, String) {
        let Some(id) = id else {
            return self.cloud.created(&self.ada, name).await;
        };
        let (method, path, body) = match scenario {
            Scenario::Create | Scenario::CancelCreate => unreachable!("asked for above"),
            Scenario::Restore | Scenario::CancelRestore => {
                let body = json!({ "name": format!("{name} again"), "latest": true });
                (Method::POST, "/restore", body)
            }
            Scenario::RestoreInPlace | Scenario::CancelInPlace => {
                let body = json!({ "in_place": true, "latest": true });
                (Method::POST, "/restore", body)
            }
            Scenario::GoBack => {
                let kept = self.cloud.database(&self.ada, id).await;
                let kept = &kept["in_place_restore"]["kept_database_id"];
                let body = json!({ "in_place": true, "kept_database_id": kept });
                (Method::POST, "/restore", body)
            }
            Scenario::Suspend => (Method::POST, "/suspend", Value::Null),
            Scenario::Resume => (Method::POST, "/resume", Value::Null),
            Scenario::Resize => (Method::PATCH, "", json!({ "milli_vcpu": 2000 })),
            Scenario::RoleCreate => (Method::POST, "/roles", json!({ "name": "app" })),
            Scenario::Delete => (Method::DELETE, "", Value::Null),
        };
        let path = format!("/v1/databases/{id}{path}");
        let mut call = self.cloud.call(method, &path).cookie(&self.ada.cookie);
        if !body.is_null() {
            call = call.json(&body);
        }
        let answer = call.send().await;
        assert!(answer.status < 300, "{}", answer.raw);
        let id = match scenario {
            Scenario::Restore | Scenario::CancelRestore => {
                answer.text("/database/id").parse().expect("an ID")
            }
            Scenario::CancelInPlace => answer.text("/kept/id").parse().expect("an ID"),
            _ => id,
        };
        (id, answer.text("/operation/id"))
    }

    /// Runs the scenario under a fault; how many calls the runtime got.
    async fn run(&self, scenario: Scenario, name: &str, fault: Option<(u32, Fault)>) -> u32 {
        let before = self.prepare(scenario, name).await;
        let (id, operation) = self.ask(scenario, before, name).await;
        self.runtime.arm(fault);
        let mut running = self.cloud.start_loop(&self.runtime);
        if scenario.is_cancelled() {
            self.cancel(&operation).await;
        }
        let kills =
            fault.is_some_and(|(_, fault)| matches!(fault, Fault::KillBefore | Fault::KillAfter));
        if kills {
            let ended = self.settled(scenario, id, &operation);
            let killed = tokio::select! {
                () = self.runtime.killed.notified() => true,
                () = ended => false,
            };
            if killed {
                drop(running);
                running = self.cloud.start_loop(&self.runtime);
            }
        }
        self.settled(scenario, id, &operation).await;
        // A second look at what is settled changes nothing.
        drop(running);
        let calls = self.runtime.calls();
        self.check(scenario, id).await;
        calls
    }

    /// Cancels at once; doing it again is refused and harmless.
    async fn cancel(&self, operation: &str) {
        let path = format!("/v1/operations/{operation}/cancel");
        let answer = self.cloud.act(&self.ada, &path).await;
        if answer.status == 200 {
            self.cloud
                .act(&self.ada, &path)
                .await
                .expect_problem(409, "conflict");
        }
    }

    async fn settled(&self, scenario: Scenario, id: DatabaseId, operation: &str) {
        let ended = self.cloud.ended(&self.ada, operation).await;
        let wanted = if scenario.is_cancelled() {
            ["cancelled", "succeeded"]
        } else {
            ["succeeded"; 2]
        };
        assert!(
            wanted.iter().any(|state| ended["state"] == *state),
            "{scenario:?}: {ended}"
        );
        let cancelled = ended["state"] == "cancelled";
        if cancelled || scenario == Scenario::Delete {
            self.cloud
                .until(|| async { self.runtime.instance(id).is_none().then_some(()) })
                .await;
            self.cloud
                .until(|| async { self.is_marked_deleted(id).await.then_some(()) })
                .await;
        }
    }

    async fn is_marked_deleted(&self, id: DatabaseId) -> bool {
        sqlx::query_scalar("select deleted_at is not null from databases where id = $1")
            .bind(id.uuid())
            .fetch_one(&self.cloud.admin)
            .await
            .expect("the row")
    }

    async fn instance_of(&self, id: DatabaseId) -> DatabaseId {
        let found = sqlx::query_scalar("select instance_id from databases where id = $1");
        let found = found.bind(id.uuid()).fetch_one(&self.cloud.admin).await;
        DatabaseId::from_uuid(found.expect("the row"))
    }

    /// Both databases have an instance and an archive of their own, and what is kept has what the
    /// database had.
    async fn check_in_place(&self, id: DatabaseId, instance: DatabaseId, went_back: bool) {
        let database = self.cloud.database(&self.ada, id).await;
        let in_place = &database["in_place_restore"];
        assert_eq!(in_place["phase"], "done");
        let kept = in_place["kept_database_id"].as_str().expect("an ID");
        let kept: DatabaseId = kept.parse().expect("an ID");
        let other = self.instance_of(kept).await;
        let expected = if went_back { (id, kept) } else { (kept, id) };
        assert_eq!((instance, other), expected);
        assert_eq!(self.runtime.made(other), 1);
        let archive = |id| {
            let spec = self.runtime.instance(id).expect("there").spec;
            spec.archive.expect("archived").access.archive_id
        };
        let own: Vec<(Uuid, Uuid)> =
            sqlx::query_as("select database_id, id from archives where database_id in ($1, $2)")
                .bind(id.uuid())
                .bind(kept.uuid())
                .fetch_all(&self.cloud.admin)
                .await
                .expect("archives");
        assert_eq!(own.len(), 2);
        for (database, instance) in [(id, instance), (kept, other)] {
            assert!(own.contains(&(database.uuid(), archive(instance).uuid())));
        }
    }

    async fn check(&self, scenario: Scenario, id: DatabaseId) {
        let open: i64 = sqlx::query_scalar(
            "select count(*) from operations where database_id = $1 and ended_at is null",
        )
        .bind(id.uuid())
        .fetch_one(&self.cloud.admin)
        .await
        .expect("counted");
        assert_eq!(open, 0, "an operation was left hanging");
        if self.is_marked_deleted(id).await {
            assert!(self.runtime.instance(id).is_none());
            let logins: i64 =
                sqlx::query_scalar("select count(*) from database_roles where database_id = $1")
                    .bind(id.uuid())
                    .fetch_one(&self.cloud.admin)
                    .await
                    .expect("counted");
            assert_eq!(logins, 1, "they are kept for as long as the archive");
            return;
        }
        if scenario == Scenario::CancelInPlace {
            // It was too late to cancel, and succeeded.
            return;
        }
        let instance_id = self.instance_of(id).await;
        assert_eq!(self.runtime.made(instance_id), 1, "exactly one instance");
        let instance = self.runtime.instance(instance_id).expect("an instance");
        assert_eq!(instance.spec.serves(), id);
        let run = if scenario == Scenario::Suspend {
            RunState::Stopped
        } else {
            RunState::Running
        };
        assert_eq!(instance.spec.run, run);
        if scenario == Scenario::Resize {
            assert_eq!(instance.spec.compute.milli_vcpu, 2000);
        }
        if scenario == Scenario::RoleCreate {
            assert_eq!(instance.spec.roles.len(), 2);
        }
        if matches!(scenario, Scenario::RestoreInPlace | Scenario::GoBack) {
            self.check_in_place(id, instance_id, scenario == Scenario::GoBack)
                .await;
        }
        if matches!(scenario, Scenario::Restore | Scenario::RestoreInPlace) {
            let open: i64 = sqlx::query_scalar(
                "select count(*) from restores where database_id = $1 and ended_at is null",
            )
            .bind(id.uuid())
            .fetch_one(&self.cloud.admin)
            .await
            .expect("counted");
            assert_eq!(open, 0, "the source is held fast for ever");
        }
        assert_eq!(
            instance.status.observed_generation, instance.spec.generation,
            "what was asked for is in force"
        );
    }
}

#[tokio::test]
async fn every_step_may_fail_come_twice_or_be_cut_off() {
    futures::future::join_all(SCENARIOS.map(every_fault)).await;
}

async fn every_fault(scenario: Scenario) {
    let trial = Trial::new().await;
    let steps = trial.run(scenario, "plain", None).await;
    assert!(steps > 0, "{scenario:?} asks the runtime for nothing");
    for step in 0..steps.min(scenario.tried()) {
        for fault in Fault::ALL {
            let name = format!("{step}-{fault:?}");
            trial.run(scenario, &name, Some((step, fault))).await;
        }
    }
}

#[tokio::test]
async fn two_loops_at_once_make_each_database_once() {
    let trial = Trial::new().await;
    let _first = trial.cloud.start_loop(&trial.runtime);
    let _second = trial.cloud.start_loop(&trial.runtime);
    let mut asked = Vec::new();
    for number in 0..20 {
        asked.push(
            trial
                .cloud
                .created(&trial.ada, &format!("db {number}"))
                .await,
        );
    }
    for (id, operation) in asked {
        let ended = trial.cloud.ended(&trial.ada, &operation).await;
        assert_eq!(ended["state"], "succeeded");
        assert_eq!(trial.runtime.made(id), 1);
    }
}

#[tokio::test]
async fn an_operation_that_gets_nowhere_fails_and_the_loop_goes_on() {
    let trial = Trial::new().await;
    trial.runtime.stick(true);
    let _loop = trial.cloud.start_loop(&trial.runtime);
    let (id, operation) = trial.cloud.created(&trial.ada, "slow").await;
    trial
        .cloud
        .until(|| async { trial.runtime.instance(id).map(|_| ()) })
        .await;
    trial.cloud.clock.advance(time::Duration::minutes(6));
    let ended = trial.cloud.ended(&trial.ada, &operation).await;
    assert_eq!(ended["state"], "failed");
    assert!(
        ended["error"]
            .as_str()
            .is_some_and(|text| text.contains("in time"))
    );
    trial.runtime.stick(false);
    trial.cloud.in_state(&trial.ada, id, "running").await;
}

#[tokio::test]
async fn an_idle_database_sleeps_and_one_that_died_is_started_again() {
    let trial = Trial::new().await;
    trial.cloud.set_plan(&trial.ada, "free").await;
    let _loop = trial.cloud.start_loop(&trial.runtime);
    let id = trial.cloud.running(&trial.ada, "nap").await;
    trial.runtime.crash(id);
    // How soon it is started again is the loop's affair: nobody may have seen it down.
    let serves = || async {
        let phase = trial.runtime.instance(id)?.status.phase;
        (phase == InstancePhase::Ready).then_some(())
    };
    trial.cloud.until(serves).await;
    trial.cloud.in_state(&trial.ada, id, "running").await;

    let idle_since = trial.cloud.clock.now();
    trial.runtime.set_idle(id, Some(idle_since));
    trial.cloud.clock.advance(time::Duration::seconds(250));
    assert_eq!(
        trial.cloud.database(&trial.ada, id).await["state"],
        "running"
    );
    trial.cloud.clock.advance(time::Duration::seconds(45));
    trial.cloud.in_state(&trial.ada, id, "asleep").await;
    let slept = trial.cloud.clock.now() - idle_since;
    assert!(slept >= time::Duration::seconds(300), "{slept}");
    assert_eq!(trial.runtime.made(id), 1);
}
