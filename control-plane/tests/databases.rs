//! Databases, and what is inside of them, through the API.

use crate::support::{FakeRuntime, Person, TestCloud};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::RunState;
use lumadb_control_plane::store::route;
use serde_json::{Value, json};

async fn start() -> (TestCloud, Person) {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    (cloud, ada)
}

fn databases(person: &Person) -> String {
    format!("/v1/projects/{}/databases", person.project)
}

#[tokio::test]
async fn a_new_database_answers_with_everything_that_is_needed_to_connect() {
    let (cloud, ada) = start().await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let made = cloud
        .post(&databases(&ada))
        .cookie(&ada.cookie)
        .header("prefer", "wait=30")
        .json(&json!({ "name": "shop" }))
        .send()
        .await;
    made.expect(201);
    assert_eq!(made.header("etag"), "\"1\"");
    assert_eq!(made.text("/database/state"), "running");
    assert_eq!(made.text("/operation/state"), "succeeded");
    let steps = made.body["operation"]["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 4);
    assert!(steps.iter().all(|step| step["state"] == "succeeded"));
    let (id, password) = (made.text("/database/id"), made.text("/password"));
    assert_eq!(
        made.text("/connection/strings/0/text"),
        format!("postgresql://owner.{id}:{password}@localhost:6432/main?sslmode=require")
    );
    let id: DatabaseId = id.parse().expect("an ID");
    let spec = runtime.instance(id).expect("an instance").spec;
    assert_eq!(spec.run, RunState::Running);
    assert!(spec.roles[0].owner);
    assert_eq!(spec.logical_databases[0].name.as_str(), "main");
    assert_eq!(cloud.database(&ada, id).await["engine_minor"], "18.6");

    let listed = cloud.get(&databases(&ada)).cookie(&ada.cookie).send().await;
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(1));
    let path = format!("/v1/organizations/{}/audit-events", ada.organization);
    let events = cloud.get(&path).cookie(&ada.cookie).send().await;
    assert!(events.raw.contains("database.create"), "{}", events.raw);
    assert!(!events.raw.contains(&password));
}

#[tokio::test]
async fn every_fault_of_a_request_is_told_with_its_field() {
    let (cloud, ada) = start().await;
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(64) }), "name"),
        (json!({ "name": "x", "region": "mars" }), "region"),
        (json!({ "name": "x", "milli_vcpu": 251 }), "milli_vcpu"),
        (json!({ "name": "x", "owner_role": "pg_x" }), "owner_role"),
        (
            json!({ "name": "x", "logical_database": "A b" }),
            "logical_database",
        ),
        (
            json!({ "name": "x", "idle_timeout_seconds": 301 }),
            "idle_timeout_seconds",
        ),
        (
            json!({ "name": "x", "idle_timeout_seconds": 1 }),
            "idle_timeout_seconds",
        ),
        (
            json!({ "name": "x", "allowed_networks": ["10.0.0.0/8", "10.1.2.3/8"] }),
            "allowed_networks",
        ),
        (
            json!({ "name": "x", "allowed_networks": vec!["x"; 65] }),
            "allowed_networks",
        ),
        (json!({ "name": 7 }), "name"),
    ] {
        let answer = cloud.create(&ada, &body).await;
        answer.expect_problem(400, "invalid_request");
        assert_eq!(answer.text("/errors/0/field"), field, "{}", answer.raw);
    }
    let unknown = cloud
        .create(&ada, &json!({ "name": "x", "colour": "red" }))
        .await;
    unknown.expect_problem(400, "invalid_request");
}

#[tokio::test]
async fn a_plan_bounds_number_and_size() {
    let (cloud, ada) = start().await;
    let large = cloud
        .create(&ada, &json!({ "name": "l", "milli_vcpu": 500 }))
        .await;
    large.expect_problem(409, "quota_exceeded");
    for name in ["a", "b", "c"] {
        cloud.created(&ada, name).await;
    }
    let fourth = cloud.create(&ada, &json!({ "name": "d" })).await;
    fourth.expect_problem(409, "quota_exceeded");
    cloud.set_plan(&ada, "pro-growth").await;
    let taken = cloud.create(&ada, &json!({ "name": "a" })).await;
    taken.expect_problem(409, "conflict");
}

