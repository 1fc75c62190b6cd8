//! Forgotten passwords.

use crate::support::TestCloud;
use serde_json::json;
use time::Duration;

const OLD: &str = "correct horse battery";
const NEW: &str = "a wholly new password";

#[tokio::test]
async fn a_reset_sets_the_password_and_ends_every_session() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let other = cloud.log_in(&ada.email, OLD).await.cookie();
    let body = json!({ "email": ada.email });
    let asked = cloud.post("/v1/auth/password-reset").json(&body).send();
    asked.await.expect(202);
    let token = cloud.mailed_token(&ada.email).await;
    let confirm = |token: &str, password: &str| {
        let body = json!({ "token": token, "password": password });
        let call = cloud.post("/v1/auth/password-reset/confirm");
        call.json(&body).send()
    };
    let weak = confirm(&token, "short").await;
    weak.expect_problem(400, "invalid_request");
    confirm(&token, NEW).await.expect(204);
    confirm(&token, "yet another one")
        .await
        .expect_problem(410, "gone");
    for cookie in [ada.cookie, other.expect("a cookie")] {
        cloud.get("/v1/me").cookie(&cookie).send().await.expect(401);
    }
    cloud.log_in(&ada.email, OLD).await.expect(401);
    cloud.log_in(&ada.email, NEW).await.expect(200);
    assert!(cloud.mails(&ada.email).await[0].contains("was changed"));
}

#[tokio::test]
async fn a_reset_link_lives_for_an_hour_and_verifies_nothing_but_its_own_purpose() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let body = json!({ "email": ada.email });
    let ask = || cloud.post("/v1/auth/password-reset").json(&body).send();
    ask().await.expect(202);
    let token = cloud.mailed_token(&ada.email).await;
    let verify = json!({ "token": token });
    let verify = cloud.post("/v1/auth/verify-email").json(&verify).send();
    verify.await.expect_problem(410, "gone");
    cloud.clock.advance(Duration::minutes(61));
    let confirm = json!({ "token": token, "password": NEW });
    let call = cloud.post("/v1/auth/password-reset/confirm");
    call.json(&confirm).send().await.expect_problem(410, "gone");
    cloud.log_in(&ada.email, OLD).await.expect(200);
}

#[tokio::test]
async fn mails_to_one_address_are_throttled_whether_or_not_it_is_known() {
    let cloud = TestCloud::new().await;
    let limit = cloud.platform.settings.limits.mails_per_account;
    let body = json!({ "email": "eve@example.com" });
    let ask = || cloud.post("/v1/auth/password-reset").json(&body).send();
    for _ in 0..limit {
        ask().await.expect(202);
    }
    ask().await.expect_problem(429, "rate_limited");
}
