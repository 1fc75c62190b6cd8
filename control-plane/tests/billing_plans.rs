//! Changes of plan, what they cost, and the running invoice.

use crate::support::{Person, START, TestCloud};
use async_trait::async_trait;
use lumadb_contract::id::{CreditNoteId, DatabaseId, IncarnationId, OrganizationId};
use lumadb_contract::usage::{UsageCounters, UsageGauges, UsageSample};
use lumadb_control_plane::app::billing::{self, Collection, CollectionMode};
use lumadb_control_plane::runtime::{ComputeSpan, Reports};
use lumadb_control_plane::store::billing::invoice::InvoiceRow;
use lumadb_control_plane::store::{EitherTx, StoreError};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use time::Duration;
use uuid::Uuid;

impl TestCloud {
    pub(crate) async fn plan_change(&self, person: &Person, plan: &str) -> crate::support::Answer {
        let path = format!("/v1/organizations/{}/plan-changes", person.organization);
        let call = self.post(&path).cookie(&person.cookie);
        call.json(&json!({ "plan_id": plan })).send().await
    }

    async fn plan_quote(&self, person: &Person, plan: &str) -> Value {
        let organization = person.organization;
        let path = format!("/v1/organizations/{organization}/plan-changes?dry_run=true");
        let call = self.post(&path).cookie(&person.cookie);
        let answer = call.json(&json!({ "plan_id": plan })).send().await;
        answer.expect(200);
        answer.body
    }

    pub(crate) async fn billing_of(&self, person: &Person, part: &str) -> Value {
        let path = format!("/v1/organizations/{}/{part}", person.organization);
        let answer = self.get(&path).cookie(&person.cookie).send().await;
        answer.expect(200);
        answer.body
    }

    pub(crate) fn reports(&self) -> Reports {
        Reports::new(self.platform.store.clone(), self.clock.clone())
    }
}

#[tokio::test]
async fn a_larger_plan_begins_at_once_for_the_rest_of_the_month() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let quote = cloud.plan_quote(&ada, "pro-starter").await;
    assert_eq!(quote["monthly_difference_cents"], 2900);
    assert_eq!(quote["is_possible"], true);
    assert_eq!(cloud.billing_of(&ada, "billing").await["plan_id"], "free");
    let changed = cloud.plan_change(&ada, "pro-starter").await;
    changed.expect(201);
    assert_eq!(changed.body["plan_change"]["state"], "done");
    // Seven and a half days of thirty are left.
    assert_eq!(changed.body["invoice"]["total_cents"], 725);
    assert_eq!(changed.body["invoice"]["kind"], "change");
    assert_eq!(
        cloud.billing_of(&ada, "billing").await["plan_id"],
        "pro-starter"
    );
    cloud.clock.advance(Duration::hours(12));
    let changed = cloud.plan_change(&ada, "pro-growth").await;
    changed.expect(201);
    let id = changed.text("/invoice/id");
    let path = format!("/v1/invoices/{id}");
    let invoice = cloud.get(&path).cookie(&ada.cookie).send().await;
    let lines = invoice.body["lines"].as_array().expect("lines");
    let amounts: Vec<_> = lines
        .iter()
        .map(|l| (&l["kind"], &l["amount_cents"]))
        .collect();
    assert_eq!(amounts[0], (&json!("fee_unused"), &json!(-677)));
    assert_eq!(amounts[1], (&json!("fee"), &json!(4643)));
    let again = cloud.plan_change(&ada, "pro-growth").await;
    again.expect_problem(409, "conflict");
}

