//! Spend caps: what becomes of databases once one is used, and what is billed then.

use crate::billing_close::DECEMBER;
use crate::limits::{Limited, limited};
use crate::support::Answer;
use http::Method;
use lumadb_contract::id::DatabaseId;
use lumadb_control_plane::app::limits::{Quotas, caps_look};
use lumadb_control_plane::store::EitherTx;
use lumadb_control_plane::store::billing::hold;
use serde_json::{Value, json};
use time::Duration;

/// Requests that cost a dollar.
const DOLLAR: u64 = 10_000_000;

impl Limited {
    /// Two databases under the plan on which everything is paid for, and a cap.
    async fn capped(settings: Value) -> Self {
        let limited = limited(Quotas::default()).await;
        let changed = limited.cloud.plan_change(&limited.ada, "pro-payg").await;
        changed.expect(201);
        limited.sets(&settings).await;
        limited
    }

    async fn sets(&self, settings: &Value) {
        let revision = self.cloud.billing_of(&self.ada, "billing").await["revision"].clone();
        let path = format!("/v1/organizations/{}/billing", self.ada.organization);
        let call = self
            .cloud
            .call(Method::PATCH, &path)
            .cookie(&self.ada.cookie);
        let call = call.header("if-match", &format!("\"{revision}\""));
        call.json(settings).send().await.expect(200);
    }

    async fn orders(&self, ids: &[DatabaseId]) -> Answer {
        let path = format!(
            "/v1/organizations/{}/spend-cap-order",
            self.ada.organization
        );
        let call = self.cloud.call(Method::PUT, &path).cookie(&self.ada.cookie);
        call.json(&json!({ "database_ids": ids })).send().await
    }

    /// In the owner's order: the name of each, and its stage.
    async fn stages(&self) -> Vec<(String, Option<String>)> {
        let standing = self.cloud.billing_of(&self.ada, "spend-cap-order").await;
        let databases = standing["databases"].as_array().expect("databases").iter();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        databases
            .map(|database| {
                (
                    text(&database["name"]).expect("a name"),
                    text(&database["stage"]),
                )
            })
            .collect()
    }

    async fn stages_are(&self, two: Option<&str>, one: Option<&str>) {
        let expected = [("two", two), ("one", one)];
        let expected = expected.map(|(name, stage)| (name.to_owned(), stage.map(str::to_owned)));
        assert_eq!(self.stages().await, expected);
    }

    /// An hour later a database has used so much more.
    async fn uses(&mut self, index: usize, dollars: u64) {
        self.cloud.clock.advance(Duration::HOUR);
        self.nodes[index].requests += dollars * DOLLAR;
        self.seals(index, 0).await;
        self.cloud.clock.advance(Duration::MINUTE);
    }

    async fn looks(&self) {
        let failures = caps_look(&self.cloud.platform).await.expect("looks");
        assert_eq!(failures, 0);
    }

    async fn desired(&self) -> Vec<String> {
        sqlx::query_scalar("select desired from databases order by id")
            .fetch_all(&self.cloud.admin)
            .await
            .expect("reads")
    }

    async fn told(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select payload ->> 'subject' from outbox
             where payload ->> 'subject' ~ 'spend cap|budget' order by id",
        )
        .fetch_all(&self.cloud.admin)
        .await
        .expect("reads")
    }
}

