//! Signing up, logging in and out, sessions.

use crate::support::{START, TestCloud};
use lumadb_control_plane::app::{Limits, Settings};
use serde_json::json;
use time::Duration;

const PASSWORD: &str = "correct horse battery";

#[tokio::test]
async fn a_person_signs_up_verifies_and_owns_an_organization_and_a_project() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let me = cloud.get("/v1/me").cookie(&ada.cookie).send().await;
    me.expect(200);
    assert_eq!(me.text("/user/email"), "ada@example.com");
    assert_eq!(me.text("/organizations/0/role"), "owner");
    assert_eq!(me.text("/organizations/0/plan_id"), "free");
    assert_eq!(me.text("/user/created_at"), "2026-11-23T12:00:00Z");
    cloud
        .log_in(" Ada@Example.COM ", PASSWORD)
        .await
        .expect(200);
}

#[tokio::test]
async fn known_and_unknown_addresses_are_answered_alike() {
    let cloud = TestCloud::new().await;
    cloud.person("ada@example.com").await;
    let again = cloud.sign_up("ada@example.com", "another password").await;
    let fresh = cloud.sign_up("bob@example.com", "another password").await;
    assert_eq!((again.status, &again.raw), (fresh.status, &fresh.raw));
    assert!(cloud.mails("ada@example.com").await[0].contains("already"));
    let wrong = cloud.log_in("ada@example.com", "another password").await;
    let unknown = cloud.log_in("eve@example.com", "another password").await;
    wrong.expect_problem(401, "unauthenticated");
    assert_eq!(wrong.body["detail"], unknown.body["detail"]);
    let impossible = cloud.log_in("no address", "another password").await;
    assert_eq!(wrong.body["detail"], impossible.body["detail"]);
    let reset = |email: &str| {
        let body = json!({ "email": email });
        cloud.post("/v1/auth/password-reset").json(&body).send()
    };
    let (known, unknown) = (
        reset("ada@example.com").await,
        reset("eve@example.com").await,
    );
    assert_eq!((known.status, &known.raw), (unknown.status, &unknown.raw));
    assert!(cloud.mails("eve@example.com").await.is_empty());
}

#[tokio::test]
async fn a_log_in_takes_as_long_for_an_unknown_address() {
    let cloud = TestCloud::new().await;
    cloud.person("ada@example.com").await;
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        for (index, email) in ["ada@example.com", "eve@example.com"].iter().enumerate() {
            let begun = std::time::Instant::now();
            cloud.log_in(email, "wrong password").await.expect(401);
            took[index].push(begun.elapsed());
        }
    }
    let [known, unknown] = took.map(|mut took| {
        took.sort_unstable();
        took[2].as_secs_f64()
    });
    let ratio = known / unknown;
    assert!((0.5..2.0).contains(&ratio), "{known} {unknown}");
}

#[tokio::test]
async fn an_unverified_address_cannot_log_in_and_gets_its_link_again() {
    let cloud = TestCloud::new().await;
    cloud.sign_up("ada@example.com", PASSWORD).await.expect(202);
    let refused = cloud.log_in("ada@example.com", PASSWORD).await;
    refused.expect_problem(403, "email_not_verified");
    assert_eq!(cloud.mails("ada@example.com").await.len(), 2);
}

