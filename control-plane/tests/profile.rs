//! What a person changes of itself.

use crate::support::{Answer, Person, TestCloud};
use serde_json::{Value, json};
use time::Duration;

const OLD: &str = "correct horse battery";
const NEW: &str = "a wholly new password";

impl TestCloud {
    async fn rename_me(&self, cookie: &str, body: &Value) -> Answer {
        self.patch("/v1/me").cookie(cookie).json(body).send().await
    }

    async fn change_password(&self, cookie: &str, current: &str, new: &str) -> Answer {
        let body = json!({ "current_password": current, "new_password": new });
        let call = self.post("/v1/me/password").cookie(cookie);
        call.json(&body).send().await
    }

    async fn is_logged_in(&self, cookie: &str) -> bool {
        self.get("/v1/me").cookie(cookie).send().await.status == 200
    }

    async fn audited(&self, person: &Person, cookie: &str) -> Vec<String> {
        let path = format!("/v1/organizations/{}/audit-events", person.organization);
        let events = self.get(&path).cookie(cookie).send().await;
        events.expect(200);
        let items = events.body["items"].as_array().expect("events").iter();
        let action = |event: &Value| event["action"].as_str().expect("an action").to_owned();
        items.map(action).collect()
    }
}

#[tokio::test]
async fn a_person_changes_its_name_and_nobody_elses() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    let changed = cloud
        .rename_me(&ada.cookie, &json!({ "display_name": "  Ada Lovelace " }))
        .await;
    changed.expect(200);
    assert_eq!(changed.text("/display_name"), "Ada Lovelace");
    assert_eq!(changed.text("/email"), ada.email);
    let me = cloud.get("/v1/me").cookie(&ada.cookie);
    let me = me.seen_from("198.51.100.23:40000").send().await;
    assert_eq!(me.text("/user/display_name"), "Ada Lovelace");
    assert_eq!(me.text("/client_address"), "198.51.100.23");
    let other = cloud.get("/v1/me").cookie(&eve.cookie).send().await;
    assert_eq!(other.text("/user/display_name"), "Ada");
    assert_eq!(cloud.audited(&ada, &ada.cookie).await[0], "user.update");
}

#[tokio::test]
async fn a_name_that_cannot_be_is_refused_with_the_field_at_fault() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    for (body, field) in [
        (json!({}), "display_name"),
        (json!({ "display_name": "" }), "display_name"),
        (json!({ "display_name": " \t" }), "display_name"),
        (json!({ "display_name": "a\nb" }), "display_name"),
        (json!({ "display_name": "a".repeat(101) }), "display_name"),
        (json!({ "display_name": 7 }), "display_name"),
        (json!({ "display_name": null }), "display_name"),
        (json!({ "display_name": "a", "email": "x@y.z" }), "email"),
    ] {
        let refused = cloud.rename_me(&ada.cookie, &body).await;
        refused.expect_problem(400, "invalid_request");
        assert_eq!(refused.text("/errors/0/field"), field, "{body}");
    }
    // 100 characters of four bytes each are 100 characters.
    let long = json!({ "display_name": "🦊".repeat(100) });
    cloud.rename_me(&ada.cookie, &long).await.expect(200);
    cloud
        .patch("/v1/me")
        .json(&long)
        .send()
        .await
        .expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_new_password_ends_every_other_session_and_renews_this_one() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    let other = cloud.log_in(&ada.email, OLD).await.cookie();
    let other = other.expect("a cookie");
    let token = cloud.token(&ada, false).await;
    let sessions = || cloud.get("/v1/me/sessions");
    let before = sessions().cookie(&ada.cookie).send().await;
    let current = before.body["items"].as_array().expect("sessions").iter();
    let current = current.clone().find(|session| session["current"] == true);
    let changed = cloud.change_password(&ada.cookie, OLD, NEW).await;
    changed.expect(204);
    let cookie = changed.cookie().expect("a new cookie");
    assert_ne!(cookie, ada.cookie);
    assert!(cloud.is_logged_in(&cookie).await);
    assert!(!cloud.is_logged_in(&ada.cookie).await, "the old secret");
    assert!(!cloud.is_logged_in(&other).await, "the other session");
    assert!(cloud.is_logged_in(&eve.cookie).await, "somebody else");
    let after = sessions().cookie(&cookie).send().await;
    assert_eq!(after.body["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(after.body["items"][0]["id"], current.expect("one")["id"]);
    cloud.get("/v1/me").bearer(&token).send().await.expect(200);
    cloud.log_in(&ada.email, OLD).await.expect(401);
    cloud.log_in(&ada.email, NEW).await.expect(200);
    let audited = cloud.audited(&ada, &cookie).await;
    assert!(audited.contains(&"user.password_change".to_owned()));
    let mail = &cloud.mails(&ada.email).await[0];
    assert!(mail.contains("was changed in the console"), "{mail}");
    assert!(mail.contains("http://127.0.0.1:8400/forgot-password"));
    assert!(!mail.contains(NEW) && !mail.contains("?token="), "{mail}");
}

#[tokio::test]
async fn a_password_that_cannot_be_changed_is_told_why() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let mails = cloud.mails(&ada.email).await.len();
    for (current, new, field) in [
        ("not the password", NEW, "current_password"),
        ("", NEW, "current_password"),
        (OLD, "short", "new_password"),
        (OLD, &"a".repeat(129), "new_password"),
        (OLD, OLD, "new_password"),
    ] {
        let refused = cloud.change_password(&ada.cookie, current, new).await;
        refused.expect_problem(400, "invalid_request");
        assert_eq!(refused.text("/errors/0/field"), field, "{current} {new}");
    }
    let call = |body: Value| {
        let call = cloud.post("/v1/me/password").cookie(&ada.cookie);
        call.json(&body).send()
    };
    let missing = call(json!({ "new_password": NEW })).await;
    assert_eq!(missing.text("/errors/0/field"), "current_password");
    let unknown = json!({ "current_password": OLD, "new_password": NEW, "user_id": 1 });
    assert_eq!(call(unknown).await.text("/errors/0/field"), "user_id");
    assert!(cloud.is_logged_in(&ada.cookie).await);
    cloud.log_in(&ada.email, OLD).await.expect(200);
    assert_eq!(cloud.mails(&ada.email).await.len(), mails);
}