#[tokio::test]
async fn a_plan_without_s3_durability_is_refused_while_databases_have_it() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.plan_change(&ada, "pro-scale").await.expect(201);
    cloud.created(&ada, "ledger").await;
    let durability = |durability: &'static str| {
        let sql = "update databases set durability = $1";
        sqlx::query(sql).bind(durability).execute(&cloud.admin)
    };
    durability("s3").await.expect("written");
    let refused = cloud.plan_change(&ada, "pro-starter").await;
    refused.expect_problem(409, "quota_exceeded");
    let detail = refused.text("/detail");
    let told = "durability `s3`, which it does not have (databases: 1)";
    assert!(detail.contains(told), "{detail}");
    let quote = cloud.plan_quote(&ada, "pro-starter").await;
    assert_eq!(quote["is_possible"], false);
    let quotas = quote["quotas"].as_array().expect("quotas").iter();
    let exceeded: Vec<_> = quotas
        .filter(|quota| quota["is_exceeded"] == true)
        .collect();
    assert_eq!(exceeded.len(), 1, "{quote}");
    assert_eq!(exceeded[0]["quota"], "s3_databases");
    durability("local").await.expect("written");
    cloud.plan_change(&ada, "pro-starter").await.expect(201);
}

#[tokio::test]
async fn a_smaller_plan_begins_at_the_end_of_the_month_and_is_refused_while_too_much_is_held() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.plan_change(&ada, "pro-starter").await.expect(201);
    for number in 0..4 {
        cloud.created(&ada, &format!("db-{number}")).await;
    }
    let refused = cloud.plan_change(&ada, "free").await;
    refused.expect_problem(409, "quota_exceeded");
    let detail = refused.text("/detail");
    assert!(detail.contains("4 databases, at most 3"), "{detail}");
    assert!(
        detail.contains("1000 thousandths of a vCPU, at most 250"),
        "{detail}"
    );
    let quote = cloud.plan_quote(&ada, "free").await;
    assert_eq!(quote["is_possible"], false);
    assert_eq!(quote["quotas"][0]["is_exceeded"], true);
    sqlx::query("update databases set deleted_at = now() where name = 'db-3'")
        .execute(&cloud.admin)
        .await
        .expect("deleted");
    sqlx::query("update databases set milli_vcpu = 250")
        .execute(&cloud.admin)
        .await
        .expect("shrunk");
    let scheduled = cloud.plan_change(&ada, "free").await;
    scheduled.expect(201);
    assert_eq!(scheduled.body["plan_change"]["state"], "scheduled");
    assert_eq!(
        scheduled.text("/plan_change/effective_at"),
        "2026-12-01T00:00:00Z"
    );
    let fee_of_december = |draft: &Value| {
        let lines = draft["lines"].as_array().expect("lines").iter();
        lines.filter(|line| line["kind"] == "fee").count()
    };
    let draft = cloud.billing_of(&ada, "invoices/draft").await;
    assert_eq!(fee_of_december(&draft), 0);
    let organization = ada.organization;
    let id = scheduled.text("/plan_change/id");
    let path = format!("/v1/organizations/{organization}/plan-changes/{id}");
    let cancelled = cloud.delete(&path).cookie(&ada.cookie).send().await;
    cancelled.expect(200);
    assert_eq!(cancelled.body["state"], "cancelled");
    let draft = cloud.billing_of(&ada, "invoices/draft").await;
    assert_eq!(fee_of_december(&draft), 1);
    let gone = cloud.delete(&path).cookie(&ada.cookie).send().await;
    gone.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_plan_by_agreement_or_of_no_book_is_not_to_be_had() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let agreed = cloud.plan_change(&ada, "enterprise").await;
    agreed.expect_problem(403, "forbidden");
    for plan in ["pro-gold", "", "Free"] {
        let unknown = cloud.plan_change(&ada, plan).await;
        unknown.expect_problem(400, "invalid_request");
    }
    let eve = cloud.person("eve@example.com").await;
    let stranger = Person {
        cookie: eve.cookie.clone(),
        ..ada
    };
    let foreign = cloud.plan_change(&stranger, "pro-starter").await;
    foreign.expect_problem(404, "not_found");
}

/// Takes cards, and notes what it is told.
#[derive(Debug, Default)]
struct Cards {
    has_card: AtomicBool,
    told: Mutex<Vec<String>>,
}

impl Cards {
    fn tell(&self, what: String) {
        self.told.lock().expect("no panic").push(what);
    }
}

#[async_trait]
impl Collection for Cards {
    fn mode(&self) -> CollectionMode {
        CollectionMode::Stripe
    }

    async fn can_charge(
        &self,
        _: &mut EitherTx<'_>,
        _: OrganizationId,
    ) -> Result<bool, StoreError> {
        Ok(self.has_card.load(Ordering::Relaxed))
    }