#[tokio::test]
async fn a_workload_of_80_dollars_under_a_cap_of_50_is_degraded_in_order_and_billed_50() {
    let settings = json!({ "spend_cap_cents": 5000, "budgets_cents": [2000, 9000] });
    let mut limited = Limited::capped(settings).await;
    let [one, two] = [0, 1].map(|index| limited.nodes[index].database);
    limited.orders(&[two, one]).await.expect(200);

    limited.uses(0, 30).await;
    limited.looks().await;
    limited.stages_are(None, None).await;
    assert_eq!(limited.asks(0, true, Some(1)).await.read_only, None);
    assert_eq!(limited.told().await, ["Your budget of $20.00 is crossed"]);
    limited.uses(1, 10).await;
    limited.looks().await;
    limited.looks().await;
    let told = [
        "Your budget of $20.00 is crossed",
        "Your spend cap of $50.00 is nearly used",
    ];
    assert_eq!(limited.told().await, told);

    // First all of them become read-only.
    limited.uses(1, 15).await;
    limited.looks().await;
    limited
        .stages_are(Some("read_only"), Some("read_only"))
        .await;
    assert_eq!(limited.desired().await, ["running", "running"]);
    for index in [0, 1] {
        let said = limited.asks(index, true, Some(1)).await.read_only;
        assert!(said.expect("is read-only").contains("spend cap of $50.00"));
    }
    // What is read goes on costing; one after the other falls asleep.
    limited.uses(1, 25).await;
    limited.looks().await;
    limited.stages_are(Some("asleep"), Some("read_only")).await;
    assert_eq!(limited.desired().await, ["running", "suspended"]);
    limited.looks().await;
    limited.looks().await;
    limited.stages_are(Some("asleep"), Some("asleep")).await;
    assert_eq!(limited.desired().await, ["suspended", "suspended"]);
    let resume = format!("/v1/databases/{two}/resume");
    let refused = limited.cloud.act(&limited.ada, &resume).await;
    refused.expect_problem(409, "quota_exceeded");
    let told = [
        "Your budget of $20.00 is crossed",
        "Your spend cap of $50.00 is nearly used",
        "Your spend cap of $50.00 is used",
    ];
    assert_eq!(limited.told().await, told);

    // A higher cap brings everything back; the one of before degrades it again, and tells nobody
    // twice.
    limited.sets(&json!({ "spend_cap_cents": 10_000 })).await;
    limited.looks().await;
    limited.stages_are(None, None).await;
    assert_eq!(limited.desired().await, ["running", "running"]);
    assert_eq!(limited.asks(1, true, Some(1)).await.read_only, None);
    limited.sets(&json!({ "spend_cap_cents": 5000 })).await;
    for _ in 0..3 {
        limited.looks().await;
    }
    assert_eq!(limited.desired().await, ["suspended", "suspended"]);
    let raised = ["Your spend cap of $100.00 is nearly used"];
    assert_eq!(limited.told().await, [&told[..], &raised].concat());

    // The next month begins with everything as it was, and the last one costs what the cap says.
    limited.cloud.move_to(DECEMBER + Duration::hours(13));
    limited.ada = limited.cloud.again(&limited.ada).await;
    limited.looks().await;
    assert_eq!(limited.desired().await, ["running", "running"]);
    limited.cloud.work().await;
    let closing = limited.cloud.closing(&limited.ada, "2026-11").await;
    let lines = closing["lines"].as_array().expect("lines").iter();
    let amounts: Vec<(&str, i64)> = lines
        .map(|line| {
            (
                line["kind"].as_str().unwrap_or(""),
                line["amount_cents"].as_i64(),
            )
        })
        .map(|(kind, cents)| (kind, cents.expect("cents")))
        .collect();
    assert!(amounts.contains(&("above_cap", -3000)), "{amounts:?}");
    let usage = amounts.iter().filter(|(kind, _)| *kind != "fee");
    let usage: i64 = usage.map(|(_, cents)| cents).sum();
    // Seven and a half days of thirty were paid in advance.
    assert_eq!(usage + 725, 5000);
}

#[tokio::test]
async fn who_does_not_pay_is_held_for_that_and_a_used_cap_holds_again_what_was_released() {
    let mut limited = Limited::capped(json!({ "spend_cap_cents": 1000 })).await;
    limited.uses(0, 20).await;
    for _ in 0..3 {
        limited.looks().await;
    }
    let holds = async || -> Vec<(Option<String>, Option<String>)> {
        sqlx::query_as("select hold, hold_desired from databases order by id")
            .fetch_all(&limited.cloud.admin)
            .await
            .expect("reads")
    };
    let held = |reason: &str| {
        let of_one = (Some(reason.to_owned()), Some("running".to_owned()));
        vec![of_one.clone(), of_one]
    };
    assert_eq!(holds().await, held("spend_cap"));
    let (organization, now) = (limited.ada.organization, limited.cloud.clock.now());
    let store = &limited.cloud.platform.store;
    let mut tx = store.region().await.expect("a scope");
    let done = hold::hold(&mut EitherTx::Region(&mut tx), organization, now).await;
    done.expect("held");
    tx.commit().await.expect("committed");
    assert_eq!(holds().await, held("payment"));
    // A higher cap changes nothing of that.
    limited.sets(&json!({ "spend_cap_cents": 5000 })).await;
    limited.looks().await;
    assert_eq!(holds().await, held("payment"));
    limited.sets(&json!({ "spend_cap_cents": 1000 })).await;
    for _ in 0..3 {
        limited.looks().await;
    }
    let mut tx = store.region().await.expect("a scope");
    let done = hold::release(&mut EitherTx::Region(&mut tx), organization, now).await;
    done.expect("released");
    tx.commit().await.expect("committed");
    assert_eq!(limited.desired().await, ["running", "running"]);
    limited.looks().await;
    assert_eq!(holds().await, held("spend_cap"));
}

#[tokio::test]
async fn an_order_names_databases_of_the_organization_each_once() {
    let limited = Limited::capped(json!({})).await;
    let [one, two] = [0, 1].map(|index| limited.nodes[index].database);
    let eve = limited.cloud.person("eve@example.com").await;
    let (hers, _) = limited.cloud.created(&eve, "hers").await;
    for bad in [vec![one, one], vec![hers]] {
        limited
            .orders(&bad)
            .await
            .expect_problem(400, "invalid_request");
    }
    // Those that are not named come after, the newest first.
    limited.stages_are(None, None).await;
    let set = limited.orders(&[one]).await;
    set.expect(200);
    assert_eq!(set.body["databases"][0]["id"], json!(one));
    assert_eq!(set.body["databases"][1]["id"], json!(two));
}