#[tokio::test]
async fn guessing_the_password_through_a_session_is_throttled_and_locks_nobody_out() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let limit = cloud.platform.settings.limits.log_in_failures_per_account;
    for _ in 0..limit {
        let wrong = cloud.change_password(&ada.cookie, "a guess", NEW).await;
        wrong.expect(400);
    }
    // The right one too: a guess must not be told from another.
    let refused = cloud.change_password(&ada.cookie, OLD, NEW).await;
    refused.expect_problem(429, "rate_limited");
    assert!(!refused.header("retry-after").is_empty());
    cloud.log_in(&ada.email, OLD).await.expect(200);
    cloud.clock.advance(Duration::minutes(15));
    cloud
        .change_password(&ada.cookie, OLD, NEW)
        .await
        .expect(204);
}

#[tokio::test]
async fn a_reset_link_that_lies_in_a_mailbox_does_not_undo_a_change() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let body = json!({ "email": ada.email });
    let asked = cloud.post("/v1/auth/password-reset").json(&body).send();
    asked.await.expect(202);
    let token = cloud.mailed_token(&ada.email).await;
    cloud
        .change_password(&ada.cookie, OLD, NEW)
        .await
        .expect(204);
    let body = json!({ "token": token, "password": "the intruder's own" });
    let call = cloud.post("/v1/auth/password-reset/confirm").json(&body);
    call.send().await.expect_problem(410, "gone");
}

#[tokio::test]
async fn a_token_changes_neither_name_nor_password() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let token = cloud.token(&ada, false).await;
    let name = json!({ "display_name": "Mallory" });
    let call = cloud.patch("/v1/me").bearer(&token).json(&name);
    call.send().await.expect_problem(403, "forbidden");
    let body = json!({ "current_password": OLD, "new_password": NEW });
    let call = cloud.post("/v1/me/password").bearer(&token).json(&body);
    call.send().await.expect_problem(403, "forbidden");
    let me = cloud.get("/v1/me").cookie(&ada.cookie).send().await;
    assert_eq!(me.text("/user/display_name"), "Ada");
    // Nor does another site, with the person's cookie.
    let evil = cloud.patch("/v1/me").header("cookie", &ada.cookie);
    let evil = evil.header("origin", "https://evil.example").json(&name);
    evil.send().await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_made() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let other = cloud.log_in(&ada.email, OLD).await.cookie();
    let other = other.expect("a cookie");
    let (first, second) = tokio::join!(
        cloud.change_password(&ada.cookie, OLD, NEW),
        cloud.change_password(&other, OLD, "yet another password"),
    );
    let made: Vec<_> = [(first, NEW), (second, "yet another password")]
        .into_iter()
        .filter(|(answer, _)| answer.status == 204)
        .collect();
    let [(answer, password)] = made.as_slice() else {
        panic!("{made:?}");
    };
    assert!(cloud.is_logged_in(&answer.cookie().expect("one")).await);
    cloud.log_in(&ada.email, password).await.expect(200);
}
