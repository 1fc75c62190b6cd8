//! Tokens for the API.

use crate::support::TestCloud;
use serde_json::json;
use time::Duration;

#[tokio::test]
async fn a_token_works_until_it_expires_or_is_deleted() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let token = cloud.token(&ada, false).await;
    let me = || cloud.get("/v1/me").bearer(&token).send();
    me().await.expect(200);
    let path = format!("/v1/organizations/{}/tokens", ada.organization);
    let list = cloud.get(&path).cookie(&ada.cookie).send().await;
    assert_eq!(list.text("/items/0/hint"), token[..13]);
    assert_eq!(list.text("/items/0/last_used_at"), "2026-11-23T12:00:00Z");
    assert!(!list.raw.contains(&token));
    cloud.clock.advance(Duration::days(29));
    me().await.expect(200);
    cloud.clock.advance(Duration::days(1));
    me().await.expect_problem(401, "unauthenticated");
    let cookie = cloud.log_in(&ada.email, "correct horse battery").await;
    let cookie = cookie.cookie().expect("a cookie");
    let ada = crate::support::Person { cookie, ..ada };
    let token = cloud.token(&ada, false).await;
    let list = cloud.get(&path).cookie(&ada.cookie).send().await;
    let id = list.text("/items/0/id");
    let delete = || {
        let path = format!("{path}/{id}");
        cloud.delete(&path).cookie(&ada.cookie).send()
    };
    delete().await.expect(204);
    cloud.get("/v1/me").bearer(&token).send().await.expect(401);
    delete().await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_made_up_or_mistyped_token_is_refused_even_beside_a_good_cookie() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let token = cloud.token(&ada, false).await;
    let mistyped = token.replace(
        &token[20..21],
        if &token[20..21] == "a" { "b" } else { "a" },
    );
    for bad in [mistyped.as_str(), "luma_pat_", "x", ""] {
        let call = cloud.get("/v1/me").cookie(&ada.cookie).bearer(bad);
        call.send().await.expect_problem(401, "unauthenticated");
    }
    let basic = cloud.get("/v1/me").header("authorization", "Basic YTpi");
    basic.send().await.expect(401);
}

#[tokio::test]
async fn a_token_is_never_wider_than_its_maker() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let wide = cloud.token(&ada, false).await;
    let narrow = cloud.token(&ada, true).await;
    let tokens = format!("/v1/organizations/{}/tokens", ada.organization);
    let projects = format!("/v1/organizations/{}/projects", ada.organization);
    let body = json!({ "name": "x", "expires_in_days": 365 });
    for token in [&wide, &narrow] {
        let made = cloud.post(&tokens).bearer(token).json(&body).send();
        made.await.expect_problem(403, "forbidden");
    }
    let create = |token: &str| {
        let call = cloud.post(&projects).bearer(token);
        call.json(&json!({ "name": "One" })).send()
    };
    create(&narrow).await.expect_problem(403, "forbidden");
    cloud
        .get(&projects)
        .bearer(&narrow)
        .send()
        .await
        .expect(200);
    create(&wide).await.expect(201);
    sqlx::query("update memberships set role = 'viewer'")
        .execute(&cloud.admin)
        .await
        .expect("demoted");
    create(&wide).await.expect_problem(403, "forbidden");
    sqlx::query("delete from memberships")
        .execute(&cloud.admin)
        .await
        .expect("removed");
    create(&wide).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_token_sees_its_own_organization_alone() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    let token = cloud.token(&ada, false).await;
    sqlx::query(
        "insert into memberships (organization_id, user_id, role, created_at)
         select $1, user_id, 'owner', now() from memberships where organization_id = $2",
    )
    .bind(eve.organization.uuid())
    .bind(ada.organization.uuid())
    .execute(&cloud.admin)
    .await
    .expect("joined");
    let path = format!("/v1/organizations/{}", eve.organization);
    cloud
        .get(&path)
        .cookie(&ada.cookie)
        .send()
        .await
        .expect(200);
    cloud.get(&path).bearer(&token).send().await.expect(404);
    let me = cloud.get("/v1/me").bearer(&token).send().await;
    assert_eq!(me.body["organizations"].as_array().map(Vec::len), Some(1));
    let sessions = cloud.get("/v1/me/sessions").bearer(&token).send().await;
    sessions.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn a_repeated_creation_shows_the_same_secret() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let path = format!("/v1/organizations/{}/tokens", ada.organization);
    let body = json!({ "name": "ci", "expires_in_days": 1 });
    let create = || {
        let call = cloud.post(&path).cookie(&ada.cookie);
        call.header("idempotency-key", "k").json(&body).send()
    };
    let (first, second) = (create().await, create().await);
    first.expect(201);
    assert_eq!(first.text("/secret"), second.text("/secret"));
    let bad = json!({ "name": "ci", "expires_in_days": 366 });
    let bad = cloud.post(&path).cookie(&ada.cookie).json(&bad).send();
    bad.await.expect_problem(400, "invalid_request");
}