#[tokio::test]
async fn the_last_place_of_a_plan_is_taken_once() {
    let (cloud, ada) = start().await;
    cloud.created(&ada, "a").await;
    cloud.created(&ada, "b").await;
    let bodies: Vec<_> = (0..6).map(|n| json!({ "name": format!("n{n}") })).collect();
    let answers =
        futures::future::join_all(bodies.iter().map(|body| cloud.create(&ada, body))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
}

#[tokio::test]
async fn the_same_request_twice_makes_one_database() {
    let (cloud, ada) = start().await;
    let post = |name: &str| {
        cloud
            .post(&databases(&ada))
            .cookie(&ada.cookie)
            .header("idempotency-key", "once")
            .json(&json!({ "name": name }))
            .send()
    };
    let (first, second) = tokio::join!(post("a"), post("a"));
    first.expect(201);
    second.expect(201);
    assert_eq!(first.body, second.body);
    post("b").await.expect_problem(422, "idempotency_mismatch");
    let listed = cloud.get(&databases(&ada)).cookie(&ada.cookie).send().await;
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn changes_count_revisions_and_stale_ones_are_refused() {
    let (cloud, ada) = start().await;
    let (id, _) = cloud.created(&ada, "a").await;
    let one = format!("/v1/databases/{id}");
    let patch = |body: Value, tag: &str| {
        let call = cloud.patch(&one).cookie(&ada.cookie).json(&body);
        call.header("if-match", tag).send()
    };
    let renamed = patch(json!({ "name": "b", "deletion_protection": true }), "\"1\"").await;
    renamed.expect(200);
    assert_eq!(renamed.text("/database/name"), "b");
    assert_eq!(renamed.body["operation"], Value::Null);
    assert_eq!(renamed.header("etag"), "\"2\"");
    let stale = patch(json!({ "name": "c" }), "\"1\"").await;
    stale.expect_problem(412, "precondition_failed");
    let delete = cloud.delete(&one).cookie(&ada.cookie).send().await;
    delete.expect_problem(409, "deletion_protected");
    let never = patch(json!({ "idle_timeout_seconds": null }), "*").await;
    never.expect_problem(400, "invalid_request");
    let sooner = patch(json!({ "idle_timeout_seconds": 60 }), "*").await;
    assert_eq!(sooner.body["database"]["idle_timeout_seconds"], 60);
    let same = patch(json!({ "idle_timeout_seconds": 60 }), "*").await;
    assert_eq!(same.header("etag"), "\"3\"");
}

#[tokio::test]
async fn allowed_networks_reach_edge_and_node() {
    let (cloud, ada) = start().await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "a").await;
    let one = format!("/v1/databases/{id}");
    let patch = |networks: Value| {
        let body = json!({ "allowed_networks": networks });
        let call = cloud.patch(&one).cookie(&ada.cookie).json(&body);
        call.header("if-match", "*").send()
    };
    let many: Vec<_> = (0..65).map(|n| format!("10.0.{n}.0/24")).collect();
    for bad in [json!(["10.1.2.3/8"]), json!(many), json!("10.0.0.0/8")] {
        let refused = patch(bad).await;
        refused.expect_problem(400, "invalid_request");
    }
    let changed = patch(json!(["203.0.113.7", "2001:db8::/32", "203.0.113.7/32"])).await;
    changed.expect(200);
    let kept = json!(["203.0.113.7/32", "2001:db8::/32"]);
    assert_eq!(changed.body["database"]["allowed_networks"], kept);
    let mut tx = cloud.platform.store.region().await.expect("a scope");
    let route = route::find(&mut tx, "local", id).await.expect("read");
    let networks = route.expect("a route").allowed_networks;
    assert_eq!(json!(networks.to_texts()), kept);
    cloud
        .until(async || {
            let spec = runtime.instance(id).expect("an instance").spec;
            (json!(spec.allowed_networks.to_texts()) == kept).then_some(())
        })
        .await;
    let opened = patch(json!([])).await;
    assert_eq!(opened.body["database"]["allowed_networks"], json!([]));
}

#[tokio::test]
async fn a_database_is_suspended_resumed_and_deleted() {
    let (cloud, ada) = start().await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "a").await;
    let path = format!("/v1/databases/{id}");
    let early = cloud.act(&ada, &format!("{path}/resume")).await;
    early.expect_problem(409, "conflict");
    let asked = cloud.act(&ada, &format!("{path}/suspend")).await;
    asked.expect(200);
    let ended = cloud.ended(&ada, &asked.text("/operation/id")).await;
    assert_eq!(ended["state"], "succeeded");
    cloud.in_state(&ada, id, "suspended").await;
    let asked = cloud.act(&ada, &format!("{path}/resume")).await;
    cloud.ended(&ada, &asked.text("/operation/id")).await;
    cloud.in_state(&ada, id, "running").await;
    let asked = cloud.delete(&path).cookie(&ada.cookie).send().await;
    asked.expect(200);
    assert_eq!(asked.text("/database/state"), "deleting");
    let ended = cloud.ended(&ada, &asked.text("/operation/id")).await;
    assert_eq!(ended["state"], "succeeded");
    let gone = cloud.get(&path).cookie(&ada.cookie).send().await;
    gone.expect_problem(404, "not_found");
    assert!(runtime.instance(id).is_none());
    // Its name is free again.
    cloud.created(&ada, "a").await;
}

