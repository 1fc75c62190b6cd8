//! Where most tests of archives begin: one person, whose database runs.

use super::{Answer, FakeRuntime, Loop, Person, TestCloud};
use http::Method;
use lumadb_contract::archive::{RestorePhase, RestoreStatus};
use lumadb_contract::id::DatabaseId;
use serde_json::Value;
use std::sync::Arc;

/// Ada's database `shop`, which runs. Tests add to this what their subject needs.
pub(crate) struct Scene {
    pub(crate) cloud: TestCloud,
    pub(crate) ada: Person,
    pub(crate) runtime: Arc<FakeRuntime>,
    pub(crate) shop: DatabaseId,
}

impl Scene {
    /// The database on this plan, and the loop that runs it.
    pub(crate) async fn running(plan: &str) -> (Self, Loop) {
        let cloud = TestCloud::new().await;
        let ada = cloud.person("ada@example.com").await;
        cloud.set_plan(&ada, plan).await;
        let runtime = FakeRuntime::new();
        let running = cloud.start_loop(&runtime);
        let shop = cloud.running(&ada, "shop").await;
        let scene = Self {
            cloud,
            ada,
            runtime,
            shop,
        };
        (scene, running)
    }

    /// One that was backed up an hour ago and is archived since.
    pub(crate) async fn archived(plan: &str) -> (Self, Loop) {
        let (scene, running) = Self::running(plan).await;
        scene
            .cloud
            .archived(&scene.ada, &scene.runtime, scene.shop)
            .await;
        (scene, running)
    }

    /// Ada's call; without a body where that is null.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let call = self.cloud.call(method, path).cookie(&self.ada.cookie);
        if body.is_null() {
            return call.send().await;
        }
        call.json(body).send().await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    /// What is at a path that Ada may read.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        answer.expect(200);
        answer.body
    }

    /// Asks for a restore of the database.
    pub(crate) async fn restore(&self, body: &Value) -> Answer {
        self.post(&format!("/v1/databases/{}/restore", self.shop), body)
            .await
    }

    pub(crate) async fn connection(&self, id: DatabaseId) -> Value {
        self.read(&format!("/v1/databases/{id}/connection")).await
    }

    /// The node of an instance says how far its restore is.
    pub(crate) fn restoring(&self, id: DatabaseId, phase: RestorePhase, refusal: Option<&str>) {
        self.runtime.report(id, |status| {
            status.restore = Some(RestoreStatus {
                phase,
                bytes_done: 500,
                bytes_total: 1000,
                refusal: refusal.map(ToOwned::to_owned),
                ..RestoreStatus::default()
            });
        });
    }
}