    async fn invoice_final(
        &self,
        _: &mut EitherTx<'_>,
        invoice: &InvoiceRow,
    ) -> Result<(), StoreError> {
        self.tell(format!(
            "final {} {}",
            invoice.number, invoice.outstanding_cents
        ));
        Ok(())
    }

    async fn invoice_void(
        &self,
        _: &mut EitherTx<'_>,
        invoice: &InvoiceRow,
    ) -> Result<(), StoreError> {
        self.tell(format!("void {}", invoice.number));
        Ok(())
    }

    async fn credit_note(
        &self,
        _: &mut EitherTx<'_>,
        invoice: &InvoiceRow,
        _: CreditNoteId,
    ) -> Result<(), StoreError> {
        self.tell(format!("credit {}", invoice.number));
        Ok(())
    }
}

#[tokio::test]
async fn a_plan_with_a_fee_waits_for_a_card_and_then_begins() {
    let mut cloud = TestCloud::new().await;
    let cards = Arc::new(Cards::default());
    cloud.platform.collection = Some(Arc::clone(&cards) as Arc<dyn Collection>);
    let cloud = cloud.with_archives_from_now_on();
    let ada = cloud.person("ada@example.com").await;
    assert_eq!(
        cloud.billing_of(&ada, "billing").await["collection"],
        "stripe"
    );
    let waiting = cloud.plan_change(&ada, "pro-starter").await;
    waiting.expect(201);
    assert_eq!(waiting.body["plan_change"]["state"], "waiting");
    assert_eq!(cloud.billing_of(&ada, "billing").await["plan_id"], "free");
    cloud.clock.advance(Duration::hours(12));
    cards.has_card.store(true, Ordering::Relaxed);
    for is_first in [true, false] {
        let mut tx = cloud.platform.store.region().await.expect("a scope");
        let either = &mut EitherTx::Region(&mut tx);
        let done = billing::plan_activate(&cloud.platform, either, ada.organization).await;
        assert_eq!(done.expect("asked").is_some(), is_first);
        tx.commit().await.expect("committed");
    }
    let account = cloud.billing_of(&ada, "billing").await;
    assert_eq!(account["plan_id"], "pro-starter");
    let list = cloud.billing_of(&ada, "plan-changes").await;
    assert_eq!(list["items"][0]["state"], "done");
    assert_eq!(list["items"][0]["effective_at"], "2026-11-24T00:00:00Z");
    let told = cards.told.lock().expect("no panic").clone();
    assert_eq!(told, ["final INV-2026-000001 6.77"]);
}

#[tokio::test]
async fn what_a_database_would_cost_is_told_before_it_is_made() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.plan_change(&ada, "pro-payg").await.expect(201);
    let path = format!("/v1/projects/{}/databases?dry_run=true", ada.project);
    let ask = |milli_vcpu: i32| {
        let call = cloud.post(&path).cookie(&ada.cookie);
        call.json(&json!({ "name": "a", "milli_vcpu": milli_vcpu }))
            .send()
    };
    // 720 hours at 5 cents are $36, of which the fee covers $29.
    let quote = ask(1000).await;
    quote.expect(200);
    assert_eq!(quote.body["monthly_difference_cents"], 700);
    assert_eq!(quote.body["monthly_before_cents"], 2900);
    let large = ask(32_000).await;
    large.expect(200);
    assert_eq!(large.body["is_possible"], false);
    ask(333).await.expect_problem(400, "invalid_request");
    let list = format!("/v1/projects/{}/databases", ada.project);
    let list = cloud.get(&list).cookie(&ada.cookie).send().await;
    assert_eq!(list.body["items"], json!([]));
    let (id, _) = cloud.created(&ada, "a").await;
    let path = format!("/v1/databases/{id}?dry_run=true");
    let call = cloud.patch(&path).cookie(&ada.cookie);
    let resize = call.json(&json!({ "milli_vcpu": 2000 })).send().await;
    resize.expect(200);
    assert_eq!(resize.body["quote"]["monthly_difference_cents"], 3600);
    assert_eq!(resize.body["database"]["milli_vcpu"], 1000);
    assert_eq!(resize.body["operation"], Value::Null);
}