#[tokio::test]
async fn a_resize_can_be_cancelled_until_it_has_ended() {
    let (cloud, ada) = start().await;
    cloud.set_plan(&ada, "pro-growth").await;
    let runtime = FakeRuntime::new();
    let running = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "a").await;
    drop(running);
    let path = format!("/v1/databases/{id}");
    let body = json!({ "milli_vcpu": 4000 });
    let asked = cloud
        .patch(&path)
        .cookie(&ada.cookie)
        .json(&body)
        .send()
        .await;
    asked.expect(200);
    assert_eq!(asked.text("/operation/kind"), "database_resize");
    let cancel = format!("/v1/operations/{}/cancel", asked.text("/operation/id"));
    let cancelled = cloud.act(&ada, &cancel).await;
    cancelled.expect(200);
    assert_eq!(cancelled.text("/state"), "cancelled");
    assert_eq!(cloud.database(&ada, id).await["milli_vcpu"], 1000);
    cloud
        .act(&ada, &cancel)
        .await
        .expect_problem(409, "conflict");
}

#[tokio::test]
async fn roles_are_made_rotated_and_deleted() {
    let (cloud, ada) = start().await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "a").await;
    let roles = format!("/v1/databases/{id}/roles");
    let create = |name: &str| {
        let call = cloud.post(&roles).cookie(&ada.cookie);
        call.json(&json!({ "name": name })).send()
    };
    let made = create("app").await;
    made.expect(201);
    create("app").await.expect_problem(409, "conflict");
    create("lumadb_admin")
        .await
        .expect_problem(400, "invalid_request");
    cloud.ended(&ada, &made.text("/operation/id")).await;
    let verifier = |name: &str| {
        let spec = runtime.instance(id).expect("an instance").spec;
        let role = spec
            .roles
            .into_iter()
            .find(|role| role.name.as_str() == name);
        role.map(|role| role.verifier.expose().to_owned())
    };
    let before = verifier("app").expect("a role");
    let app = format!("{roles}/{}", made.text("/role/id"));
    let rotated = cloud.act(&ada, &format!("{app}/rotate-password")).await;
    rotated.expect(200);
    assert_ne!(rotated.text("/password"), made.text("/password"));
    cloud.ended(&ada, &rotated.text("/operation/id")).await;
    assert_ne!(verifier("app").expect("a role"), before);
    let connection = format!("/v1/databases/{id}/connection?role=app");
    let connection = cloud.get(&connection).cookie(&ada.cookie).send().await;
    assert!(connection.raw.contains(&rotated.text("/password")));

    let deleted = cloud.delete(&app).cookie(&ada.cookie).send().await;
    deleted.expect(200);
    cloud.ended(&ada, &deleted.text("/operation/id")).await;
    assert_eq!(verifier("app"), None);
    let listed = cloud.get(&roles).cookie(&ada.cookie).send().await;
    let owner = format!("{roles}/{}", listed.text("/items/0/id"));
    let refused = cloud.delete(&owner).cookie(&ada.cookie).send().await;
    refused.expect_problem(409, "conflict");
}