#[tokio::test]
async fn two_sign_ups_with_one_address_cannot_set_each_others_password() {
    let cloud = TestCloud::new().await;
    cloud.sign_up("ada@example.com", PASSWORD).await.expect(202);
    let own = cloud.mailed_token("ada@example.com").await;
    let strangers = "strangers password";
    cloud
        .sign_up("ada@example.com", strangers)
        .await
        .expect(202);
    let foreign = cloud.mailed_token("ada@example.com").await;
    let verify = |token: String| {
        let body = json!({ "token": token });
        cloud.post("/v1/auth/verify-email").json(&body).send()
    };
    verify(own).await.expect(200);
    cloud.log_in("ada@example.com", PASSWORD).await.expect(200);
    cloud.log_in("ada@example.com", strangers).await.expect(401);
    verify(foreign).await.expect_problem(410, "gone");
    cloud.log_in("ada@example.com", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_link_works_once_and_for_a_day() {
    let cloud = TestCloud::new().await;
    cloud.sign_up("ada@example.com", PASSWORD).await.expect(202);
    let token = cloud.mailed_token("ada@example.com").await;
    let verify = |token: &str| {
        let body = json!({ "token": token });
        cloud.post("/v1/auth/verify-email").json(&body).send()
    };
    verify(&token).await.expect(200);
    verify(&token).await.expect_problem(410, "gone");
    verify("made up").await.expect_problem(410, "gone");
    cloud.sign_up("bob@example.com", PASSWORD).await.expect(202);
    let token = cloud.mailed_token("bob@example.com").await;
    cloud.clock.advance(Duration::hours(25));
    verify(&token).await.expect_problem(410, "gone");
}

#[tokio::test]
async fn a_session_known_before_the_log_in_is_worth_nothing_after_it() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let body = json!({ "email": ada.email, "password": PASSWORD });
    let log_in = |cookie: &str| {
        cloud
            .post("/v1/auth/log-in")
            .cookie(cookie)
            .json(&body)
            .send()
    };
    let planted = "lumadb_session=planted-by-somebody-else";
    let fresh = log_in(planted).await.cookie().expect("a cookie");
    assert_ne!(fresh, planted);
    cloud.get("/v1/me").cookie(planted).send().await.expect(401);
    let rotated = log_in(&fresh).await.cookie().expect("a cookie");
    cloud.get("/v1/me").cookie(&fresh).send().await.expect(401);
    cloud
        .get("/v1/me")
        .cookie(&rotated)
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn a_session_is_worth_nothing_after_the_log_out() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let out = cloud.post("/v1/auth/log-out").cookie(&ada.cookie).send();
    let out = out.await;
    out.expect(204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    let me = cloud.get("/v1/me").cookie(&ada.cookie).send().await;
    me.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_session_ends_when_idle_and_in_any_case_after_ninety_days() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let me = || cloud.get("/v1/me").cookie(&ada.cookie).send();
    for _ in 0..4 {
        cloud.clock.advance(Duration::days(20));
        me().await.expect(200);
    }
    cloud.clock.advance(Duration::days(11));
    me().await.expect(401);
    let fresh = cloud.log_in(&ada.email, PASSWORD).await.cookie();
    cloud.clock.advance(Duration::days(31));
    let idle = cloud.get("/v1/me").cookie(&fresh.expect("a cookie"));
    idle.send().await.expect(401);
}

#[tokio::test]
async fn sessions_are_listed_and_each_can_be_ended() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let other = cloud.log_in(&ada.email, PASSWORD).await.cookie();
    let other = other.expect("a cookie");
    let list = cloud.get("/v1/me/sessions").cookie(&ada.cookie).send();
    let list = list.await;
    list.expect(200);
    let items = list.body["items"].as_array().expect("a list");
    assert_eq!(items.len(), 2);
    let foreign = items.iter().find(|item| item["current"] == false);
    let id = foreign.expect("another")["id"].as_str().expect("an ID");
    let path = format!("/v1/me/sessions/{id}");
    let eve = cloud.person("eve@example.com").await;
    let swapped = cloud.delete(&path).cookie(&eve.cookie).send().await;
    swapped.expect_problem(404, "not_found");
    cloud
        .delete(&path)
        .cookie(&ada.cookie)
        .send()
        .await
        .expect(204);
    cloud.get("/v1/me").cookie(&other).send().await.expect(401);
    cloud
        .get("/v1/me")
        .cookie(&ada.cookie)
        .send()
        .await
        .expect(200);
}

#[tokio::test]
async fn guessing_passwords_ends_whatever_address_it_claims_to_come_from() {
    let cloud = TestCloud::new().await;
    cloud.person("ada@example.com").await;
    let guess = |hop: u32| {
        let body = json!({ "email": "ada@example.com", "password": "wrong password" });
        cloud
            .post("/v1/auth/log-in")
            .header("x-forwarded-for", &format!("203.0.113.{hop}"))
            .json(&body)
            .send()
    };
    let limit = Limits::default().log_in_failures_per_account;
    for hop in 0..limit {
        guess(hop).await.expect(401);
    }
    let refused = guess(limit).await;
    refused.expect_problem(429, "rate_limited");
    let seconds: i64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=900).contains(&seconds));
    let right = cloud.log_in("ada@example.com", PASSWORD).await;
    right.expect(429);
    cloud.clock.advance(Duration::minutes(15));
    cloud.log_in("ada@example.com", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn an_address_that_tries_many_accounts_is_stopped_and_a_proxys_word_counts_only_if_trusted() {
    let proxy = "10.0.0.1".parse().expect("an address");
    let cloud = TestCloud::with(Settings {
        trusted_proxies: vec![proxy],
        limits: Limits {
            log_in_failures_per_address: 3,
            requests_per_minute: 1_000_000,
            ..Limits::default()
        },
        ..Settings::default()
    })
    .await;
    let guess = |peer: &str, hop: &str, number: u32| {
        let email = format!("user{number}@example.com");
        let body = json!({ "email": email, "password": "wrong password" });
        cloud
            .post("/v1/auth/log-in")
            .seen_from(peer)
            .header("x-forwarded-for", hop)
            .json(&body)
            .send()
    };
    for number in 0..3 {
        guess("10.0.0.1:1", "198.51.100.1", number)
            .await
            .expect(401);
    }
    guess("10.0.0.1:1", "198.51.100.1", 3).await.expect(429);
    guess("10.0.0.1:1", "6.6.6.6, 198.51.100.1", 4)
        .await
        .expect(429);
    guess("10.0.0.1:1", "198.51.100.2", 5).await.expect(401);
    for number in 0..3 {
        let hop = format!("203.0.113.{number}");
        guess("192.0.2.9:1", &hop, number).await.expect(401);
    }
    guess("192.0.2.9:1", "203.0.113.9", 9).await.expect(429);
}

#[tokio::test]
async fn sign_ups_from_one_address_are_throttled() {
    let cloud = TestCloud::new().await;
    let limit = Limits::default().sign_ups_per_address;
    for number in 0..limit {
        let email = format!("user{number}@example.com");
        cloud.sign_up(&email, PASSWORD).await.expect(202);
    }
    let refused = cloud.sign_up("more@example.com", PASSWORD).await;
    refused.expect_problem(429, "rate_limited");
    cloud.clock.advance(Duration::hours(1));
    cloud
        .sign_up("more@example.com", PASSWORD)
        .await
        .expect(202);
}

#[tokio::test]
async fn a_bad_sign_up_names_every_field_at_fault() {
    let cloud = TestCloud::new().await;
    let body = json!({ "email": "nobody", "password": "short", "display_name": " " });
    let refused = cloud.post("/v1/auth/sign-up").json(&body).send().await;
    refused.expect_problem(400, "invalid_request");
    let errors = refused.body["errors"].as_array().expect("errors");
    let fields: Vec<_> = errors.iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["email", "password", "display_name"]);
    assert!(!refused.raw.contains("short"));
}

#[tokio::test]
async fn secrets_lie_in_the_database_as_hashes() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let token = cloud.token(&ada, false).await;
    let secret = ada.cookie.split_once('=').expect("a cookie").1;
    for (table, text) in [
        ("sessions", secret),
        ("api_tokens", token.as_str()),
        ("users", PASSWORD),
        ("idempotency_keys", token.as_str()),
    ] {
        let sql = format!("select count(*) from {table} t where t::text like '%' || $1 || '%'");
        let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(text)
            .fetch_one(&cloud.admin)
            .await
            .expect("counted");
        assert_eq!(found, 0, "{table}");
    }
    assert_eq!(cloud.clock.now(), START);
}
