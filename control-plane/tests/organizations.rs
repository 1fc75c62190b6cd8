//! Organizations, projects, the audit log, what is sold.

use crate::support::TestCloud;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn an_organization_is_renamed_unless_somebody_was_faster() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let path = format!("/v1/organizations/{}", ada.organization);
    let found = cloud.get(&path).cookie(&ada.cookie).send().await;
    found.expect(200);
    assert_eq!(found.header("etag"), "\"1\"");
    let rename = |name: &str, tag: &str| {
        let body = json!({ "name": name });
        let call = cloud.patch(&path).cookie(&ada.cookie);
        call.header("if-match", tag).json(&body).send()
    };
    let renamed = rename("Analytical Engines", "\"1\"").await;
    renamed.expect(200);
    assert_eq!(renamed.header("etag"), "\"2\"");
    let stale = rename("Difference Engines", "\"1\"").await;
    stale.expect_problem(412, "precondition_failed");
    let found = cloud.get(&path).cookie(&ada.cookie).send().await;
    assert_eq!(found.text("/name"), "Analytical Engines");
}

#[tokio::test]
async fn projects_are_made_listed_in_pages_and_renamed() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let path = format!("/v1/organizations/{}/projects", ada.organization);
    for name in ["One", "Two"] {
        let call = cloud.post(&path).cookie(&ada.cookie);
        call.json(&json!({ "name": name })).send().await.expect(201);
    }
    let first = cloud.get(&format!("{path}?limit=2")).cookie(&ada.cookie);
    let first = first.send().await;
    first.expect(200);
    assert_eq!(first.body["items"].as_array().map(Vec::len), Some(2));
    let cursor = first.text("/next_cursor");
    let rest = format!("{path}?limit=2&cursor={cursor}");
    let rest = cloud.get(&rest).cookie(&ada.cookie).send().await;
    assert_eq!(rest.text("/items/0/name"), "Two");
    assert!(rest.body["next_cursor"].is_null());
    let one = format!("/v1/projects/{}", rest.text("/items/0/id"));
    let call = cloud.patch(&one).cookie(&ada.cookie);
    call.json(&json!({ "name": "Zwei" }))
        .send()
        .await
        .expect(200);
    let found = cloud.get(&one).cookie(&ada.cookie).send().await;
    assert_eq!(found.text("/name"), "Zwei");
    for bad in ["limit=0", "limit=101", "limit=x", "cursor=x", "sort=name"] {
        let call = cloud.get(&format!("{path}?{bad}")).cookie(&ada.cookie);
        call.send().await.expect_problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_repeated_request_is_answered_alike_and_done_once() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let path = format!("/v1/organizations/{}/projects", ada.organization);
    let create = |name: &str| {
        let call = cloud.post(&path).cookie(&ada.cookie);
        call.header("idempotency-key", "key-1")
            .json(&json!({ "name": name }))
            .send()
    };
    let (first, second) = tokio::join!(create("One"), create("One"));
    let third = create("One").await;
    first.expect(201);
    assert_eq!((second.status, &second.raw), (201, &first.raw));
    assert_eq!((third.status, &third.raw), (201, &first.raw));
    let other = create("Another").await;
    other.expect_problem(422, "idempotency_mismatch");
    let list = cloud.get(&path).cookie(&ada.cookie).send().await;
    assert_eq!(list.body["items"].as_array().map(Vec::len), Some(2));
    let eve = cloud.person("eve@example.com").await;
    let path = format!("/v1/organizations/{}/projects", eve.organization);
    let call = cloud.post(&path).cookie(&eve.cookie);
    let same_key = call.header("idempotency-key", "key-1");
    let theirs = same_key.json(&json!({ "name": "One" })).send().await;
    theirs.expect(201);
    assert_ne!(theirs.raw, first.raw);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let path = format!("/v1/organizations/{}/projects", ada.organization);
    let create = |name: &str| {
        let call = cloud.post(&path).cookie(&ada.cookie);
        call.header("idempotency-key", "key-1")
            .json(&json!({ "name": name }))
            .send()
    };
    create(" ").await.expect(400);
    create("One").await.expect(201);
}