#[tokio::test]
async fn logical_databases_are_made_and_deleted_and_pass_to_the_owner() {
    let (cloud, ada) = start().await;
    let (id, _) = cloud.created(&ada, "a").await;
    let database = format!("/v1/databases/{id}");
    let role = cloud
        .post(&format!("{database}/roles"))
        .cookie(&ada.cookie)
        .json(&json!({ "name": "app" }))
        .send()
        .await;
    let logical = format!("{database}/logical-databases");
    let create = |body: Value| {
        let call = cloud.post(&logical).cookie(&ada.cookie).json(&body);
        call.send()
    };
    let made = create(json!({ "name": "reports", "owner_role": "app" })).await;
    made.expect(201);
    assert_eq!(made.text("/logical_database/owner_role"), "app");
    create(json!({ "name": "reports" }))
        .await
        .expect_problem(409, "conflict");
    create(json!({ "name": "x", "owner_role": "nobody" }))
        .await
        .expect_problem(400, "invalid_request");
    let role = format!("{database}/roles/{}", role.text("/role/id"));
    let deleted = cloud.delete(&role).cookie(&ada.cookie).send().await;
    deleted.expect(200);
    let listed = cloud.get(&logical).cookie(&ada.cookie).send().await;
    assert_eq!(listed.text("/items/1/owner_role"), "owner");
    let reports = format!("{logical}/{}", listed.text("/items/1/id"));
    let deleted = cloud.delete(&reports).cookie(&ada.cookie).send().await;
    deleted.expect(200);
    let listed = cloud.get(&logical).cookie(&ada.cookie).send().await;
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn who_may_not_connect_sees_no_password() {
    let (cloud, ada) = start().await;
    let made = cloud.create(&ada, &json!({ "name": "a" })).await;
    let path = format!("/v1/databases/{}/connection", made.text("/database/id"));
    let read_only = cloud.token(&ada, true).await;
    let seen = cloud.get(&path).bearer(&read_only).send().await;
    seen.expect(200);
    assert_eq!(seen.body["password_included"], false);
    assert!(!seen.raw.contains(&made.text("/password")));
    let create = cloud.post(&databases(&ada)).bearer(&read_only);
    let refused = create.json(&json!({ "name": "b" })).send().await;
    refused.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn an_operation_is_followed_to_its_end() {
    let (cloud, ada) = start().await;
    let runtime = FakeRuntime::new();
    let (_, operation) = cloud.created(&ada, "a").await;
    let path = format!("/v1/operations/{operation}/events");
    let mut the_loop = None;
    let events = cloud
        .get(&path)
        .cookie(&ada.cookie)
        .send_and(|| the_loop = Some(cloud.start_loop(&runtime)))
        .await;
    events.expect(200);
    let states: Vec<Value> = events
        .raw
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect();
    assert!(events.raw.contains("event: operation"));
    assert!(states.len() >= 2, "{}", events.raw);
    assert_eq!(states.last().expect("a state")["state"], "succeeded");
    let listed = format!(
        "/v1/databases/{}/operations?limit=1",
        states[0]["database_id"].as_str().expect("an ID")
    );
    let listed = cloud.get(&listed).cookie(&ada.cookie).send().await;
    assert_eq!(listed.text("/items/0/id"), operation);
}