fn sample(sequence: u64, hours: i64, requests: u64, last: bool) -> UsageSample {
    UsageSample {
        incarnation_id: IncarnationId::from_uuid(Uuid::from_u128(7)),
        sequence,
        taken_at: START + Duration::hours(hours),
        counters: UsageCounters {
            requests,
            ..UsageCounters::default()
        },
        gauges: UsageGauges {
            storage_bytes: 720_000_000_000,
            connections: 0,
        },
        last,
    }
}

async fn used(cloud: &TestCloud, id: DatabaseId) {
    let reports = cloud.reports();
    let samples = [sample(1, 0, 0, false), sample(2, 1, 3_000_000, true)];
    reports.samples(id, &samples).await.expect("stored");
    let end = START + Duration::hours(1);
    let span = ComputeSpan {
        database_id: id,
        incarnation_id: IncarnationId::from_uuid(Uuid::from_u128(7)),
        started_at: START,
        ended_at: Some(end),
        seen_at: end,
        milli_vcpu: 1000,
    };
    reports.compute_span(span).await.expect("stored");
}

#[tokio::test]
async fn the_running_invoice_shows_what_was_used_by_meter_and_database() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.plan_change(&ada, "pro-payg").await.expect(201);
    let (id, _) = cloud.created(&ada, "a").await;
    cloud.clock.advance(Duration::hours(2));
    used(&cloud, id).await;
    let draft = cloud.billing_of(&ada, "invoices/draft").await;
    assert_eq!(draft["state"], "draft");
    assert_eq!(draft["period"], "2026-11");
    let line = |meter: &str| {
        let lines = draft["lines"].as_array().expect("lines").iter();
        let mut of_meter = lines.filter(|line| line["usage"]["meter"] == meter);
        of_meter.next().expect("a line").clone()
    };
    // A GB-month is 720 hours: 720 GB for two hours, one of them asleep, are two GB-months.
    assert_eq!(line("storage")["amount_cents"], 20);
    assert_eq!(line("compute")["amount_cents"], 5);
    assert_eq!(line("requests")["amount_cents"], 30);
    assert_eq!(
        line("requests")["usage"]["shares"][0]["database_id"],
        id.to_string()
    );
    // The fee of the rest of November covers all of it; December's fee follows.
    assert_eq!(draft["total_cents"], 2900);
    assert_eq!(draft["databases"][0]["name"], "a");
    assert_eq!(draft["spend_cap"], Value::Null);
    let path = format!(
        "/v1/organizations/{}/invoices/draft?period=2026-10",
        ada.organization
    );
    let closed = cloud.get(&path).cookie(&ada.cookie).send().await;
    closed.expect_problem(400, "invalid_request");
    let body = json!({ "spend_cap_cents": 5000 });
    let path = format!("/v1/organizations/{}/billing", ada.organization);
    cloud
        .patch(&path)
        .cookie(&ada.cookie)
        .json(&body)
        .send()
        .await
        .expect(200);
    let draft = cloud.billing_of(&ada, "invoices/draft").await;
    assert_eq!(draft["spend_cap"]["cap_cents"], 5000);
    // 720 GB for the quarter of the month that is left, and what was used of the rest.
    assert_eq!(draft["spend_cap"]["committed_cents"], 1835);
    assert_eq!(draft["spend_cap"]["left_cents"], 3165);
}

#[tokio::test]
async fn a_forecast_goes_on_as_it_was() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.plan_change(&ada, "pro-payg").await.expect(201);
    let (id, _) = cloud.created(&ada, "a").await;
    cloud.clock.advance(Duration::hours(2));
    used(&cloud, id).await;
    let forecast = cloud.billing_of(&ada, "forecast").await;
    assert_eq!(forecast["fees_cents"], 725);
    let cents = |pointer: &str| forecast[pointer].as_i64().expect("cents");
    assert!(cents("usage_cents") > 0, "{forecast}");
    assert_eq!(
        cents("cost_cents"),
        cents("fees_cents") + cents("usage_cents")
    );
}