#[tokio::test]
async fn what_belongs_to_another_organization_does_not_exist() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    let token = cloud.token(&eve, false).await;
    let organization = format!("/v1/organizations/{}", ada.organization);
    let project = format!("/v1/projects/{}", ada.project);
    let body = json!({ "name": "Mine now" });
    for path in [
        organization.clone(),
        format!("{organization}/projects"),
        format!("{organization}/tokens"),
        format!("{organization}/audit-events"),
        project.clone(),
    ] {
        let by_cookie = cloud.get(&path).cookie(&eve.cookie).send().await;
        by_cookie.expect_problem(404, "not_found");
        let by_token = cloud.get(&path).bearer(&token).send().await;
        by_token.expect_problem(404, "not_found");
    }
    for path in [organization.clone(), project] {
        let changed = cloud.patch(&path).cookie(&eve.cookie).json(&body).send();
        changed.await.expect_problem(404, "not_found");
    }
    for made in ["projects", "tokens"] {
        let path = format!("{organization}/{made}");
        let body = json!({ "name": "x" });
        let call = cloud.post(&path).cookie(&eve.cookie).json(&body);
        assert!(matches!(call.send().await.status, 400 | 404));
    }
    let names = cloud.get(&organization).cookie(&ada.cookie).send().await;
    assert_eq!(names.text("/name"), "Ada");
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_with_its_doer() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let token = cloud.token(&ada, false).await;
    let organization = format!("/v1/organizations/{}", ada.organization);
    let call = cloud.post(&format!("{organization}/projects"));
    let made = call.bearer(&token).json(&json!({ "name": "One" })).send();
    made.await.expect(201);
    let path = format!("{organization}/audit-events");
    let log = cloud.get(&path).cookie(&ada.cookie).send().await;
    log.expect(200);
    let items = log.body["items"].as_array().expect("a list");
    let actions: Vec<_> = items.iter().map(|item| &item["action"]).collect();
    assert_eq!(
        actions,
        [
            "project.create",
            "token.create",
            "user.log_in",
            "organization.create"
        ]
    );
    assert!(log.text("/items/0/actor").starts_with("tok_"));
    assert!(log.text("/items/1/actor").starts_with("usr_"));
    assert!(!log.raw.contains(&token));
}

#[tokio::test]
async fn what_a_newer_release_wrote_does_not_keep_the_audit_log_from_being_read() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    sqlx::query(
        "insert into audit_events (id, organization_id, actor, action, resource, created_at)
         values ($1, $2, 'system', 'user.sing', 'usr_x', now())",
    )
    .bind(Uuid::max())
    .bind(ada.organization.uuid())
    .execute(&cloud.admin)
    .await
    .expect("written");
    let path = format!("/v1/organizations/{}/audit-events", ada.organization);
    let log = cloud.get(&path).cookie(&ada.cookie).send().await;
    log.expect(200);
    assert_eq!(log.text("/items/0/action"), "other");
    assert_eq!(log.text("/items/0/resource"), "usr_x");
    assert_eq!(log.text("/items/1/action"), "user.log_in");
}

#[tokio::test]
async fn regions_plans_and_sizes_are_told_to_everybody() {
    let cloud = TestCloud::new().await;
    let regions = cloud.get("/v1/regions").send().await;
    regions.expect(200);
    assert_eq!(regions.text("/items/0/name"), "local");
    let plans = cloud.get("/v1/plans").send().await;
    plans.expect(200);
    assert_eq!(plans.text("/items/0/id"), "free");
    assert_eq!(plans.body["items"][0]["databases_max"], 3);
    assert_eq!(plans.body["compute_sizes"][0]["milli_vcpu"], 250);
}
